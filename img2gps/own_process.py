"""A function in a process of its own, which computes as the process of the person who asked for it would.

Workers of a cluster run jobs like this. A worker limits its libraries to one thread, and results depend on how many
threads there are. Its tasks share random states. A task cannot be stopped, a process can.
"""

import contextlib
import io
import os
import pickle
import queue
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Final, Generic, Self, TypeVar

from img2gps.text import safe_text
from img2gps.threads import THREAD_COUNTS, usable_processors

__all__ = [
    "Answer",
    "OwnProcess",
    "StoppedError",
    "packed_answer",
    "packed_job",
    "serve",
    "thread_counts",
    "unpacked_answer",
]

Result = TypeVar("Result")

_LENGTH: Final = struct.Struct("<Q")
_LOOK_S: Final = 0.2
_LAST_WORDS: Final = 300


def thread_counts(torch_threads: int | None = None) -> tuple[tuple[str, str], ...]:
    """Return the environment's counts of threads that a process needs to compute as this one does.

    `torch_threads` are those of torch (None: as many as this process may use). Results depend on the counts.
    """
    usable = usable_processors()
    counts = dict.fromkeys(THREAD_COUNTS, torch_threads or usable) | {"OPENBLAS_NUM_THREADS": usable}  # not torch's
    return tuple((name, os.environ.get(name, str(count))) for name, count in counts.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(Generic[Result]):
    """What became of a function: its result or what it raised, and what it said on stderr meanwhile."""

    result: Result | None = None
    error: Exception | None = None
    said: str = ""


class StoppedError(Exception):
    """Nobody wants the result any more: the process was ended."""


class OwnProcess:
    """A process that runs one function after the other; it ends with the process that started it."""

    def __init__(self, threads: Iterable[tuple[str, str]]) -> None:
        path = os.pathsep.join(filter(None, sys.path))  # what can be imported here can be imported there
        self._words = tempfile.TemporaryFile()  # noqa: SIM115  it lives as long as the process
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", "from img2gps.own_process import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, **dict(threads), "PYTHONPATH": path},
            start_new_session=True,  # a Ctrl-C is the parent's to answer
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, job: bytes, *, folder: str, is_wanted: Callable[[], bool] = lambda: True) -> bytes:
        """Return the answer to a job, both packed: this process need not load what they are made of.

        The job is done in `folder`, as far as this machine has it. Raises StoppedError as soon as `is_wanted` says no,
        and ChildProcessError where the process ends over it.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        done, stopped = threading.Event(), threading.Event()

        def watch() -> None:
            while not done.wait(_LOOK_S):
                if not is_wanted():
                    stopped.set()
                    self._process.kill()
                    return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            _send(self._process.stdin, folder.encode())
            _send(self._process.stdin, job)
            return _receive(self._process.stdout)
        except (EOFError, OSError) as error:
            self._process.kill()
            if stopped.is_set():
                raise StoppedError from None
            raise ChildProcessError(self._end()) from error
        finally:
            done.set()
            watcher.join()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for file in (self._process.stdin, self._process.stdout, self._words):
            with contextlib.suppress(OSError):  # what was not yet sent
                if file is not None:
                    file.close()

    def _end(self) -> str:
        """Return how the process ended, with its last words."""
        code = self._process.wait()
        self._words.seek(0)
        words = self._words.read()[-_LAST_WORDS:].decode(errors="replace").strip()
        last = words.splitlines()[-1] if words else ""
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"a process ended with {how}{f' ({safe_text(last)})' if last else ''}"


def packed_job(function: Callable[..., object], *arguments: object) -> bytes:
    """Return a job for `OwnProcess.ask`; the function must be importable by name."""
    return pickle.dumps((function, arguments))


def unpacked_answer(data: bytes) -> Answer[Any]:
    """Return what `OwnProcess.ask` gave."""
    answer: Answer[Any] = pickle.loads(data)  # noqa: S301  of a process that was started here, or on a worker
    return answer


def _send(pipe: IO[bytes], data: bytes) -> None:
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: IO[bytes]) -> bytes:
    """Return what was sent. Raises EOFError where the other end is gone."""
    head = pipe.read(_LENGTH.size)
    data = pipe.read(_LENGTH.unpack(head)[0]) if len(head) == _LENGTH.size else b""
    if len(head) < _LENGTH.size or len(data) < _LENGTH.unpack(head)[0]:
        raise EOFError
    return data


def serve() -> None:
    """Answer one job of stdin after the other on stdout; end at once where nobody is left to ask."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what prints must not disturb the answers
    waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                waiting.put(_receive(sys.stdin.buffer))
        os._exit(1)

    threading.Thread(target=read, daemon=True).start()
    while True:
        with contextlib.suppress(OSError):  # a folder of another machine
            os.chdir(waiting.get().decode())
        _send(answers, packed_answer(_answered(waiting.get())))


def _answered(job: bytes) -> Answer[Any]:
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        try:
            function, arguments = pickle.loads(job)  # noqa: S301  from the process that started this one
            answer = Answer(result=function(*arguments))
        except Exception as error:  # noqa: BLE001  it is raised where it was asked for
            answer = Answer(error=error)
    return Answer(result=answer.result, error=answer.error, said=said.getvalue())


def packed_answer(answer: Answer[Any]) -> bytes:
    """Return an answer as bytes; an error that cannot travel becomes its words."""
    try:
        data = pickle.dumps(answer)
        if answer.error is not None:
            pickle.loads(data)  # noqa: S301  made here
    except Exception:  # noqa: BLE001  whatever a library's own error does
        error = RuntimeError(f"{type(answer.error).__name__}: {answer.error}")
        told: Answer[Any] = Answer(error=error, said=answer.said)
        return pickle.dumps(told)
    return data
