"""Whether photos look like the site at all: a model puts every photo on its site, wherever it was taken."""

import dataclasses
from typing import Final, Self

import numpy as np
from torch import Tensor

from img2gps.familiarity import familiarity_of, walk_familiarity
from img2gps.geo import FloatArray
from train.models.calibration import FEWEST_TO_CALIBRATE

__all__ = ["Familiarity", "Power"]

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

        Walks are drawn among the strangers. How well their photos agree is not asked, because photos of one place
        elsewhere may agree by chance. Walks are noticed no less often than this.
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

        None where nothing is known (`img2gps.familiarity.familiarity_of`).
        """
        return familiarity_of(self.held_out.cpu().numpy(), similarity.cpu().numpy())
