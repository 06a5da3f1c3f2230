"""What a walk's other photos say about one photo's label: a robust, smooth track without it.

Every walk is a Gaussian process over time, one for east and one for north. Its covariance is Matérn 3/2, because a
walker's position and speed are continuous. Every label is the track plus noise that is either ordinary or gross, a
two-part mixture. The prediction for a photo leaves out its whole run: photos within seconds of it with nearly the same
position. Such photos share their fix and would only confirm one another. A fix that has jumped away often stays there
for some photos. So the last step asks of every stretch of up to six photos whether one shared gross offset explains
them. Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), ch. 4.2.1 (Matérn) and 5.4.2 (leaving
out in closed form).
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray

__all__ = ["GROSS_M", "GROSS_SHARE", "TrackEvidence", "log_ratio", "track_evidence"]

GROSS_SHARE: Final = 0.05
"""The share of grossly wrong labels expected before anything is known about a photo."""

GROSS_M: Final = 70.0
"""How far a gross error reaches: its standard deviation per axis, in metres (80 m in the median)."""

_SPEEDS_M_S: Final = (0.6, 1.2)
_NOISES_M: Final = (3.0, 6.0, 11.0, 18.0)
_REVIEWED_NOISE_M: Final = 3.0
_ONE_POSITION_M: Final = 0.05
_SMALLEST_M: Final = 1.0
_ROUNDS: Final = 6
_SETTLED: Final = 0.01
_SETTLED_LOGIT, _CERTAIN = 0.5, 30.0
_LONGEST: Final = 6
_LENGTH_COST: Final = 0.7  # a stretch is half as likely to go on as to end
_RUN_S, _RUN_STEP_M = 20.0, 15.0
_CHUNK, _OVERLAP = 160, 24

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackEvidence:
    """For N photos of one walk, each array of shape (N,) but `expected_m` (N, 2, east and north metres).

    `distance_m` is from the label to where the rest of the walk expects it. `spread_m` is the standard deviation per
    axis of that expectation, including ordinary label noise (`noise_m`). `log_ratio` is the logarithm of how much more
    likely the label is under a gross error than under ordinary noise.
    """

    expected_m: FloatArray
    distance_m: FloatArray
    spread_m: FloatArray
    noise_m: FloatArray
    log_ratio: FloatArray


def track_evidence(time_s: FloatArray, position_m: FloatArray, reviewed: Flags) -> TrackEvidence:
    """Return the evidence for the photos of one walk, in ascending `time_s`, shape (N,).

    `position_m` has shape (N, 2): east and north metres. Labels that a person has looked at (`reviewed`) are trusted.
    Photos in a row on one position share one fix, and so one judgement. A walk of fewer than three fixes says
    nothing: its distances are zero and its ratios neutral.
    """
    fix = _fixes(time_s, position_m, reviewed)
    first = np.flatnonzero(np.diff(fix, prepend=-1))
    mean_time = np.bincount(fix, time_s, len(first)) / np.bincount(fix, minlength=len(first))
    fixes = mean_time, position_m[first], reviewed[first]
    parts = [_chunk(*fixes, *bounds) for bounds in _chunks(len(first))]
    names = [field.name for field in dataclasses.fields(TrackEvidence)]
    return TrackEvidence(**{name: np.concatenate([getattr(part, name) for part in parts])[fix] for name in names})


def log_ratio(distance_m: FloatArray, ordinary_m: FloatArray, gross_m: FloatArray) -> FloatArray:
    """Return log p(distance | gross) - log p(distance | ordinary) for two round Gaussians in the plane.

    All of shape (N,); `ordinary_m` and `gross_m` are standard deviations per axis.
    """
    ordinary, gross = ordinary_m**2, gross_m**2
    return distance_m**2 / 2 * (1 / ordinary - 1 / gross) - np.log(gross / ordinary)


def _chunks(count: int) -> list[tuple[int, int, int, int]]:
    """Return (from, to, first kept, last kept) of windows that overlap: the work grows with the walk, not its cube."""
    starts = range(0, max(count, 1), _CHUNK)
    return [(max(s - _OVERLAP, 0), min(s + _CHUNK + _OVERLAP, count), s, min(s + _CHUNK, count)) for s in starts]


def _chunk(
    time_s: FloatArray, position_m: FloatArray, reviewed: Flags, start: int, stop: int, first: int, last: int
) -> TrackEvidence:
    window, kept = slice(start, stop), slice(first - start, last - start)
    if stop - start < 3:
        return _no_evidence(position_m[first:last])
    walk = _Walk.of(time_s[window], position_m[window], reviewed[window])
    fits = [_fit(walk, speed, noise) for speed in _SPEEDS_M_S for noise in _NOISES_M]
    best = _with_stretches(walk, max(fits, key=lambda fit: fit.score))
    return TrackEvidence(
        expected_m=(best.mean_m + walk.centre_m)[kept],
        distance_m=np.hypot(*(walk.position_m - best.mean_m).T)[kept],
        spread_m=best.spread_m[kept],
        noise_m=best.noise_m[kept],
        log_ratio=best.log_ratio[kept],
    )


def _no_evidence(position_m: FloatArray) -> TrackEvidence:
    zeros = np.zeros(len(position_m))
    return TrackEvidence(
        expected_m=position_m, distance_m=zeros, spread_m=zeros + np.inf, noise_m=zeros + np.nan, log_ratio=zeros
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """A window of a walk, one row per fix, centred; `runs` lists index arrays."""

    time_s: FloatArray
    position_m: FloatArray
    centre_m: FloatArray
    extent_m: float
    reviewed: Flags
    runs: list[Integers]

    @classmethod
    def of(cls, time_s: FloatArray, position_m: FloatArray, reviewed: Flags) -> "_Walk":
        """Return a walk around its own centre, with the extent its positions have."""
        centre = np.median(position_m, axis=0)
        centred = position_m - centre
        spots = _spots(position_m)
        deviation = np.median(np.abs(spots - np.median(spots, axis=0)), axis=0)
        extent = float(np.clip(1.4826 * deviation.max(), 30.0, 2000.0))
        return cls(
            time_s=time_s,
            position_m=centred,
            centre_m=centre,
            extent_m=extent,
            reviewed=reviewed,
            runs=_runs(time_s, centred),
        )


def _fixes(time_s: FloatArray, position_m: FloatArray, reviewed: Flags) -> Integers:
    """Return the number of each photo's fix (N,): photos in a row on one position, over at most `_RUN_S` seconds."""
    same = np.all(np.abs(np.diff(position_m, axis=0)) < _ONE_POSITION_M, axis=1) & (reviewed[1:] == reviewed[:-1])
    return _numbers(time_s, same)


