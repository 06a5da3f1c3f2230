"""Splits and folds of two datasets as one: kept where they agree, and no group on two sides. Pure functions."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from collect.splits.assign import BUFFER_M, BUFFER_REASON, within_m
from img2gps.geo import geocentric_m
from img2gps.types import Photo

__all__ = ["agreed", "comparable_folds", "parted"]

_SIDES: Final = ("test", "val", "train")  # of two sides that are equal, the one that is harder to replace stays


def comparable_folds(first: Mapping[str, Any] | None, second: Mapping[str, Any] | None) -> bool:
    """Return whether fold numbers of two stored splits mean alike: a number of folds, the same in both.

    Folds by walk, day or cell are numbered within their dataset: fold 0 of one is not fold 0 of the other.
    """
    if first is None or second is None:
        return False
    folds = first.get("folds")
    return folds is not None and folds == second.get("folds") and str(folds).isdecimal()


def agreed(one: Photo, other: Photo, *, folds: bool) -> Photo:
    """Return the photo `one`, that both datasets have, with the split of both: excluded where they contradict.

    `folds` says whether the other's fold counts.
    """
    fold = other.fold if one.fold is None and folds else one.fold
    if other.split is None or one.split == other.split:
        return dataclasses.replace(one, fold=fold)
    if one.split is None:
        return dataclasses.replace(one, split=other.split, split_reason=other.split_reason, fold=fold)
    reason = f"merged: {one.split} in one dataset, {other.split} in the other"
    return dataclasses.replace(one, split="excluded", split_reason=reason, fold=None)


def parted(photos: Sequence[Photo], options: Mapping[str, Any]) -> list[Photo]:
    """Return the photos, none of a group (by walk: of a walk) on two sides of the split: the smaller is set aside.

    `options` are those of the stored split: with by ``cell``, training photos within 10 m of held-out ones are, too.
    """
    rows = _one_side(list(photos), "split", by_walk=options.get("by") == "walk")
    rows = _one_side(rows, "fold", by_walk=options.get("folds") == "walk")
    return _with_buffer(rows) if options.get("by") == "cell" else rows


def _one_side(photos: list[Photo], name: str, *, by_walk: bool) -> list[Photo]:
    counts: dict[int, Counter[Any]] = defaultdict(Counter)
    units = _units(photos, by_walk=by_walk)
    for unit, photo in zip(units, photos, strict=True):
        side = getattr(photo, name)
        if side is not None and photo.split != "excluded":
            counts[unit][side] += 1
    kept = {unit: max(found, key=lambda side: (found[side], _rank(side))) for unit, found in counts.items()}
    what = "walk or group" if by_walk else "group"
    result = []
    for unit, photo in zip(units, photos, strict=True):
        side = getattr(photo, name)
        if side is None or photo.split == "excluded" or side == kept[unit]:
            result.append(photo)
            continue
        word = "fold " if name == "fold" else ""
        reason = f"merged: its {what} is in {word}{kept[unit]}, it was in {word}{side}"
        result.append(dataclasses.replace(photo, split="excluded", split_reason=reason, fold=None))
    return result


def _rank(side: Any) -> int:
    return -_SIDES.index(side) if side in _SIDES else -int(side)


def _units(photos: list[Photo], *, by_walk: bool) -> list[int]:
    """Return the number of what must not be parted, for each photo: its group, joined with its walk where asked."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    names = [f"group {photo.group}" for photo in photos]
    edges = [(row, name) for row, name in enumerate(names)]
    if by_walk:
        edges += [(row, f"walk {photo.walk}") for row, photo in enumerate(photos)]
    numbers = {name: len(photos) + number for number, name in enumerate(dict.fromkeys(name for _, name in edges))}
    size = len(photos) + len(numbers)
    ends = [row for row, _ in edges], [numbers[name] for _, name in edges]
    graph = coo_matrix((np.ones(len(edges), dtype=np.int8), ends), shape=(size, size))
    return [int(unit) for unit in connected_components(graph, directed=False)[1][: len(photos)]]


def _with_buffer(photos: list[Photo]) -> list[Photo]:
    points_m = geocentric_m([photo.lon for photo in photos], [photo.lat for photo in photos])
    splits = np.array([photo.split or "" for photo in photos], dtype=object)
    rows = np.flatnonzero(splits == "train")
    near = np.zeros(len(photos), dtype=np.bool_)
    near[rows] = within_m(points_m[rows], points_m[np.isin(splits, ("val", "test"))], BUFFER_M)
    return [
        dataclasses.replace(photo, split="excluded", split_reason=BUFFER_REASON, fold=None) if close else photo
        for photo, close in zip(photos, near.tolist(), strict=True)
    ]
