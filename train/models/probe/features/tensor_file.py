"""Tensors of very many photos in one file: written photo by photo, read row by row, never in memory as a whole."""

import contextlib
import hashlib
import json
import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, Self
from uuid import uuid4

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from img2gps.files import TEMPORARY_PREFIX, fsync_folder

__all__ = ["TensorFile"]

_LENGTH_BYTES: Final = 8
_ZEROS: Final = "0" * 64  # where the digest of a file stands, as in `tensor_cache`
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"F32": np.dtype("<f4"), "F16": np.dtype("<f2"), "U8": np.dtype("u1")}
_NAMES: Final = {torch.float32: "F32", torch.float16: "F16", torch.uint8: "U8"}


class TensorFile:
    """A safetensors file that is open, of tensors with one row per photo.

    Rows are copied out of a map of the file that is given up at once: what was read counts to nobody's memory. The file
    may be deleted or replaced meanwhile; what is open stays.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)
        length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
        self._start = _LENGTH_BYTES + length
        entries: dict[str, Any] = json.loads(file.read(length))
        entries.pop("__metadata__", None)
        self._entries = entries

    def __del__(self) -> None:
        """Close the file with the last who reads from it."""
        if file := getattr(self, "_file", None):
            file.close()

    @classmethod
    def open(cls, path: Path) -> Self:
        """Return the file at `path`. Raises OSError, ValueError or KeyError where it is none."""
        return cls(path.open("rb"))

    @classmethod
    def write(cls, path: Path, count: int, parts: Iterable[Mapping[str, Tensor]]) -> Self:
        """Write the rows of `parts`, `count` in all, and return the file, which is then whole and durable at `path`.

        Raises OSError where it cannot be written; nothing is left then.
        """
        path.parent.mkdir(exist_ok=True)
        temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid4().hex}"
        try:
            with temporary.open("w+b") as file:
                _write(file, count, parts)
                os.fsync(file.fileno())
            temporary.replace(path)
            fsync_folder(path.parent)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return cls.open(path)

    @classmethod
    def nameless(cls, count: int, parts: Iterable[Mapping[str, Tensor]]) -> Self:
        """Write the rows of `parts` to a file of the system's temporary folder that is gone with this process."""
        file: Any = tempfile.TemporaryFile()  # noqa: SIM115  it stays open as long as this object
        _write(file, count, parts)
        return cls(file)

    @property
    def names(self) -> list[str]:
        """The names of the tensors, sorted."""
        return sorted(self._entries)

    def count(self) -> int:
        """Return how many rows there are. Raises ValueError where the tensors disagree."""
        counts = {int(entry["shape"][0]) for entry in self._entries.values()}
        if len(counts) != 1:
            raise ValueError(f"tensors of {sorted(counts)} rows")
        return counts.pop()

    def rows(self, rows: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return the rows of every tensor, by name."""
        with contextlib.closing(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)) as content:
            return {name: torch.from_numpy(self._taken(content, name, rows)) for name in self.names}

    def _taken(self, content: mmap.mmap, name: str, rows: NDArray[np.int64]) -> NDArray[Any]:
        entry = self._entries[name]
        shape, begin = entry["shape"], self._start + entry["data_offsets"][0]
        dtype = _DTYPES[entry["dtype"]]
        whole: NDArray[Any] = np.frombuffer(content, dtype=dtype, count=math.prod(shape), offset=begin)
        taken: NDArray[Any] = whole.reshape(shape)[rows]
        return taken


def _write(file: BinaryIO, count: int, parts: Iterable[Mapping[str, Tensor]]) -> None:
    header, done = b"", 0
    places: dict[str, tuple[int, int]] = {}
    for part in parts:
        if not places:
            header, places = _laid_out(part, count)
            file.write(header)
        for name, tensor in part.items():
            data = tensor.contiguous().numpy().tobytes()
            begin, row_bytes = places[name]
            file.seek(begin + done * row_bytes)
            file.write(data)
        done += len(next(iter(part.values())))
    assert done == count, f"{done} of {count} rows"
    file.flush()
    digest = _digest(file)
    file.seek(header.index(_ZEROS.encode()))
    file.write(digest.encode())
    file.flush()


def _laid_out(part: Mapping[str, Tensor], count: int) -> tuple[bytes, dict[str, tuple[int, int]]]:
    """Return the header of a file of so many rows like those of `part`, and where each tensor begins, and its row."""
    entries: dict[str, Any] = {"__metadata__": {"sha256": _ZEROS}}
    sizes, end = {}, 0
    for name, tensor in part.items():
        row_bytes = tensor.element_size() * tensor[0].numel()
        shape = [count, *tensor.shape[1:]]
        entries[name] = {"dtype": _NAMES[tensor.dtype], "shape": shape, "data_offsets": [end, end + count * row_bytes]}
        sizes[name] = (end, row_bytes)
        end += count * row_bytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    start = _LENGTH_BYTES + len(text)
    header = len(text).to_bytes(_LENGTH_BYTES, "little") + text
    return header, {name: (start + begin, row_bytes) for name, (begin, row_bytes) in sizes.items()}


def _digest(file: BinaryIO) -> str:
    found = hashlib.sha256()
    file.seek(0)
    while chunk := file.read(1 << 20):
        found.update(chunk)
    return found.hexdigest()
