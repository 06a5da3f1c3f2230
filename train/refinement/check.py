"""Whether refined labels serve: models trained on them, asked for walks that their refinement has not seen."""

import dataclasses
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from img2gps.geo import FloatArray
from train.config.schema import ProbeConfig
from train.config.values import for_refined
from train.data.training_data import DatasetPhotos, Photos
from train.refinement.evidence import HeldOutModels, walk_parts
from train.refinement.refine import place_photos
from train.runtime.devices import pick_device

__all__ = ["check_refining", "compared"]

_FEWEST_WALKS: Final = 5
_FAR_M: Final = 50.0  # an error counts so much at most: beyond, a photo was taken for another place


def check_refining(
    config: ProbeConfig, source: DatasetPhotos, photos: Photos, *, device: str = "auto"
) -> dict[str, Any]:
    """Return what refining does to models of `photos`, as plain JSON values (`compared`).

    Each part of the walks is located twice, by a model of the other parts. One is trained on their labels as they are,
    one on labels that were refined without the part. Both are held against the part's own labels, which neither has
    seen. They are off themselves, but by the same for both. Raises UsageError where nothing can be held out.
    """
    part = walk_parts(source, photos)
    labels_m = np.stack([photos.east_m, photos.north_m], axis=1)
    plain = HeldOutModels.of(config, source, photos, pick_device(device))
    fine = dataclasses.replace(plain, config=for_refined(plain.config))  # as `train --labels refined` does
    errors_m = {"as_they_are": np.zeros(len(photos)), "refined": np.zeros(len(photos))}
    numbers = np.unique(part)
    for turn, number in enumerate(numbers, start=1):
        asked, others = np.flatnonzero(part == number), np.flatnonzero(part != number)
        title = f"Checking on walks left out, {turn} of {len(numbers)}"
        placed, _ = place_photos(config, source, photos.take(others), device=device, title=title)
        refined_m = labels_m.copy()
        refined_m[others] = placed.xy
        for name, models, trained_on_m in (("as_they_are", plain, labels_m), ("refined", fine, refined_m)):
            errors_m[name][asked] = np.hypot(*(models.located(asked, trained_on_m) - labels_m[asked]).T)
    return compared(errors_m["as_they_are"], errors_m["refined"], photos.walk)


def compared(as_they_are_m: FloatArray, refined_m: FloatArray, walks: NDArray[np.str_]) -> dict[str, Any]:
    """Return two models' errors (N,) of photos of `walks` (N,) in metres, and whether the second is better, as JSON.

    `change_m` is the mean difference of errors, each at most 50 m, with its 95 % interval over walks (None for fewer
    than five). `pays` is whether the interval lies below zero, None where it holds zero or is not known.
    """
    differences_m = np.minimum(refined_m, _FAR_M) - np.minimum(as_they_are_m, _FAR_M)
    bounds = _mean_interval(differences_m, walks)
    pays = None if bounds is None or bounds[0] <= 0 <= bounds[1] else bounds[1] < 0
    figures = {
        name: {
            "median_m": round(float(np.median(errors_m)), 2),
            "rmse_m": round(float(np.sqrt(np.mean(errors_m**2))), 2),
        }
        for name, errors_m in (("as_they_are", as_they_are_m), ("refined", refined_m))
    }
    return figures | {
        "walks": len(np.unique(walks)),
        "change_m": round(float(differences_m.mean()), 2),
        "change_interval_m": None if bounds is None else [round(bounds[0], 2), round(bounds[1], 2)],
        "pays": pays,
    }


def _mean_interval(values: FloatArray, walks: NDArray[np.str_]) -> tuple[float, float] | None:
    """Return the 95 % interval of the mean of `values` (N,) over whole walks, None for fewer than five.

    Walks are clusters of unequal size: Cochran, "Sampling Techniques", 1977, sec. 9A.
    """
    _, walk = np.unique(walks, return_inverse=True)
    count, mean = int(walk.max()) + 1, float(values.mean())
    if count < _FEWEST_WALKS:
        return None
    off = np.bincount(walk, weights=values - mean)
    error = float(np.sqrt(count / (count - 1) * np.sum(off**2)) / len(values))
    half = float(t.ppf(0.975, count - 1)) * error
    return mean - half, mean + half
