"""The offset of a camera's clock from photos without a position: the walker stood still to take them."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from collect.validation.gpx import Tracks
from collect.validation.stops import IntArray, Stops, find_stops, stretches_of
from img2gps.geo import FloatArray
from img2gps.text import format_count

__all__ = ["offset_of_stops"]

_LEAST: Final = 6  # photos at different stops
_COVERED: Final = 0.8  # of the photos that must lie on a track by their times
_LOOKED_AT: Final = 0.4  # an offset that leaves more of them outside may be the true one, and is a rival all the same
_BURST_S: Final = 3  # photos that follow each other this fast are one
_MOST: Final = 150  # photos that are looked at, evenly chosen: more make it slow and no surer
_MOST_OFFSETS: Final = 200_000  # seconds: two days
_MOST_S: Final = 3_000_000  # of all tracks together: a month
_CHANCE: Final = math.log(1e4)  # odds, in logarithms, against chance and
_RIVAL: Final = math.log(1e3)  # against every other offset that is
_RIVAL_S: Final = 8  # this far away; none of them may have
_RIVAL_SHARE: Final = 0.5  # of the best score: even intervals score well a stop earlier or later, too
_AT_STOPS: Final = (0.6, 0.9)  # shares of the photos that may have been taken at stops
_SURE: Final = math.log(100)  # offsets that are less likely than the best by this are outside of the tolerance
_BEST_S: Final = 3.0  # where in a stop photos are taken is nobody's rule
_WORST_S: Final = 6.0
_TOO_LONG: Final = "the tracks are too long to look for the photos' stops in them (give those of the walk)"


def offset_of_stops(tracks: Tracks, clocks_s: Sequence[float]) -> tuple[float | None, str]:
    """Return the seconds to add to photos' times (since 1970) that bring them onto stops of a track, or None; and why.

    The score of an offset is the sum of log(1 - q + q * ratio) over its photos, each stop counted once. `Stops` has the
    ratio, and q is the share of photos taken at stops. For photos that have nothing to do with the track, exp(score) is
    1 in the mean. So, by Markov's inequality, one of K offsets reaches log(K) + x with a probability of exp(-x) at
    most: a score beyond that is no chance. Rivals are the scores that the same track gives for other offsets.
    """
    stretches = stretches_of(tracks.lines)
    if sum(stretch.length_s for stretch in stretches) > _MOST_S:
        return None, _TOO_LONG
    readings = [stops for stops in find_stops(stretches) if stops.count >= _LEAST]
    if not readings:
        return None, f"the track has fewer than {_LEAST} stops"
    clocks = _occasions(clocks_s)
    if len(clocks) < _LEAST:
        return None, f"{format_count(len(clocks), 'moment')} of photos cannot tell its stops ({_LEAST} are needed)"
    offsets, covered = _possible(readings[0], clocks)
    if not len(offsets) or covered.max() < _COVERED * len(clocks):
        return None, f"no offset brings {_COVERED:.0%} of the photos into the time of the track"
    if len(offsets) > _MOST_OFFSETS:
        return None, _TOO_LONG
    scores, hits = _scores(readings, clocks, offsets)
    return _told(offsets, covered, scores, hits, photos=len(clocks))


def _told(
    offsets: IntArray, covered: IntArray, scores: FloatArray, hits: IntArray, *, photos: int
) -> tuple[float | None, str]:
    best = int(scores.argmax())
    near = np.abs(offsets - offsets[best]) <= _RIVAL_S
    if hits[best] < _LEAST or scores[best] < math.log(len(offsets)) + _CHANCE:
        return None, (
            "no offset brings clearly more photos onto stops of the track than chance does "
            f"(the best {hits[best]} of {photos})"
        )
    if covered[best] < _COVERED * photos:
        return None, f"only {covered[best]} of {photos} photos lie in the time of the track by its best offset"
    rivals = np.where(near, -np.inf, scores)
    if rivals.max() > min(scores[best] - _RIVAL, scores[best] * _RIVAL_SHARE):
        other = offsets[int(rivals.argmax())]
        return None, f"both {offsets[best]} s and {other} s bring the photos onto stops of the track"
    weights = np.where(near, np.exp(scores - scores[best]), 0.0)
    found_s = float(np.sum(weights * offsets) / weights.sum())
    sure = offsets[near & (scores > scores[best] - _SURE)]
    spread_s = max(_BEST_S, float(np.abs(sure - found_s).max()))
    if spread_s > _WORST_S:
        return None, f"the stops tell the offset, near {found_s:.0f} s, only to {spread_s:.0f} s"
    return found_s, (
        f"--clock-offset auto found {found_s:.0f} s, give or take {spread_s:.0f} s, from where the walker stood still. "
        f"{hits[best]} of {photos} moments of photos then fall onto stops of the track, each onto another one."
    )


def _occasions(clocks_s: Sequence[float]) -> IntArray:
    """Return when photos were taken, in order, in whole seconds, bursts as one."""
    clocks = np.unique(np.round(np.array(clocks_s, dtype=np.float64)).astype(np.int64))
    kept = clocks[np.diff(clocks, prepend=-np.inf) > _BURST_S]
    return kept[np.linspace(0, len(kept) - 1, min(len(kept), _MOST)).round().astype(np.int64)]


def _possible(stops: Stops, clocks: IntArray) -> tuple[IntArray, IntArray]:
    """Return the offsets, in whole seconds, by which photos lie on a track, and how many, shapes (K,)."""
    breaks = np.flatnonzero(np.diff(stops.seconds) != 1)
    starts = stops.seconds[np.concatenate([[0], breaks + 1])]
    ends = stops.seconds[np.concatenate([breaks, [len(stops.seconds) - 1]])] + 1
    changes, at = np.unique(
        np.concatenate([np.subtract.outer(starts, clocks).ravel(), np.subtract.outer(ends, clocks).ravel()]),
        return_inverse=True,
    )
    signs = np.repeat([1, -1], len(starts) * len(clocks))
    covered = np.cumsum(np.bincount(at, weights=signs, minlength=len(changes)))
    enough = np.flatnonzero(covered[:-1] >= _LOOKED_AT * len(clocks))
    lengths = changes[enough + 1] - changes[enough]
    if lengths.sum() > _MOST_OFFSETS:
        return np.arange(_MOST_OFFSETS + 1), np.full(_MOST_OFFSETS + 1, len(clocks))
    ranges = [np.arange(changes[n], changes[n + 1]) for n in enough]
    offsets = np.concatenate(ranges) if ranges else np.empty(0, np.int64)
    return offsets, np.repeat(covered[enough].astype(np.int64), lengths)


def _scores(readings: Sequence[Stops], clocks: IntArray, offsets: IntArray) -> tuple[FloatArray, IntArray]:
    """Return the score of each offset, and how many photos the most telling reading brings onto different stops.

    Both have shape (K,). The readings and shares of photos at stops are taken together as alike likely beforehand.
    """
    every: list[FloatArray] = []
    hits: list[IntArray] = []
    for stops in readings:
        scores, onto = _score(stops, clocks, offsets)
        every += scores
        hits += [onto] * len(scores)
    together = np.logaddexp.reduce(np.stack(every), axis=0) - math.log(len(every))
    best = np.argmax(np.stack(every), axis=0)
    return together, np.stack(hits)[best, np.arange(len(offsets))]


def _score(stops: Stops, clocks: IntArray, offsets: IntArray) -> tuple[list[FloatArray], IntArray]:
    """Return the score of each offset, for each share of photos at stops, and how many fall onto different stops.

    A photo that no track covers tells nothing, and so does another one of the same stop.
    """
    gains = [np.log((1 - share) + share * stops.ratio) for share in _AT_STOPS]
    scores = [np.zeros(len(offsets)) for _ in gains]
    hits = np.zeros(len(offsets), dtype=np.int64)
    before = np.full(len(offsets), -1, dtype=np.int64)
    for clock in clocks:
        moments = offsets + clock
        at = np.minimum(np.searchsorted(stops.seconds, moments), len(stops.seconds) - 1)
        covered = stops.seconds[at] == moments
        stop = np.where(covered, stops.stop[at], -1)
        again = (stop >= 0) & (stop == before)
        for score, gain in zip(scores, gains, strict=True):
            score += np.where(covered & ~again, gain[at], 0.0)
        hits += (stop >= 0) & ~again
        before = np.where(stop >= 0, stop, before)
    return scores, hits
