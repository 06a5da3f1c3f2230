"""When a photo was taken: GPS time, else local time with its offset, else local time in the site's zone, else none.

Never the machine's zone. Which one was used is kept beside the time. Where GPS and clock contradict each other, one
rule says which is believed (`collect.validation.two_times`).
"""

import dataclasses
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from collect.reading.facts import CLOCK_DOUBTFUL, STAMP_UNREADABLE, Facts
from collect.validation.sequence import Decision, TimeEvidence, decide
from collect.validation.timeline import has_own_times
from img2gps.types import Photo

__all__ = ["by_new_zone", "capture_time", "local_to_utc"]


def capture_time(facts: Facts, zone: ZoneInfo | None) -> Decision:
    """Return the time of a photo alone, at a site whose clocks follow `zone` (None: unknown).

    The photos around it may change that (`collect.validation.timeline`).
    """
    stamped = facts.gps_time is not None or STAMP_UNREADABLE in facts.traits
    evidence = TimeEvidence(
        local=facts.local_time,
        offset_min=facts.utc_offset_min,
        gps=facts.gps_time,
        is_doubtful=CLOCK_DOUBTFUL in facts.traits,
        is_stamped=stamped,
    )
    return decide([evidence], zone)[0]


def local_to_utc(local: datetime, zone: tzinfo) -> datetime:
    """Return a naive local time in UTC; of the two moments of an hour repeated in autumn, the first."""
    return local.replace(tzinfo=zone).astimezone(UTC)


def by_new_zone(photo: Photo, old: ZoneInfo | None, new: ZoneInfo) -> Photo:
    """Return a stored photo as a site whose clocks follow `new` and no longer `old` (None: unknown) would time it.

    What keeps its file's times is timed anew from them (`collect.validation.timeline`). Rows of before they were kept
    follow the zone by what they were timed with; those without a time stay as they are.
    """
    if photo.captured_at is None or has_own_times(photo):
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


def _offset_min(moment: datetime) -> int:
    offset = moment.utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 60)
