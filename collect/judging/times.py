"""When a photo was taken: GPS time, else local time with its offset, else local time in the site's zone, else none.

Never the machine's zone. Which one was used is kept beside the time.
"""

import dataclasses
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from collect.reading.facts import Facts
from img2gps.types import Photo, TimeSource

__all__ = ["CaptureTime", "by_new_zone", "capture_time", "local_to_utc"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaptureTime:
    """`captured_at` in UTC; `fix_age_s` is the camera's clock minus the GPS time, where both are known."""

    captured_at: datetime | None = None
    utc_offset_min: int | None = None
    source: TimeSource | None = None
    fix_age_s: float | None = None


def capture_time(facts: Facts, zone: ZoneInfo | None) -> CaptureTime:
    """Return the time of a photo at a site whose clocks follow `zone` (None: unknown)."""
    by_clock = _by_clock(facts, zone)
    if facts.gps_time is None:
        return by_clock
    age_s = None if by_clock.captured_at is None else (by_clock.captured_at - facts.gps_time).total_seconds()
    offset_min = by_clock.utc_offset_min
    if offset_min is None and zone is not None:
        offset_min = _offset_min(facts.gps_time.astimezone(zone))
    return CaptureTime(captured_at=facts.gps_time, utc_offset_min=offset_min, source="gps", fix_age_s=age_s)


def local_to_utc(local: datetime, zone: tzinfo) -> datetime:
    """Return a naive local time in UTC; of the two moments of an hour repeated in autumn, the first."""
    return local.replace(tzinfo=zone).astimezone(UTC)


def by_new_zone(photo: Photo, old: ZoneInfo | None, new: ZoneInfo) -> Photo:
    """Return a stored photo as a site whose clocks follow `new` and no longer `old` (None: unknown) would time it.

    One without a time stays as it is: what its clock showed is not stored.
    """
    if photo.captured_at is None:
        return photo
    offset_min, shown = photo.utc_offset_min, _offset_min(photo.captured_at.astimezone(new))
    if photo.time_source == "site_zone" and offset_min is not None:
        captured_at = local_to_utc(photo.captured_at.replace(tzinfo=None) + timedelta(minutes=offset_min), new)
        return dataclasses.replace(
            photo, captured_at=captured_at, utc_offset_min=_offset_min(captured_at.astimezone(new))
        )
    if offset_min is None:
        return dataclasses.replace(photo, utc_offset_min=shown)
    if old is None or photo.fix_age_s is None or offset_min != _offset_min(photo.captured_at.astimezone(old)):
        return photo
    # the offset may be the camera's own: then the clocks of camera and GPS agree by it, and not by the new zone
    fix_age_s = photo.fix_age_s + 60.0 * (offset_min - shown)
    if abs(fix_age_s) >= abs(photo.fix_age_s):
        return photo
    return dataclasses.replace(photo, utc_offset_min=shown, fix_age_s=fix_age_s)


def _by_clock(facts: Facts, zone: ZoneInfo | None) -> CaptureTime:
    if facts.local_time is None:
        return CaptureTime(utc_offset_min=facts.utc_offset_min)
    if facts.utc_offset_min is not None:
        captured_at = facts.local_time.replace(tzinfo=UTC) - timedelta(minutes=facts.utc_offset_min)
        return CaptureTime(captured_at=captured_at, utc_offset_min=facts.utc_offset_min, source="exif_offset")
    if zone is None:
        return CaptureTime()
    captured_at = local_to_utc(facts.local_time, zone)
    return CaptureTime(
        captured_at=captured_at, utc_offset_min=_offset_min(captured_at.astimezone(zone)), source="site_zone"
    )


def _offset_min(moment: datetime) -> int:
    offset = moment.utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 60)
