"""Being told to stop: by a person (Ctrl-C), a scheduler (SIGTERM) or a terminal that closes (SIGHUP), all the same.

Each raises KeyboardInterrupt in the main thread, and the program ends with 130. A signal that was ignored when the
program started stays ignored: `nohup` and shells that start programs in the background rely on it.
"""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Collection, Iterator
from types import FrameType
from typing import Final

__all__ = ["STOPPING", "children_deaf", "held_back", "interruptible"]

STOPPING: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)  # Windows has no SIGHUP
"""The signals that ask a program to end."""


_LOADING: Final = ("<frozen importlib._bootstrap>", "<string>")
_LOOK_AGAIN_S: Final = 0.02


class _State:
    """Whether interrupts wait, whether one does, and in which frame the outermost `interruptible` was entered."""

    depth = 0
    waiting = False
    entered: FrameType | None = None


def _interrupt(_number: int, frame: FrameType | None) -> None:
    """Interrupt now, or once what may not be interrupted is done."""
    if _State.depth:
        _State.waiting = True
    elif _is_loading(frame) and hasattr(signal, "setitimer"):  # Windows has none
        signal.setitimer(signal.ITIMER_REAL, _LOOK_AGAIN_S)
    else:
        raise KeyboardInterrupt


def _is_loading(frame: FrameType | None) -> bool:
    """Return whether a module is being imported, or a text compiled and run, as dataclasses do.

    A KeyboardInterrupt in there may end the process. A module in C turns it into ImportError or aborts. After one that
    passes through the text of an ``exec``, Python ends itself by SIGINT (`run_eval_code_obj` in pythonrun.c). Only what
    began within `interruptible` counts, or a program that is itself such a text (``python -c``) never ended.
    """
    while frame is not None and frame is not _State.entered:
        if frame.f_code.co_filename in _LOADING:
            return True
        frame = frame.f_back
    return False


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise KeyboardInterrupt on each of `STOPPING` while the block runs; outside the main thread nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in STOPPING}
    ours = [number for number, handler in before.items() if handler not in (signal.SIG_IGN, None)]
    again = getattr(signal, "SIGALRM", None)
    if again is not None:
        before[again] = signal.getsignal(again)
        ours.append(again)
    outer = _State.entered
    if outer is None:
        _State.entered = sys._getframe(2)  # this generator, then contextlib, then the block
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        _State.entered = outer
        if again is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number in ours:
            signal.signal(number, before[number])


@contextlib.contextmanager
def held_back() -> Iterator[None]:
    """Let interrupts wait until the block has run, which must not take long: it is done whole or not at all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.depth += 1
    try:
        yield
    finally:
        _State.depth -= 1
        if not _State.depth and _State.waiting:
            _State.waiting = False
            raise KeyboardInterrupt


@contextlib.contextmanager
def children_deaf(numbers: Collection[int] = STOPPING) -> Iterator[None]:
    """Block signals while the block runs: processes started meanwhile inherit that, so they are the parent's to answer.

    They reach the whole group of processes, and one that is still importing would answer with a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        _start_tracker()
        signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_tracker() -> None:
    """Start multiprocessing's own process now: starting it later would unblock signals again.

    When this process was killed, it removes the semaphores that are left, and would print a warning about them.
    """
    from multiprocessing import resource_tracker

    before = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = ",".join(filter(None, (before, "ignore:resource_tracker:UserWarning")))
    try:
        resource_tracker.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONWARNINGS"]
        else:
            os.environ["PYTHONWARNINGS"] = before
