"""Whether photos and walks look like the site at all: p-values, by how alike photos of the site are to each other."""

import math
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray

__all__ = ["familiarity_of", "walk_familiarity"]

_RAREST: Final = 0.005  # no photo counts for more
_REGION: Final = 0.9  # of photos lie in their 90 % regions
# Walks on one site differ by more than chance, in light, season and camera: spreads of the mean score and of the share
# of regions that hold, no less than those of seven walks of a campus, each left out (docs/experiments/results.md).
_WALKS_DIFFER: Final = 0.4
_REGIONS_DIFFER: Final = 0.05
_FEWEST_TO_AGREE: Final = 5.0
_NORMAL: Final = NormalDist()


def familiarity_of(held_out: NDArray[np.floating], similarity: NDArray[np.floating]) -> FloatArray | None:
    """Return the share of held-out photos that look as little like the training photos as each, or less, (N,).

    This is the p-value of split-conformal prediction: of photos like the held-out ones a share of q at most gets q or
    less. Source: Bates et al., "Testing for outliers with conformal p-values", Annals of Statistics 51, 2023.
    `held_out` (M,), ascending, is their similarity, `similarity` (N,) that of each. None where nothing is known (M is
    0).
    """
    if not len(held_out):
        return None
    below = np.searchsorted(held_out, similarity, side="right")
    return np.asarray((1 + below) / (1 + len(held_out)), dtype=np.float64)


def walk_familiarity(familiarity: FloatArray, agrees: NDArray[np.bool_], weights: FloatArray) -> float:
    """Return the p-value of a walk being on the site, by how familiar its photos are and how well they agree.

    On the site, the `familiarity` (N,) of its photos is even over 0 to 1. Nine tenths of the 90 % regions of single
    photos hold the place that the walk gives them (`agrees`, (N,)). Walks differ a little in both. `weights` (N,) is
    what each photo counts, less than one where others were taken within seconds. The normal scores of familiarity are
    averaged (Stouffer's method). From a sum of five on, the p-value of agreement is multiplied in (Fisher's method).
    Neither counts in favour of the walk, because photos elsewhere may agree by chance. Below that only familiarity
    counts. The two are taken to be independent. Both methods: Hedges and Olkin, "Statistical Methods for Meta-Analysis"
    (1985), ch. 3.
    """
    count = float(weights.sum())
    scores = np.asarray([_NORMAL.inv_cdf(share) for share in np.clip(familiarity, _RAREST, 1 - _RAREST).tolist()])
    mean = float((weights * scores).sum()) / count
    familiar = _below(mean / math.hypot(1 / math.sqrt(count), _WALKS_DIFFER))
    if count < _FEWEST_TO_AGREE:
        return familiar
    share = float((weights * agrees).sum()) / count + 0.5 / count  # continuity correction
    spread = math.hypot(math.sqrt(_REGION * (1 - _REGION) / count), _REGIONS_DIFFER)
    product = min(familiar, 0.5) * min(_below((share - _REGION) / spread), 0.5)
    # how often two even draws, each cut off at a half, have a product as small
    return product * (3 - math.log(4 * product)) if product < 0.25 else 1.0


def _below(score: float) -> float:
    """Return the share of the standard normal distribution below a score, also of scores so low that 1 + erf is 0."""
    return 0.5 * math.erfc(-score / math.sqrt(2))
