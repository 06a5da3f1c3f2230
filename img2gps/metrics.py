"""Error figures in metres."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from img2gps.geo import FloatArray

__all__ = ["WITHIN_M", "Metrics", "metrics_of"]

WITHIN_M = (5, 10, 25, 50)
"""The radii, in metres, whose share of photos is reported."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What a set of geodesic errors amounts to; NaN throughout where there are no photos."""

    photos: int
    rmse_m: float
    mean_m: float
    median_m: float
    p90_m: float
    within_m: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """Return the figures under the keys of the ``evaluate --json`` contract."""
        figures = {name: getattr(self, name) for name in ("photos", "rmse_m", "mean_m", "median_m", "p90_m")}
        return {**figures, "within_m": dict(self.within_m)}


def metrics_of(error_m: FloatArray) -> Metrics:
    """Return the figures of errors in metres, shape (N,).

    RMSE is the root of the mean squared geodesic error (both axes together), as the published study reports it. P90
    interpolates linearly between order statistics (Hyndman and Fan's type 7).
    """
    errors = np.asarray(error_m, dtype=np.float64)
    if errors.size == 0:
        nan = float("nan")
        within = {str(radius): nan for radius in WITHIN_M}
        return Metrics(photos=0, rmse_m=nan, mean_m=nan, median_m=nan, p90_m=nan, within_m=within)
    return Metrics(
        photos=int(errors.size),
        rmse_m=float(np.sqrt(np.mean(errors**2))),
        mean_m=float(errors.mean()),
        median_m=float(np.median(errors)),
        p90_m=float(np.quantile(errors, 0.9)),
        within_m={str(radius): float(np.mean(errors <= radius)) for radius in WITHIN_M},
    )
