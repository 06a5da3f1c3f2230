"""Where the photos of a dataset were taken, as all its walks tell: what errors against the truth are measured from.

It depends on the dataset alone, not on the run that is scored, and is kept beside it.
"""

import contextlib
from typing import TYPE_CHECKING, Final

import numpy as np

from img2gps.dataset import Dataset
from img2gps.errors import Img2GPSError
from img2gps.geo import FloatArray
from train.config.presets import preset
from train.config.schema import ProbeConfig
from train.data.training_data import DatasetPhotos, read_photos
from train.evaluation.truth import PLACED

if TYPE_CHECKING:
    import pandas as pd
    import torch

__all__ = ["with_places"]

_VERSION: Final = 4
_FEWEST_WALKS: Final = 5  # fewer cannot tell a drift from the place
_FEWEST_PHOTOS: Final = 100  # fewer share few views
_LEAST_MATCHES: Final = 0.5  # a photo, on average: fewer do not tie walks together
_MOST_PHOTOS: Final = 2000  # of more it takes too long for an evaluation


def with_places(scores: "pd.DataFrame", dataset: Dataset, *, device: str) -> "pd.DataFrame":
    """Return scores with the columns `PLACED`.

    They are NaN where walks, photos or matches are too few, photos too many, or photos cannot be placed.
    """
    found = np.full((len(scores), len(PLACED)), np.nan)
    source = read_photos(dataset.root)
    enough = len(set(source.photos.walk.tolist())) >= _FEWEST_WALKS
    if enough and _FEWEST_PHOTOS <= len(source.photos) <= _MOST_PHOTOS:
        rows = np.asarray([source.row_of.get(str(one), -1) for one in scores["id"]])
        # Scores need no photos: walks that are one group, or a working copy that is gone, must not take them away.
        with contextlib.suppress(Img2GPSError, OSError):
            found[rows >= 0] = _places(source, device)[rows[rows >= 0]]
    return scores.assign(**{name: found[:, column] for column, name in enumerate(PLACED)})


def _places(source: DatasetPhotos, device: str) -> FloatArray:
    """Return the columns (N, 3) of all photos of a dataset, from the file beside it where that is of these labels."""
    import torch

    from train.models.probe.features.tensor_cache import cached_tensors, photos_of, tensors_path
    from train.refinement.refine import place_photos

    config = preset("quick")
    assert isinstance(config, ProbeConfig)

    def compute() -> "dict[str, torch.Tensor]":
        estimates, matches = place_photos(config, source, source.photos, device=device)
        enough = matches >= _LEAST_MATCHES * len(source.photos)
        spread_m = estimates.spread_m if enough else np.full(len(source.photos), np.nan)
        return {"places": torch.from_numpy(np.concatenate([estimates.xy, spread_m[:, None]], axis=1))}

    photos = source.photos
    states = source.dataset.frame()["label_state"].fillna("").astype(str).tolist()
    labels = [source.site_sha256, source.rows_sha256, photos.lon.tolist(), photos.lat.tolist(), states, _VERSION]
    path = tensors_path("places", source, photos_of(source), labels)
    return np.asarray(cached_tensors(path, len(photos), compute)["places"].numpy(), dtype=np.float64)
