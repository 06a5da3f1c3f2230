"""Leakage: how near the photos a model is judged on lie to those it learns from, here and by other splits."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collect.auditing.photo_arrays import PhotoArrays
from collect.splits.assign import assign, layout_of
from collect.splits.near_duplicates import Pairs, near_duplicate_pairs, parse_hashes
from collect.splits.split import DEFAULT_COUNT, METHODS
from img2gps.geo import FloatArray, turned_deg
from img2gps.types import Photo

__all__ = ["HEADING_DEG", "RADII_M", "SplitDraw", "SplitLeakage", "leakage_of", "leakage_table"]

RADII_M: Final = (1, 5, 10, 25)
HEADING_DEG: Final = 45.0

_FIRST_NEIGHBOURS: Final = 32
_MAX_DISTANCES: Final = 2_000_000

Splits = NDArray[np.object_]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplitDraw:
    """How the stored split was drawn; 0 photos of both kinds: nothing is known of its counts."""

    by: str = "unknown"
    val: int = 0
    test: int = 0
    seed: int = 0

    @classmethod
    def of(cls, stored: Mapping[str, Any] | None) -> "SplitDraw":
        """Return the draw that a manifest tells of (`img2gps.manifest.ManifestInfo.split`)."""
        told = {name: value for name, value in (stored or {}).items() if value is not None}
        return cls(**{field.name: told[field.name] for field in dataclasses.fields(cls) if field.name in told})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SplitLeakage:
    """What a split leaks; `stored` marks the one in use.

    `within_m` is the share of val and test photos (`photos` in all) with a training photo within so many metres. It is
    None without such photos. `within_m_same_walk` counts training photos of their own walk. `within_m_heading` is the
    share among photos with a known heading, counting training photos whose heading is within 45 degrees. `median_m` is
    the distance to the nearest training photo. Then numbers of near-duplicate pairs across splits, and of bursts, walks
    and days with photos in more than one split.
    """

    by: str
    stored: bool
    photos: int
    set_aside: int
    within_m: Mapping[int, float | None]
    within_m_same_walk: Mapping[int, float | None]
    photos_with_heading: int
    within_m_heading: Mapping[int, float | None]
    median_m: float | None
    near_duplicates: int
    bursts: int
    walks: int
    days: int


def leakage_table(arrays: PhotoArrays, photos: Sequence[Photo], drawn: SplitDraw) -> tuple[SplitLeakage, ...]:
    """Return a row for the stored split (where it holds photos out) and one for what each way of splitting would give.

    `photos` are those of the frame with their positions of ingest. `drawn` tells how the stored split was made. The
    others are made with its counts (60 and 60 without one) and its seed.
    """
    pairs = near_duplicate_pairs(parse_hashes(arrays.frame["phash"].tolist()), arrays.walks, arrays.points_m)
    rows = []
    if np.isin(arrays.splits, ("val", "test")).any():
        rows.append(leakage_of(arrays, arrays.splits, pairs, by=f"stored ({drawn.by})", stored=True))
    if len(photos) < 2:
        return tuple(rows)
    val, test = drawn.val, drawn.test
    if not val and not test:
        val = test = DEFAULT_COUNT
    layout = layout_of(photos, arrays.site)
    for by in METHODS:
        dealt = assign(layout, by=by, val=val, test=test, seed=drawn.seed).splits
        split_of = {photo.id: split for photo, split in zip(layout.photos, dealt, strict=True)}
        splits = np.array([split_of[photo_id] for photo_id in arrays.frame["id"]], dtype=object)
        rows.append(leakage_of(arrays, splits, pairs, by=by))
    return tuple(rows)


def leakage_of(arrays: PhotoArrays, splits: Splits, pairs: Pairs, *, by: str, stored: bool = False) -> SplitLeakage:
    """Return what a split leaks; `splits` has shape (N,), `pairs` are near-duplicates, shape (P, 2)."""
    held_out = np.flatnonzero(np.isin(splits, ("val", "test")))
    trained = np.flatnonzero(splits == "train")
    with_heading = held_out[~np.isnan(arrays.headings_deg[held_out])]
    distance_m = _nearest_m(arrays.points_m, held_out, trained)
    # Walks stand a kilometre apart along a fourth axis: the nearest within 25 m is then of the same walk.
    apart_m = np.column_stack([arrays.points_m, arrays.walks * 1000.0])
    same_walk_m = _nearest_m(apart_m, held_out, trained)
    alike_m = _nearest_alike_m(arrays, with_heading, trained)
    bursts = arrays.frame["burst"].fillna("").to_numpy(dtype=object)
    days = np.where(arrays.days >= 0, arrays.days, -1)
    return SplitLeakage(
        by=by,
        stored=stored,
        photos=len(held_out),
        set_aside=int((splits == "excluded").sum()),
        within_m=_shares(distance_m),
        within_m_same_walk=_shares(same_walk_m),
        photos_with_heading=len(with_heading),
        within_m_heading=_shares(alike_m),
        median_m=float(np.median(distance_m)) if len(trained) and len(held_out) else None,
        near_duplicates=_across(splits, pairs),
        bursts=_spanning(splits, bursts, bursts != ""),
        walks=_spanning(splits, arrays.walks, np.ones(len(splits), dtype=np.bool_)),
        days=_spanning(splits, days, days >= 0),
    )


def _shares(distance_m: FloatArray) -> dict[int, float | None]:
    if not len(distance_m):
        return dict.fromkeys(RADII_M)
    return {radius: float(np.mean(distance_m <= radius)) for radius in RADII_M}


def _nearest_m(points_m: FloatArray, rows: NDArray[np.int64], trained: NDArray[np.int64]) -> FloatArray:
    from scipy.spatial import cKDTree

    if not len(trained):
        return np.full(len(rows), np.inf)
    found = cKDTree(points_m[trained]).query(points_m[rows])[0]
    return np.asarray(found, dtype=np.float64)


def _nearest_alike_m(arrays: PhotoArrays, rows: NDArray[np.int64], trained: NDArray[np.int64]) -> FloatArray:
    """Return, per row, the metres to the nearest training photo whose heading differs by 45 degrees at most.

    Infinite beyond the largest radius. The number of neighbours looked at grows until each row is decided.
    """
    from scipy.spatial import cKDTree

    trained = trained[~np.isnan(arrays.headings_deg[trained])]
    nearest_m = np.full(len(rows), np.inf)
    if not len(trained) or not len(rows):
        return nearest_m
    tree = cKDTree(arrays.points_m[trained])
    reach_m = np.nextafter(float(max(RADII_M)), np.inf)
    undecided, count = np.arange(len(rows)), _FIRST_NEIGHBOURS
    while len(undecided):
        count = min(count, len(trained))
        open_rows = []
        for piece in np.array_split(undecided, -(-len(undecided) * count // _MAX_DISTANCES)):
            distance_m, index = tree.query(
                arrays.points_m[rows[piece]], k=np.arange(1, count + 1), distance_upper_bound=reach_m
            )
            found = np.isfinite(distance_m)
            theirs_deg = arrays.headings_deg[trained[np.where(found, index, 0)]]
            apart_deg = turned_deg(theirs_deg, arrays.headings_deg[rows[piece], None])
            nearest_m[piece] = np.where(found & (apart_deg <= HEADING_DEG), distance_m, np.inf).min(axis=1)
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
    seen: dict[Hashable, set[str]] = {}
    for split, key, counts in zip(splits.tolist(), keys.tolist(), counted.tolist(), strict=True):
        if counts and split in ("train", "val", "test"):
            seen.setdefault(key, set()).add(split)
    return sum(len(found) > 1 for found in seen.values())
