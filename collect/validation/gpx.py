"""Positions from tracks, for photos taken while a logger ran. Never a place between two tracks."""

import bisect
import dataclasses
import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from collect.reading.facts import Position
from collect.validation.track_file import Segment, read_segments
from img2gps.files import canonical_json, sha256_bytes

__all__ = ["MAX_GAP_S", "Fix", "Track", "Tracks", "read_track", "read_tracks"]

MAX_GAP_S: Final = 5.0
"""A photo further than this from a track point on either side gets no position: a walker is some 7 m on by then."""
_FASTEST_M_S: Final = 20.0
"""Points that lie farther apart are of two receivers, merged into one line: between them nobody was."""
_M_PER_DEG: Final = 111_320.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """One unbroken line of timed points in order: seconds since 1970, degrees. `clock_offset_s` as in `Tracks`.

    `source` names the track for a person; a receiver that paused left several lines of one source.
    """

    times_s: tuple[float, ...]
    lons: tuple[float, ...]
    lats: tuple[float, ...]
    clock_offset_s: float = 0.0
    sha256: str = ""
    source: str = ""

    def at(self, captured_at: datetime, *, by_camera: bool = True) -> Position | None:
        """Return the position at a moment, interpolated linearly between the neighbours that are near enough.

        The offset of the camera's clock is added where the moment is `by_camera`, not where a satellite gave it.
        """
        found = self.near(captured_at.timestamp() + (self.clock_offset_s if by_camera else 0.0))
        return found.position if found else None

    def near(self, moment_s: float) -> "Fix | None":
        """Return the position at a moment in seconds since 1970, and how far the nearest point is from it in time."""
        after = bisect.bisect_left(self.times_s, moment_s)
        near = [
            at
            for at in (after - 1, after)
            if 0 <= at < len(self.times_s) and abs(self.times_s[at] - moment_s) <= MAX_GAP_S
        ]
        if not near:
            return None
        first, last = near[0], near[-1]
        span_s = self.times_s[last] - self.times_s[first]
        share = (moment_s - self.times_s[first]) / span_s if span_s > 0 else 0.0
        step_deg = self.lons[last] - self.lons[first]
        if abs(step_deg) > 180:  # across the line where -180 follows 180
            step_deg -= math.copysign(360.0, step_deg)
        east = step_deg * math.cos(math.radians(self.lats[first]))
        if math.hypot(east, self.lats[last] - self.lats[first]) * _M_PER_DEG > _FASTEST_M_S * span_s:
            share = float(share > 0.5)  # the nearer point in time
        lon = self.lons[first] + share * step_deg
        position = Position(
            lon=lon if abs(lon) <= 180 else lon - math.copysign(360.0, lon),
            lat=self.lats[first] + share * (self.lats[last] - self.lats[first]),
        )
        return Fix(position=position, gap_s=min(abs(self.times_s[at] - moment_s) for at in near), source=self.source)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """A position, the seconds to the nearest point it comes from, and the track."""

    position: Position
    gap_s: float
    source: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tracks:
    """The lines of all tracks of all files. `clock_offset_s` is added to the photos' clock."""

    lines: tuple[Track, ...]
    clock_offset_s: float = 0.0
    sha256: str = ""
    notes: tuple[str, ...] = ()

    def at(self, captured_at: datetime, *, by_camera: bool = True) -> Position | None:
        """Return the position at a moment on the line whose points are nearest in time; of equals, the first."""
        found = self.fixes(captured_at, by_camera=by_camera)
        return found[0].position if found else None

    def fixes(self, captured_at: datetime, *, by_camera: bool = True) -> list[Fix]:
        """Return what each track says of a moment, the nearest in time first, one fix a track."""
        moment_s = captured_at.timestamp() + (self.clock_offset_s if by_camera else 0.0)
        nearest: dict[str, Fix] = {}
        for line in self.lines:
            found = line.near(moment_s)
            if found and (line.source not in nearest or found.gap_s < nearest[line.source].gap_s):
                nearest[line.source] = found
        return sorted(nearest.values(), key=lambda fix: fix.gap_s)


def read_tracks(paths: Sequence[Path], *, clock_offset_s: float = 0.0) -> Tracks:
    """Return the timed lines of GPX and KML files. Raises NotFoundError or UsageError."""
    lines: list[Track] = []
    notes: list[str] = []
    hashes: list[str] = []
    for path in paths:
        read = read_segments(path)
        lines += [_line(segment) for segment in read.segments]
        notes += read.notes
        hashes.append(read.sha256)
    digest = hashes[0] if len(hashes) == 1 else sha256_bytes(canonical_json(sorted(hashes)))
    return Tracks(lines=tuple(lines), clock_offset_s=clock_offset_s, sha256=digest, notes=tuple(notes))


def read_track(path: Path, *, clock_offset_s: float = 0.0) -> Tracks:
    """Return the timed lines of one file. Raises NotFoundError or UsageError."""
    return read_tracks([path], clock_offset_s=clock_offset_s)


def _line(segment: Segment) -> Track:
    times, lons, lats = zip(*segment.points, strict=True)
    return Track(times_s=times, lons=lons, lats=lats, source=segment.source)
