"""Files that several processes need at once are made by one of them, while the others wait: folds of a cluster."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

__all__ = ["made_once"]


@contextlib.contextmanager
def made_once(path: Path) -> Iterator[None]:
    """Hold the making of the file at `path` while the block runs, which looks first whether another has made it.

    Where nothing can be held (a folder that is read-only, a file system without locks), each process makes its own.
    """
    from filelock import FileLock

    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        path.parent.mkdir(exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            Path(lock.lock_file).unlink()  # whoever waits for it looks for the file first
        lock.release()
