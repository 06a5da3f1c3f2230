"""Jobs for a cluster: long functions of shared folders, each in a process of its own on the worker that takes it."""

import contextlib
import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from img2gps.cluster import Cluster, LostWork, open_cluster
from img2gps.errors import UsageError
from img2gps.files import sha256_bytes
from img2gps.own_process import Answer, OwnProcess, packed_answer, packed_job, thread_counts, unpacked_answer
from img2gps.progress import bar, stderr
from img2gps.text import safe_path, safe_text

__all__ = ["JobCluster", "SharedFile", "await_file", "jobs_of", "open_jobs", "shards", "tell", "unshared"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_END_BYTES: Final = 1 << 16
_KEPT_S: Final = 30.0
_TRIES: Final = 3
_SHARDS_PER_SLOT: Final = 4
_MOST_ITEMS: Final = 1024
_ARRIVAL_S: Final = 90.0  # a network file system may show a new file up to a minute late


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFile:
    """A file that workers must find as it is here, known by its size and a digest of its end."""

    path: Path
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "SharedFile":
        """Return what identifies a file. Raises OSError where it cannot be read."""
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _END_BYTES))
            return cls(path=path.resolve(), size=size, sha256=sha256_bytes(file.read()))

    def is_here(self) -> bool:
        """Return whether this machine has the same file."""
        with contextlib.suppress(OSError):
            return SharedFile.of(self.path) == self
        return False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    number: int
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Terms:
    threads: tuple[tuple[str, str], ...]
    folder: str
    needs: tuple[SharedFile, ...]


class JobCluster:
    """A cluster whose jobs compute with as many threads as this process does."""

    def __init__(self, cluster: Cluster, threads: tuple[tuple[str, str], ...]) -> None:
        self._cluster = cluster
        self._threads = threads

    @property
    def slots(self) -> int:
        """How many jobs run at once now; 1 where no worker has come yet."""
        return self._cluster.slots

    def check_shared(self, needs: Sequence[SharedFile]) -> None:
        """Ask each worker that is here for the files. Raises UsageError naming the first that one does not find."""
        self._cluster.ask(_check_here, tuple(needs), None)

    def do(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        doing: str,
        needs: Sequence[SharedFile] = (),
        steps: Callable[[Item], int] = lambda _: 1,
    ) -> Iterator[tuple[Item, Result]]:
        """Yield each item with ``function(item)``, in order, under a bar; what it says on stderr is said here.

        `function` must be importable by name. A worker that is lost costs the time of its job, which another begins
        anew. Its process serves the next job, too: what it loads is loaded once. `steps` is what an item counts on the
        bar `doing`. Raises what the function raises, at the turn of its item. Raises OSError where each worker that
        took a job was lost, and UsageError where one does not find a file of `needs`.
        """
        for item, answer in self.answers(function, items, doing=doing, needs=needs, steps=steps):
            tell(answer)
            if answer.error is not None:
                raise answer.error
            yield item, cast("Result", answer.result)

    def answers(
        self,
        function: Callable[[Item], Result],
        items: Sequence[Item],
        *,
        doing: str,
        needs: Sequence[SharedFile] = (),
        steps: Callable[[Item], int] = lambda _: 1,
    ) -> Iterator[tuple[Item, Answer[Result]]]:
        """Yield each item with what became of ``function(item)``, in order; one that fails does not end the others.

        `do` says more. Raises OSError where the cluster is lost, and UsageError where a worker does not find a file of
        `needs`.
        """
        terms = _Terms(threads=self._threads, folder=str(Path.cwd()), needs=tuple(needs))
        jobs = [_Job(number=number, content=packed_job(function, item)) for number, item in enumerate(items)]
        with bar(doing, sum(map(steps, items))) as advance:
            done = self._cluster.spread(_work, jobs, terms, on_done=lambda job: advance(steps(items[job.number])))
            for job, data in done:
                yield items[job.number], _lost() if isinstance(data, LostWork) else unpacked_answer(data)


