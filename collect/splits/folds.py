"""Folds for cross-validation: leave one walk out, leave one day out, blocks of the site, or K of a size. Pure."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from collect.splits.assign import Layout
from img2gps.errors import UsageError
from img2gps.geo import FloatArray
from img2gps.site import Site
from img2gps.types import Photo

__all__ = ["CELL_FOLDS", "fold_keys", "folds_of", "local_day"]

CELL_FOLDS: Final = 5
_FOLD_CELL_M: Final = 10.0

Numbers = NDArray[np.int64]


def folds_of(layout: Layout, *, folds: str, by: str, seed: int, site: Site) -> Numbers:
    """Return the fold of each photo, shape (N,), 0..K-1; groups are never broken.

    `folds` is ``walk``, ``day``, ``cell`` or a number K. K folds hold whole walks with by ``walk``, blocks of the site
    with by ``cell``, groups at random with by ``random``. Folds of walks and days are numbered in order of time.
    Raises UsageError where there are fewer walks, blocks or groups than folds.
    """
    if folds in ("walk", "day"):
        return _whole_groups(layout, _number_in_time(layout, fold_keys(layout.photos, folds=folds, zone=site.zone)))
    count = CELL_FOLDS if folds == "cell" else int(folds)
    if folds == "cell" or by == "cell":
        return _blocks(layout, count)
    units = layout.walk if by == "walk" else layout.group
    return _whole_groups(layout, _balanced(units, count, by, np.random.default_rng(seed)))


def fold_keys(photos: Sequence[Photo], *, folds: str, zone: ZoneInfo | None) -> list[str]:
    """Return what decides about a photo's fold: its walk, or the local day on which its walk began."""
    if folds == "walk":
        return [photo.walk for photo in photos]
    first: dict[str, str] = {}
    for photo in photos:
        day = local_day(photo, zone)
        first[photo.walk] = min(first.get(photo.walk, day), day)
    return [first[photo.walk] for photo in photos]


def local_day(photo: Photo, zone: ZoneInfo | None) -> str:
    """Return the date on the site's clocks (else on the phone's, else in UTC); ``unknown`` without a time."""
    if photo.captured_at is None:
        return "unknown"
    if zone is not None:
        return photo.captured_at.astimezone(zone).date().isoformat()
    return (photo.captured_at + timedelta(minutes=photo.utc_offset_min or 0)).date().isoformat()


def _number_in_time(layout: Layout, keys: list[str]) -> Numbers:
    first: dict[str, float] = {}
    for photo, key in zip(layout.photos, keys, strict=True):
        moment = photo.captured_at.timestamp() if photo.captured_at else float("inf")
        first[key] = min(first.get(key, moment), moment)
    number = {key: index for index, key in enumerate(sorted(first, key=lambda key: (first[key], key)))}
    return np.array([number[key] for key in keys], dtype=np.int64)


def _whole_groups(layout: Layout, folds: Numbers) -> Numbers:
    """Move each group (a near-duplicate may join two walks) to the fold that most of its photos are in."""
    votes = np.zeros((int(layout.group.max()) + 1, int(folds.max()) + 1), dtype=np.int32)
    np.add.at(votes, (layout.group, folds), 1)
    return np.asarray(votes.argmax(axis=1)[layout.group], dtype=np.int64)


def _balanced(units: Numbers, count: int, by: str, rng: np.random.Generator) -> Numbers:
    """Deal whole units out, the largest first, each to the smallest fold so far (equal ones in random order)."""
    sizes = np.bincount(units)
    _check_count(len(sizes), count, "walk" if by == "walk" else "group")
    order = rng.permutation(len(sizes))
    order = order[np.argsort(-sizes[order], kind="stable")]
    totals = np.zeros(count, dtype=np.int64)
    fold_of_unit = np.zeros(len(sizes), dtype=np.int64)
    for unit in order.tolist():
        fold_of_unit[unit] = totals.argmin()
        totals[fold_of_unit[unit]] += sizes[unit]
    return fold_of_unit[units]


def _blocks(layout: Layout, count: int) -> Numbers:
    """Cut the site into blocks with about equally many photos, along cells of 10 m that hold whole groups."""
    cells = layout.cells(_FOLD_CELL_M)
    weights = np.bincount(cells)
    _check_count(len(weights), count, "cell")
    centres_m = np.stack([np.bincount(cells, weights=axis) / weights for axis in (layout.east_m, layout.north_m)], 1)
    blocks = np.zeros(len(weights), dtype=np.int64)
    _cut(centres_m, weights, np.arange(len(weights)), count, 0, blocks)
    return blocks[cells]


def _cut(centres_m: FloatArray, weights: Numbers, rows: Numbers, count: int, first: int, blocks: Numbers) -> None:
    """Number the blocks of `rows` from `first`: cut across the longer side, in proportion to the blocks on each."""
    if count == 1:
        blocks[rows] = first
        return
    sides_m = np.ptp(centres_m[rows], axis=0)
    axis = int(sides_m.argmax())
    rows = rows[np.lexsort((rows, centres_m[rows, axis]))]
    low = count // 2
    share = np.cumsum(weights[rows]) / weights[rows].sum()
    at = int(np.clip(np.searchsorted(share, low / count) + 1, low, len(rows) - (count - low)))
    _cut(centres_m, weights, rows[:at], low, first, blocks)
    _cut(centres_m, weights, rows[at:], count - low, first + low, blocks)


def _check_count(found: int, count: int, noun: str) -> None:
    if found < count:
        raise UsageError(f"{count} folds need as many {noun}s, but there are {found}: ask for fewer with --folds.")
