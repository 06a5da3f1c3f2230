"""How worker processes are started: without the file that the program began with.

`multiprocessing` lets every process that it starts import that file first, for functions that may stand in it. A script
without ``if __name__ == "__main__"`` would then begin anew in each of its workers. The workers here run functions of
this package alone and need no such file.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Final

from img2gps.interrupts import held_back

__all__ = ["SpawnedContext", "named_without_main_file", "without_main_file"]

_ONE_AT_A_TIME: Final = threading.Lock()
_MAIN_FILE: Final = ("init_main_from_name", "init_main_from_path")


@contextlib.contextmanager
def without_main_file() -> Iterator[None]:
    """Let the processes that this thread starts meanwhile leave the program's main file alone."""
    thread = threading.get_ident()
    with _ONE_AT_A_TIME, _where(lambda _: threading.get_ident() == thread):  # others' processes are not ours to change
        yield


@contextlib.contextmanager
def named_without_main_file(beginning: str) -> Iterator[None]:
    """Let processes whose name begins so leave the program's main file alone, whichever thread starts them."""
    with contextlib.ExitStack() as entered:
        with _ONE_AT_A_TIME:
            entered.enter_context(_where(lambda name: name.startswith(beginning)))
        try:
            yield
        finally:
            with _ONE_AT_A_TIME:
                entered.close()


@contextlib.contextmanager
def _where(ours: Callable[[str], bool]) -> Iterator[None]:
    prepare = spawn.get_preparation_data

    def prepared(name: str) -> dict[str, Any]:
        told = prepare(name)
        return {key: value for key, value in told.items() if not (key in _MAIN_FILE and ours(name))}

    spawn.get_preparation_data = prepared
    try:
        yield
    finally:
        spawn.get_preparation_data = prepare


class _SpawnedProcess(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  the name by which multiprocessing starts a process
        with without_main_file():
            return SpawnProcess._Popen(process_obj)

    def start(self) -> None:
        """Start the process whole: one that was told nothing would end in a traceback, one unknown is never ended."""
        with held_back():
            super().start()


class SpawnedContext(SpawnContext):
    """Starts fresh processes, as `multiprocessing.get_context("spawn")` does, that leave the main file alone."""

    Process = _SpawnedProcess
