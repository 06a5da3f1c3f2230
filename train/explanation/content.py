"""Content that stands in for parts of a photo: the same pixels of other photos of the site.

Grey patches are nothing that a model has seen, and their edges say more than what they hide. Content of the site is as
likely as what it hides, and comes from another place.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.geo import FloatArray
from img2gps.pixels import Pixels, PixelSpec, UnreadableImageError, read_pixels
from train.models.localizer import Localizer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["APART_M", "Donors", "filled", "places_of", "site_donors"]

APART_M: Final = 25.0
"""Content comes from photos at least this far from the place, where there are any: nearer ones show the same view."""

_MOST: Final = 200
_FEWEST: Final = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Donors:
    """G photos of the site as a model sees them, (G, 3, height, width), and where they were taken, (G, 2) metres."""

    images: Pixels
    xy: FloatArray

    @classmethod
    def of(cls, paths: Sequence[Path], xy: FloatArray, spec: PixelSpec, *, seed: int = 0) -> Self:
        """Return at most 200 of the photos that can be read, drawn by `seed`. Raises UsageError for fewer than two."""
        order = np.random.default_rng(seed).permutation(len(paths))[:_MOST]
        images, rows = [], []
        for row in order.tolist():
            try:
                images.append(read_pixels(paths[row], spec))
            except UnreadableImageError:
                continue
            rows.append(row)
        if len(rows) < _FEWEST:
            raise UsageError("An explanation needs two other photos of the site at least: give a dataset with --on.")
        return cls(images=np.stack(images), xy=xy[rows])

    def chosen(self, east_m: float, north_m: float, count: int, rng: np.random.Generator) -> Pixels:
        """Return up to `count` photos (D, 3, height, width) of other places than this one."""
        apart = np.hypot(self.xy[:, 0] - east_m, self.xy[:, 1] - north_m)
        far = np.flatnonzero(apart >= APART_M)
        if len(far) < count:
            far = np.argsort(-apart)[:count]
        drawn: Pixels = self.images[rng.permutation(far)[:count]]
        return drawn


def filled(image: Pixels, mask: NDArray[np.bool_], donors: Pixels) -> Pixels:
    """Return a photo (3, height, width) with the pixels of `mask` (height, width) from each of D donors, (D, ...)."""
    made: Pixels = np.where(mask[None, None], donors, image[None])
    return made


def site_donors(dataset: Dataset, frame: "pd.DataFrame", localizer: Localizer, seed: int) -> Donors:
    """Return content of a dataset's photos, whose rows are `frame`, as a model sees them."""
    paths = [dataset.photo_path(photo_id) for photo_id in frame["id"]]
    return Donors.of(paths, places_of(localizer, frame), localizer.pixels, seed=seed)


def places_of(localizer: Localizer, frame: "pd.DataFrame") -> FloatArray:
    """Return where photos were taken by their labels, in metres of a run's frame, (N, 2)."""
    return np.stack(localizer.frame.to_local(frame["lon"].to_numpy(), frame["lat"].to_numpy()), axis=1)
