"""One cell as degrees: decimals with a point or a comma, degrees-minutes-seconds, hemisphere letters. Never a guess."""

import math
import re
from typing import Final, Literal

__all__ = ["Axis", "angle", "decimals", "hemisphere", "is_bare", "number"]

Axis = Literal["lat", "lon"]

_NUMBER: Final = r"\d+(?:[.,]\d+)?"
_LETTER: Final = r"north|south|east|west|[nsewo]"
_BEFORE: Final = rf"(?:(?P<before>{_LETTER})(?![a-z])\s*)?(?P<sign>[+-])?\s*"
_AFTER: Final = rf"\s*(?P<after>{_LETTER})?"
_DEGREES: Final = r"(?:°|degrees?|deg)"
_FORMS: Final = tuple(
    re.compile(_BEFORE + body + _AFTER, re.IGNORECASE)
    for body in (
        rf"(?P<d>{_NUMBER})\s*{_DEGREES}?",
        rf"(?P<d>\d+)(?:\s*{_DEGREES}\s*|\s*:\s*|\s+)(?P<m>{_NUMBER})\s*(?:'|min)?",
        rf"(?P<d>\d+)(?:\s*{_DEGREES}\s*|\s*:\s*|\s+)(?P<m>\d+)(?:\s*(?:'|min)\s*|\s*:\s*|\s+)(?P<s>{_NUMBER})"
        r"""\s*(?:"|sec)?""",
        rf"(?P<d>\d+)d\s*(?P<m>\d+)m\s*(?P<s>{_NUMBER})s",
    )
)
_PLAIN: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_MARKS: Final = str.maketrans({"−": "-", "–": "-", "º": "°", "˚": "°", "\u00a0": " ", "\u202f": " "} |
                              dict.fromkeys("’′´`‘", "'") | dict.fromkeys("″“”", '"'))  # fmt: skip
_SIGN: Final = {"n": 1, "s": -1, "e": 1, "w": -1}
_WORDS: Final = {
    "n": ("north", "nord", "norte", "noord"),
    "s": ("south", "süd", "sued", "sud", "sur", "sul", "zuid"),
    "e": ("east", "ost", "osten", "est", "este", "leste", "oost"),
    "w": ("west", "westen", "ouest", "oeste", "ovest"),
}
_OF_AXIS: Final = {"lat": "ns", "lon": "ew"}
_NAMES: Final = {"lat": "latitude", "lon": "longitude"}


def angle(cell: str, axis: Axis, letter: str = "") -> float:
    """Return a latitude or longitude in degrees; `letter` is a hemisphere from a column of its own.

    Raises ValueError with words that follow the cell, where it is none or can mean two places.
    """
    text = cell.strip().lstrip("'").translate(_MARKS).replace("''", '"')
    if _PLAIN.fullmatch(text):
        return _signed(abs(float(text)), text.startswith("-"), letter, axis)
    for form in _FORMS:
        found = form.fullmatch(text)
        if found:
            parts = found.groupdict()
            own = [hemisphere(mark, axis) for mark in (parts["before"], parts["after"]) if mark]
            letters = {*own, *([letter] if letter else [])}
            if len(letters) > 1:
                raise ValueError(f"names two hemispheres ({', '.join(sorted(letters)).upper()})")
            value = _sum(parts["d"], parts.get("m"), parts.get("s"))
            return _signed(value, parts["sign"] == "-", next(iter(letters), ""), axis)
    raise ValueError(f"is no {_NAMES[axis]}")


def is_bare(cell: str) -> bool:
    """Return whether a cell is in degrees and minutes without a sign or a letter: EXIF holds such anywhere."""
    text = cell.strip().lstrip("'").translate(_MARKS).replace("''", '"')
    if _PLAIN.fullmatch(text):
        return False
    found = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    parts = found.groupdict() if found else {}
    return bool(parts.get("m")) and not (parts["before"] or parts["after"] or parts["sign"])


def hemisphere(cell: str, axis: Axis) -> str:
    """Return ``n``, ``s``, ``e`` or ``w``. Raises ValueError where the word is none of `axis`, or means two."""
    word = cell.strip().casefold()
    letter = word if word in _SIGN else next((mark for mark, words in _WORDS.items() if word in words), "")
    if word == "o":
        raise ValueError("is no hemisphere that is known: O is east in German and west in French; write E or W")
    if not letter:
        raise ValueError("is no hemisphere: write N, S, E or W")
    if letter not in _OF_AXIS[axis]:
        raise ValueError(f"is no hemisphere of a {_NAMES[axis]}")
    return letter


def number(cell: str) -> float:
    """Return a plain number with a decimal point or comma, NaN where the cell is none."""
    text = cell.strip().lstrip("'").replace("\u00a0", "").replace("−", "-")
    if text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    try:
        return float(text)
    except ValueError:
        return math.nan


def decimals(cell: str) -> int | None:
    """Return how many decimals a cell of decimal degrees has, None where it is written otherwise."""
    found = re.fullmatch(r"\s*'?[+-]?\d+(?:[.,](\d+))?\s*[nsewNSEW]?\s*", cell)
    return len(found.group(1) or "") if found else None


def _signed(value: float, negative: bool, letter: str, axis: Axis) -> float:
    """Return degrees with the sign of a minus or of a letter, which must not contradict each other."""
    if not math.isfinite(value):
        raise ValueError(f"is no {_NAMES[axis]}")
    if value >= 1000:
        raise ValueError(f"is no {_NAMES[axis]} in degrees; coordinates of a map grid need a column epsg or utm_zone")
    if negative and letter and _SIGN[letter] > 0:
        raise ValueError(f"is negative, and its hemisphere is {letter.upper()}")
    return -value if negative or (letter and _SIGN[letter] < 0) else value


def _sum(degrees: str, minutes: str | None, seconds: str | None) -> float:
    d, m, s = (float((part or "0").replace(",", ".")) for part in (degrees, minutes, seconds))
    if m >= 60 or s >= 60:
        raise ValueError("holds 60 or more minutes or seconds")
    return d + m / 60 + s / 3600
