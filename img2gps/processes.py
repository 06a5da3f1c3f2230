"""How worker processes are started: without the file that the program began with.

`multiprocessing` lets every process that it starts import that file first, for functions that may stand in it. A script
without ``if __name__ == "__main__"`` would then begin anew in each of its workers. The workers here run functions of
this package alone and need no such file.
"""

import contextlib
import threading
from collections.abc import Iterator
from multiprocessing import spawn
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import Any, Final

__all__ = ["SpawnedContext", "without_main_file"]

_ONE_AT_A_TIME: Final = threading.Lock()
_MAIN_FILE: Final = ("init_main_from_name", "init_main_from_path")


@contextlib.contextmanager
def without_main_file() -> Iterator[None]:
    """Let the processes that this thread starts meanwhile leave the program's main file alone."""
    with _ONE_AT_A_TIME:
        prepare, thread = spawn.get_preparation_data, threading.get_ident()

        def prepared(name: str) -> dict[str, Any]:
            told = prepare(name)
            ours = threading.get_ident() == thread  # other threads' processes are not ours to change
            return {key: value for key, value in told.items() if not (ours and key in _MAIN_FILE)}

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


class SpawnedContext(SpawnContext):
    """Starts fresh processes, as `multiprocessing.get_context("spawn")` does, that leave the main file alone."""

    Process = _SpawnedProcess
