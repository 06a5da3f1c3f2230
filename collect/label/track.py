"""What a walk's other photos say about one photo's label: a robust, smooth track without it.

Every walk is a Gaussian process over time, one for east and one for north, with a Matérn 3/2 covariance (a
walker's position is continuous and so is the speed), and every label is the track plus noise that is
either ordinary or gross: a two-part mixture. The prediction for a photo leaves out its whole run (photos
taken within seconds of it that show nearly the same position), because such photos share their fix and
would only confirm one another. A fix that has jumped away often stays there for some photos, so the last
step weighs, around every photo, all stretches of up to six photos that may share one gross offset against
one another and against none. Rasmussen and Williams, "Gaussian Processes for Machine Learning" (2006), ch. 4.2.1
(Matérn) and 5.4.2 (leaving out in closed form).
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

_SPEEDS_M_S: Final = (0.2, 0.5, 1.0, 1.6)
_NOISES_M: Final = (1.5, 3.0, 6.0, 9.0, 13.0, 19.0)
_REVIEWED_NOISE_M: Final = 3.0
_ROUNDING_M: Final = 1.0
_ROUNDS: Final = 6
_SETTLED: Final = 0.01
_LONGEST: Final = 6
_LENGTH_COST: Final = 0.7  # a stretch is half as likely to go on as to end
_RUN_S, _RUN_STEP_M = 20.0, 15.0
_CHUNK, _OVERLAP = 160, 24

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrackEvidence:
    """For N photos of one walk, each array of shape (N,) but `expected_m` (N, 2, east and north metres).

    `distance_m` is from the label to where the rest of the walk expects it, `spread_m` the standard deviation per
    axis of that expectation, ordinary label noise (`noise_m`) included; `log_ratio` the logarithm of how much more
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
    A walk of fewer than three photos says nothing: its distances are zero and its ratios neutral.
    """
    parts = [_chunk(time_s, position_m, reviewed, *bounds) for bounds in _chunks(len(time_s))]
    names = [field.name for field in dataclasses.fields(TrackEvidence)]
    return TrackEvidence(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


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
    """A window of a walk, centred; `same_fix` (N, N) marks pairs with one position, `runs` lists index arrays."""

    time_s: FloatArray
    position_m: FloatArray
    centre_m: FloatArray
    extent_m: float
    reviewed: Flags
    same_fix: Flags
    runs: list[Integers]

    @classmethod
    def of(cls, time_s: FloatArray, position_m: FloatArray, reviewed: Flags) -> "_Walk":
        centre = np.median(position_m, axis=0)
        centred = position_m - centre
        extent = float(np.clip(1.4826 * np.median(np.abs(centred), axis=0).max(), 30.0, 2000.0))
        fix = np.cumsum(np.r_[True, np.any(np.abs(np.diff(centred, axis=0)) > 0.05, axis=1)])
        return cls(
            time_s=time_s,
            position_m=centred,
            centre_m=centre,
            extent_m=extent,
            reviewed=reviewed,
            same_fix=np.asarray(fix[:, None] == fix[None, :]),
            runs=_runs(time_s, centred),
        )


def _runs(time_s: FloatArray, position_m: FloatArray) -> list[Integers]:
    """Return the index arrays of runs of two or more: neighbours in time and place, over at most `_RUN_S` seconds."""
    steps = np.hypot(*np.diff(position_m, axis=0).T)
    starts = [0]
    for index in range(1, len(time_s)):
        if steps[index - 1] > _RUN_STEP_M or time_s[index] - time_s[starts[-1]] > _RUN_S:
            starts.append(index)
    return [np.arange(a, b) for a, b in zip(starts, [*starts[1:], len(time_s)], strict=True) if b - a > 1]


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
        gross = 1 / (1 + np.exp(-np.clip(ratio + np.log(share / (1 - share)), -40, 40)))
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
    precision = np.linalg.inv(prior + _noise_covariance(walk, noise))
    pull = precision @ walk.position_m
    mean = walk.position_m - pull / np.diag(precision)[:, None]
    latent = np.maximum(1 / np.diag(precision) - noise, _ROUNDING_M**2)
    for run in walk.runs:
        block = np.linalg.inv(precision[np.ix_(run, run)])
        mean[run] = walk.position_m[run] - block @ pull[run]
        latent[run] = np.maximum(np.diag(block) - noise[run], _ROUNDING_M**2)
    return mean, latent


def _noise_covariance(walk: _Walk, noise: FloatArray) -> FloatArray:
    """Return the covariance (N, N) of label errors of variance `noise`: photos of one fix share theirs."""
    shared = np.where(walk.same_fix, np.sqrt(np.outer(noise, noise)), 0.0)
    return np.asarray(shared + _ROUNDING_M**2 * np.eye(len(noise)), dtype=np.float64)


def _with_stretches(walk: _Walk, fit: _Fit) -> _Fit:
    """Return the fit with its ratios from stretches that share an offset, starting over from nobody being gross."""
    ordinary = fit.noise_m**2
    share = np.where(walk.reviewed, GROSS_SHARE / 10, GROSS_SHARE)
    gross = share.copy()
    for _ in range(_ROUNDS):
        logit = _stretch_logit(walk, fit.prior, ordinary, _mixed(gross, ordinary), share)
        before, gross = gross, 1 / (1 + np.exp(-np.clip(logit, -40, 40)))
        if np.abs(gross - before).max() < _SETTLED:
            break
    mean, latent = _without_own_run(walk, fit.prior, _mixed(gross, ordinary))
    ratio = logit - np.log(share / (1 - share))
    return dataclasses.replace(fit, mean_m=mean, spread_m=np.sqrt(latent + ordinary), log_ratio=ratio)


def _stretch_logit(
    walk: _Walk, prior: FloatArray, ordinary: FloatArray, noise: FloatArray, share: FloatArray
) -> FloatArray:
    """Return for each photo the log odds that a stretch with it is displaced as one, against all nearby alternatives.

    Leaving a stretch S out, its labels are Gaussian with covariance inv(inv(K)[S, S]) (`noise` on the diagonal of K
    exchanged for `ordinary` within S) and the mean that goes with it; an offset shared by S adds the variance
    `GROSS_M`² to every entry.
    """
    count = len(noise)
    current = _noise_covariance(walk, noise)
    precision = np.linalg.inv(prior + current)
    pull = precision @ walk.position_m
    exchange = _noise_covariance(walk, ordinary) - current
    evidence = np.full((_LONGEST, count), -np.inf)  # by length - 1 and first photo
    for length in range(1, min(_LONGEST, count - 2) + 1):
        members = np.arange(count - length + 1)[:, None] + np.arange(length)
        block = (members[:, :, None], members[:, None, :])
        left_out = np.linalg.inv(precision[block])
        residual = left_out @ pull[members]
        inverse = np.linalg.inv(left_out + exchange[block])
        weight = inverse.sum(axis=(1, 2))
        push = np.einsum("ij,ijk->ik", inverse.sum(axis=1), residual)
        gain = (push**2).sum(axis=1) * GROSS_M**2 / (2 * (1 + GROSS_M**2 * weight)) - np.log1p(GROSS_M**2 * weight)
        odds = np.log(share[members].min(axis=1)) - _LENGTH_COST * (length - 1)
        evidence[length - 1, : count - length + 1] = gain + odds
    return _odds_of_photos(evidence)


def _odds_of_photos(evidence: FloatArray) -> FloatArray:
    """Return the log odds (N,) of stretches that hold a photo against no stretch and those close by that do not."""
    longest, count = evidence.shape
    with_it, without = np.full(count, -np.inf), np.zeros(count)
    for length in range(1, longest + 1):
        for offset in range(-longest - length + 1, longest + 1):
            # the stretch that starts `offset` photos after photo i
            first = np.arange(count) + offset
            valid = (first >= 0) & (first < count)
            value = np.where(valid, evidence[length - 1, np.clip(first, 0, count - 1)], -np.inf)
            if -length < offset <= 0:
                with_it = np.logaddexp(with_it, value)
            else:
                without = np.logaddexp(without, value)
    return np.asarray(np.maximum(with_it - without, -50.0), dtype=np.float64)
