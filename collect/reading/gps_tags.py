"""The GPS tags of an EXIF block (CIPA DC-008, "Exif 2.32", 4.6.6): numbers checked, hemispheres never guessed."""

import math
import re
from typing import Any, Final

from PIL.ExifTags import GPS

from collect.reading.facts import Position, PositionProblem
from img2gps.exif import Tags, tag_text
from img2gps.text import safe_text
from img2gps.types import HeadingRef

__all__ = ["altitude_of", "heading_of", "method_of", "number", "position_of", "positive", "status_of"]

_AXES: Final = (
    ("latitude", GPS.GPSLatitude, GPS.GPSLatitudeRef, {"N": 1.0, "S": -1.0, "NORTH": 1.0, "SOUTH": -1.0}),
    ("longitude", GPS.GPSLongitude, GPS.GPSLongitudeRef, {"E": 1.0, "W": -1.0, "EAST": 1.0, "WEST": -1.0}),
)
# Datums (and two deliberate distortions) that lie 10 to 800 m off WGS 84; what else is written means WGS 84, or a datum
# within metres of it (NAD83, ETRS89, GDA94, JGD2000).
_OTHER_DATUM: Final = re.compile(
    r"TOKYO|NAD27|NORTHAMERICAN1927|ED50|EUROPEAN1950|OSGB|AGD66|AGD84|PULKOVO|BEIJING|BJ54|XIAN80|GCJ02|BD09|NZGD49|DHDN"
)
NULL_ISLAND_DEG: Final = 0.01


def position_of(gps: Tags) -> Position | PositionProblem:
    """Return the position of a GPS IFD, or the reason why it gives none."""
    raw = {name: gps.get(tag) for name, tag, _, _ in _AXES}
    missing = [name for name, value in raw.items() if value is None]
    if missing:
        written = "has neither latitude nor longitude" if len(missing) == 2 else f"lacks the {missing[0]}"
        return PositionProblem(reason="no_gps", detail=f"the GPS block {written}" if gps else "")
    if all(_blanked(value) for value in raw.values()):
        return PositionProblem(reason="gps_redacted", detail="latitude and longitude are 0/0")
    datum = tag_text(gps.get(GPS.GPSMapDatum)) or ""
    if _OTHER_DATUM.search(re.sub(r"[\W_]", "", datum.upper())):
        return PositionProblem(reason="gps_not_finite", detail=f"the map datum is {safe_text(datum)}, not WGS 84")
    degrees: list[float] = []
    for name, value in raw.items():
        parsed = _degrees(value)
        if isinstance(parsed, str):
            return PositionProblem(reason="gps_not_finite", detail=f"{name}: {parsed}")
        degrees.append(parsed)
    if all(value < NULL_ISLAND_DEG for value in degrees):
        # whatever the hemispheres are, it is the same place
        return PositionProblem(reason="null_island", detail=f"lat {degrees[0]:g}, lon {degrees[1]:g}")
    return _signed(gps, degrees)


def _signed(gps: Tags, degrees: list[float]) -> Position | PositionProblem:
    signed: list[float] = []
    for value, (name, _, ref_tag, signs) in zip(degrees, _AXES, strict=True):
        ref = (tag_text(gps.get(ref_tag)) or "").upper()
        if ref not in signs:
            written = f"{name} ref is {safe_text(repr(ref))}" if ref else f"no {name} ref"
            return PositionProblem(reason="gps_ref_missing", detail=written)
        signed.append(value * signs[ref])
    return Position(lon=signed[1], lat=signed[0])


def _blanked(value: Any) -> bool:
    """Return whether every part of a coordinate is 0/0: Android overwrites the bytes of the values with zeros."""
    parts = value if isinstance(value, tuple) else (value,)
    return bool(parts) and all(_denominator(part) == 0 and not getattr(part, "numerator", 1) for part in parts)


def _denominator(part: Any) -> Any:
    return getattr(part, "denominator", None)


def _degrees(value: Any) -> float | str:
    """Return degrees, minutes, seconds as degrees, or what is wrong with them."""
    if not isinstance(value, tuple) or len(value) != 3:
        return "not three numbers"
    parts = [number(part) for part in value]
    if any(part is None for part in parts):
        return "not a number"
    whole, minutes, seconds = (part for part in parts if part is not None)
    if min(whole, minutes, seconds) < 0:
        return "a negative number, so that its hemisphere is in doubt"
    if minutes > 60 or seconds > 60:  # 60 itself is how some writers round
        return f"{minutes:g} minutes, {seconds:g} seconds"
    return whole + minutes / 60 + seconds / 3600


def heading_of(gps: Tags) -> tuple[float | None, HeadingRef | None]:
    """Return GPSImgDirection in degrees in [0, 360), and whether it counts from true (T) or magnetic (M) north."""
    heading = number(gps.get(GPS.GPSImgDirection))
    if heading is None or not 0 <= heading <= 360:
        return None, None
    ref = (tag_text(gps.get(GPS.GPSImgDirectionRef)) or "").upper()
    return heading % 360, "T" if ref == "T" else "M" if ref == "M" else None


def altitude_of(gps: Tags) -> float | None:
    """Return GPSAltitude in metres, negative below sea level."""
    altitude = number(gps.get(GPS.GPSAltitude))
    if altitude is None:
        return None
    ref = gps.get(GPS.GPSAltitudeRef, 0)
    below = ref in (1, b"\x01", (1,), 3, b"\x03")
    return -altitude if below else altitude


def status_of(gps: Tags) -> str | None:
    """Return GPSStatus: A where the receiver had a fix, V (void) where it says itself that it had none."""
    status = (tag_text(gps.get(GPS.GPSStatus)) or "").upper()
    return {"A": "A", "ACTIVE": "A", "V": "V", "VOID": "V"}.get(status)


def method_of(gps: Tags) -> str | None:
    """Return GPSProcessingMethod in capitals (GPS, NETWORK, CELLID ...), without the prefix of its encoding."""
    raw = gps.get(GPS.GPSProcessingMethod)
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "replace")
    if not isinstance(raw, bytes):
        return None
    prefix = raw[:8].rstrip(b"\0 ").upper()
    body = raw[8:] if prefix in (b"ASCII", b"UNICODE", b"JIS", b"") else raw
    if prefix == b"UNICODE":
        body = body.replace(b"\0", b"")  # of UTF-16 the letters
    text = re.sub(r"[^A-Z0-9+,/_-]+", " ", body.decode("ascii", "ignore").upper()).strip()
    return text[:40] or None


def number(value: Any) -> float | None:
    """Return a finite float, or None for whatever is none (x/0, text, several values)."""
    if isinstance(value, str | bytes | bool):
        return None
    try:
        result = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return result if math.isfinite(result) else None


def positive(value: Any) -> float | None:
    """Return a finite float above zero, or None: phones write 0 for "unknown"."""
    result = number(value)
    return result if result is not None and result > 0 else None
