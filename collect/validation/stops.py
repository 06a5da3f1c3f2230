"""Where a track stands still, and how much likelier a photo is at each second of a stop than anywhere else."""

import dataclasses
import itertools
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from collect.validation.gpx import Track
from img2gps.geo import FloatArray, LocalFrame

__all__ = ["IntArray", "Stops", "Stretch", "find_stops", "stretches_of"]

IntArray = npt.NDArray[np.int64]

_WINDOWS_S: Final = (2, 4, 7)  # the speed is the slope of the places this long before and after
_SLOW: Final = (0.25, 0.45, 0.65)  # of the usual speed: a quiet receiver, and one that sways or blurs short stops
_MOVES_M_S: Final = 0.4  # what is slower is no walk: it is left out of the usual speed
_SHORTEST_S: Final = 3
_EDGE_S: Final = 1  # a stop's ends are known to this
_LONGEST_PAUSE_S: Final = 600.0  # receivers that pause by themselves end a segment at each stop
_BLIND_S: Final = 30.0  # over a longer gap with a walk in it, nobody knows where the walker stood


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """One reading of where the walkers stood: the seconds that tracks cover (since 1970, rising), shape (T,).

    For each, `stop` is the number of the stop, -1 in motion. `ratio` is how much likelier a photo taken at a stop is
    there than at a random second. Such a photo chooses any of the `count` stops alike, and then a second of it. So a
    short stop tells much and a long rest next to nothing. The ratio is 1 in the mean, and 0 in motion.
    """

    seconds: IntArray
    ratio: FloatArray
    stop: IntArray
    count: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Points of one receiver without a long break: seconds since 1970, rising, and degrees, all of shape (N,)."""

    times_s: FloatArray
    lons: FloatArray
    lats: FloatArray

    @property
    def length_s(self) -> float:
        """How long it took."""
        return float(self.times_s[-1] - self.times_s[0])


def stretches_of(lines: Sequence[Track]) -> list[Stretch]:
    """Return the lines, those of one receiver joined where it only paused, and parted where it was off for long."""
    found: list[Stretch] = []
    chain: list[Track] = []
    for line in sorted(lines, key=lambda line: (line.source, line.times_s[0])):
        if chain and (line.source != chain[-1].source or line.times_s[0] <= chain[-1].times_s[-1]):
            found += _parted(chain)
            chain = []
        chain.append(line)
    return [*found, *(_parted(chain) if chain else [])]


def _parted(chain: Sequence[Track]) -> Iterator[Stretch]:
    times = np.concatenate([line.times_s for line in chain])
    lons = np.concatenate([line.lons for line in chain])
    lats = np.concatenate([line.lats for line in chain])
    ends = [0, *(np.flatnonzero(np.diff(times) > _LONGEST_PAUSE_S) + 1).tolist(), len(times)]
    for start, end in itertools.pairwise(ends):
        yield Stretch(times_s=times[start:end], lons=lons[start:end], lats=lats[start:end])


def find_stops(stretches: Sequence[Stretch]) -> list[Stops]:
    """Return readings of where the walkers stood still, from strict to generous. Those without a stop are left out."""
    found: list[Stops] = []
    for window_s in _WINDOWS_S:
        told = [found_pace for stretch in stretches if (found_pace := _pace(stretch, window_s)) is not None]
        if not told:
            continue
        every = np.concatenate([seconds for seconds, _ in told])
        paces = np.concatenate([pace for _, pace in told])
        order = np.argsort(every, kind="stable")
        seconds, first = np.unique(every[order], return_index=True)
        slowest = np.maximum.reduceat(paces[order], first)  # of several receivers at one time, all must stand
        found += [_weighed(seconds, slowest < slow) for slow in _SLOW]
    return [stops for stops in found if stops.count]


def _weighed(seconds: IntArray, slow: npt.NDArray[np.bool_]) -> Stops:
    stop = np.full(len(seconds), -1, dtype=np.int64)
    count = 0
    for start, end in _runs(seconds, slow):
        if end - start < _SHORTEST_S:
            continue
        low, high = max(start - _EDGE_S, 0), min(end + _EDGE_S, len(seconds))
        if (low and stop[low - 1] >= 0) or stop[low] >= 0:  # ends that touch are one stop
            stop[low:high] = count - 1
        else:
            stop[low:high] = count
            count += 1
    lengths = np.bincount(stop[stop >= 0], minlength=count)
    ratio = np.zeros(len(seconds))
    ratio[stop >= 0] = (len(seconds) / max(count, 1) / np.maximum(lengths, 1))[stop[stop >= 0]]
    return Stops(seconds=seconds, ratio=ratio, stop=stop, count=count)


def _runs(seconds: IntArray, slow: npt.NDArray[np.bool_]) -> Iterator[tuple[int, int]]:
    """Yield the first and the last position (exclusive) of each run of slow seconds without a hole."""
    broken = np.flatnonzero((np.diff(slow.astype(np.int8)) != 0) | (np.diff(seconds) != 1)) + 1
    ends = [0, *broken.tolist(), len(seconds)]
    yield from ((start, end) for start, end in itertools.pairwise(ends) if slow[start])


def _pace(stretch: Stretch, window_s: int) -> tuple[IntArray, FloatArray] | None:
    """Return the seconds of a receiver and the speed at each as a share of the usual one; None where nobody walked.

    Seconds of which it tells nothing are left out.
    """
    times = stretch.times_s
    seconds = np.arange(np.ceil(times[0]), np.floor(times[-1]) + 1).astype(np.int64)
    if len(seconds) <= 4 * window_s:
        return None
    frame = LocalFrame(origin_lon=float(stretch.lons[0]), origin_lat=float(stretch.lats[0]))
    places = frame.to_local(stretch.lons, stretch.lats)
    speed = np.hypot(*(_slope(np.interp(seconds, times, axis), window_s) for axis in places))
    moving = speed[speed > _MOVES_M_S]
    if not len(moving):
        return None
    pace = speed / float(np.median(moving))
    gap = np.clip(np.searchsorted(times, seconds, side="right"), 1, len(times) - 1)
    told = (np.diff(times)[gap - 1] <= _BLIND_S) | (pace < _SLOW[0])
    return seconds[told], pace[told]


def _slope(values: FloatArray, window_s: int) -> FloatArray:
    """Return the slope of the straight line through the values around each second, by least squares."""
    steps = np.arange(-window_s, window_s + 1, dtype=np.float64)
    padded = np.pad(values, window_s, mode="reflect", reflect_type="odd")
    return np.convolve(padded, steps[::-1] / np.sum(steps**2), mode="valid")
