"""Working copies on their way into the store: synced and renamed by threads while the workers decode.

An fsync waits for the disk and not for a CPU, so several at once cost little more than one. The folders are synced once
per commit.
"""

import os
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final

from img2gps.dataset import Dataset
from img2gps.files import TEMPORARY_PREFIX, fsync_folder

__all__ = ["CopyStore", "sweep_temporary_files"]

_THREADS: Final = 8
_MANY: Final = 512


class CopyStore:
    """Puts temporary files into their place below `photos_path`; `settle` makes everything so far durable."""

    def __init__(self, photos_path: Path) -> None:
        self._photos_path = photos_path
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="img2gps-sync")
        self._pending: list[Future[None]] = []
        self._folders: set[Path] = set()

    def place(self, temporary: str, target: Path) -> None:
        """Sync a temporary file and rename it to `target`, soon. Raises the OSError of an earlier one that failed."""
        self._folders.add(target.parent)
        self._pending.append(self._threads.submit(_sync_and_rename, temporary, target))
        if len(self._pending) % _MANY == 0:  # between two commits there may be 50,000, of 2 kB each
            self._pending = [future for future in self._pending if not future.done() or future.result()]

    def settle(self) -> None:
        """Wait until every copy is in its place on the disk. Raises the OSError of the first that failed."""
        pending, self._pending = self._pending, []
        for future in pending:
            future.result()
        if self._folders:
            for folder in sorted(self._folders):
                fsync_folder(folder)
            fsync_folder(self._photos_path)
            fsync_folder(self._photos_path.parent)
        self._folders.clear()

    def close(self) -> None:
        """End the threads; copies that were not settled may be lost."""
        self._threads.shutdown(wait=True, cancel_futures=True)


def _sync_and_rename(temporary: str, target: Path) -> None:
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.replace(temporary, target)  # noqa: PTH105  a string, as it came from the worker


def sweep_temporary_files(root: Path) -> int:
    """Delete what an ingest that was killed left behind, and return how many files that were."""
    leftovers = [*root.glob(f"{TEMPORARY_PREFIX}*"), *Dataset(root=root).photos_path.glob(f"*/{TEMPORARY_PREFIX}*")]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)
