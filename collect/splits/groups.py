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
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from collect.splits.copies_by_name import pairs_by_name
from collect.splits.near_duplicates import Pairs, hashes_of, near_duplicate_links
from img2gps.geo import FloatArray, geocentric_m
from img2gps.manifest import pack_photos
from img2gps.photo_columns import group_of_its_own, groups_of_their_own, micros_of, ranks_of
from img2gps.types import Photo
from img2gps.walks import walk_numbers

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["BURST_EXTENT_M", "BURST_GAP_S", "Groups", "assign_groups", "groups_of", "renamed_without"]

BURST_GAP_S: Final = 4.0
BURST_EXTENT_M: Final = 15.0

_DEVICE_CHARS, _BURST_CHARS = 6, 8

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Groups:
    """The names of the walk, burst (None for a photo alone) and group of each row, shapes (N,), as Arrow columns."""

    walk: "pa.Array"
    burst: "pa.Array"
    group: "pa.Array"


def assign_groups(photos: Sequence[Photo]) -> list[Photo]:
    """Return the photos, in the order given, with `walk`, `burst` and `group` set.

    The names are readable and stay when later photos are added. A walk is named after its start and its device
    (``20251222-094711-a1b2c3``). A burst is named after its walk and first photo, a group after its earliest photo.
    """
    if not photos:
        return []
    groups = groups_of(pack_photos(photos))
    columns = (groups.walk, groups.burst, groups.group)
    names = zip(*(column.to_pylist() for column in columns), strict=True)
    return [_named(photo, *row) for photo, row in zip(photos, names, strict=True)]


def groups_of(packed: "pa.Table", *, walks_only: bool = False) -> Groups:
    """Return the groups of the rows of a packed table (`img2gps.photo_columns`), as `assign_groups` names them.

    `walks_only` leaves bursts and groups empty: flags need no more.
    """
    import pyarrow as pa

    timeline = _timeline(packed)
    walk_names = _walk_names(timeline)
    place = np.empty(len(packed), dtype=np.int64)  # of each row in the timeline
    place[timeline.order] = np.arange(len(packed))
    codes = pa.array(timeline.walks[place].astype(np.int32))
    walk = pa.DictionaryArray.from_arrays(codes, pa.array(walk_names, pa.string()))
    if walks_only:
        return Groups(
            walk=walk, burst=pa.nulls(len(packed), pa.string()), group=pa.array([""] * len(packed), pa.string())
        )
    points_m = geocentric_m(packed.column("lon").to_numpy(), packed.column("lat").to_numpy())[timeline.order]
    bursts = _burst_numbers(timeline.walks, timeline.seconds, points_m)
    numbers = _group_numbers(packed, timeline, bursts, points_m)
    return Groups(
        walk=walk,
        burst=_burst_names(timeline, bursts, walk_names).take(pa.array(bursts[place])),
        group=_group_names(timeline, numbers).take(pa.array(numbers[place])),
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Timeline:
    """Rows in order of device and time: `order` numbers them, what follows is in this order, shapes (N,).

    `seconds` are since 1970, or of the clock as if it were in UTC; NaN where unknown. `ranks` orders the ids.
    `packed` is the table in its own order.
    """

    packed: "pa.Table"
    order: Numbers
    seconds: FloatArray
    zoneless: NDArray[np.bool_]
    walks: Numbers
    ranks: Numbers

    def rows(self, places: Numbers, *names: str) -> "pa.Table":
        """Return columns of some rows, which are given by their places in the timeline."""
        import pyarrow as pa

        return self.packed.select(names).take(pa.array(self.order[places]))


def _timeline(packed: "pa.Table") -> _Timeline:
    seconds, zoneless = _seconds_of(packed)
    devices, ids, names = (ranks_of(packed.column(name)) for name in ("device", "id", "source_name"))
    untimed = np.isnan(seconds)
    # the source's name decides within a second, where phones count up
    order = np.lexsort((ids, names, np.where(untimed, 0.0, seconds), untimed, zoneless, devices))
    clocks = (devices * 2 + zoneless)[order]
    return _Timeline(
        packed=packed,
        order=order,
        seconds=seconds[order],
        zoneless=zoneless[order],
        walks=walk_numbers(clocks, seconds[order]),
        ranks=ids[order],
    )


def _seconds_of(packed: "pa.Table") -> tuple[FloatArray, NDArray[np.bool_]]:
    """Return the time of each row in seconds, and for which it is a clock's in an unknown zone."""
    micros, known = micros_of(packed.column("captured_at"))
    seconds = np.where(known, micros / 1e6, np.nan)
    clocks = packed.column("clock_local")
    zoneless = ~known & clocks.is_valid().to_numpy()
    for row in np.flatnonzero(zoneless).tolist():
        seconds[row] = datetime.fromisoformat(clocks[row].as_py()).replace(tzinfo=UTC).timestamp()
    return seconds, zoneless


def renamed_without(photos: Sequence[Photo], gone: Collection[str]) -> list[Photo]:
    """Return the photos, in order; a group or burst named after a photo of `gone` (ids) is named after its next.

    Nobody changes its group here: the name alone would go on telling of a photo that was forgotten.
    """
    ids = {group_of_its_own(photo_id) for photo_id in gone}
    ends = tuple(f"-{photo_id[:_BURST_CHARS]}" for photo_id in gone)
    groups: dict[str, list[Photo]] = {}
    bursts: dict[str, list[Photo]] = {}
    for photo in sorted(photos, key=_timeline_key):
        if photo.group in ids:
            groups.setdefault(photo.group, []).append(photo)
        if photo.burst is not None and photo.burst.endswith(ends):
            bursts.setdefault(photo.burst, []).append(photo)
    group_names = {name: group_of_its_own(min(rows, key=_age).id) for name, rows in groups.items()}
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
    starts = ~quick
    first = -1
    for row in np.flatnonzero(quick).tolist():
        first = row - 1 if starts[row - 1] else first
        starts[row] = math.dist(points_m[row], points_m[first]) > BURST_EXTENT_M
    return np.cumsum(starts) - 1


def _group_numbers(packed: "pa.Table", timeline: _Timeline, bursts: Numbers, points_m: FloatArray) -> Numbers:
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    order, walks, size = timeline.order, timeline.walks, len(packed)
    near = near_duplicate_links(hashes_of(packed.column("phash"))[order], walks, points_m)
    edges = np.concatenate([_chain(bursts), _same_places(packed, timeline), near, pairs_by_name(packed, order)])
    graph = coo_matrix((np.ones(len(edges), dtype=np.int8), (edges[:, 0], edges[:, 1])), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1], dtype=np.int64)


