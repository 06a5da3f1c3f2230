"""Worker processes: a crash, a hang or a hunger for memory costs the item that caused it, and nothing else.

Items travel in chunks for speed. If a worker dies, hangs or runs out of memory, each item of its chunk is tried once
more alone. Only what fails again is given up.
"""

import dataclasses
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import util
from multiprocessing.context import BaseContext
from typing import Any, Final, Generic, Literal, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

from img2gps.errors import Img2GPSError
from img2gps.interrupts import held_back
from img2gps.processes import SpawnedContext

__all__ = ["Failure", "KeptWorkers", "Settings", "prepare_workers", "process_context", "process_items"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Failure = Literal["timed_out", "crashed"]

_MEMORY_LIMIT_BYTES: Final = 3 * 1024**3
_CHUNKS_IN_FLIGHT_PER_JOB: Final = 64
_POOLS_PER_CHUNK: Final = 3
_LOOK_S: Final = 2.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Generic[Item, Result]):
    """`function` maps a chunk of items and `argument` to one result per item; it must be importable by name.

    `on_failure` makes the result of an item that was given up. `timeout_s` holds for a chunk and for a single item.
    """

    function: Callable[[Sequence[Item], Any], Sequence[Result]]
    argument: Any
    on_failure: Callable[[Item, Failure, str], Result]
    jobs: int = 1
    timeout_s: float = 60.0
    memory_limit_bytes: int = _MEMORY_LIMIT_BYTES


def process_context() -> BaseContext:
    """Return how worker processes are started: never by a fork of this process, whose threads and memory they'd copy.

    On Linux they are forked from a server that has imported what they need. So a worker, also one after a crash, starts
    in milliseconds. A fork is not safe with the libraries of macOS, and Windows knows none. The server is
    multiprocessing's own: a program that calls this package and forks off it too shares it.
    """
    if sys.platform != "linux":
        return SpawnedContext()
    from collect.ingestion.fork_server import ServedContext, start_server

    start_server()  # by this thread, not by one of the pool's: the server ends with the thread that started it
    return ServedContext()


def prepare_workers() -> None:
    """Let the server that workers are forked off import what they need, while this process does something else."""
    if sys.platform == "linux":
        from collect.ingestion.fork_server import start_server

        start_server()


def process_items(chunks: Iterator[list[Item]], settings: Settings[Item, Result]) -> Iterator[tuple[Item, Result]]:
    """Yield every item with its result, in order, as the workers get there.

    Raises the OSError that a worker raised (a full disk concerns every item); anything else a worker raises is a
    failure of its item.
    """
    workers = _Workers(settings)
    try:
        yield from _in_order(workers, chunks, settings)
    finally:
        workers.stop()


class KeptWorkers:
    """Worker processes that stay for the next call with the same argument: to start and to end them takes 0.2 s.

    What stays is ended after `idle_s` seconds without a call, as soon as a call brings another argument, and before
    this process ends. Threads that call at once have workers of their own.
    """

    def __init__(self, idle_s: float) -> None:
        self._idle_s = idle_s
        self._idle: dict[_Workers[Any, Any], threading.Timer] = {}
        self._lock = threading.Lock()
        # pebble starts anew what multiprocessing ends: a process that is a child itself would never be done
        util.Finalize(None, self.end, exitpriority=100)

    def end(self) -> None:
        """End the workers that nobody uses."""
        with self._lock:
            idle = list(self._idle)
            for timer in self._idle.values():
                timer.cancel()
            self._idle.clear()
        for workers in idle:
            workers.stop()

    def process_items(
        self, chunks: Iterator[list[Item]], settings: Settings[Item, Result]
    ) -> Iterator[tuple[Item, Result]]:
        """Yield what `process_items` does, by workers that are kept."""
        workers = self._take(settings)
        try:
            yield from _in_order(workers, chunks, settings)
        except BaseException:  # what was begun may still be on its way
            workers.stop()
            raise
        timer = threading.Timer(self._idle_s, self._end, [workers])
        timer.daemon = True
        with self._lock:
            self._idle[workers] = timer
        timer.start()

    def _take(self, settings: Settings[Item, Result]) -> "_Workers[Item, Result]":
        with self._lock:
            fitting = [workers for workers in self._idle if workers.serve(settings)]
            others = [workers for workers in self._idle if workers not in fitting]
            for workers in (*others, *fitting[:1]):
                self._idle.pop(workers).cancel()
        for workers in others:
            workers.stop()
        return fitting[0] if fitting else _Workers(settings)

    def _end(self, workers: "_Workers[Any, Any]") -> None:
        with self._lock:
            idle = self._idle.pop(workers, None) is not None
        if idle:
            workers.stop()


@dataclasses.dataclass(frozen=True, slots=True)
class _Scheduled(Generic[Item, Result]):
    """A chunk on its way through a pool."""

    items: list[Item]
    pool: ProcessPool
    future: "ProcessFuture[Sequence[Result]]"


