"""How far an exported model is from its run: on the same pixels, and each from the file by its own decoding."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from numpy.typing import NDArray

from img2gps.answers import Prediction
from img2gps.geo import FloatArray, geodesic_m
from train.models.localizer import Localizer

if TYPE_CHECKING:
    from img2gps.runtime.locator import Locator

__all__ = ["Parity", "checked_pixels", "generated_pixels", "parity_of"]

_COARSE: Final = 6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """N photos located by a run and by its export: `distance_m` (N,) between the two positions.

    `radius_share` (N, 2) is by how much the radii of 50 % and 90 % differ, as a share of the run's. It is None if the
    model has none. `familiarity` (N,) is by how much the p-values differ, None where it tells none.
    """

    distance_m: FloatArray
    radius_share: FloatArray | None
    familiarity: FloatArray | None

    @property
    def worst_m(self) -> float:
        """The largest distance; 0 where there is no photo."""
        return float(self.distance_m.max(initial=0.0))

    @property
    def worst_radius_share(self) -> float | None:
        """The largest difference of a radius, as a share."""
        return None if self.radius_share is None else float(self.radius_share.max(initial=0.0))


def checked_pixels(localizer: Localizer, locator: "Locator", pixels: NDArray[np.uint8]) -> Parity:
    """Return the parity on N photos that are pixels already, uint8 (N, 3, height, width)."""
    estimate = localizer.locate(torch.from_numpy(pixels))
    lon, lat = localizer.frame.to_lonlat(estimate.east_m, estimate.north_m)
    answers = [sighting.answer for sighting in locator.sightings_of(pixels)]
    radii = None
    if estimate.radius_50_m is not None and estimate.radius_90_m is not None:
        radii = np.stack([estimate.radius_50_m, estimate.radius_90_m], axis=1)
    return _parity(lon, lat, radii, estimate.familiarity, answers)


def parity_of(ours: Sequence[Prediction], theirs: Sequence[Prediction]) -> Parity:
    """Return the parity of N answers of the run (`ours`) and of the export; all of photos that could be read."""
    has_radii = bool(ours) and ours[0].radius_50_m is not None
    knows = bool(ours) and ours[0].familiarity is not None
    return _parity(
        np.asarray([one.lon for one in ours], dtype=np.float64),
        np.asarray([one.lat for one in ours], dtype=np.float64),
        np.asarray([(one.radius_50_m, one.radius_90_m) for one in ours], dtype=np.float64) if has_radii else None,
        np.asarray([one.familiarity for one in ours], dtype=np.float64) if knows else None,
        theirs,
    )


def _parity(
    lon: FloatArray,
    lat: FloatArray,
    radii: FloatArray | None,
    familiarity: FloatArray | None,
    answers: Sequence[Prediction],
) -> Parity:
    theirs = [np.asarray([getattr(one, name) for one in answers], dtype=np.float64) for name in ("lon", "lat")]
    distance_m = geodesic_m(lon, lat, *theirs)
    if radii is None:
        return Parity(distance_m=distance_m, radius_share=None, familiarity=None)
    found = np.asarray([(one.radius_50_m, one.radius_90_m) for one in answers], dtype=np.float64).reshape(-1, 2)
    known = None
    if familiarity is not None:
        known = np.abs(np.asarray([one.familiarity for one in answers], dtype=np.float64) - familiarity)
    return Parity(distance_m=distance_m, radius_share=np.abs(found - radii) / radii, familiarity=known)


def generated_pixels(height: int, width: int, *, count: int) -> NDArray[np.uint8]:
    """Return `count` made-up photos (count, 3, height, width): patches of colour with fine noise over them."""
    draws = np.random.default_rng([height, width, count])
    coarse = draws.integers(30, 226, size=(count, 3, _COARSE, _COARSE)).astype(np.float32)
    smooth = torch.nn.functional.interpolate(torch.from_numpy(coarse), size=(height, width), mode="bicubic").numpy()
    noisy = smooth + draws.normal(0.0, 12.0, size=smooth.shape)
    return np.ascontiguousarray(np.clip(noisy, 0, 255).astype(np.uint8))


def dataset_pixels(localizer: Localizer, paths: Sequence[Path]) -> NDArray[np.uint8] | None:
    """Return those of `paths` that can be read as pixels of the model, None where none can."""
    from img2gps.pixels import UnreadableImageError, read_pixels

    read = []
    for path in paths:
        try:
            read.append(read_pixels(path, localizer.pixels))
        except UnreadableImageError:  # the dataset may have lost photos: others will do
            continue
    return np.stack(read) if read else None
