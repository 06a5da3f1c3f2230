"""GPSDateStamp and GPSTimeStamp as a time in UTC, in any spelling that has one meaning."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from PIL.ExifTags import GPS

from collect.reading.gps_tags import number
from img2gps.clock import clock_text, is_blank, read_clock, read_day
from img2gps.exif import Tags

__all__ = ["has_stamp", "stamp_of"]

_YEARS: Final = range(1980, 2100)  # GPS began in January 1980
_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{1,2}):(\d{1,2}(?:\.\d+)?)\s*(?:z|utc)?")


def has_stamp(gps: Tags) -> bool:
    """Return whether both the day and the clock of a GPS time are written, whatever they say."""
    return not is_blank(clock_text(gps.get(GPS.GPSDateStamp))) and gps.get(GPS.GPSTimeStamp) not in (None, "", ())


def stamp_of(gps: Tags) -> datetime | None:
    """Return the time of the fix in UTC, to the millisecond; None where a part is missing or has no single meaning."""
    day, seconds = _day_of(clock_text(gps.get(GPS.GPSDateStamp))), _seconds_of(gps.get(GPS.GPSTimeStamp))
    if day is None or seconds is None or day.year not in _YEARS:
        return None
    return day + timedelta(milliseconds=round(seconds * 1000))


def _day_of(text: str) -> datetime | None:
    """Return the day of a stamp; a clock behind it is that of GPSTimeStamp once more, if it is one at all."""
    day = read_day(text)
    if day is None or not (day[1] == len(text) or read_clock(text) is not None):
        return None
    return datetime(day[0].year, day[0].month, day[0].day, tzinfo=UTC)


def _seconds_of(stamp: Any) -> float | None:
    """Return the seconds since midnight of three numbers or of a text such as 18:05:28."""
    if isinstance(stamp, str | bytes):
        match = _CLOCK.fullmatch(clock_text(stamp))
        stamp = tuple(float(part) for part in match.groups()) if match else None
    if not isinstance(stamp, tuple) or len(stamp) != 3:
        return None
    parts = [part for part in map(number, stamp) if part is not None]
    if len(parts) != 3:
        return None
    hours, minutes, seconds = parts
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds <= 60):
        return None
    return hours * 3600 + minutes * 60 + seconds
