"""Walks, bursts and groups: which photos belong together, and so must not be split apart.

- walk: one device's photos without a gap of over 10 minutes. Clock times whose zone nothing names make walks of their
  own, by the clock; photos without any time form one per device.
- burst: photos of a walk taken within 4 s of the one before, and within 15 m of the burst's first. Somebody who
photographs every 3 s while walking makes many bursts, not one of a kilometre. None for a photo alone.
- group: bursts, identical positions of one walk, near-duplicates (`near_duplicates`), and copies and edits known by
  their names (`copies_by_name`), joined.

Identical positions of two walks do not join. Phones do not repeat a fix to the last digit on another day, so such
positions were rounded or set by hand. And a place seen again on another day is what a model should learn from.

All of it is computed from the set of photos alone (their order never matters) and from the positions of ingest.
"""

import dataclasses
import math
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collect.splits.copies_by_name import pairs_by_name
from collect.splits.near_duplicates import Pairs, near_duplicate_pairs, parse_hashes
from img2gps.geo import FloatArray, geocentric_m
from img2gps.types import Photo
from img2gps.walks import walk_numbers

__all__ = ["BURST_EXTENT_M", "BURST_GAP_S", "assign_groups", "assign_walks", "renamed_without"]

BURST_GAP_S: Final = 4.0
BURST_EXTENT_M: Final = 15.0

_DEVICE_CHARS, _ID_CHARS, _BURST_CHARS = 6, 16, 8

Numbers = NDArray[np.int64]


def assign_groups(photos: Sequence[Photo]) -> list[Photo]:
    """Return the photos, in the order given, with `walk`, `burst` and `group` set.

    The names are readable and stay when later photos are added. A walk is named after its start and its device
    (``20251222-094711-a1b2c3``). A burst is named after its walk and first photo, a group after its earliest photo.
    """
    if not photos:
        return []
    order, ordered, seconds, walks = _timeline(photos)
    points_m = geocentric_m([photo.lon for photo in ordered], [photo.lat for photo in ordered])
    bursts = _burst_numbers(walks, seconds, points_m)
    groups = _group_numbers(ordered, walks, bursts, points_m)
    walk_names = _walk_names(ordered, walks)
    burst_names = _burst_names(ordered, walks, bursts, walk_names)
    group_names = _group_names(ordered, seconds, groups)
    result = list(photos)
    for row, walk, burst, group in zip(order, walks.tolist(), burst_names, groups.tolist(), strict=True):
        result[row] = _named(photos[row], walk_names[walk], burst, group_names[group])
    return result


def assign_walks(photos: Sequence[Photo]) -> list[Photo]:
    """Return the photos with `walk` alone set, as `assign_groups` sets it: all that flags need."""
    if not photos:
        return []
    order, ordered, _, walks = _timeline(photos)
    names = _walk_names(ordered, walks)
    result = list(photos)
    for row, walk in zip(order, walks.tolist(), strict=True):
        if photos[row].walk != names[walk]:
            result[row] = dataclasses.replace(photos[row], walk=names[walk])
    return result


def _timeline(photos: Sequence[Photo]) -> tuple[list[int], list[Photo], FloatArray, Numbers]:
    """Return the rows in order of device and time, the photos so, their times in seconds, a number for their walks."""
    order = sorted(range(len(photos)), key=lambda row: _timeline_key(photos[row]))
    ordered = [photos[row] for row in order]
    seconds = np.array([_seconds(photo) for photo in ordered])
    clocks = np.array([f"{photo.device} {_zoneless(photo)}" for photo in ordered])
    return order, ordered, seconds, walk_numbers(clocks, seconds)


def renamed_without(photos: Sequence[Photo], gone: Collection[str]) -> list[Photo]:
    """Return the photos, in order; a group or burst named after a photo of `gone` (ids) is named after its next.

    Nobody changes its group here: the name alone would go on telling of a photo that was forgotten.
    """
    ids = {f"g-{photo_id[:_ID_CHARS]}" for photo_id in gone}
    ends = tuple(f"-{photo_id[:_BURST_CHARS]}" for photo_id in gone)
    groups: dict[str, list[Photo]] = {}
    bursts: dict[str, list[Photo]] = {}
    for photo in sorted(photos, key=_timeline_key):
        if photo.group in ids:
            groups.setdefault(photo.group, []).append(photo)
        if photo.burst is not None and photo.burst.endswith(ends):
            bursts.setdefault(photo.burst, []).append(photo)
    group_names = {name: f"g-{min(rows, key=_age).id[:_ID_CHARS]}" for name, rows in groups.items()}
    burst_names = {
        name: f"{rows[0].walk}-{rows[0].id[:_BURST_CHARS]}" if len(rows) > 1 else None for name, rows in bursts.items()
    }
    return [
        _named(
            photo,
            photo.walk,
            burst_names.get(photo.burst or "", photo.burst),
            group_names.get(photo.group, photo.group),
        )
        for photo in photos
    ]


