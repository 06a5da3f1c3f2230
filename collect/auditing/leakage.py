"""Leakage: how near the photos a model is judged on lie to those it learns from, here and by other splits."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collect.auditing.photo_arrays import PhotoArrays
from collect.splits.assign import assign, layout_of
from collect.splits.near_duplicates import Pairs, near_duplicate_pairs, parse_hashes
from collect.splits.split import METHODS
from img2gps.geo import FloatArray
from img2gps.types import Photo

__all__ = ["HEADING_DEG", "RADII_M", "leakage_of", "leakage_table"]

RADII_M: Final = (1, 5, 10, 25)
HEADING_DEG: Final = 45.0

_DEFAULT_COUNT: Final = 60
_FIRST_NEIGHBOURS: Final = 32
_MAX_DISTANCES: Final = 2_000_000

Splits = NDArray[np.object_]


def leakage_table(
    subject: PhotoArrays, photos: Sequence[Photo], options: dict[str, Any] | None
) -> list[dict[str, Any]]:
    """Return a row for the stored split (where it holds photos out) and one for what each way of splitting would give.

    `photos` are those of the frame with their positions of ingest, `options` those of the stored split; the others are
    drawn with its counts (60 and 60 without one) and its seed. See `leakage_of` for the columns; `stored` marks the
    split in use.
    """
    options = options or {}
    pairs = near_duplicate_pairs(parse_hashes(subject.frame["phash"].tolist()), subject.walks, subject.points_m)
    rows = []
    if np.isin(subject.splits, ("val", "test")).any():
        rows.append({"by": f"stored ({options.get('by', 'unknown')})", "stored": True})
        rows[0] |= leakage_of(subject, subject.splits, pairs)
    if len(photos) < 2:
        return rows
    val, test = options.get("val") or 0, options.get("test") or 0
    if not val and not test:
        val = test = min(_DEFAULT_COUNT, len(photos) // 4)
    layout = layout_of(photos, subject.site)
    for by in METHODS:
        drawn = assign(layout, by=by, val=val, test=test, seed=options.get("seed") or 0)
        split_of = {photo.id: split for photo, split in zip(layout.photos, drawn.splits, strict=True)}
        splits = np.array([split_of[photo_id] for photo_id in subject.frame["id"]], dtype=object)
        rows.append({"by": by, "stored": False, **leakage_of(subject, splits, pairs)})
    return rows


def leakage_of(subject: PhotoArrays, splits: Splits, pairs: Pairs) -> dict[str, Any]:
    """Return what a split leaks; `splits` has shape (N,), `pairs` are near-duplicates, shape (P, 2).

    `within_m`: the share of val and test photos with a training photo within so many metres, `within_m_same_walk`: with
    one of their own walk; `within_m_heading`: the same among those with a known heading, counting training photos
    whose heading is within 45 degrees. Then numbers of near-duplicate pairs across splits, and of bursts, walks and
    days with photos in more than one split.
    """
    held_out = np.flatnonzero(np.isin(splits, ("val", "test")))
    trained = np.flatnonzero(splits == "train")
    with_heading = held_out[~np.isnan(subject.headings_deg[held_out])]
    distance_m = _nearest_m(subject.points_m, held_out, trained)
    # Walks stand a kilometre apart along a fourth axis: the nearest within 25 m is then of the same walk.
    apart_m = np.column_stack([subject.points_m, subject.walks * 1000.0])
    same_walk_m = _nearest_m(apart_m, held_out, trained)
    alike_m = _nearest_alike_m(subject, with_heading, trained)
    bursts = subject.frame["burst"].fillna("").to_numpy(dtype=object)
    days = np.where(subject.days >= 0, subject.days, -1)
    return {
        "photos": len(held_out),
        "set_aside": int((splits == "excluded").sum()),
        "within_m": _shares(distance_m),
        "within_m_same_walk": _shares(same_walk_m),
        "photos_with_heading": len(with_heading),
        "within_m_heading": _shares(alike_m),
        "median_m": float(np.median(distance_m)) if len(trained) and len(held_out) else None,
        "near_duplicates": _across(splits, pairs),
        "bursts": _spanning(splits, bursts, bursts != ""),
        "walks": _spanning(splits, subject.walks, np.ones(len(splits), dtype=np.bool_)),
        "days": _spanning(splits, days, days >= 0),
    }


def _shares(distance_m: FloatArray) -> dict[str, float | None]:
    if not len(distance_m):
        return {str(radius): None for radius in RADII_M}
    return {str(radius): float(np.mean(distance_m <= radius)) for radius in RADII_M}


def _nearest_m(points_m: FloatArray, rows: NDArray[np.int64], trained: NDArray[np.int64]) -> FloatArray:
    from scipy.spatial import cKDTree

    if not len(trained):
        return np.full(len(rows), np.inf)
    found = cKDTree(points_m[trained]).query(points_m[rows])[0]
    return np.asarray(found, dtype=np.float64)


def _nearest_alike_m(subject: PhotoArrays, rows: NDArray[np.int64], trained: NDArray[np.int64]) -> FloatArray:
    """Return, per row, the metres to the nearest training photo whose heading differs by 45 degrees at most.

    Infinite beyond the largest radius. The number of neighbours looked at grows until each row is decided.
    """
    from scipy.spatial import cKDTree

    trained = trained[~np.isnan(subject.headings_deg[trained])]
    nearest_m = np.full(len(rows), np.inf)
    if not len(trained) or not len(rows):
        return nearest_m
    tree = cKDTree(subject.points_m[trained])
    reach_m = np.nextafter(float(max(RADII_M)), np.inf)
    undecided, count = np.arange(len(rows)), _FIRST_NEIGHBOURS
    while len(undecided):
        count = min(count, len(trained))
        open_rows = []
        for piece in np.array_split(undecided, -(-len(undecided) * count // _MAX_DISTANCES)):
            distance_m, index = tree.query(
                subject.points_m[rows[piece]], k=np.arange(1, count + 1), distance_upper_bound=reach_m
            )
            found = np.isfinite(distance_m)
            theirs_deg = subject.headings_deg[trained[np.where(found, index, 0)]]
            turned_deg = np.abs((theirs_deg - subject.headings_deg[rows[piece], None] + 180.0) % 360.0 - 180.0)
            nearest_m[piece] = np.where(found & (turned_deg <= HEADING_DEG), distance_m, np.inf).min(axis=1)
            open_rows.append(piece[found[:, -1] & np.isinf(nearest_m[piece])])
        undecided = np.concatenate(open_rows) if count < len(trained) else undecided[:0]
        count *= 8
    return nearest_m


def _across(splits: Splits, pairs: Pairs) -> int:
    first, second = splits[pairs[:, 0]], splits[pairs[:, 1]]
    known = np.isin(first, ("train", "val", "test")) & np.isin(second, ("train", "val", "test"))
    return int((known & (first != second)).sum())


def _spanning(splits: Splits, keys: NDArray[Any], counted: NDArray[np.bool_]) -> int:
    """Return how many keys have photos in more than one of train, val and test."""
    seen: dict[Any, set[str]] = {}
    for split, key, counts in zip(splits.tolist(), keys.tolist(), counted.tolist(), strict=True):
        if counts and split in ("train", "val", "test"):
            seen.setdefault(key, set()).add(split)
    return sum(len(found) > 1 for found in seen.values())