def _runs(time_s: FloatArray, position_m: FloatArray) -> list[Integers]:
    """Return the index arrays of runs of two or more: neighbours in time and place, over at most `_RUN_S` seconds."""
    number = _numbers(time_s, np.hypot(*np.diff(position_m, axis=0).T) <= _RUN_STEP_M)
    return [run for run in np.split(np.arange(len(number)), np.flatnonzero(np.diff(number)) + 1) if len(run) > 1]


def _spots(position_m: FloatArray) -> FloatArray:
    """Return one position (N, 2) per stay, within `_RUN_STEP_M` of its first: many photos of one spot count once."""
    kept = [0]
    for index, position in enumerate(position_m):
        if np.hypot(*(position - position_m[kept[-1]])) > _RUN_STEP_M:
            kept.append(index)
    return position_m[kept]


def _numbers(time_s: FloatArray, joined: Flags) -> Integers:
    """Return group numbers (N,) where `joined` (N - 1,) tells whom the next one may join, `_RUN_S` seconds at most."""
    numbers = np.zeros(len(time_s), dtype=np.int64)
    start = 0
    for index in range(1, len(time_s)):
        joins = joined[index - 1] and time_s[index] - time_s[start] <= _RUN_S
        start = start if joins else index
        numbers[index] = numbers[index - 1] + (not joins)
    return numbers


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Fit:
    mean_m: FloatArray
    spread_m: FloatArray
    noise_m: FloatArray
    log_ratio: FloatArray
    prior: FloatArray
    score: float


def _fit(walk: _Walk, speed_m_s: float, noise_m: float) -> _Fit:
    """Alternate between the track given who is grossly wrong, and who is grossly wrong given the track."""
    # A Matérn 3/2 process of standard deviation A and length scale l moves at A sqrt(3) / l per axis (rms).
    lag = np.abs(walk.time_s[:, None] - walk.time_s[None, :]) * speed_m_s / walk.extent_m
    prior = walk.extent_m**2 * (1 + lag) * np.exp(-lag)
    ordinary = np.where(walk.reviewed, _REVIEWED_NOISE_M, noise_m) ** 2
    share = np.where(walk.reviewed, GROSS_SHARE / 10, GROSS_SHARE)
    gross = share.copy()
    for _ in range(_ROUNDS):
        before = gross
        noise = _mixed(gross, ordinary)
        mean, latent = _without_own_run(walk, prior, noise)
        spread = np.sqrt(latent + ordinary)
        distance = np.hypot(*(walk.position_m - mean).T)
        ratio = log_ratio(distance, spread, np.sqrt(spread**2 + GROSS_M**2))
        gross = 1 / (1 + np.exp(-np.clip(ratio + np.log(share / (1 - share)), -_CERTAIN, _CERTAIN)))
        if np.abs(gross - before).max() < _SETTLED:
            break
    density = -(distance**2) / (2 * spread**2) - 2 * np.log(spread)
    score = float(np.sum(density + np.logaddexp(np.log(1 - share), np.log(share) + ratio)))
    return _Fit(mean_m=mean, spread_m=spread, noise_m=np.sqrt(ordinary), log_ratio=ratio, prior=prior, score=score)


