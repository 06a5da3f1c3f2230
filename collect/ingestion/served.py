"""Imported by the server that workers are forked off (`collect.ingestion.fork_server`), before anything else.

The server and its workers end with the program that started them, even when that is killed. The kernel tells them at
once, whatever they are doing (PR_SET_PDEATHSIG of prctl(2)). The server must be started by a thread that lives as long
as the program, since to the kernel a parent is a thread.
"""

import ctypes
import os
import signal
from typing import Final

__all__ = ["PARENT"]

PARENT: Final = "IMG2GPS_SERVED_PARENT"
"""The variable that tells the server the process id of the program."""

_PR_SET_PDEATHSIG: Final = 1


def _end_with(parent: int) -> None:
    """Let the kernel kill this process when its parent ends; end at once where that has happened already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def _begin_worker() -> None:
    """Make a process that was just forked off the server end with it, and answer to the pool that stops it."""
    _end_with(_SERVER)
    # a pool that is stopped while a process of it starts has nothing left for that to begin with
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


_SERVER: Final = os.getpid()
if PARENT in os.environ:
    _end_with(int(os.environ[PARENT]))
    os.register_at_fork(after_in_child=_begin_worker)
