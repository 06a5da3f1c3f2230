"""What error to expect on a walk not yet taken, from errors on walks that a model had not seen.

How errors depend on place and light is their shape (`img2gps.estimation.error_shape`). A walk as a whole lies above or
below it by its level: L = log(RMSE of the walk / RMSE of the shape at its photos). Levels of walks differ by more than
chance. The level of a new walk lies in the prediction interval of a random-effects analysis: m +- t(W - 2) sqrt(tau^2 +
s^2 + v). Source: Higgins, Thompson and Spiegelhalter, JRSS A 172, 2009, sec. 4.2. Here tau is the spread of levels
(Paule and Mandel 1982), and s the chance of a walk of as many photos. The last, v, is the variance of the mean (Hartung
and Knapp 2001).
"""

import dataclasses
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.estimation.error_shape import EFFECTS, ErrorShape, TrainingNear, error_shape
from img2gps.geo import FloatArray

__all__ = ["FEWEST_WALKS", "Forecast", "ForecastLaw", "WalkErrors", "forecast_law", "walks_inside"]

FEWEST_WALKS: Final = 5
"""Fewer walks tell nothing of how walks differ."""

LEVEL: Final = 0.9
_DRAWS: Final = 200
_CLIP: Final = 1e-9
_LEVELS: Final = (np.arange(40) + 0.5) / 40  # of the ratios that are kept


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WalkErrors:
    """Errors (N,) of photos by a model that had not seen their walk, in metres, and where they were taken.

    `walk` (N,) numbers walks from 0, `weight` (N,) is what each photo counts: photos of one moment err alike.
    """

    error_m: FloatArray
    places: TrainingNear
    walk: NDArray[np.int64]
    weight: FloatArray

    @property
    def walks(self) -> int:
        """How many walks there are."""
        return int(self.walk.max()) + 1 if len(self.walk) else 0

    def without(self, walk: int) -> "WalkErrors":
        """Return all walks but one, numbered anew."""
        kept = self.walk != walk
        return WalkErrors(
            error_m=self.error_m[kept],
            places=self.places.take(kept),
            walk=np.unique(self.walk[kept], return_inverse=True)[1].astype(np.int64),
            weight=self.weight[kept],
        )

    def rms(self, values: FloatArray) -> FloatArray:
        """Return the root mean square of values (N,) on each walk, shape (W,)."""
        return np.sqrt(np.bincount(self.walk, values**2) / np.bincount(self.walk))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """The RMSE to expect, in metres: of many walks with its interval, and the interval of one new walk's; 90 % each.

    `typical_m` is the middle of what single walks get, `median_m` that of single photos.
    """

    rmse_m: float
    median_m: float
    interval_90_m: tuple[float, float]
    typical_m: float
    new_walk_interval_90_m: tuple[float, float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ForecastLaw:
    """What walks so far say of the next: the shape, the mean level, and its variances (of logarithms).

    `mean_variance` is that of the mean level, and `walk_variance` how walks differ. `chance_variance` is what a walk of
    the usual number of photos adds, `place_variance` what the places of walks add. `drawn_reference` is the mean
    logarithm of the walks' relative errors by shapes as they may be, one each.
    """

    shape: ErrorShape
    walks: int
    photos: int
    level: float
    mean_variance: float
    walk_variance: float
    chance_variance: float
    place_variance: float
    drawn_reference: FloatArray
    ratios: FloatArray

    def at(self, places: TrainingNear, share: FloatArray | None = None) -> Forecast:
        """Return the forecast for photos at `places`, each with its `share` (equal ones where None)."""
        from scipy.stats import t

        part = np.full(len(places.light), 1 / len(places.light)) if share is None else share / share.sum()
        relative = _log_rms(self.shape.relative(places), part)
        drawn = [_log_rms(self.shape.relative(places, one), part) for one in self.shape.drawn(_DRAWS)]
        shape_variance = float(np.var(np.array(drawn) - self.drawn_reference))
        middle = self.level + relative
        of_mean = self.mean_variance + shape_variance
        of_one = of_mean + self.walk_variance + self.chance_variance + self.place_variance
        factor = float(t.ppf((1 + LEVEL) / 2, max(self.walks - 2, 1)))
        many = middle + self.walk_variance + self.chance_variance
        return Forecast(
            rmse_m=float(np.exp(many)),
            median_m=self._median_m(places, part),
            interval_90_m=_around(many, factor * np.sqrt(of_mean)),
            typical_m=float(np.exp(middle)),
            new_walk_interval_90_m=_around(middle, factor * np.sqrt(of_one)),
        )

    def _median_m(self, places: TrainingNear, share: FloatArray) -> float:
        """Return the median error over places with these shares: each has the errors of all, by its own scale."""
        errors_m = np.outer(self.shape.relative(places), self.ratios).ravel()
        order = np.argsort(errors_m)
        held = np.cumsum(np.repeat(share, len(self.ratios))[order])
        return float(errors_m[order[int(np.searchsorted(held, held[-1] / 2))]])

    def expected_m(self, places: TrainingNear) -> FloatArray:
        """Return the RMSE to expect at each of N places, over many walks; shape (N,)."""
        many = self.level + self.walk_variance + self.chance_variance
        return np.asarray(np.exp(many) * self.shape.relative(places))

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers that a map needs."""
        effects = dict(zip(EFFECTS, self.shape.effects.tolist(), strict=True))
        many = self.level + self.walk_variance + self.chance_variance
        return {"effects": effects, "log_scale": many, "walks": self.walks, "photos": self.photos}


def forecast_law(errors: WalkErrors) -> ForecastLaw | None:
    """Return what the errors of walks say of the next walk; None for fewer than `FEWEST_WALKS` walks."""
    if errors.walks < FEWEST_WALKS:
        return None
    shape = error_shape(errors.error_m, errors.places, errors.walk, errors.weight)
    relative = errors.rms(shape.relative(errors.places))
    levels = np.log(np.maximum(errors.rms(errors.error_m), _CLIP)) - np.log(relative)
    chance = _chance(errors, shape)
    mean, mean_variance, walk_variance, scale = _random_effects(levels, chance)
    shares = 1 / (walk_variance + scale * chance)
    shares /= shares.sum()
    drawn = [np.log(errors.rms(shape.relative(errors.places, one))) @ shares for one in shape.drawn(_DRAWS)]
    return ForecastLaw(
        shape=shape,
        walks=errors.walks,
        photos=len(errors.error_m),
        level=mean,
        mean_variance=mean_variance,
        walk_variance=walk_variance,
        chance_variance=float(np.median(scale * chance)),
        place_variance=float(np.var(np.log(relative), ddof=1)),
        drawn_reference=np.array(drawn),
        ratios=np.quantile(errors.error_m / shape.relative(errors.places), _LEVELS),
    )


def walks_inside(errors: WalkErrors) -> tuple[int, int]:
    """Return how many walks lie in the interval that the others forecast for one new walk like them, and of how many.

    Nested: a walk has no part in its own forecast, neither in the shape nor in the levels.
    """
    inside = asked = 0
    for walk in range(errors.walks):
        others = errors.without(walk)
        law = forecast_law(others)
        if law is None:
            continue
        low, high = law.at(others.places).new_walk_interval_90_m
        rmse_m = float(np.sqrt(np.mean(errors.error_m[errors.walk == walk] ** 2)))
        inside += low <= rmse_m <= high
        asked += 1
    return inside, asked


def _chance(errors: WalkErrors, shape: ErrorShape) -> FloatArray:
    """Return the variance (W,) of the logarithm of each walk's RMSE by its number of photos, by the delta method."""
    ratio = errors.error_m / shape.relative(errors.places)
    square = (ratio / errors.rms(ratio)[errors.walk]) ** 2
    counts = np.bincount(errors.walk, errors.weight)
    return np.asarray(max(float(np.var(square)), 1e-3) / (4 * np.maximum(counts, 1.0)))


def _random_effects(levels: FloatArray, chance: FloatArray) -> tuple[float, float, float, float]:
    """Return mean, variance of the mean, variance between walks, and the factor on `chance` where that is too much."""
    spare = len(levels) - 1

    def excess(between: float, scale: float = 1.0) -> float:
        weight = 1 / (between + scale * chance)
        mean = weight @ levels / weight.sum()
        return float(weight @ (levels - mean) ** 2) - spare

    between, scale = 0.0, 1.0
    if excess(0.0) <= 0:
        scale = max(1 + excess(0.0) / spare, 1e-3)  # walks differ less than photos by themselves would let them
    else:
        from scipy.optimize import brentq

        between = float(brentq(excess, 0.0, 100.0))
    weight = 1 / (between + scale * chance)
    mean = float(weight @ levels / weight.sum())
    variance = float(weight @ (levels - mean) ** 2 / (spare * weight.sum()))
    return mean, variance, between, scale


def _log_rms(relative: FloatArray, share: FloatArray) -> float:
    return float(0.5 * np.log(share @ relative**2))


def _around(middle: float, half: float) -> tuple[float, float]:
    return float(np.exp(middle - half)), float(np.exp(middle + half))
