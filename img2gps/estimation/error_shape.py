"""How errors depend on where and when a photo was taken: the shape of a forecast, without its level.

The logarithm of a photo's error is linear in three things. These are the logarithm of the distance to the nearest
training photo, the number of training walks nearby, and the light. Each walk has an effect of its own. This is a linear
mixed model (Laird and Ware, Biometrics 38, 1982), fitted by the EM algorithm. The slopes have priors, so that a few
walks at one distance and by day do not tell tales of others.
"""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.sun import LIGHTS

__all__ = ["EFFECTS", "REACH_M", "ErrorShape", "TrainingNear", "error_shape", "training_near"]

EFFECTS: Final = ("distance", "walks_near", "dusk", "night")
"""What the logarithm of an error depends on."""

REACH_M: Final = 20.0
"""How far a walk shows the ground beside it, in metres."""

_PRIOR_MEAN: Final = (0.5, -0.2, 0.0, 0.3)
_PRIOR_SPREAD: Final = (0.5, 0.3, 0.3, 0.4)
_FLAT: Final = 100.0  # the prior spread of the level, which is estimated apart
_NEAR_M: Final = 10.0  # distances below this hardly matter
_LEAST_M: Final = 0.5  # an error below this is one of rounding
_ROUNDS: Final = 40

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingNear:
    """What training knows around N places: metres to its nearest photo, and how many of its walks pass near by.

    A walk d metres away counts exp(-d^2 / (2 * 20^2)). `light` is the row in `img2gps.sun.LIGHTS`.
    """

    distance_m: FloatArray
    walks_near: FloatArray
    light: Numbers

    def take(self, rows: NDArray[np.bool_] | Numbers) -> "TrainingNear":
        """Return the places at `rows`."""
        return TrainingNear(distance_m=self.distance_m[rows], walks_near=self.walks_near[rows], light=self.light[rows])

    def columns(self) -> FloatArray:
        """Return the columns of `EFFECTS`, shape (N, 4); an unknown light counts as day."""
        return np.stack(
            [
                np.log1p(self.distance_m / _NEAR_M),
                np.log1p(self.walks_near),
                (self.light == LIGHTS.index("dusk")).astype(np.float64),
                (self.light == LIGHTS.index("night")).astype(np.float64),
            ],
            axis=1,
        )


def training_near(
    places_m: FloatArray, training_m: FloatArray, walks: NDArray[np.str_], light: Numbers
) -> TrainingNear:
    """Return what is near places (N, 2) among training photos (T, 2) of `walks` (T,), all in metres."""
    from scipy.spatial import cKDTree

    nearest = np.full(len(places_m), np.inf)
    near = np.zeros(len(places_m))
    for walk in np.unique(walks):
        away_m = cKDTree(training_m[walks == walk]).query(places_m)[0]
        nearest = np.minimum(nearest, away_m)
        near += np.exp(-0.5 * (away_m / REACH_M) ** 2)
    return TrainingNear(distance_m=nearest, walks_near=near, light=light)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorShape:
    """The effects on the logarithm of an error, (4,) as `EFFECTS`, and their covariance (4, 4).

    More distance never lowers the error and more walks never raise it. `spread` is that of the logarithm within a walk.
    """

    effects: FloatArray
    covariance: FloatArray
    spread: float

    def relative(self, places: TrainingNear, effects: FloatArray | None = None) -> FloatArray:
        """Return how large errors are at N places, up to a factor that is the same for all; shape (N,)."""
        return np.asarray(np.exp(places.columns() @ (self.effects if effects is None else effects)))

    def drawn(self, count: int, seed: int = 0) -> FloatArray:
        """Return effects (count, 4) as they may be, by what was seen."""
        rng = np.random.default_rng(seed)
        return _signed(rng.multivariate_normal(self.effects, self.covariance, size=count, method="eigh"))


def error_shape(error_m: FloatArray, places: TrainingNear, walk: Numbers, weight: FloatArray) -> ErrorShape:
    """Return the shape of errors (N,) at `places` on walks numbered `walk` (N,); photos count `weight` (N,)."""
    x = np.concatenate([np.ones((len(error_m), 1)), places.columns()], axis=1)
    y = np.log(np.maximum(error_m, _LEAST_M))
    precision = 1 / np.array([_FLAT, *_PRIOR_SPREAD]) ** 2
    prior = precision * np.array([0.0, *_PRIOR_MEAN])
    count = int(walk.max()) + 1
    size = np.bincount(walk, weight, count)
    within, between = float(np.var(y)) + 1e-6, 0.05
    for _ in range(_ROUNDS):
        pooled = between / (within + size * between)
        sums_x = np.stack([np.bincount(walk, weight * column, count) for column in x.T], axis=1)
        sums_y = np.bincount(walk, weight * y, count)
        left = (x.T * weight @ x - sums_x.T * pooled @ sums_x) / within + np.diag(precision)
        right = (x.T * weight @ y - sums_x.T * pooled @ sums_y) / within + prior
        beta = np.linalg.solve(left, right)
        rest = y - x @ beta
        effect = pooled * np.bincount(walk, weight * rest, count)
        unsure = pooled * within
        between = max(float(np.mean(effect**2 + unsure)), 1e-4)
        within = float(weight @ ((rest - effect[walk]) ** 2 + unsure[walk]) / weight.sum()) + 1e-6
    return ErrorShape(
        effects=_signed(beta[None, 1:])[0], covariance=np.linalg.inv(left)[1:, 1:], spread=float(np.sqrt(within))
    )


def _signed(effects: FloatArray) -> FloatArray:
    signed = effects.copy()
    signed[:, 0] = np.maximum(signed[:, 0], 0.0)
    signed[:, 1] = np.minimum(signed[:, 1], 0.0)
    return signed
