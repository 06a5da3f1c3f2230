"""Errors against the truth, where the true places are known up to a spread.

Labels that drift, and walks that share views, give each photo's place a distribution. It is round and Gaussian around
its refined position. If an answer adds nothing to what that position rests on, it is a fixed point beside the place. So
its error has a Rice distribution, and the errors of all photos are the mixture of these. This is multiple imputation
with infinitely many draws (Rubin, "Multiple Imputation for Nonresponse in Surveys", 1987).

An answer that errs by itself does add something. Let n be the error of refined positions, N its mean square, and V that
of answers less refined positions. The mean square of answers is V + (1 + 2c) N. Here c N is the mean product of n and
the answer less the refined position. It is 0 if the answer adds nothing, and -N if both err by themselves. On generated
campuses c was a little over -1/4: so 0.55 of N is added (`OWN_SHARE`).
"""

import dataclasses
from typing import Final, Self

import numpy as np

from img2gps.geo import FloatArray

__all__ = ["OWN_SHARE", "OWN_SHARES", "PlacedErrors"]

OWN_SHARE: Final = 0.55
"""The share of the variance of a refined position that is added."""

OWN_SHARES: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
"""What the share may be, for intervals: from c = -1/2 to 0."""

_LEAST_M, _MOST_M, _STEPS = 0.2, 2000.0, 160  # of the lengths at which the distribution is kept
_LEAST_SPREAD_M: Final = 0.05
_WIDEST: Final = 7.0  # spreads beyond which all is decided


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlacedErrors:
    """The errors of N answers: `held` (N, R) is the probability that each is within `metres` (R,).

    `square_m2` (N,) is the mean square of each.
    """

    held: FloatArray
    metres: FloatArray
    square_m2: FloatArray

    @classmethod
    def of(cls, apart_m: FloatArray, spread_m: FloatArray) -> Self:
        """Return the errors of answers `apart_m` (N,) from refined positions of `spread_m` (N,) per axis."""
        from scipy.stats import ncx2

        metres = np.geomspace(_LEAST_M, _MOST_M, _STEPS)
        spread = np.maximum(spread_m, _LEAST_SPREAD_M)
        away = (metres[None] - apart_m[:, None]) / spread[:, None]
        held = (away > 0).astype(np.float64)
        row, column = np.nonzero(np.abs(away) < _WIDEST)
        held[row, column] = ncx2.cdf((metres[column] / spread[row]) ** 2, 2, (apart_m[row] / spread[row]) ** 2)
        return cls(held=held, metres=metres, square_m2=apart_m**2 + 2 * spread_m**2)

    def rmse_m(self, counts: FloatArray) -> float:
        """Return the root of the mean square; each answer counts `counts` (N,) times."""
        return float(np.sqrt(counts @ self.square_m2 / counts.sum()))

    def within(self, metres: float, counts: FloatArray) -> float:
        """Return the share of errors within so many metres."""
        return float(np.interp(metres, self.metres, self._shares(counts)))

    def quantile(self, level: float, counts: FloatArray) -> float:
        """Return the metres that a share `level` of errors stays within."""
        return float(np.interp(level, self._shares(counts), self.metres))

    def _shares(self, counts: FloatArray) -> FloatArray:
        return np.asarray(counts @ self.held / counts.sum(), dtype=np.float64)
