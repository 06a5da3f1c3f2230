"""How likely each place is by what photos show, as a density that can be asked anywhere."""

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray

__all__ = ["PlaceEvidence"]

_FAR: Final = 1 << 24  # squares between two rows of squares in a key: more than any site has


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PlaceEvidence:
    """What N photos show by a model that had not seen them.

    `log_probs` (N, C) are those of C squares of side `size_m`, whose south-west corners are `squares` (C, 2) in whole
    sides, east first.
    """

    log_probs: NDArray[np.float32]
    squares: NDArray[np.int64]
    size_m: float

    def take(self, rows: NDArray[np.int64]) -> "PlaceEvidence":
        """Return the photos at `rows`."""
        return dataclasses.replace(self, log_probs=self.log_probs[rows])

    @property
    def area_m2(self) -> float:
        """The area of all squares."""
        return len(self.squares) * self.size_m**2

    def density(self, temper: float) -> FloatArray:
        """Return the density (N, C + 1) per square metre in each square, and outside of all (0).

        `temper` is an exponent on the probabilities.
        """
        scaled = temper * self.log_probs.astype(np.float64)
        probs = np.exp(scaled - scaled.max(axis=1, keepdims=True))
        probs /= probs.sum(axis=1, keepdims=True) * self.size_m**2
        return np.concatenate([probs, np.zeros((len(probs), 1))], axis=1)

    def around(self, points_m: FloatArray) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Return the four squares whose middles are around each point (..., 2), and their weights; shapes (..., 4).

        The number of a square that is not there is C. The weights are those of bilinear interpolation.
        """
        places = points_m / self.size_m - 0.5
        low = np.floor(places).astype(np.int64)
        share = places - low
        keys = self.squares[:, 0] * _FAR + self.squares[:, 1]
        order = np.argsort(keys)
        ordered = keys[order]
        index, weight = [], []
        for east, north in ((0, 0), (0, 1), (1, 0), (1, 1)):
            key = (low[..., 0] + east) * _FAR + low[..., 1] + north
            at = np.minimum(np.searchsorted(ordered, key), len(keys) - 1)
            index.append(np.where(ordered[at] == key, order[at], len(keys)))
            along = share[..., 0] if east else 1 - share[..., 0]
            weight.append(along * (share[..., 1] if north else 1 - share[..., 1]))
        return np.stack(index, axis=-1).astype(np.int32), np.stack(weight, axis=-1).astype(np.float32)
