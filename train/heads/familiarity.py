"""Whether photos look like the site at all: a model puts every photo on its site, wherever it was taken."""

import dataclasses
import math
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from img2gps.geo import FloatArray
from train.heads.calibration import FEWEST_TO_CALIBRATE

__all__ = ["Familiarity", "walk_familiarity"]

_WALKS_DIFFER: Final = 0.15  # spread of the mean familiarity of walks on the site: light, season, camera
_REGION: Final = 0.9  # of photos lie in their 90 % regions


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Familiarity:
    """The likeness (M,), ascending, of photos of the site that no head was fitted on; none: nothing is known."""

    held_out: Tensor

    @classmethod
    def fit(cls, likeness: Tensor) -> Self:
        """Return what likeness (M,) is usual; nothing is known by fewer than 20 photos, or where no head compares."""
        if len(likeness) < FEWEST_TO_CALIBRATE or not bool(likeness.isfinite().all()):
            return cls(held_out=likeness[:0])
        return cls(held_out=likeness.sort().values)

    def of(self, likeness: Tensor) -> FloatArray | None:
        """Return the share of held-out photos that look as little like the training photos as each, or less, (N,).

        The p-value of split-conformal prediction (Bates et al., "Testing for outliers with conformal p-values",
        Annals of Statistics 51, 2023): of photos like the held-out ones a share of q at most gets q or less.
        None where nothing is known.
        """
        if not len(self.held_out):
            return None
        below = torch.searchsorted(self.held_out, likeness.contiguous(), right=True)
        shares: FloatArray = (1 + below.cpu().numpy().astype(np.float64)) / (1 + len(self.held_out))
        return shares


def walk_familiarity(familiarity: FloatArray, agrees: NDArray[np.bool_], looks: FloatArray) -> float:
    """Return the p-value of a walk being on the site, by two tests.

    On the site, the `familiarity` (N,) of its photos is even over 0 to 1, but for what walks differ by, and nine tenths
    of the 90 % regions they have alone hold where they are put together (`agrees`, (N,)). `looks` (N,) is what each
    photo counts, less than one where others were taken within seconds. Combined as by Fisher, "Statistical Methods for
    Research Workers" (1932, sec. 21.1), where neither test counts in favour of the walk: photos elsewhere may agree by
    chance, too. So the result is at most 0.6.
    """
    count = float(looks.sum())
    even = math.hypot(math.sqrt(1 / (12 * count)), _WALKS_DIFFER)
    scores = (
        (float((looks * familiarity).sum()) / count - 0.5) / even,
        (float((looks * agrees).sum()) / count - _REGION) / math.sqrt(_REGION * (1 - _REGION) / count),
    )
    product = math.prod(0.5 * math.erfc(-min(score, 0.0) / math.sqrt(2)) for score in scores)
    return product * (1 - math.log(product)) if product > 0 else 0.0