def _mixed(gross: FloatArray, ordinary: FloatArray) -> FloatArray:
    """Return the variance of labels that are gross with probability `gross`: the mean of the two precisions."""
    return 1 / ((1 - gross) / ordinary + gross / (ordinary + GROSS_M**2))


def _without_own_run(walk: _Walk, prior: FloatArray, noise: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the track's mean (N, 2) and variance (N,) at each photo, predicted without the photos of its run."""
    precision = np.linalg.inv(prior + np.diag(noise))
    pull = precision @ walk.position_m
    mean = walk.position_m - pull / np.diag(precision)[:, None]
    latent = np.maximum(1 / np.diag(precision) - noise, _SMALLEST_M**2)
    for run in walk.runs:
        block = np.linalg.inv(precision[np.ix_(run, run)])
        mean[run] = walk.position_m[run] - block @ pull[run]
        latent[run] = np.maximum(np.diag(block) - noise[run], _SMALLEST_M**2)
    return mean, latent


def _with_stretches(walk: _Walk, fit: _Fit) -> _Fit:
    """Return the fit with its ratios from stretches that share an offset, starting over from nobody being gross."""
    ordinary = fit.noise_m**2
    share = np.where(walk.reviewed, GROSS_SHARE / 10, GROSS_SHARE)
    logit = np.log(share / (1 - share))
    gross = share
    for _ in range(2 * _ROUNDS):
        # Half a step at a time: two labels that accuse each other would else both be cleared in every other round.
        found = np.clip(_stretch_logit(walk, fit.prior, ordinary, _mixed(gross, ordinary), share), -_CERTAIN, _CERTAIN)
        moving = np.abs(found - logit).max() > _SETTLED_LOGIT
        logit = (logit + found) / 2
        gross = 1 / (1 + np.exp(-logit))
        if not moving:
            break
    mean, latent = _without_own_run(walk, fit.prior, _mixed(gross, ordinary))
    ratio = logit - np.log(share / (1 - share))
    return dataclasses.replace(fit, mean_m=mean, spread_m=np.sqrt(latent + ordinary), log_ratio=ratio)


def _stretch_logit(
    walk: _Walk, prior: FloatArray, ordinary: FloatArray, noise: FloatArray, share: FloatArray
) -> FloatArray:
    """Return for each photo the log odds that a stretch with it is displaced as one.

    Leaving a stretch S out, its labels are Gaussian with covariance inv(inv(K)[S, S]) and the mean that goes with it.
    Within S, `ordinary` replaces `noise` on the diagonal of K. An offset shared by S adds the variance `GROSS_M`² to
    every entry.
    """
    count = len(noise)
    precision = np.linalg.inv(prior + np.diag(noise))
    pull = precision @ walk.position_m
    exchange = ordinary - noise
    evidence = np.full((_LONGEST, count), -np.inf)  # by length - 1 and first photo
    for length in range(1, min(_LONGEST, count - 2) + 1):
        members = np.arange(count - length + 1)[:, None] + np.arange(length)
        block = (members[:, :, None], members[:, None, :])
        left_out = np.linalg.inv(precision[block])
        residual = left_out @ pull[members]
        inverse = np.linalg.inv(left_out + exchange[members][:, :, None] * np.eye(length))
        weight = inverse.sum(axis=(1, 2))
        push = np.einsum("ij,ijk->ik", inverse.sum(axis=1), residual)
        gain = (push**2).sum(axis=1) * GROSS_M**2 / (2 * (1 + GROSS_M**2 * weight)) - np.log1p(GROSS_M**2 * weight)
        odds = np.log(share[members].min(axis=1)) - _LENGTH_COST * (length - 1)
        evidence[length - 1, : count - length + 1] = gain + odds
    return _odds_of_photos(evidence)


def _odds_of_photos(evidence: FloatArray) -> FloatArray:
    """Return the log odds (N,) that each photo is in a displaced stretch; `evidence` is by length - 1 and first photo.

    What the rest of a stretch explains without the photo is subtracted. Otherwise every neighbour of a gross label
    would be reported along with it.
    """
    longest, count = evidence.shape
    # the best explanation by any stretch within a stretch, or by none
    best = np.maximum(evidence, 0.0)
    for length in range(2, longest + 1):
        shorter = best[length - 2, : count - length + 2]
        within = best[length - 1, : count - length + 1]
        np.maximum.reduce([within, shorter[:-1], shorter[1:]], out=within)
    odds = np.full(count, -50.0)
    for length in range(1, longest + 1):
        starts = np.arange(count - length + 1)
        for place in range(length):
            gain = evidence[length - 1, starts]
            if place > 0:
                gain = gain - best[place - 1, starts]
            if place < length - 1:
                gain = gain - best[length - place - 2, starts + place + 1]
            odds[starts + place] = np.logaddexp(odds[starts + place], gain)
    return odds