def _age(photo: Photo) -> tuple[float, str]:
    """Sort by time, those without one last, as groups are named."""
    seconds = _seconds(photo)
    return math.inf if math.isnan(seconds) else seconds, photo.id


def _named(photo: Photo, walk: str, burst: str | None, group: str) -> Photo:
    """Return the photo itself where nothing changes: most of 100,000 photos need no second copy in memory."""
    if (photo.walk, photo.burst, photo.group) == (walk, burst, group):
        return photo
    return dataclasses.replace(photo, walk=walk, burst=burst, group=group)


def _timeline_key(photo: Photo) -> tuple[str, bool, bool, float, str, str]:
    """Sort by device, then time (none last); the source's name decides within a second, where phones count up."""
    seconds = _seconds(photo)
    untimed = math.isnan(seconds)
    return photo.device, _zoneless(photo), untimed, 0.0 if untimed else seconds, photo.source_name, photo.id


def _zoneless(photo: Photo) -> bool:
    """Return whether all that is known of a photo's time is what the camera's clock showed, in an unknown zone."""
    return photo.captured_at is None and photo.clock_local is not None


def _moment(photo: Photo) -> datetime | None:
    """Return the capture time, or the clock's reading as if it were in UTC: only differences count there."""
    if photo.captured_at is not None or photo.clock_local is None:
        return photo.captured_at
    return datetime.fromisoformat(photo.clock_local).replace(tzinfo=UTC)


def _seconds(photo: Photo) -> float:
    moment = _moment(photo)
    return math.nan if moment is None else moment.timestamp()


def _burst_numbers(walks: Numbers, seconds: FloatArray, points_m: FloatArray) -> Numbers:
    """Return a number per photo, in timeline order; it goes up where a new burst starts."""
    quick = np.concatenate([[False], (np.diff(seconds) <= BURST_GAP_S) & (np.diff(walks) == 0)])
    numbers = np.zeros(len(walks), dtype=np.int64)
    first = 0
    for row in range(1, len(walks)):
        joins = quick[row] and np.linalg.norm(points_m[row] - points_m[first]) <= BURST_EXTENT_M
        first = first if joins else row
        numbers[row] = numbers[row - 1] + (not joins)
    return numbers


def _group_numbers(photos: list[Photo], walks: Numbers, bursts: Numbers, points_m: FloatArray) -> Numbers:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    positions = np.column_stack([walks, [photo.lon for photo in photos], [photo.lat for photo in photos]])
    places = np.unique(positions, axis=0, return_inverse=True)[1].ravel()
    hashes = parse_hashes([photo.phash for photo in photos])
    near = near_duplicate_pairs(hashes, walks, points_m)
    edges = np.concatenate([_chain(bursts), _chain(places), near, pairs_by_name(photos)])
    size = len(photos)
    graph = coo_matrix((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _chain(keys: Numbers) -> Pairs:
    """Return the pairs of neighbours among the rows with equal keys: enough to connect them."""
    order = np.argsort(keys, kind="stable")
    equal = keys[order][1:] == keys[order][:-1]
    return np.stack([order[:-1][equal], order[1:][equal]], axis=1).astype(np.int64)


def _walk_names(photos: list[Photo], walks: Numbers) -> dict[int, str]:
    starts = np.unique(walks, return_index=True)[1]
    names = [_walk_name(photos[start], _DEVICE_CHARS) for start in starts.tolist()]
    # Devices that share their first characters and the second in which they started are told apart by all of them.
    doubled = {name for name, count in Counter(names).items() if count > 1}
    return {
        number: _walk_name(photos[start], None) if name in doubled else name
        for number, (start, name) in enumerate(zip(starts.tolist(), names, strict=True))
    }


def _walk_name(first: Photo, device_chars: int | None) -> str:
    device = first.device[:device_chars] or "unknown"
    moment = _moment(first)
    if moment is None:
        return f"untimed-{device}"
    local = moment + timedelta(minutes=first.utc_offset_min or 0)
    name = f"{local:%Y%m%d-%H%M%S}-{device}"
    return f"clock-{name}" if _zoneless(first) else name


def _burst_names(photos: list[Photo], walks: Numbers, bursts: Numbers, walk_names: dict[int, str]) -> list[str | None]:
    _, starts, counts = np.unique(bursts, return_index=True, return_counts=True)
    names = [
        f"{walk_names[int(walks[start])]}-{photos[start].id[:_BURST_CHARS]}" if count > 1 else None
        for start, count in zip(starts.tolist(), counts.tolist(), strict=True)
    ]
    return [names[burst] for burst in bursts.tolist()]


def _group_names(photos: list[Photo], seconds: FloatArray, groups: Numbers) -> list[str]:
    ids = np.array([photo.id for photo in photos], dtype=np.bytes_)  # as text they would take four times the memory
    earliest_first = np.lexsort((ids, np.nan_to_num(seconds, nan=np.inf)))
    _, starts = np.unique(groups[earliest_first], return_index=True)
    return [f"g-{photos[row].id[:_ID_CHARS]}" for row in earliest_first[starts].tolist()]
