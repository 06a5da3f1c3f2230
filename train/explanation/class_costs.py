"""What the classes of things in photos are worth to a model: their pixels filled from photos of other places."""

import dataclasses
from collections.abc import Sequence
from typing import Final, Self

import numpy as np

from img2gps.geo import FloatArray
from img2gps.masks import CLASSES, ClassMask
from img2gps.pixels import Pixels
from train.explanation.beliefs import beliefs_of
from train.explanation.content import Donors, filled, picture_area
from train.explanation.masked_photos import shares_of
from train.models.localizer import Localizer

__all__ = ["PhotoCosts", "costs_of"]

_LEAST_SHARE: Final = 0.002  # of a photo: less is some pixels along an edge
_DONORS: Final = 2
_LEAST_SHIFT, _MOST_SHIFT = 0.25, 0.75


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PhotoCosts:
    """N photos by K classes of `img2gps.masks.CLASSES`, arrays (N, K).

    `share` is the class's part of the photo. The others say what filling it costs: metres of additional error, and how
    much less likely the true place is. The last is NaN for a model that gives points. `elsewhere_*` are of fills of the
    same shape, shifted sideways. All are zero where the photo does not show the class.
    """

    share: FloatArray
    cost_m: FloatArray
    cost_log_prob: FloatArray
    elsewhere_m: FloatArray
    elsewhere_log_prob: FloatArray

    def total(self, names: Sequence[str], *, beyond_elsewhere: bool = False) -> tuple[FloatArray, FloatArray]:
        """Return the metres (N,) and the share (N,) of some classes together, metres less those elsewhere if asked."""
        columns = [CLASSES.index(name) for name in names]
        cost_m = self.cost_m - self.elsewhere_m if beyond_elsewhere else self.cost_m
        return cost_m[:, columns].sum(axis=1), self.share[:, columns].sum(axis=1)

    @classmethod
    def mean(cls, parts: Sequence[Self]) -> Self:
        """Return the mean costs of several models on the same photos."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.mean([getattr(part, name) for part in parts], axis=0) for name in names})

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the costs of several photos as one."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def costs_of(
    localizer: Localizer, image: Pixels, mask: ClassMask, truth: tuple[float, float], donors: Donors, *, seed: int
) -> PhotoCosts:
    """Return the costs of one photo (3, height, width), its mask (height, width), and its true place in metres."""
    rng = np.random.default_rng(seed)
    content, area = donors.chosen(*truth, _DONORS, rng, image), picture_area(image)
    shares = shares_of(mask[area])
    present = [k for k in range(1, len(CLASSES)) if shares[k] >= _LEAST_SHARE]
    altered = [image[None]]
    for k in present:
        own, elsewhere = mask == k, np.zeros(mask.shape, dtype=np.bool_)
        shift = round(float(rng.uniform(_LEAST_SHIFT, _MOST_SHIFT)) * own[area].shape[1])
        elsewhere[area] = np.roll(own[area], shift, axis=1)
        altered += [filled(image, own, content), filled(image, elsewhere, content)]
    found = beliefs_of(localizer, np.concatenate(altered), truth)
    error = found.apart_m(*truth)
    logs = np.full(len(error), np.nan) if found.log_prob is None else found.log_prob
    more = (error[1:] - error[0]).reshape(len(present), 2, -1).mean(axis=2)
    less = (logs[0] - logs[1:]).reshape(len(present), 2, -1).mean(axis=2)
    columns = np.zeros((4, len(CLASSES)))
    if present:
        columns[:, present] = np.stack([more[:, 0], less[:, 0], more[:, 1], less[:, 1]])
    share = np.zeros(len(CLASSES))
    share[present] = shares[present]
    cost_m, cost_log, elsewhere_m, elsewhere_log = (column[None] for column in columns)
    return PhotoCosts(
        share=share[None],
        cost_m=cost_m,
        cost_log_prob=cost_log,
        elsewhere_m=elsewhere_m,
        elsewhere_log_prob=elsewhere_log,
    )
