"""Spellings of days, clock times and offsets in EXIF texts: what has one meaning is read, all else is no time.

EXIF wants ``2024:06:12 10:15:30`` and ``-04:00`` (CIPA DC-008, "Exif 2.32", 4.6.5). Phones and editors also write ISO
8601, slashes, words for the half of the day, and zones inside the time.
"""

import dataclasses
import re
import unicodedata
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

__all__ = ["ClockTime", "clock_text", "is_blank", "read_clock", "read_day", "read_offset"]

_YEARS: Final = range(1970, 2100)
_LONGEST_EAST_MIN, _LONGEST_WEST_MIN = 14 * 60, 12 * 60
_SEPARATOR: Final = r"\s*[-:/.]\s*"
_YEAR_FIRST: Final = re.compile(rf"(\d{{4}}){_SEPARATOR}(\d{{1,2}}){_SEPARATOR}(\d{{1,2}})(?!\d)")
_YEAR_LAST: Final = re.compile(rf"(\d{{1,2}}){_SEPARATOR}(\d{{1,2}}){_SEPARATOR}(\d{{4}})(?!\d)")
_COMPACT: Final = re.compile(r"(\d{4})(\d{2})(\d{2})(?=\D|\d{6}|$)")
_ZONE: Final = r"(?P<zone>z|(?:utc|gmt)?\s*[+-]\s*\d{1,2}(?::?\d{2})?|utc|gmt)?"
_TIME: Final = re.compile(
    r"[\s,t]*(?P<before>[^\W\d][^\d]*?)?\s*(?P<hour>\d{1,2}):\s?(?P<minute>\d{1,2})(?::\s?(?P<second>\d{1,2})?)?"
    rf"(?:[.,](?P<fraction>\d+))?\s*(?P<after>[^\W\d][^\d+]*?)??\s*{_ZONE}\W*"
)
_COMPACT_TIME: Final = re.compile(
    rf"[\s,t]*(?P<hour>\d{{2}})(?P<minute>\d{{2}})(?P<second>\d{{2}})(?:[.,](?P<fraction>\d+))?\s*{_ZONE}\W*"
)
_OFFSET: Final = re.compile(r"(?:utc|gmt)?\s*([+-])\s*(\d{1,2})(?::?(\d{2}))?(?::00)?")
_MINUSES: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"))
_MORNING: Final = frozenset(
    "am 上午 凌晨 清晨 早上 早晨 오전 午前 ص صباحا sa dop öö πμ пп рано पूर्वाह्न".split()  # noqa: SIM905
)
_AFTERNOON: Final = frozenset(
    "pm 下午 傍晚 오후 午後 م مساء ch odp ös μμ πμμ अपराह्न".split()  # noqa: SIM905
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClockTime:
    """A naive local time, and the offset from UTC in minutes that its own text names, where it does."""

    local: datetime
    offset_min: int | None = None


def clock_text(value: Any) -> str:
    """Return the text of a tag up to its first NUL; Pillow hands UTF-8 and GB 18030 out as Latin-1."""
    if not isinstance(value, str | bytes):
        return ""
    text = _decoded(value) if isinstance(value, bytes) or not value.isascii() else value
    text = unicodedata.normalize("NFKC", text.split("\0", 1)[0][:100]).translate(_MINUSES)
    return text.strip().lower()


def _decoded(text: str | bytes) -> str:
    try:
        raw = text.encode("latin-1") if isinstance(text, str) else text
    except UnicodeEncodeError:  # it was decoded right already
        return str(text)
    raw = raw.split(b"\0", 1)[0]
    for encoding in ("utf-8", "gb18030"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    return raw.decode("latin-1")


def is_blank(text: str) -> bool:
    """Return whether a text says "unknown" as EXIF does: blanks, with or without the colons between them."""
    return not text.strip(" :\t")


def read_day(text: str) -> tuple[date, int] | None:
    """Return the day that a text begins with, and where its text ends; None where its order leaves a doubt.

    The year comes first, or last where only one of the other two numbers can be the month.
    """
    match = _YEAR_FIRST.match(text) or _COMPACT.match(text)
    if match is not None:
        year, month, day = (int(part) for part in match.groups())
    else:
        match = _YEAR_LAST.match(text)
        if match is None:
            return None
        first, second, year = (int(part) for part in match.groups())
        if first != second and first <= 12 and second <= 12:
            return None
        day, month = (first, second) if second <= 12 else (second, first)
    try:
        return date(year, month, day), match.end()
    except ValueError:
        return None


@lru_cache(maxsize=32)  # a photo tells the same time in several tags
def read_clock(text: str) -> ClockTime | None:
    """Return the time that a text of `clock_text` spells, or None where it is none or could mean two things.

    Second 60 is the next minute's first. Hour 24 is the first hour of the day named, as phones wrote it whose clock
    counts from 1 to 24. 24:00:00 is no time: it is the end of that day by ISO 8601, and its beginning by those phones.
    """
    day = read_day(text)
    if day is None or day[0].year not in _YEARS:
        return None
    match = _TIME.fullmatch(text, day[1]) or _COMPACT_TIME.fullmatch(text, day[1])
    if match is None:
        return None
    parts = match.groupdict()
    hour = _hour(int(parts["hour"]), [mark for mark in (parts.get("before"), parts.get("after")) if mark])
    minute, second = int(parts["minute"]), int(parts["second"] or 0)
    if hour is None or minute > 59 or second > 60:
        return None
    if hour == 24:
        if not (minute or second):
            return None
        hour = 0
    moment = datetime(day[0].year, day[0].month, day[0].day, hour, minute) + timedelta(seconds=second)
    fraction = (parts["fraction"] or "0")[:6].ljust(6, "0")
    offset_min = read_offset(parts["zone"]) if parts["zone"] else None
    if parts["zone"] and offset_min is None:
        return None
    return ClockTime(local=moment.replace(microsecond=int(fraction)), offset_min=offset_min)


def _hour(hour: int, marks: list[str]) -> int | None:
    """Return the hour from 0 to 24; a word for the half of the day must not contradict an hour of 24."""
    if hour > 24 or len(marks) > 1:
        return None
    if not marks:
        return hour
    word = re.sub(r"[\W_]", "", marks[0]) if marks[0].isascii() else marks[0].replace(".", "").strip()
    if word in _MORNING:
        return None if hour > 12 else hour % 12
    if word in _AFTERNOON:
        return None if hour in (0, 24) else hour % 12 + 12
    return None


def read_offset(text: str) -> int | None:
    """Return an offset from UTC in minutes, or None where a text of `clock_text` names none, or one that nobody has."""
    if text in ("z", "utc", "gmt"):
        return 0
    match = _OFFSET.fullmatch(text)
    if match is None:
        return None
    minutes = int(match[3] or 0)
    offset = int(match[2]) * 60 + minutes
    if minutes > 59:
        return None
    if match[1] == "-":
        return -offset if offset <= _LONGEST_WEST_MIN else None
    return offset if offset <= _LONGEST_EAST_MIN else None
