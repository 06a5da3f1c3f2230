"""Whether photos look like the site at all: a model puts every photo on its site, wherever it was taken."""

import dataclasses
import math
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from img2gps.geo import FloatArray
from train.models.calibration import FEWEST_TO_CALIBRATE

__all__ = ["Familiarity", "Power", "walk_familiarity"]

_RAREST: Final = 0.005  # no photo counts for more
_REGION: Final = 0.9  # of photos lie in their 90 % regions
# Walks on one site differ by more than chance, in light, season and camera: spreads of the mean score and of the share
# of regions that hold, no less than those of seven walks of a campus, each left out (docs/recipe.md).
_WALKS_DIFFER: Final = 0.4
_REGIONS_DIFFER: Final = 0.05
_FEWEST_TO_AGREE: Final = 5.0
_WALK_PHOTOS: Final = 10  # in a walk whose power is estimated
_WALKS: Final = 200  # drawn for that


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Power:
    """The share of `strangers` made-up views that a model finds unlike its site, and of walks of `looks` such views."""

    photos: float
    walks: float
    strangers: int
    looks: int = _WALK_PHOTOS  # a key of checkpoints

    @classmethod
    def of(cls, familiarity: FloatArray, *, below: float, seed: int) -> Self:
        """Return the power by the familiarity (N,) of N strangers; below `below` a photo is unlike the site.

        Walks are drawn among the strangers. How well their photos agree is not asked, for photos of one place
        elsewhere may agree by chance: walks are found out no less often than this.
        """
        draws = np.random.default_rng([seed, len(familiarity)])
        walks = draws.choice(familiarity, size=(_WALKS, _WALK_PHOTOS))
        agrees, weights = np.ones(_WALK_PHOTOS, dtype=bool), np.ones(_WALK_PHOTOS)
        found = np.asarray([walk_familiarity(walk, agrees, weights) for walk in walks])
        return cls(
            photos=float(np.mean(familiarity < below)),
            walks=float(np.mean(found < below)),
            strangers=len(familiarity),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Familiarity:
    """The similarity (M,), ascending, of photos of the site that no head was fitted on; none: nothing is known.

    `power` is how many strangers it finds out; None: that is not known, as in models of earlier versions.
    """

    held_out: Tensor
    power: Power | None = None

    @classmethod
    def fit(cls, similarity: Tensor) -> Self:
        """Return what similarity (M,) is usual; nothing is known by fewer than 20 photos, or where no head compares."""
        if len(similarity) < FEWEST_TO_CALIBRATE or not bool(similarity.isfinite().all()):
            return cls(held_out=similarity[:0])
        return cls(held_out=similarity.sort().values)

    def of(self, similarity: Tensor) -> FloatArray | None:
        """Return the share of held-out photos that look as little like the training photos as each, or less, (N,).

        The p-value of split-conformal prediction (Bates et al., "Testing for outliers with conformal p-values",
        Annals of Statistics 51, 2023): of photos like the held-out ones a share of q at most gets q or less.
        None where nothing is known.
        """
        if not len(self.held_out):
            return None
        below = torch.searchsorted(self.held_out, similarity.contiguous(), right=True)
        probs: FloatArray = (1 + below.cpu().numpy().astype(np.float64)) / (1 + len(self.held_out))
        return probs


def walk_familiarity(familiarity: FloatArray, agrees: NDArray[np.bool_], weights: FloatArray) -> float:
    """Return the p-value of a walk being on the site, by how familiar its photos are and how well they agree.

    On the site, the `familiarity` (N,) of its photos is even over 0 to 1, and nine tenths of the 90 % regions they have
    alone hold where they are put together (`agrees`, (N,)), but for what walks differ by. `weights` (N,) is what each
    photo counts, less than one where others were taken within seconds. The normal scores of familiarity are averaged
    (Stouffer's method). From a sum of five on, the p-value of agreement is multiplied in (Fisher's method); neither
    counts in favour of the walk, for photos elsewhere may agree by chance. Below that only familiarity counts.
    The two are taken to be independent. Both methods: Hedges and Olkin, "Statistical Methods for Meta-Analysis" (1985),
    ch. 3.
    """
    count = float(weights.sum())
    scores = torch.special.ndtri(torch.from_numpy(familiarity).clamp(_RAREST, 1 - _RAREST)).numpy()
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
