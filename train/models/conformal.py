"""Split-conformal calibration: regions that hold the truth of a new photo as often as they claim."""

import math
from typing import Final

import numpy as np

from img2gps.geo import FloatArray

__all__ = ["LEVELS", "fit_inflation"]

LEVELS: Final = (0.5, 0.9)
"""The shares of a prediction's distribution whose radii are stored: radius_50_m and radius_90_m."""


def fit_inflation(radius: FloatArray, error: FloatArray, level: float) -> float:
    """Return the factor on `radius` (N,) with which a region holds the truth of a new photo in `level` of all cases.

    This is split-conformal prediction with the normalised score error / radius. The factor is its finite-sample
    quantile, the ceil((n + 1) level)-th smallest score. Source: Lei, G'Sell, Rinaldo, Tibshirani and Wasserman,
    "Distribution-Free Predictive Inference for Regression", JASA 113 (2018), sec. 2.2 and 5.2. The promise holds for
    photos exchangeable with those given, which photos of another day are not quite: report `coverage` beside it. With
    fewer than level / (1 - level) photos no finite factor keeps the promise, and the largest score is returned.

    `radius` and `error` are metres; pairs where either is not finite are left out. Radii below a micrometre
    count as one. Raises ValueError where no pair is left or `level` is not strictly between 0 and 1.
    """
    if not 0 < level < 1:
        raise ValueError(f"level is {level}, not between 0 and 1")
    radii, errors = np.asarray(radius, dtype=np.float64), np.asarray(error, dtype=np.float64)
    known = np.isfinite(radii) & np.isfinite(errors)
    if not known.any():
        raise ValueError("no photo has both an error and a radius")
    scores = np.sort(errors[known] / np.maximum(radii[known], 1e-6))
    rank = math.ceil((len(scores) + 1) * level - 1e-9)
    return float(scores[min(rank, len(scores)) - 1])
