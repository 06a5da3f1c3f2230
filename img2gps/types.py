"""The words of the project as types: a photo, a rejection."""

import dataclasses
from datetime import datetime
from typing import Literal

from img2gps.reasons import REASONS
from img2gps.site import SiteRelation

__all__ = ["GpsSource", "HeadingRef", "Photo", "Rejection", "SplitName", "TimeSource"]

GpsSource = Literal["exif", "xmp", "sidecar", "takeout", "labels", "gpx", "correction"]
HeadingRef = Literal["T", "M"]
SplitName = Literal["train", "val", "test", "excluded"]
TimeSource = Literal["gps", "exif_offset", "site_zone", "xmp", "sidecar", "takeout", "labels"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """An accepted image with a label: one row of the manifest (see `img2gps.manifest.COLUMNS`).

    `lon`, `lat` are degrees in EPSG:4326 as ingested; corrections are applied when a manifest is read
    as a frame. `id` is the SHA-256 of the source bytes, `photo_sha256` that of the working copy.

    What the file says of its time stays beside the result. `clock_local` is the camera's naive local time (ISO,
    fractions kept). `clock_offset_min` is the offset that the file itself names, `gps_at` the GPS's own UTC stamp.
    `gps_status` is A or V as written; `gps_method` is GPSProcessingMethod (GPS, NETWORK, CELLID, WLAN, MANUAL ...).
    `heading_deg` counts from true north where `declination_deg` was added to a magnetic one (`heading_ref` M); None
    where nothing was added. `traits` are what reading found about the picture that flags need, such as panorama.
    """

    id: str
    file_name: str
    photo_sha256: str
    lon: float
    lat: float
    gps_source: GpsSource
    width: int
    height: int
    phash: str
    source_name: str
    bytes: int
    site_relation: SiteRelation
    device: str
    flags: tuple[str, ...] = ()
    traits: tuple[str, ...] = ()
    gps_accuracy_m: float | None = None
    gps_dop: float | None = None
    gps_status: str | None = None
    gps_method: str | None = None
    captured_at: datetime | None = None
    utc_offset_min: int | None = None
    time_source: TimeSource | None = None
    clock_local: str | None = None
    clock_offset_min: int | None = None
    gps_at: datetime | None = None
    fix_age_s: float | None = None
    heading_deg: float | None = None
    heading_ref: HeadingRef | None = None
    declination_deg: float | None = None
    altitude_m: float | None = None
    make: str | None = None
    model: str | None = None
    walk: str = ""
    burst: str | None = None
    group: str = ""
    split: SplitName | None = None
    split_reason: str | None = None
    fold: int | None = None
    ingested_at: datetime | None = None
    ingest: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A file that was not accepted: where it is, the code of the reason, and the particulars."""

    path: str
    reason: str
    detail: str = ""

    def __post_init__(self) -> None:
        if self.reason not in REASONS:
            raise ValueError(f"{self.reason!r} is not a reason of img2gps.reasons.REASONS")

    @property
    def remedy(self) -> str:
        """What a person can do about it."""
        return REASONS[self.reason].remedy
