"""The errors of the model-free predictors and of the oracle on the photos of an evaluation."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from img2gps.geo import FloatArray, LocalFrame, geodesic_m
from img2gps.pixels import UnreadableImageError
from train.evaluation import baselines

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["REFERENCES", "ReferenceErrors", "reference_errors"]

REFERENCES: Final = {
    "mean_predictor": "the mean position of the training photos",
    "training_median": "the median position of the training photos",
    "random_training_photo": "the position of a training photo drawn at random",
    "nearest_thumbnail": "the position of the training photo with the most similar 16 x 16 colour thumbnail",
    "oracle": "the position of the training photo that is nearest in truth: the limit of retrieval",
}
"""Key and meaning of each reference, in the order they are shown."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceErrors:
    """Geodesic errors in metres, each of shape (N,), under the keys of `REFERENCES`, in their order.

    `nearest_thumbnail` is absent where the working copies of the training photos are not at hand.
    """

    errors_m: dict[str, FloatArray]


def reference_errors(
    frame: LocalFrame,
    photos: "pd.DataFrame",
    training: "pd.DataFrame",
    *,
    photo_paths: list[Path] | None = None,
    training_paths: list[Path] | None = None,
) -> ReferenceErrors:
    """Return the references' errors on `photos`, each photo against the photos its own model was trained on.

    `photos` and `training` have lon, lat and fold. A photo of fold k was predicted by a model trained on all training
    rows of other folds. A photo of fold -1 was predicted by one trained on all rows.
    """
    truth_m = np.stack(frame.to_local(photos["lon"], photos["lat"]), axis=1)
    train_m = np.stack(frame.to_local(training["lon"], training["lat"]), axis=1)
    answers = {key: np.full_like(truth_m, np.nan) for key in REFERENCES if key != "oracle"}
    oracle = np.full(len(photos), np.nan)
    thumbnails = _thumbnails(photo_paths, training_paths)
    folds, train_folds = (table["fold"].to_numpy(dtype=np.int64) for table in (photos, training))
    for fold in np.unique(folds):
        rows = np.flatnonzero(folds == fold)
        others = np.flatnonzero((train_folds != fold) | (fold < 0))
        answers["mean_predictor"][rows] = baselines.mean_position(train_m[others])
        answers["training_median"][rows] = baselines.median_position(train_m[others])
        answers["random_training_photo"][rows] = baselines.random_positions(train_m[others], len(rows))
        oracle[rows] = baselines.nearest_distance_m(truth_m[rows], train_m[others])
        if thumbnails is not None:
            nearest = baselines.nearest_rows(thumbnails[0][rows], thumbnails[1][others])
            answers["nearest_thumbnail"][rows] = train_m[others][nearest]
    if thumbnails is None:
        del answers["nearest_thumbnail"]
    errors = {key: _errors(frame, photos, answer) for key, answer in answers.items()}
    return ReferenceErrors(errors_m={**errors, "oracle": oracle})


def _thumbnails(
    photo_paths: list[Path] | None, training_paths: list[Path] | None
) -> tuple[baselines.Thumbnails, baselines.Thumbnails] | None:
    if photo_paths is None or training_paths is None:
        return None
    distinct = sorted({*photo_paths, *training_paths})
    try:
        vectors = baselines.colour_thumbnails(distinct)
    except UnreadableImageError:  # a damaged training photo costs this reference, not the evaluation
        return None
    row_of = {path: row for row, path in enumerate(distinct)}
    return vectors[[row_of[path] for path in photo_paths]], vectors[[row_of[path] for path in training_paths]]


def _errors(frame: LocalFrame, photos: "pd.DataFrame", answer_m: FloatArray) -> FloatArray:
    lon, lat = frame.to_lonlat(answer_m[:, 0], answer_m[:, 1])
    return geodesic_m(photos["lon"], photos["lat"], lon, lat)
