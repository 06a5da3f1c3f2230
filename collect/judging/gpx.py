"""Positions from a GPX track, for photos taken while a logger ran."""

import bisect
import dataclasses
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from collect.reading.facts import Position
from img2gps.errors import NotFoundError, UsageError
from img2gps.files import sha256_bytes
from img2gps.text import safe_path, safe_text

__all__ = ["MAX_GAP_S", "Track", "read_track"]

MAX_GAP_S: Final = 5.0
"""A photo further than this from a track point on either side gets no position: a walker is some 7 m on by then."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Track:
    """Timed points in order of time: seconds since 1970, degrees. `clock_offset_s` is added to the photos' clock."""

    times_s: tuple[float, ...]
    lons: tuple[float, ...]
    lats: tuple[float, ...]
    clock_offset_s: float = 0.0
    sha256: str = ""

    def at(self, captured_at: datetime, *, by_camera: bool = True) -> Position | None:
        """Return the position at a moment, interpolated linearly between the neighbours that are near enough.

        The offset of the camera's clock is added where the moment is `by_camera`, not where a satellite gave it.
        """
        moment_s = captured_at.timestamp() + (self.clock_offset_s if by_camera else 0.0)
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
        lon = self.lons[first] + share * step_deg
        return Position(
            lon=lon if abs(lon) <= 180 else lon - math.copysign(360.0, lon),
            lat=self.lats[first] + share * (self.lats[last] - self.lats[first]),
        )


def read_track(path: Path, *, clock_offset_s: float = 0.0) -> Track:
    """Return the timed points of all tracks of a GPX file. Raises NotFoundError or UsageError."""
    import gpxpy
    from gpxpy.gpx import GPXException

    try:
        content = path.read_bytes()
        document = gpxpy.parse(content.decode("utf-8-sig"))
    except FileNotFoundError as error:
        raise NotFoundError(f"No track {safe_path(path)}: check the path given to --gpx.") from error
    except (OSError, UnicodeDecodeError, GPXException, ValueError) as error:
        reason = safe_text(str(error).splitlines()[0]) if str(error) else type(error).__name__
        raise UsageError(f"{safe_path(path)} is not a readable GPX track ({reason}): export it as GPX 1.1.") from error
    points = {
        _utc(point.time).timestamp(): (float(point.longitude), float(point.latitude))
        for point in document.walk(only_points=True)
        if point.time is not None
    }
    if not points:
        raise UsageError(f"{safe_path(path)} holds no track point with a time: export the track, not the route.")
    times = sorted(points)
    return Track(
        times_s=tuple(times),
        lons=tuple(points[time][0] for time in times),
        lats=tuple(points[time][1] for time in times),
        clock_offset_s=clock_offset_s,
        sha256=sha256_bytes(content),
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
