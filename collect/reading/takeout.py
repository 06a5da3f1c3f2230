"""What Google Takeout's JSON says of a photo: its place (0, 0 is none) and its time, which is UTC."""

import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from collect.reading.facts import Position

__all__ = ["MAX_JSON_BYTES", "read_takeout", "takeout_position", "takeout_time", "takeout_title"]

MAX_JSON_BYTES: Final = 1024 * 1024
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_YEARS: Final = range(1990, 2100)


def read_takeout(content: bytes) -> dict[str, Any] | None:
    """Return the JSON of a photo, None where it is another's (an album's, another program's). Raises ValueError."""
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error
    known = isinstance(document, dict) and any(key in document for key in ("photoTakenTime", "geoData", "geoDataExif"))
    return document if known else None


def takeout_position(document: dict[str, Any]) -> Position | None:
    """Return where Google says that the photo was taken, else where its EXIF said it."""
    for key in ("geoData", "geoDataExif"):
        place = document.get(key)
        lat, lon = (
            (_number(place.get(axis)) for axis in ("latitude", "longitude"))
            if isinstance(place, dict)
            else (None, None)
        )
        if lat is not None and lon is not None and (lat, lon) != (0.0, 0.0):
            return Position(lon=lon, lat=lat)
    return None


def takeout_time(document: dict[str, Any]) -> datetime | None:
    """Return when the photo was taken, in UTC."""
    taken = document.get("photoTakenTime")
    seconds = _number(taken.get("timestamp")) if isinstance(taken, dict) else None
    try:
        moment = _EPOCH + timedelta(seconds=seconds) if seconds else None
    except OverflowError:
        return None
    return moment if moment is not None and moment.year in _YEARS else None


def takeout_title(document: dict[str, Any]) -> str:
    """Return the photo's original name."""
    title = document.get("title")
    return title if isinstance(title, str) else ""


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
