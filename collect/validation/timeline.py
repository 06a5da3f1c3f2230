"""Capture times of a dataset's photos from what their rows keep of the files, so that later photos can change them."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from collect.reading.facts import CLOCK_DOUBTFUL, STAMP_UNREADABLE
from collect.validation.declination import with_true_heading
from collect.validation.sequence import Decision, TimeEvidence, decide
from img2gps.photo_columns import codes_of, tells
from img2gps.types import Photo, TimeSource

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DecidedRows", "Decisions", "decide_rows", "decisions_of", "has_own_times", "timed"]

Decisions = Mapping[str, Decision]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_BESIDE_THE_FILE: Final[tuple[TimeSource, ...]] = ("labels", "xmp", "sidecar", "takeout")


def has_own_times(photo: Photo) -> bool:
    """Return whether a row keeps what its file says of the time, and has its time from there (or none)."""
    known = photo.clock_local is not None or photo.gps_at is not None
    return known and photo.time_source not in _BESIDE_THE_FILE


def decisions_of(photos: Sequence[Photo], zone: ZoneInfo | None) -> dict[str, Decision]:
    """Return the decision of each photo by id, device by device; rows of before there were such columns have none."""
    devices: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        if has_own_times(photo):
            devices[photo.device].append(photo)
    return {
        photo.id: decision
        for own in devices.values()
        for photo, decision in zip(own, decide([_evidence(photo) for photo in own], zone), strict=True)
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DecidedRows:
    """What was decided of the rows of a packed table.

    `changed` has the decisions, by row, that rows differ from. `disagree` and `repeated` say which photos' times
    contradict each other, and whose local time came twice, shape (N,).
    """

    changed: dict[int, Decision]
    disagree: NDArray[np.bool_]
    repeated: NDArray[np.bool_]


def decide_rows(packed: "pa.Table", zone: ZoneInfo | None) -> DecidedRows:
    """Return the decisions of `decisions_of` for the rows of a packed table (`img2gps.photo_columns`)."""
    import pyarrow as pa

    beside = tells(packed.column("time_source"), lambda word: word in _BESIDE_THE_FILE)
    known = packed.column("clock_local").is_valid().to_numpy() | packed.column("gps_at").is_valid().to_numpy()
    devices = codes_of(packed.column("device"))[0]
    rows = np.flatnonzero(known & ~beside)
    rows = rows[np.argsort(devices[rows], kind="stable")]
    ordered = packed.select(_TIME_COLUMNS).take(pa.array(rows))
    ends = [*(np.flatnonzero(np.diff(devices[rows])) + 1).tolist(), *([len(rows)] if len(rows) else [])]
    decided = DecidedRows(
        changed={}, disagree=np.zeros(len(packed), dtype=np.bool_), repeated=np.zeros(len(packed), dtype=np.bool_)
    )
    start = 0
    for end in ends:
        photos = _rows_of(ordered.slice(start, end - start))
        decisions = decide([_evidence(photo) for photo in photos], zone)
        for row, photo, decision in zip(rows[start:end].tolist(), photos, decisions, strict=True):
            decided.disagree[row], decided.repeated[row] = decision.kind is not None, decision.is_repeated
            if _differs(photo, decision):
                decided.changed[row] = decision
        start = end
    return decided


_TIME_COLUMNS: Final = [
    "source_name",
    "captured_at",
    "utc_offset_min",
    "time_source",
    "clock_local",
    "clock_offset_min",
    "gps_at",
    "fix_age_s",
    "gps_source",
    "traits",
]


class _Times(NamedTuple):
    """What a row holds of its time, in the order of the columns read."""

    source_name: str
    captured_at: datetime | None
    utc_offset_min: int | None
    time_source: TimeSource | None
    clock_local: str | None
    clock_offset_min: int | None
    gps_at: datetime | None
    fix_age_s: float | None
    gps_source: str
    traits: Any


def _rows_of(ordered: "pa.Table") -> list[_Times]:
    import pyarrow as pa

    columns = [ordered.column(name) for name in _TIME_COLUMNS]
    values: list[list[Any]] = [
        [_moment(micros) for micros in column.cast(pa.int64()).to_pylist()]
        if pa.types.is_timestamp(column.type)  # a third of the time that the library takes
        else column.to_pylist()
        for column in columns
    ]
    values[-1] = [(traits or "").split(",") for traits in values[-1]]
    return [_Times._make(row) for row in zip(*values, strict=True)]


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)


def _differs(photo: "Photo | _Times", decision: Decision) -> bool:
    return (
        photo.captured_at != decision.captured_at
        or photo.utc_offset_min != decision.utc_offset_min
        or photo.time_source != decision.source
        or (photo.gps_source == "exif" and photo.fix_age_s != decision.fix_age_s)
    )


def timed(photo: Photo, decision: Decision | None) -> Photo:
    """Return the photo with the time decided for it, and a magnetic heading turned by the declination then."""
    if decision is None or not _differs(photo, decision):
        return photo
    times: dict[str, Any] = {
        "captured_at": decision.captured_at,
        "utc_offset_min": decision.utc_offset_min,
        "time_source": decision.source,
    }
    if photo.gps_source == "exif":
        times["fix_age_s"] = decision.fix_age_s
    return with_true_heading(dataclasses.replace(photo, **times))


def _evidence(photo: Photo | _Times) -> TimeEvidence:
    return TimeEvidence(
        order=photo.source_name,
        local=None if photo.clock_local is None else datetime.fromisoformat(photo.clock_local),
        offset_min=photo.clock_offset_min,
        gps=photo.gps_at,
        is_doubtful=CLOCK_DOUBTFUL in photo.traits,
        is_stamped=photo.gps_at is not None or STAMP_UNREADABLE in photo.traits,
    )
