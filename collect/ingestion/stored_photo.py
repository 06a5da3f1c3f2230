"""A photo as a dataset stores it: what a second reading of its file changes."""

import dataclasses
from typing import Any, Final

from collect.validation.timeline import has_own_times
from img2gps.types import Photo

__all__ = ["refreshed"]

_TIMES: Final = ("captured_at", "utc_offset_min", "time_source")
_TIME_FACTS: Final = ("clock_local", "clock_offset_min", "gps_at", "traits")
_FIX_FACTS: Final = ("gps_status", "gps_method")
_HEADING: Final = ("heading_deg", "declination_deg")


def refreshed(stored: Photo, read: Photo) -> Photo:
    """Return a stored photo with what its file says now of its time, its fix and a magnetic heading.

    Its position and its place in a split stay: only corrections change them.
    """
    after = dataclasses.replace(stored, **_facts_read(stored, read))
    return after if has_own_times(after) else dataclasses.replace(after, **_times_read(stored, read))


def _facts_read(stored: Photo, read: Photo) -> dict[str, Any]:
    """Return what was read of a stored photo's file now; what somebody else gave of its position and heading stays."""
    names = [*_TIME_FACTS]
    if read.gps_source == stored.gps_source == "exif":
        names += _FIX_FACTS
    if read.heading_ref == stored.heading_ref == "M":
        names += _HEADING
    return {name: getattr(read, name) for name in names}


def _times_read(stored: Photo, read: Photo) -> dict[str, Any]:
    """Return the time of a photo whose file has none, as labels or other files give it now, if they do."""
    if read.captured_at is None or stored.time_source == "labels":
        return {}
    names = [*_TIMES, "fix_age_s"] if read.gps_source == stored.gps_source else _TIMES
    return {name: getattr(read, name) for name in names}
