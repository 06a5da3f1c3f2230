"""Files of tracks: GPX of any version, encoding and prefix, and the tracks of KML."""

import dataclasses
import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element

from img2gps.clock import clock_text, read_clock
from img2gps.errors import NotFoundError, UsageError
from img2gps.files import sha256_bytes
from img2gps.text import agree, format_count, safe_path, safe_text
from img2gps.vector import kml_of_archive
from img2gps.xml import children, local_name, parse_xml, text_in

__all__ = ["Segment", "TrackFile", "read_segments"]

_MOST_BYTES: Final = 256 << 20
Point = tuple[float, float, float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Points of one receiver without a break: (seconds since 1970, lon, lat), in order of time."""

    source: str
    points: tuple[Point, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackFile:
    """The segments of a file, the hash of its bytes, and what a person should know of it."""

    segments: tuple[Segment, ...]
    sha256: str
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(slots=True, kw_only=True)
class _Count:
    """What was met while a file was read."""

    untimed: int = 0
    unread: int = 0
    naive: int = 0
    nowhere: int = 0


def read_segments(path: Path) -> TrackFile:
    """Return the segments of a GPX, KML or KMZ file that have times.

    Times without a zone are UTC, as GPX defines them, and a note says so. Raises NotFoundError, or UsageError where
    the file is none or holds no track with times.
    """
    where = safe_path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{where} is larger than {_MOST_BYTES >> 20} MiB: export the track of the walk alone.")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"No track {where}: check the path given to --gpx.") from error
    except OSError as error:
        raise UsageError(f"{where} is not a readable GPX track ({error.strerror}): export it as GPX 1.1.") from error
    document = kml_of_archive(content, where) if content[:4] == b"PK\x03\x04" else content
    root = parse_xml(document, where=where, kind="a GPX track")
    count = _Count()
    if local_name(root) == "kml":
        lines = [(number, points) for number, points in _kml_lines(root, where, count)]
    elif local_name(root) == "gpx":
        lines = [(number, points) for number, points in _gpx_lines(root, where, count)]
    else:
        name = safe_text(local_name(root), limit=40)
        raise UsageError(f"{where} is {name} XML, not a GPX track: export it as GPX 1.1.")
    segments = tuple(
        Segment(source=f"{path.name}, track {number}", points=run) for number, points in lines for run in _runs(points)
    )
    if not segments:
        raise UsageError(_nothing(root, where, count))
    return TrackFile(segments=segments, sha256=sha256_bytes(content), notes=tuple(_notes(where, count)))


def _gpx_lines(root: Element, where: str, count: _Count) -> Iterator[tuple[int, list[Point]]]:
    for number, track in enumerate(children(root, "trk"), start=1):
        for segment in children(track, "trkseg"):
            points = [
                (moment, *spot)
                for point in children(segment, "trkpt")
                if (moment := _moment(text_in(point, "time"), count)) is not None
                and (spot := _spot(point.get("lon"), point.get("lat"), count)) is not None
            ]
            yield number, points


def _kml_lines(root: Element, where: str, count: _Count) -> Iterator[tuple[int, list[Point]]]:
    tracks = (element for element in root.iter() if local_name(element) == "Track")
    for number, track in enumerate(tracks, start=1):
        times = [(element.text or "").strip() for element in children(track, "when")]
        spots = [(element.text or "").split() for element in children(track, "coord")]
        if len(times) != len(spots):
            raise UsageError(
                f"{where} has {len(times)} times for {len(spots)} places in a gx:Track: export it again as GPX 1.1."
            )
        yield (
            number,
            [
                (moment, *spot)
                for time, words in zip(times, spots, strict=True)
                if len(words) >= 2
                and (moment := _moment(time, count)) is not None
                and (spot := _spot(words[0], words[1], count)) is not None
            ],
        )


def _runs(points: Iterable[Point]) -> list[tuple[Point, ...]]:
    """Return points in runs of rising time: where time goes back, another recording was joined on."""
    runs: list[list[Point]] = []
    for point in points:
        if not runs or point[0] < runs[-1][-1][0]:
            runs.append([point])
        elif point[0] > runs[-1][-1][0]:
            runs[-1].append(point)
    return [tuple(run) for run in runs]


def _spot(lon: str | None, lat: str | None, count: _Count) -> tuple[float, float] | None:
    """Return degrees, None where a point has none: loggers write 0, 0 and NaN before their first fix."""
    try:
        east, north = float(lon or ""), float(lat or "")
    except ValueError:
        east = north = math.nan
    if abs(north) <= 90 and abs(east) <= 180 and (east, north) != (0.0, 0.0):  # false for NaN
        return east, north
    count.nowhere += 1
    return None


def _moment(text: str, count: _Count) -> float | None:
    """Return seconds since 1970, None where a point has no time that can be read."""
    if not text:
        count.untimed += 1
        return None
    try:
        moment = _datetime(text)
        if moment.tzinfo is None:
            count.naive += 1
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp()
    except (ValueError, OverflowError, OSError):
        count.unread += 1
        return None


def _datetime(text: str) -> datetime:
    """Return a time of ISO 8601, or in another spelling that has one meaning. Raises ValueError; a day is no time."""
    if ":" in text or "T" in text:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    read = read_clock(clock_text(text))
    if read is None:
        raise ValueError(text)
    zone = None if read.offset_min is None else timezone(timedelta(minutes=read.offset_min))
    return read.local.replace(tzinfo=zone)


def _notes(where: str, count: _Count) -> Iterator[str]:
    if count.naive:
        verbs = agree(count.naive, "names no zone and is", "name no zone and are")
        yield (
            f"{format_count(count.naive, 'time')} of {where} {verbs} read as UTC, as GPX defines them. "
            "If the logger wrote local time, give the difference with --clock-offset."
        )
    left = count.untimed + count.unread
    if left:
        verbs = agree(left, "has no time that can be read, and is", "have no time that can be read, and are")
        yield f"{format_count(left, 'point')} of {where} {verbs} left out."
    if count.nowhere:
        have, are = agree(count.nowhere, "has", "have"), agree(count.nowhere, "is", "are")
        points = format_count(count.nowhere, "point")
        yield f"{points} of {where} {have} no place (0, 0, or no degrees) and {are} left out."


def _nothing(root: Element, where: str, count: _Count) -> str:
    """Return why a file holds no track with times, and what to do."""
    found = {kind: sum(local_name(element) == kind for element in root.iter()) for kind in ("rtept", "wpt", "Point")}
    if count.nowhere:
        return f"{where} holds track points without lat and lon in degrees, and no others: export it again as GPX 1.1."
    if count.unread:
        return f"{where} holds no track point with a time that can be read: export it as GPX 1.1, times in UTC."
    if count.untimed:
        return f"{where} holds no track point with a time: export the recorded track with its times, not a planned one."
    if found["rtept"]:
        return f"{where} holds a route, which is a plan, and no track point with a time: export the recorded track."
    if found["wpt"] or found["Point"]:
        marks = format_count(found["wpt"] + found["Point"], "waypoint")
        return (
            f"{where} holds {marks} and no track point with a time: export the recorded track "
            "(`img2gps label --import` takes waypoints)."
        )
    return f"{where} holds no track point with a time: export the recorded track as GPX 1.1."
