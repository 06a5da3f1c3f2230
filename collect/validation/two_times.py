"""The camera's clock beside the GPS's stamp: whether the two contradict each other, how, and which is believed.

An old fix is no contradiction: its stamp lies seconds to hours before the clock, and nothing else explains the
distance. These are contradictions (docs/reference/positions-and-times.md has the table):

- a whole number of 1,024 weeks (the week counter of the GPS has ten bits, IS-GPS-200, 20.3.3.3.1.1);
- the camera's own offset (a stamp in local time), or a day (a local day with the clock of UTC);
- a stamp ahead of the clock, or half a day and more behind it;
- a clock that was never set, or a stamp of zeros.
"""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

__all__ = ["DISAGREEMENTS", "STALE_AGE_S", "ClockComparison", "Kind", "compare", "is_never_set"]

Kind = Literal["weeks", "zone", "day", "ahead", "far", "unset", "stamp", "clock"]

DISAGREEMENTS: Final[dict[Kind, str]] = {
    "weeks": "GPS times 1,024 weeks (or a multiple) off the camera's clock: an old receiver's week counter ran over",
    "zone": "GPS times a time zone off the camera's clock: one of the two was written in another zone",
    "day": "GPS times a day off the camera's clock: a local day was written as the day of the GPS",
    "ahead": "GPS times ahead of the camera's clock: no fix is younger than its photo",
    "far": "GPS times and camera clocks half a day or more apart, without an explanation",
    "unset": "camera clocks that were never set, beside a GPS time",
    "stamp": "GPS times that are zero or cannot be read",
    "clock": "no GPS time of their own, beside photos of the walk whose GPS times and clock differ",
}
"""What people read of each kind; ``clock`` comes from the photos around (`collect.validation.sequence`)."""

STALE_AGE_S: Final = 10.0
_WEEKS_S: Final = 1024 * 7 * 86_400.0
_DAY_S: Final = 86_400.0
_HOUR_S: Final = 3_600.0
_HALF_HOUR_S: Final = 1_800.0
_WIDEST_ZONE_S: Final = 14 * 3_600.0
_OLDEST_FIX_S: Final = 12 * 3_600.0
_SLOW_CLOCK_S: Final = 300.0
_REST_S: Final = (-60.0, 300.0)  # a fix this old, or a clock this slow, hides no shift by a zone or a day
_FIRST_CAMERA_YEAR: Final = 1990
_FIRST_PHONE_YEAR: Final = 2003
_FIRST_STAMP_YEAR: Final = 1995
_RESET: Final = timedelta(days=2)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClockComparison:
    """`kind` is None where the times agree, or the fix is merely old. `age_s` is the fix's age, its shift taken off."""

    believed: Literal["gps", "clock"]
    kind: Kind | None = None
    age_s: float | None = None
    weeks: int = 0


def compare(
    *,
    local: datetime,
    clock: datetime | None,
    offset_min: int | None,
    gps: datetime,
    is_vouched: bool,
    is_trusted: bool,
) -> ClockComparison:
    """Return which of two times is believed.

    `local` is the clock's naive time, `clock` the same in UTC (None: its zone is unknown), `offset_min` what was taken
    off for that. `is_vouched` where a fix of a photo beside it agrees with the clock, `is_trusted` also where the file
    names the offset.
    """
    if clock is None:
        return _without_zone(local, gps)
    ahead_s = (clock - gps).total_seconds()
    weeks = round(ahead_s / _WEEKS_S)
    if weeks and abs(ahead_s - weeks * _WEEKS_S) <= _WIDEST_ZONE_S:
        return ClockComparison(believed="clock", kind="weeks", age_s=ahead_s - weeks * _WEEKS_S, weeks=weeks)
    if is_never_set(local, gps) and not is_vouched:
        return ClockComparison(believed="gps", kind="unset")
    if gps.year < _FIRST_STAMP_YEAR or (_is_midnight(gps) and abs(ahead_s) > STALE_AGE_S):
        return ClockComparison(believed="clock", kind="stamp")
    is_local_day = gps.date() == local.date() != clock.date()
    return _shifted(ahead_s, 60.0 * (offset_min or 0), is_trusted=is_trusted, is_local_day=is_local_day)