class _Workers(Generic[Item, Result]):
    """A pool of worker processes, and a new one whenever pebble gives its pool up.

    That happens if a worker dies before its message that it took a task arrives. The tasks of that pool then end in
    BrokenProcessPool or never, and it takes no more.
    """

    def __init__(self, settings: Settings[Item, Result]) -> None:
        self._settings = settings
        self._pool = self._new_pool()

    def serve(self, settings: Settings[Item, Result]) -> bool:
        """Tell whether these workers do what `settings` ask for, with the very same argument."""
        ours = self._settings
        return ours.argument is settings.argument and all(
            getattr(ours, name) == getattr(settings, name)
            for name in ("function", "jobs", "timeout_s", "memory_limit_bytes")
        )

    def schedule(self, items: list[Item]) -> _Scheduled[Item, Result]:
        """Hand a chunk of items to the workers."""
        if not self._pool.active:
            self.stop()
            self._pool = self._new_pool()
        future = self._pool.schedule(_run, args=(self._settings.function, items), timeout=self._settings.timeout_s)
        return _Scheduled(items, self._pool, future)

    def results(self, scheduled: _Scheduled[Item, Result]) -> Sequence[Result]:
        """Return the results of a chunk; raise what its worker raised, or what became of it."""
        for _ in range(_POOLS_PER_CHUNK):
            try:
                return _awaited(scheduled)
            except BrokenProcessPool:  # whichever chunk it was that broke it
                scheduled = self.schedule(scheduled.items)
        return _awaited(scheduled)

    def stop(self) -> None:
        """End all worker processes."""
        with held_back():
            self._pool.stop()  # type: ignore[no-untyped-call]
            self._pool.join()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self._settings.jobs,
            initializer=_start_worker,
            initargs=(self._settings.argument, self._settings.memory_limit_bytes),
            context=process_context(),
        )


def _awaited(scheduled: _Scheduled[Item, Result]) -> Sequence[Result]:
    while not wait([scheduled.future], timeout=_LOOK_S).done:
        if not scheduled.pool.active:
            raise BrokenProcessPool
    return scheduled.future.result()


def _in_order(
    workers: _Workers[Item, Result], chunks: Iterator[list[Item]], settings: Settings[Item, Result]
) -> Iterator[tuple[Item, Result]]:
    waiting: deque[_Scheduled[Item, Result]] = deque()
    for chunk in chunks:
        waiting.append(workers.schedule(chunk))
        if len(waiting) >= _CHUNKS_IN_FLIGHT_PER_JOB * settings.jobs:
            yield from _finished(workers, waiting.popleft(), settings)
    while waiting:
        yield from _finished(workers, waiting.popleft(), settings)


def _finished(
    workers: _Workers[Item, Result], scheduled: _Scheduled[Item, Result], settings: Settings[Item, Result]
) -> Iterator[tuple[Item, Result]]:
    try:
        results = workers.results(scheduled)
    except Exception as error:  # noqa: BLE001  whatever it is, it may concern one item of the chunk only
        _reraise_what_concerns_all(error)
        for item in scheduled.items:
            yield item, _once_more(workers, item, settings)
    else:
        yield from zip(scheduled.items, results, strict=True)


def _once_more(workers: _Workers[Item, Result], item: Item, settings: Settings[Item, Result]) -> Result:
    try:
        return workers.results(workers.schedule([item]))[0]
    except TimeoutError:
        return settings.on_failure(item, "timed_out", f"over {settings.timeout_s:g} s")
    except MemoryError:
        return settings.on_failure(item, "crashed", f"over {settings.memory_limit_bytes / 2**30:.1f} GiB of memory")
    except ProcessExpired as error:
        return settings.on_failure(item, "crashed", f"the decoder ended with {_exit_name(error.exitcode)}")
    except BrokenProcessPool:
        return settings.on_failure(item, "crashed", "the decoder ended at once")
    except Exception as error:  # noqa: BLE001  a fault of the reader itself: it is told, and costs one file
        _reraise_what_concerns_all(error)
        return settings.on_failure(item, "crashed", f"{type(error).__name__}: {error}")


def _reraise_what_concerns_all(error: Exception) -> None:
    """Raise a disk that is full or gone, and a store that refuses all. Two are OSErrors by descent only."""
    if isinstance(error, Img2GPSError | OSError) and not isinstance(error, TimeoutError | ProcessExpired):
        raise error


def _exit_name(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    return f"exit code {code}"


_argument: Any = None


def _start_worker(argument: Any, memory_limit_bytes: int) -> None:
    """Prepare a worker: silent, limited in memory, one thread per library, deaf to interrupts, dead with its parent."""
    global _argument
    _argument = argument
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
    # libtiff and Pillow's logger print what they find wrong, hundreds of lines per file, with text of the file in them
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    os.environ.update({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
    try:
        import resource
    except ImportError:  # Windows has no such limits
        return
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = memory_limit_bytes if hard == resource.RLIM_INFINITY else min(memory_limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    # a crash is told in a sentence; gigabytes of core files would fill the disk
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _die_with_parent() -> None:
    """End this worker when its parent was killed: nobody would read what it makes."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run(function: Callable[[Sequence[Item], Any], Sequence[Result]], chunk: list[Item]) -> Sequence[Result]:
    return function(chunk, _argument)
