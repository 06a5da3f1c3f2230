"""The offset of a camera's clock from a track: photos with positions of their own say when they were on it.

Where they cannot tell, the times at which the walker stood still may (see `collect.validation.stop_clock`).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from collect.validation.gpx import Tracks
from collect.validation.stop_clock import offset_of_stops
from collect.validation.unplaced import BY_CAMERA, Unplaced
from img2gps.geo import FloatArray, LocalFrame
from img2gps.text import format_count
from img2gps.types import Photo

__all__ = ["ClockOffset", "Witness", "find_clock_offset", "witnesses_of"]

_NEAR_M: Final = 25.0  # a phone's fix and a receiver's track agree within this
_FAR_M: Final = 50.0  # positions that lie farther from the track, in the median, contradict what its stops tell
_LEAST: Final = 3
_SHARE: Final = 0.7  # of the photos that must agree; positions of phones go wrong
_RIVAL: Final = 0.75  # another offset that explains this share of the best one's photos makes it doubtful
_RIVAL_S: Final = 30.0
_WORST_S: Final = 10.0
_DEVICES_AGREE_S: Final = 5.0
_REMEDY: Final = "give --clock-offset in seconds (photograph the receiver's clock, and compare)"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A photo with a position of its own: what its camera's clock said (seconds since 1970, UTC), degrees, device."""

    clock_s: float
    lon: float
    lat: float
    device: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClockOffset:
    """What was found: seconds to add to the camera's clock, or None and why not; `text` says it to a person."""

    offset_s: float | None
    text: str


def witnesses_of(photos: Sequence[Photo]) -> list[Witness]:
    """Return the photos whose EXIF gives a position and whose camera's clock is known, also beside a GPS time."""
    found = []
    for photo in photos:
        if photo.gps_source != "exif" or photo.captured_at is None:
            continue
        age_s = 0.0 if photo.time_source in BY_CAMERA else photo.fix_age_s if photo.time_source == "gps" else None
        if age_s is not None:
            clock_s = photo.captured_at.timestamp() + age_s
            found.append(Witness(clock_s=clock_s, lon=photo.lon, lat=photo.lat, device=photo.device))
    return found


def find_clock_offset(tracks: Tracks, witnesses: Sequence[Witness], unplaced: Sequence[Unplaced]) -> ClockOffset:
    """Return the offset of the clock of the cameras whose photos lack a position.

    Only photos of the same device testify: another camera's clock says nothing. Cameras that disagree are refused.
    Photos with positions go first; where they cannot tell, the stops of the tracks do.
    """
    wanted = sorted({photo.device for photo in unplaced if photo.captured_at is not None and photo.by_camera})
    if not wanted:
        why = "No photo without a position has a time" if _is_timeless(unplaced) else "No photo needs the track"
        return ClockOffset(offset_s=0.0, text=f"{why}, so the camera's clock was left as it is.")
    found: list[tuple[float, str]] = []
    for device in wanted:
        own = [witness for witness in witnesses if witness.device == device]
        moments = [
            photo.captured_at.timestamp()
            for photo in unplaced
            if photo.captured_at is not None and photo.by_camera and photo.device == device
        ]
        offset_s, text = _told(tracks, own, moments)
        if offset_s is None:
            return ClockOffset(offset_s=None, text=text)
        found.append((offset_s, text))
    offsets = [offset_s for offset_s, _ in found]
    if max(offsets) - min(offsets) > _DEVICES_AGREE_S:
        shown = " and ".join(f"{offset_s:.0f} s" for offset_s in sorted(offsets))
        return ClockOffset(offset_s=None, text=f"the clocks of the cameras differ ({shown}): ingest each by itself")
    return ClockOffset(offset_s=float(np.median(offsets)), text=found[0][1])


def _is_timeless(unplaced: Sequence[Unplaced]) -> bool:
    return bool(unplaced) and all(photo.captured_at is None for photo in unplaced)


def _told(tracks: Tracks, own: Sequence[Witness], moments: Sequence[float]) -> tuple[float | None, str]:
    """Return the offset (seconds) that a camera's photos tell, and how; None and why not.

    `own` have a position. `moments` are the times of those without: stops are looked for only where `own` cannot tell.
    """
    offset_s, text = _offset_of(tracks, own)
    if offset_s is not None:
        return offset_s, text
    stops_s, stops_text = offset_of_stops(tracks, [*moments, *(witness.clock_s for witness in own)])
    if stops_s is None:
        return None, f"{text}, and {stops_text}: {_REMEDY}"
    if len(own) >= _LEAST:
        lines, clocks, spots = _local(tracks, own)
        if _median_m(lines, clocks + stops_s, spots) > _FAR_M:
            return None, f"{text}, and the stops of the track tell {stops_s:.0f} s, which they contradict: {_REMEDY}"
    return stops_s, stops_text


