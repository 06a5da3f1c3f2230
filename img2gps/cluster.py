"""Other machines to work on: a Dask cluster, named by a word such as ``local:4`` or ``tcp://10.0.0.1:8786``."""

import contextlib
import errno
import importlib
import logging
import os
import signal
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from img2gps import __version__
from img2gps.address import without_secrets
from img2gps.errors import NotFoundError, UsageError
from img2gps.interrupts import children_deaf
from img2gps.processes import named_without_main_file
from img2gps.progress import stderr
from img2gps.text import safe_path, safe_text

__all__ = ["Cluster", "LostWork", "open_cluster", "spec_of_file"]

Item = TypeVar("Item")
Result = TypeVar("Result")

_SLURM: Final = "dask_jobqueue.SLURMCluster"
_DASK_PROCESS: Final = "Dask Worker process"
_ANSWER_S: Final = 30
_PATIENCE_S: Final = 10.0
_AHEAD: Final = 3
_RETRIES: Final = 2
# a worker that is lost takes every task of its own along, whichever it was that ended it
_ALLOWED_LOSSES: Final = 6
_DEAF_TO: Final = tuple(getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True, slots=True)
class LostWork(Generic[Item]):
    """What no worker could do: each that began it ended with it."""

    item: Item


class Cluster:
    """Workers that functions run on, which must be importable there by name."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self._is_alone = not client.nthreads()

    @property
    def slots(self) -> int:
        """How many tasks run at once now; 1 where no worker has come yet."""
        return max(1, int(sum(self._client.nthreads().values())))

    def ask(self, function: Callable[[Item, Any], Result], item: Item, argument: object) -> list[Result]:
        """Return ``function(item, argument)`` of each worker that is here now, however busy it is.

        Raises what the function raises on one of them. A worker that is lost meanwhile is left out.
        """
        with self._told():
            answers = self._client.run(_checked, function, item, argument, __version__, on_error="return").values()
            for answer in answers:
                if isinstance(answer, Exception) and not isinstance(answer, OSError):
                    raise answer
        return [answer for answer in answers if not isinstance(answer, Exception)]

    def spread(
        self,
        function: Callable[[Item, Any], Result],
        items: Iterable[Item],
        argument: object,
        *,
        on_done: Callable[[Item], object] = lambda _: None,
    ) -> Iterator[tuple[Item, Result | LostWork[Item]]]:
        """Yield each item with ``function(item, argument)``, in order; few more are on their way than workers can do.

        `on_done` is told of each as soon as it is done, in any order. A worker that is lost costs its tasks' time:
        others do them anew. What the function raises is raised here, after it was tried three times. Raises OSError
        where the cluster itself is lost.
        """
        shared = self._client.submit(_same, argument, pure=False)  # a task: it can be made anew wherever it is lost
        waiting: deque[tuple[Item, Any]] = deque()
        try:
            for item in items:
                task = self._client.submit(_checked, function, item, shared, __version__, pure=False, retries=_RETRIES)
                task.add_done_callback(lambda _, item=item: on_done(item))
                waiting.append((item, task))
                while len(waiting) >= _AHEAD * self.slots + 1:
                    yield self._done(*waiting.popleft())
            while waiting:
                yield self._done(*waiting.popleft())
        finally:
            with contextlib.suppress(Exception):  # the cluster may be gone
                self._client.cancel([task for _, task in waiting])

    def _done(self, item: Item, task: Any) -> tuple[Item, Any]:
        from distributed import KilledWorker

        try:
            with self._told():
                return item, self._awaited(task)
        except KilledWorker:
            return item, LostWork(item)

    def _awaited(self, task: Any) -> Any:
        """Return what a task returned, and say it where no worker is left that could do it."""
        while True:
            try:
                return task.result(timeout=_PATIENCE_S)
            except TimeoutError:
                if task.done():  # meanwhile, or with an error of this kind
                    return task.result()
                was_alone, self._is_alone = self._is_alone, not self._client.nthreads()
                if self._is_alone and not was_alone:
                    stderr().print("No worker is left: the work waits until one comes.", markup=False)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Say what it means where the cluster is lost, or its workers lack what they need."""
        from asyncio import CancelledError
        from concurrent.futures import CancelledError as CancelledFuture

        from distributed.comm.core import CommClosedError

        try:
            yield
        except (CancelledError, CancelledFuture, CommClosedError):
            raise OSError(errno.ECONNABORTED, "The cluster is lost") from None
        except ModuleNotFoundError as error:
            raise UsageError(
                f"The workers of the cluster lack {safe_text(str(error.name))}: install img2gps {__version__} there."
            ) from None