def _same_places(packed: "pa.Table", timeline: _Timeline) -> Pairs:
    """Return pairs that connect the rows of each position of a walk."""
    lons, lats = (packed.column(name).to_numpy()[timeline.order] for name in ("lon", "lat"))
    order = np.lexsort((lats, lons, timeline.walks))
    keys = [values[order] for values in (timeline.walks, lons, lats)]
    new = np.any([values[1:] != values[:-1] for values in keys], axis=0)
    places = np.empty(len(order), dtype=np.int64)
    places[order] = np.concatenate([[0], np.cumsum(new)])
    return _chain(places)


def _chain(keys: Numbers) -> Pairs:
    """Return the pairs of neighbours among the rows with equal keys: enough to connect them."""
    order = np.argsort(keys, kind="stable")
    equal = keys[order][1:] == keys[order][:-1]
    return np.stack([order[:-1][equal], order[1:][equal]], axis=1).astype(np.int64)


def _walk_names(timeline: _Timeline) -> list[str]:
    starts = np.unique(timeline.walks, return_index=True)[1]
    first = timeline.rows(starts, "device", "captured_at", "clock_local", "utc_offset_min").to_pylist()
    kinds = [
        (math.isnan(seconds), zoneless)
        for seconds, zoneless in zip(timeline.seconds[starts].tolist(), timeline.zoneless[starts].tolist(), strict=True)
    ]
    names = [_walk_name(row, *kind, row["device"][:_DEVICE_CHARS]) for row, kind in zip(first, kinds, strict=True)]
    # Devices that share their first characters and the second in which they started are told apart by all of them.
    doubled = {name for name, count in Counter(names).items() if count > 1}
    return [
        _walk_name(row, *kind, row["device"]) if name in doubled else name
        for row, kind, name in zip(first, kinds, names, strict=True)
    ]


def _walk_name(first: Mapping[str, Any], untimed: bool, zoneless: bool, device: str) -> str:
    device = device or "unknown"
    if untimed:
        return f"untimed-{device}"
    moment: datetime | None = first["captured_at"]
    local = datetime.fromisoformat(first["clock_local"]) if moment is None else moment
    name = f"{local + timedelta(minutes=first['utc_offset_min'] or 0):%Y%m%d-%H%M%S}-{device}"
    return f"clock-{name}" if zoneless else name


def _burst_names(timeline: _Timeline, bursts: Numbers, walk_names: list[str]) -> "pa.Array":
    """Return the name of each burst by its number, null for one of a single photo."""
    import pyarrow as pa
    import pyarrow.compute as pc

    _, starts, counts = np.unique(bursts, return_index=True, return_counts=True)
    several = starts[counts > 1]
    ids = timeline.rows(several, "id").column("id").combine_chunks()
    walks = pa.array(walk_names, pa.string()).take(pa.array(timeline.walks[several]))
    names = pc.binary_join_element_wise(walks, pc.utf8_slice_codeunits(ids, 0, _BURST_CHARS), "-")
    return names.take(pa.array(np.cumsum(counts > 1) - 1, mask=counts == 1))


def _group_names(timeline: _Timeline, groups: Numbers) -> "pa.Array":
    """Return the name of each group by its number."""
    earliest_first = np.lexsort((timeline.ranks, np.nan_to_num(timeline.seconds, nan=np.inf)))
    _, starts = np.unique(groups[earliest_first], return_index=True)
    return groups_of_their_own(timeline.rows(earliest_first[starts], "id").column("id")).combine_chunks()
