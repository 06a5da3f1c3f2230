"""The folds of a run: which are finished, and their predictions as one."""

from pathlib import Path

from img2gps.errors import InvalidCheckpointError, NotFoundError, UsageError
from train.config.schema import TrainConfig
from train.config.values import config_of
from train.data.training_data import TrainingData
from train.inference.locate import locate_with_walks
from train.inference.predictions import predictions_frame, read_predictions, write_predictions
from train.models.localizer import Localizer
from train.runs.checkpoint import read_checkpoint
from train.runs.folder import RunFolder

__all__ = ["is_finished", "pool_folds", "pooled_path", "predict_fold", "predictions_path"]


def is_finished(folder: RunFolder, config: TrainConfig) -> bool:
    """Return whether a fold has been trained and predicted under this very config: `--epochs` may have grown."""
    if not predictions_path(folder).is_file():
        return False
    try:
        return config_of(read_checkpoint(folder.best).state.get("config", {})) == config
    except (NotFoundError, InvalidCheckpointError, UsageError):
        return False  # the last checkpoint goes on, and makes it again


def predictions_path(folder: RunFolder) -> Path:
    """Return where the predictions of a fold's photos by its own model lie."""
    return folder.root / "predictions.parquet"


def pooled_path(run: RunFolder) -> Path:
    """Return where the predictions of all folds lie, once every fold is finished."""
    return run.folds_path / "predictions.parquet"


def predict_fold(folder: RunFolder, data: TrainingData, localizer: Localizer) -> None:
    """Write where a fold's model places the photos it has not seen, each by itself and with the others of its walk.

    Raises InvalidDatasetError for an unreadable photo.
    """
    photos = data.held_out
    if photos is None:
        return
    ids = [str(photo_id) for photo_id in photos.ids]
    paths = data.source.dataset.photo_paths(ids)
    data.source.dataset.tell_changed_copies(ids, photos.photo_sha256)
    alone, with_walks = locate_with_walks(
        localizer, paths, walks=photos.walk, seconds=photos.captured_s, labels=(photos.lon, photos.lat)
    )
    rows = predictions_frame(
        ids=ids,
        lon=photos.lon,
        lat=photos.lat,
        estimate=alone,
        with_walks=with_walks,
        frame=localizer.frame,
        fold=data.fold,
    )
    write_predictions(predictions_path(folder), rows)


def pool_folds(run: RunFolder, parts: list[TrainingData]) -> None:
    """Write the predictions and the photos of all folds as the run's own (``folds/predictions.parquet``)."""
    import pandas as pd

    folders = [run.fold(data.fold) for data in parts if data.fold is not None]
    pooled = pd.concat([read_predictions(predictions_path(folder)) for folder in folders], ignore_index=True)
    write_predictions(pooled_path(run), pooled)
    run.write_photos(pd.concat([folder.read_photos() for folder in folders], ignore_index=True))
