"""One writer at a time: a lock file that the system frees when its process ends, however it ends."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from img2gps.errors import Img2GPSError

__all__ = ["hold", "is_held"]


@contextlib.contextmanager
def hold(path: Path, *, otherwise: Img2GPSError, wait_s: float = 0) -> Iterator[None]:
    """Hold the lock file at `path` while the block runs.

    Raises `otherwise` where another process, or another place of this one, still holds it after `wait_s` seconds. A
    process that was killed holds nothing, though its file stays.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=wait_s)
    except Timeout as error:
        raise otherwise from error
    try:
        yield
    finally:
        lock.release()


def is_held(path: Path) -> bool:
    """Return whether somebody holds the lock file at `path` now."""
    from filelock import FileLock, Timeout

    if not path.exists():
        return False
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return True
    except OSError:  # a folder that may only be read: nobody here writes to it
        return False
    lock.release()
    return False
