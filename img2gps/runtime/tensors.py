"""Tensors of a .safetensors file as numpy arrays, without a library: a length, a JSON header, raw numbers."""

import json
import mmap
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.errors import InvalidCheckpointError
from img2gps.text import safe_path

__all__ = ["read_arrays"]

_TYPES: Final = {"F16": np.float16, "F32": np.float32, "F64": np.float64, "I64": np.int64, "U8": np.uint8}
_LENGTH_BYTES: Final = 8
_LARGEST_HEADER: Final = 100_000_000  # the format's own limit


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of a file by name, mapped into memory and read when they are used.

    The format: https://github.com/huggingface/safetensors, "Format". Raises InvalidCheckpointError where the file is
    missing, cut short or none of that format.
    """
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        length = int.from_bytes(content[:_LENGTH_BYTES], "little")
        if length > min(_LARGEST_HEADER, len(content)):
            raise ValueError(f"a header of {length} bytes")
        header = json.loads(content[_LENGTH_BYTES : _LENGTH_BYTES + length])
        start = _LENGTH_BYTES + length
        named = {name: facts for name, facts in header.items() if name != "__metadata__"}
        return {name: _array(content, start, facts) for name, facts in named.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidCheckpointError(f"{safe_path(path)} cannot be read ({error}): export the run again.") from error


def _array(content: mmap.mmap, start: int, facts: dict[str, Any]) -> NDArray[Any]:
    begin, end = facts["data_offsets"]
    kind = np.dtype(_TYPES[facts["dtype"]]).newbyteorder("<")
    shape = tuple(int(side) for side in facts["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    if not 0 <= begin <= end <= len(content) - start or end - begin != count * kind.itemsize:
        raise ValueError(f"a tensor of {shape} in {end - begin} bytes")
    return np.frombuffer(content, dtype=kind, count=count, offset=start + begin).reshape(shape)
