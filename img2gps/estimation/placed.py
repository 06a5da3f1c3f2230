"""Errors against the truth, where the true places are known up to a spread.

Labels that drift, walks that share views and models that had not seen a walk give each photo's place a distribution,
round and Gaussian around its refined position (`train.refinement`). An answer is a fixed point beside it. So its error
has a Rice distribution, and the errors of all photos are the mixture of these. This is multiple imputation with
infinitely many draws (Rubin, "Multiple Imputation for Nonresponse in Surveys", 1987). Nothing is assumed of how an
answer's error and its label's go together: the place is conditioned on both.
"""

import dataclasses
from typing import Final, Self

import numpy as np

from img2gps.geo import FloatArray

__all__ = ["PlacedErrors"]

_LEAST_M, _MOST_M, _STEPS = 0.2, 2000.0, 160  # of the lengths at which the distribution is kept
_LEAST_SPREAD_M: Final = 0.05


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
        spread = np.maximum(spread_m, _LEAST_SPREAD_M)[:, None]
        held = ncx2.cdf((metres / spread) ** 2, 2, (apart_m[:, None] / spread) ** 2)
        return cls(held=np.asarray(held), metres=metres, square_m2=apart_m**2 + 2 * spread_m**2)

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
