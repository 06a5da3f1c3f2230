"""Content that stands in for parts of a photo: the same pixels of other photos of the site.

Grey patches are nothing that a model has seen, and their edges say more than what they hide. Content of the site is as
likely as what it hides, and comes from another place. Photos of another aspect have grey bars: these are no content
either, and stay what they are.
"""

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from numpy.typing import NDArray

from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.geo import FloatArray
from img2gps.pixels import PADDING, Pixels, PixelSpec, UnreadableImageError, read_pixels
from train.models.localizer import Localizer

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["APART_M", "Area", "Donors", "filled", "picture_area", "places_of", "site_donors"]

Area = tuple[slice, slice]
"""Rows and columns of a photo."""

APART_M: Final = 25.0
"""Content comes from photos at least this far from the place, where there are any: nearer ones show the same view."""

_MOST: Final = 200
_FEWEST: Final = 2


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Donors:
    """G photos of the site as a model sees them, (G, 3, height, width), and where they were taken, (G, 2) metres.

    `covering` (G, 3, height, width) are the middles of the same photos without bars; None where no photo has bars.
    """

    images: Pixels
    xy: FloatArray
    covering: Pixels | None = None

    @classmethod
    def of(cls, paths: Sequence[Path], xy: FloatArray, spec: PixelSpec, *, seed: int = 0) -> Self:
        """Return at most 200 of the photos that can be read, drawn by `seed`. Raises UsageError for fewer than two."""
        order = np.random.default_rng(seed).permutation(len(paths))[:_MOST]
        images, covering, rows = [], [], []
        for row in order.tolist():
            try:
                image = read_pixels(paths[row], spec)
                covering.append(_covering(paths[row], image))
            except UnreadableImageError:
                continue
            images.append(image)
            rows.append(row)
        if len(rows) < _FEWEST:
            raise UsageError("An explanation needs two other photos of the site at least: give a dataset with --on.")
        barred = any(one is not own for one, own in zip(covering, images, strict=True))
        return cls(images=np.stack(images), xy=xy[rows], covering=np.stack(covering) if barred else None)

    def chosen(self, east_m: float, north_m: float, count: int, rng: np.random.Generator, image: Pixels) -> Pixels:
        """Return up to `count` photos (D, 3, height, width) of other places than that of a photo `image`.

        They show something wherever the photo itself does: one with bars elsewhere is drawn by its middle.
        """
        apart = np.hypot(self.xy[:, 0] - east_m, self.xy[:, 1] - north_m)
        far = np.flatnonzero(apart >= APART_M)
        if len(far) < count:
            far = np.argsort(-apart)[:count]
        drawn = rng.permutation(far)[:count]
        found: Pixels = self.images[drawn]
        if self.covering is None:
            return found
        area = picture_area(image)
        same = np.array([picture_area(one) == area for one in found])
        return np.where(same[:, None, None, None], found, self.covering[drawn])


def picture_area(image: Pixels) -> Area:
    """Return the rows and columns of a photo (3, height, width) that its bars of padding leave."""
    bars = (image == np.array(PADDING, dtype=np.uint8)[:, None, None]).all(axis=0)
    rows, columns = np.flatnonzero(~bars.all(axis=1)), np.flatnonzero(~bars.all(axis=0))
    if not len(rows):
        return slice(0, image.shape[1]), slice(0, image.shape[2])
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _covering(path: Path, image: Pixels) -> Pixels:
    """Return the middle of a photo, so large that it has no bars: `image` itself where it has none."""
    _, height, width = image.shape
    rows, columns = picture_area(image)
    own_height, own_width = rows.stop - rows.start, columns.stop - columns.start
    if (own_height, own_width) == (height, width):
        return image
    scale = max(height / own_height, width / own_width)
    spec = PixelSpec(
        height=max(height, math.ceil(own_height * scale)), width=max(width, math.ceil(own_width * scale)), fit="squash"
    )
    top, left = (spec.height - height) // 2, (spec.width - width) // 2
    return read_pixels(path, spec)[:, top : top + height, left : left + width]


def filled(image: Pixels, mask: NDArray[np.bool_], donors: Pixels) -> Pixels:
    """Return a photo (3, height, width) with the pixels of `mask` (height, width) from each of D donors, (D, ...)."""
    made: Pixels = np.where(mask[None, None], donors, image[None])
    return made


def site_donors(dataset: Dataset, frame: "pd.DataFrame", localizer: Localizer, seed: int) -> Donors:
    """Return content of a dataset's photos, whose rows are `frame`, as a model sees them."""
    paths = dataset.photo_paths(frame["id"])
    return Donors.of(paths, places_of(localizer, frame), localizer.pixels, seed=seed)


def places_of(localizer: Localizer, frame: "pd.DataFrame") -> FloatArray:
    """Return where photos were taken by their labels, in metres of a run's frame, (N, 2)."""
    return np.stack(localizer.frame.to_local(frame["lon"].to_numpy(), frame["lat"].to_numpy()), axis=1)
