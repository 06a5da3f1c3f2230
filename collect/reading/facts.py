"""What a photo's EXIF says, after parsing and before any judgement."""

import dataclasses
from datetime import datetime

from img2gps.types import HeadingRef

__all__ = ["Facts", "Position", "PositionProblem"]


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
    """The EXIF of one photo. Times: `gps_time` is aware (UTC); `local_time` is naive, with its offset where written."""

    position: Position | PositionProblem
    accuracy_m: float | None = None
    dop: float | None = None
    heading_deg: float | None = None
    heading_ref: HeadingRef | None = None
    altitude_m: float | None = None
    gps_time: datetime | None = None
    local_time: datetime | None = None
    utc_offset_min: int | None = None
    make: str | None = None
    model: str | None = None
    serial: str | None = None
