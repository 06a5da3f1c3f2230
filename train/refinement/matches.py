"""Which photos of different walks show the same view, by models that saw neither in training with its walk."""

import dataclasses
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray, turned_deg
from train.models.probe.covisibility import MOST_TURNED_DEG

__all__ = ["Matches"]

_LEAST_STRENGTH: Final = 0.03  # each is among the thirty or so that the other names


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """M pairs of photos that each name the other: their `rows` (M, 2), the lower first, and `strength` (M,), 0 to 1."""

    rows: NDArray[np.int64]
    strength: FloatArray

    def __len__(self) -> int:
        return len(self.rows)

    def apart_m(self, xy: FloatArray) -> float | None:
        """Return how far apart in the median two matched photos lie at positions (N, 2) in metres; None for none."""
        first, second = self.rows.T
        return float(np.median(np.hypot(*(xy[first] - xy[second]).T))) if len(self) else None

    def facing(self, heading_deg: FloatArray) -> Self:
        """Return the matches of photos that look the same way, by headings (N,); NaN fits with every other."""
        first, second = self.rows.T
        # an unknown heading gives NaN, which is not greater
        kept = ~(turned_deg(heading_deg[first], heading_deg[second]) > MOST_TURNED_DEG)
        return dataclasses.replace(self, rows=self.rows[kept], strength=self.strength[kept])

    @classmethod
    def mutual(cls, index: NDArray[np.int64], share: FloatArray) -> Self:
        """Return the matches of N photos, each of which gives photos `index` (N, K) a `share` (N, K) of its belief.

        A pair is as strong as the geometric mean of what each gives the other: one-sided likeness is no match. Weak
        ones are left out.
        """
        from scipy.sparse import csr_matrix, triu

        count, width = index.shape
        given = csr_matrix((share.ravel(), (np.repeat(np.arange(count), width), index.ravel())), shape=(count, count))
        both = triu(given.multiply(given.T), k=1).tocoo()
        strength = np.sqrt(both.data)
        kept = strength >= _LEAST_STRENGTH
        return cls(
            rows=np.stack([both.row[kept], both.col[kept]], axis=1).astype(np.int64),
            strength=np.asarray(strength[kept], dtype=np.float64),
        )
