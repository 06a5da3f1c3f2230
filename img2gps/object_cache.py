"""Objects of stores on this machine's disk: fetched when they are read first, the longest unread deleted first.

The folder is ``IMG2GPS_CACHE``, else ``img2gps`` in the user's folder of caches. ``IMG2GPS_CACHE_GB`` bounds it.
"""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from uuid import uuid4

from img2gps.errors import UsageError
from img2gps.files import TEMPORARY_PREFIX, sha256_bytes
from img2gps.text import safe_text

__all__ = ["cache_folder", "cached_object", "forget_cached", "is_cached", "room_for"]

_LIMIT_GB: Final = 20.0
_KEPT_SHARE: Final = 0.8
_LOOK_SHARE: Final = 0.05
_IN_USE_S: Final = 600.0  # somebody may be about to open it
_STALE_S: Final = 60.0
_JPEG_END: Final = b"\xff\xd9"


class _Bound:
    """How many bytes this process has added since it looked at the whole folder; it looks at its first object."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.added: float | None = None

    def add(self, folder: Path, size: int) -> None:
        limit = _limit_bytes()
        with self.lock:
            if self.added is None or self.added + size > _LOOK_SHARE * limit:
                _trim(folder, limit)
                self.added = 0.0
            self.added += size


_BOUND: Final = _Bound()


def cache_folder() -> Path:
    """Return the folder of this machine's copies of what lies in stores."""
    named = os.environ.get("IMG2GPS_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(named).expanduser() if named else Path(home) / "img2gps"


def cached_object(store: str, name: str, fetch: Callable[[], bytes]) -> Path:
    """Return where the JPEG `name` of a store lies on this machine, fetched if it does not yet.

    Raises what `fetch` raises, and the OSError of a folder that cannot be written to.
    """
    path = _path(store, name)
    if _is_whole(path):
        return path
    data = fetch()
    path.parent.mkdir(parents=True, exist_ok=True)
    _BOUND.add(cache_folder() / "copies", len(data))
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid4().hex}"
    temporary.write_bytes(data)
    temporary.replace(path)
    return path


def is_cached(store: str, name: str) -> bool:
    """Return whether an object lies on this machine."""
    return _path(store, name).exists()


def forget_cached(store: str, name: str) -> None:
    """Delete this machine's copy of an object."""
    _path(store, name).unlink(missing_ok=True)


def room_for(size: int) -> int:
    """Return how many objects of `size` bytes may be fetched before they are read."""
    return int(_limit_bytes() / 2 / size)


def _path(store: str, name: str) -> Path:
    return cache_folder() / "copies" / sha256_bytes(store.encode())[:16] / name


def _is_whole(path: Path) -> bool:
    """Return whether a JPEG lies there to its end, which a machine that lost its power may not have kept."""
    try:
        with path.open("rb") as file:
            file.seek(-len(_JPEG_END), os.SEEK_END)
            whole = file.read() == _JPEG_END
            if time.time() - os.fstat(file.fileno()).st_mtime > _STALE_S:
                os.utime(path)
    except OSError:
        return False
    return whole


def _limit_bytes() -> float:
    word = os.environ.get("IMG2GPS_CACHE_GB", str(_LIMIT_GB))
    try:
        limit = float(word)
    except ValueError:
        limit = -1.0
    if not 0 <= limit < float("inf"):
        raise UsageError(f"IMG2GPS_CACHE_GB is a number of gigabytes, not {safe_text(word)}.")
    return limit * 1e9


def _trim(folder: Path, limit: float) -> None:
    """Delete what was not read for longest where the folder is larger than it may be."""
    found = []
    for path in folder.glob("*/*/*"):
        try:
            status = path.stat()
        except OSError:  # another process deleted it
            continue
        found.append((status.st_mtime, status.st_size, path))
    used = sum(size for _, size, _ in found)
    if used <= limit:
        return
    for read_at, size, path in sorted(found):
        if used <= _KEPT_SHARE * limit or time.time() - read_at < _IN_USE_S:
            return
        path.unlink(missing_ok=True)
        used -= size
