"""The error of a phone's position along a walk: a drift that is alike for a minute or two, found from what photos show.

A position is the true place plus a drift. The drift of each axis is a first-order Gauss-Markov process with standard
deviation `spread_m` and correlation exp(-t / `lasting_s`) over t seconds. Source: Gelb, "Applied Optimal Estimation",
MIT Press 1974, sec. 3.8. Every photo says how likely each drift is, for it says how likely the place is that the drift
leads to. Passes forward and backward along the walk give the distribution of the drift at every photo. They also say
how likely the walk's positions are as a whole. Source: Rabiner, Proceedings of the IEEE 77, 1989, sec. III.
"""

import dataclasses
import math
from functools import lru_cache
from typing import Final

import numpy as np

from img2gps.geo import FloatArray

__all__ = ["Drift", "DriftAlongWalk", "drift_along_walk", "drift_offsets", "walk_log_likelihood"]

_WIDEST: Final = 3.6  # of the unit of the grid, how far it reaches on either side
_STEPS: Final = 3.3  # per unit
_NARROWEST_STEP: Final = 0.4  # of the grid's step: a Gaussian that is narrower falls between its points
_LEAST: Final = 1e-300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How a phone's error behaves: `spread_m` is the standard deviation per axis, `lasting_s` how long it stays."""

    spread_m: float
    lasting_s: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DriftAlongWalk:
    """The drift at N photos of a walk, over a grid of G x G drifts (`drift_offsets`, east first).

    `log_likelihood` is that of all the walk's evidence. `probs` (N, G, G) use all of it; `without_own` (N, G, G)
    leave out, for each photo, what the photo itself shows.
    """

    log_likelihood: float
    probs: FloatArray
    without_own: FloatArray


def drift_offsets(unit_m: float) -> FloatArray:
    """Return the G drifts of one axis in metres, zero in the middle, of a grid for drifts of about `unit_m`."""
    count = math.ceil(_WIDEST * _STEPS)
    return np.asarray(np.arange(-count, count + 1) * (unit_m / _STEPS), dtype=np.float64)


def drift_along_walk(
    likelihood: FloatArray, seconds: FloatArray, drift: Drift, offsets_m: FloatArray
) -> DriftAlongWalk:
    """Return the drift at the N photos of one walk.

    `likelihood` (N, G, G) is that of each drift by what a photo shows. `seconds` (N,) is when it was taken, in order,
    and `offsets_m` (G,) are those of `drift_offsets`.
    """
    steps = _steps(len(offsets_m), seconds, drift, offsets_m)
    before, total = _forward(likelihood, steps, drift, offsets_m)
    after = np.ones_like(likelihood)
    for row in range(len(likelihood) - 2, -1, -1):
        later = after[row + 1] * likelihood[row + 1]
        later = steps[row].T @ later @ steps[row]
        after[row] = later / max(float(later.max()), _LEAST)
    without_own = _normalised(before * after)
    return DriftAlongWalk(log_likelihood=total, probs=_normalised(without_own * likelihood), without_own=without_own)


def walk_log_likelihood(likelihood: FloatArray, seconds: FloatArray, drift: Drift, offsets_m: FloatArray) -> float:
    """Return `DriftAlongWalk.log_likelihood` alone, in half the time."""
    return _forward(likelihood, _steps(len(offsets_m), seconds, drift, offsets_m), drift, offsets_m)[1]


def _forward(
    likelihood: FloatArray, steps: list[FloatArray], drift: Drift, offsets_m: FloatArray
) -> tuple[FloatArray, float]:
    """Return what is expected of the drift before each photo is looked at, (N, G, G), and the log-likelihood."""
    usual = np.exp(-(offsets_m**2) / (2 * drift.spread_m**2))
    usual /= usual.sum()
    before = np.empty_like(likelihood)
    total, now = 0.0, np.outer(usual, usual)
    for row in range(len(likelihood)):
        if row:
            now = steps[row - 1] @ now @ steps[row - 1].T
        before[row] = now
        now = now * likelihood[row]
        share = max(float(now.sum()), _LEAST)
        total += math.log(share)
        now = now / share
    return before, total


def _steps(width: int, seconds: FloatArray, drift: Drift, offsets_m: FloatArray) -> list[FloatArray]:
    spread = drift.spread_m / float(offsets_m[1] - offsets_m[0])
    kept = [math.exp(-max(gap_s, 0.0) / drift.lasting_s) for gap_s in np.diff(seconds).tolist()]
    return [_step(width, round(share, 3), round(spread, 4)) for share in kept]


@lru_cache(maxsize=4096)
def _step(width: int, kept: float, spread: float) -> FloatArray:
    """Return how likely each drift (rows) follows each (columns) where a share `kept` stays; lengths in grid steps."""
    offsets = (np.arange(width) - width // 2).astype(np.float64)
    deviation = max(spread * math.sqrt(1 - kept**2), _NARROWEST_STEP)
    step = np.exp(-((offsets[:, None] - kept * offsets[None]) ** 2) / (2 * deviation**2))
    return np.asarray(step / step.sum(axis=0, keepdims=True), dtype=np.float64)


def _normalised(probs: FloatArray) -> FloatArray:
    return np.asarray(probs / np.maximum(probs.sum(axis=(1, 2), keepdims=True), _LEAST), dtype=np.float64)
