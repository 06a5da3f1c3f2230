"""What a track did for photos without a position, in words: what placed nothing and why, and where two disagree."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from collect.validation.gpx import MAX_GAP_S, Tracks
from img2gps.geo import geodesic_m
from img2gps.text import agree, format_count, safe_text
from img2gps.types import Photo

__all__ = ["BY_CAMERA", "Unplaced", "track_notes"]

BY_CAMERA: Final = ("exif_offset", "site_zone")
"""The sources of a capture time that are the camera's clock."""

_ROUND_S: Final = (3600, 900)  # an hour is a time zone, a quarter the least of one


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unplaced:
    """A photo without a position: when it was taken (UTC), by which clock, by which device.

    `is_zoneless` where all that is known of the time is a clock's in an unknown zone.
    """

    captured_at: datetime | None
    by_camera: bool
    device: str
    is_zoneless: bool = False


def track_notes(tracks: Tracks, photos: Sequence[Photo], unplaced: Sequence[Unplaced]) -> list[str]:
    """Return sentences about accepted `photos` and those that stayed without a position."""
    placed = [photo for photo in photos if photo.gps_source == "gpx" and photo.captured_at is not None]
    used: Counter[str] = Counter()
    apart_m: list[float] = []
    for photo in placed:
        assert photo.captured_at is not None
        fixes = tracks.fixes(photo.captured_at, by_camera=photo.time_source in BY_CAMERA)
        used.update(fix.source for fix in fixes[:1])
        if len(fixes) > 1:
            first = fixes[0].position
            spots = [fix.position for fix in fixes[1:]]
            apart_m.append(max(float(geodesic_m(first.lon, first.lat, spot.lon, spot.lat)) for spot in spots))
    notes = list(tracks.notes)
    if apart_m:
        notes.append(
            f"{format_count(len(apart_m), 'photo')} {agree(len(apart_m), 'lies', 'lie')} at a time of several tracks, "
            f"up to {max(apart_m):,.0f} m apart: the track with the nearer point in time stands."
        )
    offset_s = tracks.clock_offset_s
    moments = [
        photo.captured_at.timestamp() + (offset_s if photo.time_source in BY_CAMERA else 0.0)
        for photo in placed
        if photo.captured_at is not None
    ]
    moments += [
        photo.captured_at.timestamp() + (offset_s if photo.by_camera else 0.0)
        for photo in unplaced
        if photo.captured_at is not None
    ]
    timeless = [photo for photo in unplaced if photo.captured_at is None]
    return [*notes, *_idle(tracks, used, moments, timeless)]


def _idle(tracks: Tracks, used: Counter[str], moments: list[float], timeless: Sequence[Unplaced]) -> Iterator[str]:
    """Yield why each file that placed no photo did not."""
    spans: dict[str, list[float]] = {}
    for line in tracks.lines:
        spans.setdefault(_file(line.source), []).extend((line.times_s[0], line.times_s[-1]))
    busy = {_file(source) for source in used}
    for file, times in spans.items():
        if file in busy or not (moments or timeless):
            continue
        start, end = min(times), max(times)
        text = f"{safe_text(file)} places no photo: it runs from {_utc(start)} to {_utc(end)}"
        if not moments:
            yield f"{text}, and {_timeless(timeless)}"
            continue
        first, last = min(moments), max(moments)
        text += f", the photos without a position from {_utc(first)} to {_utc(last)}"
        if first <= end + MAX_GAP_S and start - MAX_GAP_S <= last:
            yield f"{text}, but none is within {MAX_GAP_S:g} s of a point of it."
        else:
            shift_s = _meeting_s(start, end, first, last)
            total_s = tracks.clock_offset_s + shift_s
            yield (
                f"{text}. With --clock-offset {total_s:.0f} they would meet ({_hours(shift_s)}): "
                "check the camera's clock and its time zone, or let --clock-offset auto look for it."
            )


def _timeless(photos: Sequence[Unplaced]) -> str:
    zoneless = sum(photo.is_zoneless for photo in photos)
    if not zoneless:
        return f"the photos without a position ({len(photos):,}) have no time either."
    return (
        f"{format_count(zoneless, 'photo has', 'photos have')} a clock time of unknown zone and no position. Add "
        '"time_zone", such as "America/New_York", to the properties of the site file and give it with --site.'
    )


def _meeting_s(start: float, end: float, first: float, last: float) -> float:
    """Return the seconds to add to photos' times so that they lie on a track: whole hours or quarters, if any do."""
    low, high = sorted((start - first, end - last))
    for step in _ROUND_S:
        inside = (-(-low // step) * step, high // step * step)
        nearest = inside[0] if abs(inside[0]) <= abs(inside[1]) else inside[1]
        if low <= nearest <= high:
            return float(nearest)
    return float(round(low if abs(low) <= abs(high) else high))


def _file(source: str) -> str:
    return source.rpartition(", track ")[0]


def _utc(moment_s: float) -> str:
    return f"{datetime.fromtimestamp(moment_s, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _hours(seconds: float) -> str:
    hours, rest = divmod(abs(round(seconds)), 3600)
    minutes, left = divmod(rest, 60)
    parts = [f"{hours:,} h"] if hours else []
    parts += [f"{minutes} min"] if minutes else []
    parts += [f"{left} s"] if left or not parts else []
    return f"{' '.join(parts)} {'later' if seconds > 0 else 'earlier'}"