@contextlib.contextmanager
def open_cluster(word: str) -> Iterator[Cluster]:
    """Yield the cluster that a word names: ``local:N``, ``slurm:FILE``, ``FILE.yaml``, or the address of a scheduler.

    What is started here ends with the block. Raises UsageError or NotFoundError where there is no such cluster.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UsageError("--cluster needs Dask: pip install 'img2gps[cluster]'.") from error
    connect: Any = distributed.Client
    settings = {
        "distributed.worker.daemon": False,  # it starts processes of its own
        "distributed.scheduler.allowed-failures": _ALLOWED_LOSSES,
        # a worker that ended is started anew, which takes longer on a busy machine
        "distributed.deploy.lost-worker-timeout": "1 h",
        "distributed.admin.tick.limit": "1 h",  # no word about a busy machine
        # nobody looks at what these measure, and a local cluster's workers have better things to do
        "distributed.worker.profile.enabled": False,
        "distributed.scheduler.active-memory-manager.start": False,
        "distributed.admin.tick.interval": "1 s",
        "distributed.admin.system-monitor.interval": "10 s",
        "distributed.diagnostics.nvml": False,
    }
    for name in ("distributed", "distributed.client", "tornado.application"):  # Dask gives each a level of its own
        logging.getLogger(name).setLevel(logging.CRITICAL)
    with contextlib.ExitStack() as opened:
        opened.enter_context(warnings.catch_warnings(action="ignore"))
        opened.enter_context(dask.config.set(settings))
        address = _started(word, opened)
        try:
            if isinstance(address, str):
                _check_scheduler(address)
            client = opened.enter_context(connect(address, timeout=_ANSWER_S, set_as_default=False))
        except (OSError, ValueError) as error:
            where = safe_text(without_secrets(word))
            raise NotFoundError(
                f"No Dask scheduler answers at {where}: start `dask scheduler`, or check the address."
            ) from error
        if not client.nthreads():
            how = f" `dask worker {safe_text(word)}` starts one." if isinstance(address, str) else ""
            stderr().print(f"No worker is there yet: the work waits until one comes.{how}", markup=False)
        yield Cluster(client)


def _check_scheduler(address: str) -> None:
    """Raise OSError or ValueError where no scheduler answers; a client would ask anything else for minutes."""
    from distributed import Security, rpc
    from distributed.utils import LoopRunner, sync

    ask: Any = rpc
    security: Any = Security

    async def kind() -> object:
        async with ask(address, connection_args=security().get_connection_args("client")) as asked:
            return (await asked.identity()).get("type")

    loops: Any = LoopRunner()
    loops.start()
    try:
        if sync(loops.loop, kind, callback_timeout=_ANSWER_S) != "Scheduler":
            raise ValueError(address)
    finally:
        loops.stop()


def _started(word: str, opened: contextlib.ExitStack) -> Any:
    """Return what a client connects to; what is started for it ends with `opened`."""
    kind, colon, rest = word.partition(":")
    if kind == "local" and colon:
        if not rest.isdecimal() or not int(rest):
            raise UsageError(f"--cluster local:N takes a number of processes, such as local:{os.cpu_count() or 2}.")
        return opened.enter_context(_local(int(rest)))
    if kind == "slurm" and colon:
        return opened.enter_context(_configured(spec_of_file(Path(rest), default=_SLURM)))
    if word.endswith((".yaml", ".yml")):
        return opened.enter_context(_configured(spec_of_file(Path(word))))
    if ":" not in word:
        raise UsageError(
            f"--cluster {safe_text(word)} is none of local:N, slurm:FILE, FILE.yaml and the address of a scheduler, "
            "such as tcp://10.0.0.1:8786."
        )
    return word


@contextlib.contextmanager
def _local(workers: int) -> Iterator[Any]:
    from distributed import LocalCluster

    start: Any = LocalCluster
    with named_without_main_file(_DASK_PROCESS):  # those that take the place of one that ended, too
        with _kept_environment(), children_deaf(_DEAF_TO):
            cluster = start(
                n_workers=workers,
                threads_per_worker=1,
                memory_limit=0,
                dashboard_address=None,
                host="127.0.0.1",
                silence_logs=logging.CRITICAL,
            )
        with cluster:
            yield cluster


@contextlib.contextmanager
def _kept_environment() -> Iterator[None]:
    """Take back what Dask sets in the environment of this process where it starts workers: one thread, among others."""
    import dask

    before = dict(os.environ)
    try:
        yield
    finally:
        for name in ("PYTHONHASHSEED", *dask.config.get("distributed.nanny.pre-spawn-environ")):
            if name in before:
                os.environ[name] = before[name]
            else:
                os.environ.pop(name, None)


def spec_of_file(path: Path, *, default: str | None = None) -> dict[str, Any]:
    """Return the mapping in a YAML file: `class` (a cluster of Dask), `workers`, and arguments for the class.

    Raises NotFoundError, or UsageError where the file says something else.
    """
    import yaml

    where = safe_path(path)
    try:
        spec = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"No cluster file {where}: check the path given to --cluster.") from error
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{where} is no YAML file that can be read.") from error
    workers = spec.get("workers") if isinstance(spec, dict) else None
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 0:
        raise UsageError(f"{where} does not say how many `workers` to start.")
    spec = {"class": default} | spec if default else spec
    if not isinstance(spec.get("class"), str) or "." not in spec["class"]:
        raise UsageError(f"{where} does not name a `class` of Dask, such as {_SLURM}.")
    return {str(key): value for key, value in spec.items()}


@contextlib.contextmanager
def _configured(spec: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the cluster that a file describes, its workers asked for; they come when the queue lets them."""
    module, _, name = spec["class"].rpartition(".")
    arguments = {key: value for key, value in spec.items() if key not in ("class", "workers")}
    try:
        kind = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise UsageError(f"{spec['class']} is not installed: pip install 'img2gps[cluster]'.") from error
    except AttributeError as error:
        raise UsageError(f"{module} has no {name}.") from error
    try:
        cluster = kind(**arguments)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{spec['class']} does not take what the file says: {safe_text(str(error))}.") from error
    if not hasattr(cluster, "scale"):
        raise UsageError(f"{spec['class']} is no cluster of Dask.")
    _ask_for(cluster, spec["workers"], spec["class"])
    with cluster:
        yield cluster


def _ask_for(cluster: Any, workers: int, name: str) -> None:
    """Ask for workers. Raises UsageError where a queue refuses them; Dask would wait for them in vain."""

    async def ask() -> None:
        cluster.scale(workers)
        if hasattr(cluster, "_correct_state"):  # it submits the jobs, and waits for no worker to come
            await cluster._correct_state()

    try:
        cluster.sync(ask)
    except Exception as error:  # noqa: BLE001  every queue has errors of its own
        with contextlib.suppress(Exception):
            getattr(cluster, "_created", set()).clear()  # jobs that never began, which Dask cannot close
            cluster.close()
        words = safe_text(" ".join(str(error).split()))
        raise UsageError(
            f"{name} cannot start workers ({words}): check the file, and run this where jobs are submitted."
        ) from None


def _same(argument: Any) -> Any:
    return argument


def _checked(function: Callable[[Any, Any], Any], item: Any, argument: Any, version: str) -> Any:
    """Run a function on a worker; one of another version may judge otherwise."""
    if version != __version__:
        raise UsageError(f"A worker has img2gps {__version__}, this machine {version}: install the same there.")
    return function(item, argument)
