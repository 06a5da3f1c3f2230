"""The first lines of the program: a Ctrl-C while its modules are loading is no traceback.

Nothing but the standard library's smallest modules may be imported here.
"""

import atexit
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

__all__ = ["main"]

_INTERRUPTED = 130


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End at once: nothing has been begun, or everything is done."""
    os.write(2, b"Interrupted.\n")
    os._exit(_INTERRUPTED)


def _answer(handler: Callable[[int, FrameType | None], None] | signal.Handlers) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) not in (signal.SIG_IGN, None):
            signal.signal(number, handler)


def _open_what_is_closed() -> None:
    """Let a standard stream that was closed (``>&-``) lead nowhere: the next file opened would take its place."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
            os.set_inheritable(number, True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def main() -> None:
    """Run `img2gps.cli.main`, which answers interrupts its own way while it runs."""
    _open_what_is_closed()
    _answer(_leave)
    # the interpreter's last steps give signals back to the system, which would end the process in place of its code
    atexit.register(_answer, signal.SIG_IGN)
    from img2gps.threads import settle_threads

    settle_threads()
    from img2gps.cli import main as run

    run()
