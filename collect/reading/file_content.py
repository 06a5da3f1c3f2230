"""The bytes of a file, opened without following or blocking and read once, however it changes meanwhile."""

import dataclasses
import mmap
import os
import stat
from typing import Final

from collect.reading.stores import StoredObject, read_object
from img2gps.formats import HEAD_BYTES, MAX_FILE_BYTES, Kind, sniff

__all__ = ["READ_FLAGS", "FileContent", "holds_same_bytes", "load_content", "load_object"]

READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""Whatever a name has become since the walk, opening it follows no link and waits for nobody."""

_PIECE_BYTES: Final = 1 << 18
_PHOTO_ENDINGS: Final = (".jpg", ".jpeg", ".heic", ".heif", ".png", ".webp", ".avif", ".tif", ".tiff", ".mpo")


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


def load_object(source: StoredObject) -> FileContent:
    """Return the bytes of an object that is a photo; of another, its first bytes alone. No byte is read twice.

    What is not named like a photo is asked for its beginning first: a film costs one small request. Raises OSError.
    """
    known = source.size is not None and source.size <= MAX_FILE_BYTES
    named = known and source.key.partition("?")[0].lower().endswith(_PHOTO_ENDINGS)
    head = HEAD_BYTES if source.size is None else min(HEAD_BYTES, source.size)
    data = read_object(source, end=None if named else head)
    kind, size = sniff(data[:HEAD_BYTES]), len(data) if source.size is None else source.size
    if not named and kind.state != "other" and (known or source.size is None):
        data = read_object(source) if source.size is None else data + read_object(source, start=len(data))
        size = len(data)
    return FileContent(data=data, kind=kind, size=size, status=source.read_status)


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