@contextlib.contextmanager
def open_jobs(word: str, *, threads: int | None = None) -> Iterator[JobCluster]:
    """Yield the cluster that a word names (`open_cluster`), for jobs; torch has `threads` threads in this process."""
    counts = thread_counts(threads)  # first: Dask changes the environment of this process
    with open_cluster(word) as cluster:
        yield JobCluster(cluster, counts)


@contextlib.contextmanager
def jobs_of(word: str | None, *, threads: int | None = None) -> Iterator[JobCluster | None]:
    """Yield what `open_jobs` yields; None without a word."""
    if word is None:
        yield None
        return
    with open_jobs(word, threads=threads) as cluster:
        yield cluster


def shards(items: Sequence[Item], slots: int, *, multiple: int = 1) -> list[Sequence[Item]]:
    """Return the items in runs of `multiple` or a multiple of it: some for each of `slots`, and 1,000 or so at most."""
    each = -(-len(items) // (_SHARDS_PER_SLOT * slots * multiple)) * multiple
    each = max(multiple, min(each, _MOST_ITEMS // multiple * multiple))
    return [items[start : start + each] for start in range(0, len(items), each)]


def tell(answer: Answer[Any]) -> None:
    """Say here what a function said on stderr where it ran."""
    if answer.said:
        stderr().print(answer.said, markup=False, end="")


def await_file(path: Path) -> None:
    """Return once a file that another machine wrote is seen here. Raises FileNotFoundError where that never comes."""
    until = time.monotonic() + _ARRIVAL_S
    while path not in path.parent.iterdir():  # asking for the file itself might be answered from memory
        if time.monotonic() > until:
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
        time.sleep(0.5)


def unshared(path: Path) -> UsageError:
    """Return what is wrong where a worker of a cluster does not find what the machine that asked for it has."""
    return UsageError(
        f"A worker on {safe_text(socket.gethostname())} does not find {safe_path(path)} as it is here: "
        "--cluster needs a folder that all machines share, at the same path."
    )


def _check_here(needs: Sequence[SharedFile], _: None) -> None:
    for file in needs:
        if not file.is_here():
            raise unshared(file.path)


def _work(job: _Job, terms: _Terms) -> bytes:
    """Do a job; called on a worker of the cluster. One whose process ends is tried again."""
    _check_here(terms.needs, None)
    for tries_left in reversed(range(_TRIES)):
        try:
            with _process(terms.threads) as process:
                return process.ask(job.content, folder=terms.folder, is_wanted=_still_wanted())
        except ChildProcessError as error:
            if not tries_left:
                return packed_answer(Answer(error=error))
    raise AssertionError


def _lost() -> Answer[Any]:
    return Answer(error=OSError(errno.ECONNABORTED, "Every worker that took this job was lost"))


def _still_wanted() -> Callable[[], bool]:
    """Return what tells whether anybody waits for the task of this thread: it may be cancelled."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state in ("executing", "long-running")

    return is_wanted


class _Idle:
    """Processes of this worker that wait for a next job, each for half a minute."""

    lock = threading.Lock()
    waiting: Final[dict[tuple[tuple[str, str], ...], list[OwnProcess]]] = {}


@contextlib.contextmanager
def _process(threads: tuple[tuple[str, str], ...]) -> Iterator[OwnProcess]:
    """Yield a process that computes with so many threads: one that waits, else a new one."""
    with _Idle.lock:
        idle = _Idle.waiting.setdefault(threads, [])
        process = idle.pop() if idle else OwnProcess(threads)
    try:
        yield process
    except BaseException:
        process.close()
        raise
    with _Idle.lock:
        idle.append(process)
    timer = threading.Timer(_KEPT_S, _close_idle, (idle, process))
    timer.daemon = True
    timer.start()


def _close_idle(idle: list[OwnProcess], process: OwnProcess) -> None:
    with _Idle.lock:
        if process not in idle:
            return
        idle.remove(process)
    process.close()
