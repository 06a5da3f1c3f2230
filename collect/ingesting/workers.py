"""Worker processes: a crash, a hang or a hunger for memory costs the item that caused it, and nothing else.

Items travel in chunks for speed. A chunk whose worker dies, hangs or runs out of memory is taken
apart and each of its items tried once more alone; only what fails again is given up.
"""

import dataclasses
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Generic, Literal, TypeVar

from pebble import ProcessExpired, ProcessFuture, ProcessPool

__all__ = ["Failure", "Settings", "process_items"]

Item = TypeVar("Item")
Result = TypeVar("Result")
Failure = Literal["timed_out", "crashed"]

_MEMORY_LIMIT_BYTES: Final = 3 * 1024**3
_CHUNKS_IN_FLIGHT_PER_JOB: Final = 64


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


def process_items(chunks: Iterator[list[Item]], settings: Settings[Item, Result]) -> Iterator[tuple[Item, Result]]:
    """Yield every item with its result, in order, as the workers get there.

    Raises the OSError that a worker raised (a full disk concerns every item); anything else a worker raises is a
    failure of its item.
    """
    pool = ProcessPool(
        max_workers=settings.jobs,
        initializer=_start_worker,
        initargs=(settings.argument, settings.memory_limit_bytes),
        # spawn: a fork would copy the parent's threads and memory; workers import this module and what it needs
        context=multiprocessing.get_context("spawn"),
    )
    try:
        yield from _in_order(pool, chunks, settings)
        pool.close()  # type: ignore[no-untyped-call]
    finally:
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()


def _in_order(
    pool: ProcessPool, chunks: Iterator[list[Item]], settings: Settings[Item, Result]
) -> Iterator[tuple[Item, Result]]:
    waiting: deque[tuple[list[Item], ProcessFuture[Sequence[Result]]]] = deque()
    for chunk in chunks:
        waiting.append((chunk, _schedule(pool, chunk, settings)))
        if len(waiting) >= _CHUNKS_IN_FLIGHT_PER_JOB * settings.jobs:
            yield from _finished(pool, *waiting.popleft(), settings)
    while waiting:
        yield from _finished(pool, *waiting.popleft(), settings)


def _schedule(
    pool: ProcessPool, chunk: list[Item], settings: Settings[Item, Result]
) -> "ProcessFuture[Sequence[Result]]":
    return pool.schedule(_run, args=(settings.function, chunk), timeout=settings.timeout_s)


def _finished(
    pool: ProcessPool, chunk: list[Item], future: "ProcessFuture[Sequence[Result]]", settings: Settings[Item, Result]
) -> Iterator[tuple[Item, Result]]:
    try:
        results = future.result()
    except Exception as error:  # noqa: BLE001  whatever it is, it may concern one item of the chunk only
        _reraise_disk_error(error)
        for item in chunk:
            yield item, _once_more(pool, item, settings)
    else:
        yield from zip(chunk, results, strict=True)


def _once_more(pool: ProcessPool, item: Item, settings: Settings[Item, Result]) -> Result:
    try:
        return _schedule(pool, [item], settings).result()[0]
    except TimeoutError:
        return settings.on_failure(item, "timed_out", f"over {settings.timeout_s:g} s")
    except MemoryError:
        return settings.on_failure(item, "crashed", f"over {settings.memory_limit_bytes / 2**30:.1f} GiB of memory")
    except ProcessExpired as error:
        return settings.on_failure(item, "crashed", f"the decoder ended with {_exit_name(error.exitcode)}")
    except Exception as error:  # noqa: BLE001  a fault of the reader itself: it is told, and costs one file
        _reraise_disk_error(error)
        return settings.on_failure(item, "crashed", f"{type(error).__name__}: {error}")


def _reraise_disk_error(error: Exception) -> None:
    """Raise what concerns every item: a disk that is full or gone. The two excepted are OSErrors by descent only."""
    if isinstance(error, OSError) and not isinstance(error, TimeoutError | ProcessExpired):
        raise error


def _exit_name(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name if -code in signal.valid_signals() else f"signal {-code}"
    return f"exit code {code}"


_argument: Any = None


def _start_worker(argument: Any, memory_limit_bytes: int) -> None:
    """Prepare a worker: its memory limit, one thread per library, no interrupts of its own, death with the parent."""
    global _argument
    _argument = argument
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_die_with_parent, daemon=True).start()
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
