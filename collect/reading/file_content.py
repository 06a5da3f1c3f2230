"""The bytes of a file, opened without following or blocking and read once, however it changes meanwhile."""

import dataclasses
import mmap
import os
import stat
from typing import Final

from img2gps.formats import HEAD_BYTES, MAX_FILE_BYTES, Kind, sniff

__all__ = ["READ_FLAGS", "FileContent", "holds_same_bytes", "load_content"]

READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Whatever a name has become since the walk, opening it follows no link and waits for nobody."""

_PIECE_BYTES: Final = 1 << 18


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """The bytes of a file, or its first where it is no photo or too large; `status` is (size, mtime_ns, inode)."""

    data: bytes | mmap.mmap
    kind: Kind
    size: int
    status: tuple[int, int, int]


def load_content(path: bytes, *, mapped: bool) -> FileContent | None:
    """Return the bytes of a regular photo file; of another file, only what it is; None where it is none.

    `mapped` spares the reading of what is not looked at; a file that shrinks meanwhile then costs its worker.
    """
    descriptor = os.open(path, READ_FLAGS)
    with os.fdopen(descriptor, "rb", buffering=0):
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return None
        data: bytes | mmap.mmap = os.pread(descriptor, HEAD_BYTES, 0)
        kind, size = sniff(bytes(data)), status.st_size
        if kind.state != "other" and size <= MAX_FILE_BYTES:
            data = mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) if mapped else _read_all(descriptor, size)
            size = len(data)
        return FileContent(data=data, kind=kind, size=size, status=(status.st_size, status.st_mtime_ns, status.st_ino))


def _read_all(descriptor: int, size: int) -> bytes:
    """Return the first `size` bytes: a file that grows meanwhile is cut there, one that shrinks ends early."""
    data = os.pread(descriptor, size, 0)
    while 0 < len(data) < size and (part := os.pread(descriptor, size - len(data), len(data))):
        data += part
    return data


def holds_same_bytes(data: bytes | mmap.mmap, path: bytes, twin_path: bytes) -> bool:
    """Return whether a file that holds `data` has the bytes of another: compared, which is faster than hashed."""
    if twin_path == path:
        return True
    try:
        with os.fdopen(os.open(twin_path, READ_FLAGS), "rb", buffering=0) as twin:
            status = os.fstat(twin.fileno())
            if os.path.samestat(status, os.lstat(path)):
                return True
            starts = range(0, len(data), _PIECE_BYTES)
            return status.st_size == len(data) and all(
                os.pread(twin.fileno(), _PIECE_BYTES, start) == data[start : start + _PIECE_BYTES] for start in starts
            )
    except OSError:
        return False
