"""What an XMP packet says: a flat reading of its properties (ISO 16684-1, "XMP part 1"), their namespaces kept.

Untrusted text: a document type (and with it any entity) ends the reading, and so do its size and its depth.
"""

import math
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Final
from xml.parsers import expat

from collect.reading.facts import Position, PositionProblem
from img2gps.text import safe_text

__all__ = ["MAX_XMP_BYTES", "XmpError", "moment_of", "position_in", "read_xmp"]

MAX_XMP_BYTES: Final = 4 * 1024 * 1024
_MAX_DEPTH: Final = 64
_MAX_VALUES: Final = 50_000
_EXIF: Final = "http://ns.adobe.com/exif/1.0/"
_TIMES: Final = (
    f"{_EXIF} DateTimeOriginal",
    "http://ns.adobe.com/photoshop/1.0/ DateCreated",
    "http://ns.adobe.com/xap/1.0/ CreateDate",
)
_AXES: Final = (("latitude", "GPSLatitude", "NS"), ("longitude", "GPSLongitude", "EW"))
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_COORDINATE: Final = re.compile(r"([NSEW]?)\s*([+-]?)\s*([\d.,;:°'\"′″\s]+?)\s*([NSEW]?)", re.IGNORECASE)
_WHEN: Final = re.compile(
    r"(\d{4})[-:](\d\d)[-:](\d\d)[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?\s*(?:(Z)|([+-])(\d\d):?(\d\d))?"
)
_YEARS: Final = range(1990, 2100)
Properties = dict[str, str]


class XmpError(ValueError):
    """A packet that cannot be read; its text says why."""


def read_xmp(packet: bytes) -> Properties:
    """Return the simple properties of a packet by ``NAMESPACE NAME``, attributes and elements alike; the first stands.

    Raises XmpError where it is no XML, or made to keep its readers busy.
    """
    if len(packet) > MAX_XMP_BYTES:
        raise XmpError(f"over {MAX_XMP_BYTES // 2**20} MiB")
    reader = _Reader()
    try:
        is_utf16 = packet[:2] in (b"\xff\xfe", b"\xfe\xff")
        reader.parse(packet if is_utf16 else packet.strip(b" \t\r\n\0"))
    except expat.ExpatError as error:
        raise XmpError(safe_text(str(error))) from error
    return reader.properties


class _Reader:
    """The handlers of one parse."""

    def __init__(self) -> None:
        self.properties: Properties = {}
        self._open: list[str] = []
        self._text: list[str] = []

    def parse(self, packet: bytes) -> None:
        """Read a packet. Raises XmpError or ExpatError."""
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        parser.Parse(packet, True)

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._open.append(name)
        self._text.clear()
        if len(self._open) > _MAX_DEPTH or len(self.properties) > _MAX_VALUES:
            raise XmpError("nested too deep, or too much of it")
        for attribute, value in attributes.items():
            self.properties.setdefault(attribute, value.strip())

    def _end(self, name: str) -> None:
        self._open.pop()
        text = "".join(self._text).strip()
        if text:
            self.properties.setdefault(name, text)
        self._text.clear()


def _refuse(*_: object) -> None:
    raise XmpError("it declares a document type")


def position_in(properties: Properties) -> Position | PositionProblem | None:
    """Return the position that XMP gives, the reason why what it gives is none, or None where it gives nothing."""
    written = [properties.get(f"{_EXIF} {name}") for _, name, _ in _AXES]
    if not any(written):
        return None
    degrees = []
    for (axis, name, letters), text in zip(_AXES, written, strict=True):
        value = _degrees(text or "", letters, properties.get(f"{_EXIF} {name}Ref", ""))
        if isinstance(value, str):
            return PositionProblem(reason="gps_not_finite", detail=f"XMP {axis}: {value}")
        degrees.append(value)
    return Position(lon=degrees[1], lat=degrees[0])


def _degrees(text: str, letters: str, ref: str) -> float | str:
    """Return degrees from ``39,57.1N``, ``39,57,4N``, ``39.951N``, ``-75.19`` or the like, or what is wrong with it."""
    shown = safe_text(text, limit=40)
    match = _COORDINATE.fullmatch(text.strip())
    numbers = _NUMBER.findall(match[3]) if match else []
    if match is None or not 1 <= len(numbers) <= 3:
        return f"{shown} is no coordinate" if text else "it is missing"
    parts = [float(number) for number in numbers]
    if any(len(number.partition(".")[0]) > 2 for number in numbers[1:]):  # 012: a decimal comma, and no seconds
        return f"{shown} is no degrees and minutes"
    if any(part >= 60 for part in parts[1:]) or any("." in number for number in numbers[:-1]):
        return f"{shown} is no degrees and minutes"
    letter = (match[1] or match[4] or ref.strip()[:1]).upper()
    if (letter and letter not in letters) or (letter and match[2] == "-"):
        return f"{shown} has the hemisphere in doubt"
    if not letter and not match[2] and len(parts) > 1:
        return f"{shown} has no hemisphere"
    value: float = sum(part / math.pow(60, place) for place, part in enumerate(parts))
    return -value if letter in ("S", "W") or match[2] == "-" else value


def moment_of(properties: Properties) -> datetime | None:
    """Return when the photo was taken: naive where the packet names no offset, None where it names no time."""
    for name in _TIMES:
        match = _WHEN.fullmatch(properties.get(name, ""))
        if match is None or int(match[1]) not in _YEARS:
            continue
        try:
            moment = datetime(*(int(part or 0) for part in match.groups()[:6]))  # type: ignore[arg-type]  # six integers
            moment += timedelta(seconds=float(match[7] or 0))
            if match[8]:
                return moment.replace(tzinfo=UTC)
            if match[9]:
                minutes = int(match[10]) * 60 + int(match[11])
                return moment.replace(tzinfo=timezone(timedelta(minutes=-minutes if match[9] == "-" else minutes)))
        except ValueError:
            continue
        return moment
    return None