def _local(
    tracks: Tracks, own: Sequence[Witness]
) -> tuple[list[tuple[FloatArray, FloatArray]], FloatArray, FloatArray]:
    """Return the tracks' times and places, and the photos' clocks and places, in seconds and local metres."""
    frame = LocalFrame(origin_lon=float(own[0].lon), origin_lat=float(own[0].lat))
    spots = np.stack(frame.to_local([w.lon for w in own], [w.lat for w in own]), axis=1)
    lines = [(np.array(line.times_s), np.stack(frame.to_local(line.lons, line.lats), axis=1)) for line in tracks.lines]
    return lines, np.array([w.clock_s for w in own]), spots


def _offset_of(tracks: Tracks, own: Sequence[Witness]) -> tuple[float | None, str]:
    if len(own) < _LEAST:
        count = format_count(len(own), "photo")
        return None, f"{count} of the camera have a position of their own, and {_LEAST} are needed"
    lines, clocks, spots = _local(tracks, own)
    candidates, support = _support(lines, clocks, spots)
    if not len(candidates) or support.max() < max(_LEAST, math.ceil(_SHARE * len(own))):
        best = int(support.max()) if len(support) else 0
        return None, (
            f"no offset brings the camera's photos onto the track (the best {best} of {len(own)}, within {_NEAR_M:g} m)"
        )
    best_s, error_m = _refined(lines, clocks, spots, candidates[support == support.max()])
    rivals = support[np.abs(candidates - best_s) > _RIVAL_S]
    if len(rivals) and rivals.max() >= _RIVAL * support.max():
        other = candidates[np.abs(candidates - best_s) > _RIVAL_S][int(rivals.argmax())]
        return None, f"both {best_s:.0f} s and {other:.0f} s bring the photos onto the track"
    spread_s = _spread(lines, clocks, spots, best_s, error_m)
    if spread_s > _WORST_S:
        return None, f"the offset is near {best_s:.0f} s, but only known to {spread_s:.0f} s"
    return best_s, (
        f"--clock-offset auto found {best_s:.0f} s, give or take {spread_s:.0f} s. {int(support.max())} of {len(own)} "
        f"photos with a position of their own then lie on the track, {error_m:.0f} m from it in the median."
    )


def _support(
    lines: Sequence[tuple[FloatArray, FloatArray]], clocks: FloatArray, spots: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return offsets in whole seconds and how many photos each of them brings near the track, both of shape (K,)."""
    votes: dict[int, set[int]] = {}
    for number, (clock_s, spot) in enumerate(zip(clocks, spots, strict=True)):
        for times, places in lines:
            near = times[np.hypot(*(places - spot).T) <= _NEAR_M]
            for offset in np.unique(np.round(near - clock_s)).astype(int).tolist():
                for late in range(-2, 3):  # points of a track lie seconds apart
                    votes.setdefault(offset + late, set()).add(number)
    offsets = sorted(votes)
    return np.array(offsets, dtype=np.float64), np.array([len(votes[offset]) for offset in offsets], dtype=np.float64)


def _refined(
    lines: Sequence[tuple[FloatArray, FloatArray]], clocks: FloatArray, spots: FloatArray, candidates: FloatArray
) -> tuple[float, float]:
    """Return the candidate (seconds) of the smallest median distance, and that distance (metres)."""
    errors = [_median_m(lines, clocks + offset, spots) for offset in candidates]
    at = int(np.argmin(errors))
    return float(candidates[at]), float(errors[at])


def _spread(
    lines: Sequence[tuple[FloatArray, FloatArray]],
    clocks: FloatArray,
    spots: FloatArray,
    best_s: float,
    error_m: float,
) -> float:
    """Return how many seconds the offset may be off before photos lie visibly farther from the track."""
    for step in range(1, 61):
        apart = [_median_m(lines, clocks + best_s + sign * step, spots) for sign in (-1, 1)]
        if min(apart) > error_m + max(2.0, 0.5 * error_m):
            return float(step)
    return math.inf


def _median_m(lines: Sequence[tuple[FloatArray, FloatArray]], times: FloatArray, spots: FloatArray) -> float:
    """Return the median distance from photos to where the track is at their times, infinite where it is not."""
    found = np.full(len(times), np.inf)
    for moments, places in lines:
        inside = (times >= moments[0] - 2) & (times <= moments[-1] + 2)
        walker = np.stack([np.interp(times, moments, places[:, axis]) for axis in (0, 1)], axis=1)
        found = np.where(inside, np.minimum(found, np.hypot(*(walker - spots).T)), found)
    return float(np.median(found))
