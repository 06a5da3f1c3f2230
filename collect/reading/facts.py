"""What a photo's EXIF says, after parsing and before any judgement."""

import dataclasses
from datetime import datetime
from typing import Final, Literal

from img2gps.types import HeadingRef

__all__ = ["CLOCK_DOUBTFUL", "STAMP_UNREADABLE", "Facts", "Position", "PositionProblem"]

CLOCK_DOUBTFUL: Final = "clock_doubtful"
STAMP_UNREADABLE: Final = "gps_stamp_unreadable"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Degrees in EPSG:4326, as far as the numbers go: the range is judged by the rules."""

    lon: float
    lat: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PositionProblem:
    """Why the EXIF gives no position: a code of `img2gps.reasons.REASONS` and the particulars."""

    reason: str
    detail: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The EXIF of one photo. Times: `gps_time` is aware (UTC); `local_time` is naive, with its offset where written.

    `traits` are those of `img2gps.types.Photo`. `CLOCK_DOUBTFUL`: an offset is written that cannot be read, so no zone
    may replace it. `STAMP_UNREADABLE`: a GPS time is written that is none. `position_source` says where the position
    stands; `moment_beside` is a time from beside the EXIF (naive where no offset is named), `moment_source` where that
    stands.
    """

    position: Position | PositionProblem
    position_source: Literal["exif", "xmp", "sidecar", "takeout"] = "exif"
    moment_beside: datetime | None = None
    moment_source: Literal["xmp", "sidecar", "takeout"] | None = None
    accuracy_m: float | None = None
    dop: float | None = None
    heading_deg: float | None = None
    heading_ref: HeadingRef | None = None
    altitude_m: float | None = None
    gps_time: datetime | None = None
    local_time: datetime | None = None
    utc_offset_min: int | None = None
    gps_status: str | None = None
    gps_method: str | None = None
    traits: tuple[str, ...] = ()
    make: str | None = None
    model: str | None = None
    serial: str | None = None
