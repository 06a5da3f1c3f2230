"""The process that workers are forked off on Linux: it has imported what they need, and nothing from the photos."""

import contextlib
import os
import threading
from collections.abc import Iterator, Mapping
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any, Final

from collect.ingestion.served import PARENT
from img2gps.interrupts import children_deaf, held_back
from img2gps.processes import without_main_file

__all__ = ["ServedContext", "start_server"]

# the first makes it end with this process; the last is what the img2gps script imports
_PRELOADED: Final = ("collect.ingestion.served", "collect.ingestion.photo_reader", "img2gps.cli")
_VARIABLES: Final = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONSAFEPATH": "1",  # it starts as `python -c`, which would look for modules among the photos first
    # glibc: the memory of a photo serves the next one; given back each time, it cost 1,600 page faults a photo
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}
_ONE_AT_A_TIME: Final = threading.Lock()


def start_server() -> None:
    """Start the server where it is not running, or no longer."""
    with _as_it_should_start():
        forkserver.ensure_running()


class _ServedProcess(ForkServerProcess):
    """A process for which the server is started as it should be, also where it was killed meanwhile."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  the name by which multiprocessing starts a process
        with _as_it_should_start(), without_main_file():  # multiprocessing starts the server when it finds it gone
            return ForkServerProcess._Popen(process_obj)


class ServedContext(ForkServerContext):
    """Starts processes by forking them off the server."""

    Process = _ServedProcess


@contextlib.contextmanager
def _as_it_should_start() -> Iterator[None]:
    variables = dict(_VARIABLES)
    if threading.current_thread() is threading.main_thread():
        variables[PARENT] = str(os.getpid())
    # Another thread may still be given a signal. Between the request for a process and its data, an interrupt would let
    # the server tell its traceback.
    with held_back(), _ONE_AT_A_TIME, _environment(variables), children_deaf():
        forkserver.set_forkserver_preload(list(_PRELOADED))
        yield


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
