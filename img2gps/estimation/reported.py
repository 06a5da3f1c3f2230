"""How far a phone's position is expected to be off, by the accuracy that phones report."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray

__all__ = ["expected_spread_m"]

_USUAL_M: Final = 6.5  # between buildings, where no phone of the site reports anything
_USUAL_WALKS: Final = 2  # count beside those that report: one false report must not speak for all
_PER_ACCURACY: Final = 1.51  # a reported accuracy is the radius of 68 %: so many standard deviations per axis
_LEAST_M, _MOST_M = _USUAL_M / 2, _USUAL_M * 4  # a report beyond these is not believed


def expected_spread_m(accuracy_m: FloatArray, walks: NDArray[Any]) -> FloatArray:
    """Return the expected spread per axis of N positions, (N,), in metres: one for each walk.

    `accuracy_m` (N,) is what the phone reported, NaN if nothing, and `walks` (N,) names each photo's walk. It is the
    median of the walk's reports. A walk that reports nothing is expected to err as the other walks do, in the median.
    For how far phones are off depends on the buildings around more than on the phone. Two usual walks count in:
    one odd report does not speak for the site. Source of 1.51: the radius that holds 68 % of a round Gaussian,
    sqrt(-2 ln 0.32).
    """
    import pandas as pd

    known_m = pd.Series(np.where(np.isfinite(accuracy_m) & (accuracy_m > 0), accuracy_m, np.nan))
    of_walk_m = (known_m.groupby(walks).transform("median") / _PER_ACCURACY).clip(_LEAST_M, _MOST_M)
    of_each_m = of_walk_m.groupby(walks).first()
    others_m = np.median([*of_each_m.dropna(), *[_USUAL_M] * _USUAL_WALKS])
    return np.asarray(of_walk_m.fillna(others_m), dtype=np.float64)
