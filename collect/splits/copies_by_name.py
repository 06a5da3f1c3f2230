"""Copies and edits of one photo, known by their names: ``IMG_E7.JPG`` is an edit of ``IMG_7.HEIC``.

iOS writes edits as ``IMG_E7``, Google Photos as ``IMG_7-edited``. Samsung writes ``IMG_7(1)`` or ``IMG_7 (edited)``,
Android's editor ``IMG_7~2``. A live photo gives one name two endings. A name alone proves nothing (two phones count
alike, and start again at 1): folder, time and camera must not contradict it.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations, pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from collect.reading.sidecars import EDITED
from collect.splits.near_duplicates import Pairs

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["pairs_by_name", "plain_name"]

_SAME_MOMENT_S: Final = 1.0
_FAMILY: Final = 16  # in larger families only neighbours in time are compared
_EDIT_OF_IOS: Final = re.compile(r"(img_)e(\d+)")
_SUFFIX: Final = re.compile(
    rf"(?P<stem>.+?)(?:[-_ ]?\(?edited\)?|-(?:{EDITED})|~\d+|[-_ ]cover|-edit|(?: -)? (?:copy|kopie|copie|copia))+",
    re.DOTALL,
)
_MAY_BE_COPY: Final = re.compile(rf"edit|~|cover|copy|kopie|copia|{EDITED}")  # of names without it, none is one
_NUMBERED: Final = re.compile(r"(?P<stem>.+?) ?\((?P<number>\d+)\)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """What speaks for and against one photo being a copy of another; `row` is its number."""

    row: int
    is_numbered: bool
    captured_at: datetime | None
    clock_local: str | None
    make: str | None
    model: str | None


_COMPARED: Final = ["source_name", "captured_at", "clock_local", "make", "model"]


def plain_name(source_name: str) -> tuple[str, bool]:
    """Return folder and name of the photo that a file may be a copy of, lower case, and whether it is numbered."""
    folder, _, file = unicodedata.normalize("NFC", source_name.lower()).rpartition("/")
    stem, is_numbered = file.rpartition(".")[0] or file, False
    for _ in range(3):  # IMG_7-edited(1)
        numbered = _NUMBERED.fullmatch(stem) if stem.endswith(")") else None
        edited = _SUFFIX.fullmatch(stem) if _MAY_BE_COPY.search(stem) else None
        is_numbered |= numbered is not None
        match = numbered or edited
        if match is None:
            break
        stem = match["stem"]
    ios = _EDIT_OF_IOS.fullmatch(stem)
    return f"{folder}/{ios[1] + ios[2] if ios else stem}", is_numbered


def pairs_by_name(packed: "pa.Table", order: NDArray[np.int64]) -> Pairs:
    """Return pairs that connect the copies and edits of each photo of a packed table, numbered by `order` (N,)."""
    import pyarrow as pa

    rows = _of_one_name(packed.column("source_name"), order)
    some = packed.select(_COMPARED).take(pa.array(order[rows])).to_pylist()
    families: dict[str, list[_Taken]] = defaultdict(list)
    for row, values in zip(rows.tolist(), some, strict=True):
        name, is_numbered = plain_name(values.pop("source_name"))
        families[name].append(_Taken(row=row, is_numbered=is_numbered, **values))
    pairs = [pair for family in families.values() if len(family) > 1 for pair in _pairs(family)]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def _of_one_name(names: "pa.ChunkedArray", order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the rows, rising, whose plain name others have, too: by a number for each, which takes less memory."""
    every = (hash(plain_name(name)[0]) for chunk in names.chunks for name in chunk.to_pylist())
    numbers = np.fromiter(every, dtype=np.int64, count=len(names))
    _, inverse, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return np.flatnonzero(counts[inverse][order] > 1)


def _pairs(family: list[_Taken]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of a family of names that neither time nor camera contradicts.

    A photo without a time joins where all others agree on one, or have none, and its name is no mere number.
    """
    timed = [photo for photo in family if photo.captured_at is not None]
    is_one = all(_same_moment(timed[0], photo) for photo in timed)
    candidates = combinations(family, 2) if len(family) <= _FAMILY else pairwise(family)
    for one, other in candidates:
        if one.captured_at is None or other.captured_at is None:
            agree = is_one and not any(photo.is_numbered and photo.captured_at is None for photo in (one, other))
        else:
            agree = _same_moment(one, other)
        if agree and _same_camera(one, other):
            yield one.row, other.row


def _same_moment(one: _Taken, other: _Taken) -> bool:
    """Return whether two photos were taken at once, by the camera's clock where both files have one."""
    if one.clock_local and other.clock_local:
        apart = datetime.fromisoformat(one.clock_local) - datetime.fromisoformat(other.clock_local)
    else:
        assert one.captured_at is not None
        assert other.captured_at is not None
        apart = one.captured_at - other.captured_at
    return abs(apart.total_seconds()) <= _SAME_MOMENT_S


def _same_camera(one: _Taken, other: _Taken) -> bool:
    """Return whether two photos name the same camera, as far as both name one."""
    pairs = [(getattr(one, name), getattr(other, name)) for name in ("make", "model")]
    return all(first is None or second is None or first == second for first, second in pairs)