def is_never_set(local: datetime, gps: datetime | None = None) -> bool:
    """Return whether a naive local time is that of a clock that started from nothing; a later `gps` may show it."""
    if local.year < _FIRST_CAMERA_YEAR:
        return True
    since_new_year = local - datetime(local.year, 1, 1)
    if gps is None or local.replace(tzinfo=UTC) > gps - timedelta(days=30):
        return local.year in (1990, 2000) and since_new_year < timedelta(days=1)
    return local.year < _FIRST_PHONE_YEAR or since_new_year < _RESET


def _without_zone(local: datetime, gps: datetime) -> ClockComparison:
    ahead_s = (local.replace(tzinfo=UTC) - gps).total_seconds()
    weeks = round(ahead_s / _WEEKS_S)
    if weeks and abs(ahead_s - weeks * _WEEKS_S) <= _WIDEST_ZONE_S + _DAY_S:
        return ClockComparison(believed="gps", kind="weeks", weeks=weeks)
    if is_never_set(local, gps):
        return ClockComparison(believed="gps", kind="unset")
    if abs(ahead_s) > _WIDEST_ZONE_S + _OLDEST_FIX_S:
        return ClockComparison(believed="gps", kind="far")
    return ClockComparison(believed="gps")


def _shifted(ahead_s: float, offset_s: float, *, is_trusted: bool, is_local_day: bool) -> ClockComparison:
    """Return the comparison of times less than some years apart; `ahead_s` is clock minus GPS.

    `is_local_day` where the day of the stamp is the clock's and not that of UTC: then it is the stamp that is wrong.
    """
    believed: Literal["gps", "clock"] = "clock" if is_trusted else "gps"
    if abs(ahead_s) <= STALE_AGE_S:
        return ClockComparison(believed="gps", age_s=ahead_s)
    for day_s in (_DAY_S, -_DAY_S):
        if _is_rest(ahead_s - day_s):
            by_day: Literal["gps", "clock"] = "clock" if is_local_day else believed
            return ClockComparison(believed=by_day, kind="day", age_s=ahead_s - day_s)
    zone_s = _zone_shift(ahead_s, offset_s, is_trusted=is_trusted)
    if zone_s is not None:
        return ClockComparison(believed=believed, kind="zone", age_s=ahead_s - zone_s)
    if ahead_s > _OLDEST_FIX_S:
        return ClockComparison(believed=believed, kind="far")
    if ahead_s > 0:
        return ClockComparison(believed="gps", age_s=ahead_s)
    slow = ahead_s >= -_SLOW_CLOCK_S
    kind: Kind = "ahead" if ahead_s >= -_OLDEST_FIX_S else "far"
    return ClockComparison(believed="gps" if slow else believed, kind=kind)


def _zone_shift(ahead_s: float, offset_s: float, *, is_trusted: bool) -> float | None:
    """Return the shift that a zone explains: of a trusted clock its own offset, else whole half hours of any zone.

    Its own offset less an hour is that of its winter. An hour alone may be any other mistake.
    """
    winter_s = offset_s - _HOUR_S
    own = [shift for shift in (-offset_s, offset_s) if shift]
    own += [shift for shift in (-winter_s, winter_s) if abs(shift) > _HOUR_S]
    known = next((shift for shift in own if _is_rest(ahead_s - shift)), None)
    if is_trusted or known is not None:
        return known
    shift = _HALF_HOUR_S * round(ahead_s / _HALF_HOUR_S)
    return shift if 2 * _HALF_HOUR_S <= abs(shift) <= 2 * _WIDEST_ZONE_S and _is_rest(ahead_s - shift) else None


def _is_rest(seconds: float) -> bool:
    return _REST_S[0] <= seconds <= _REST_S[1]


def _is_midnight(gps: datetime) -> bool:
    return (gps.hour, gps.minute, gps.second, gps.microsecond) == (0, 0, 0, 0)
