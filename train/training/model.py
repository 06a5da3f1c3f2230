"""One model of a run, from its photos to its checkpoints; that of a fold predicts the fold, too."""

import shutil
from typing import TYPE_CHECKING

from img2gps.files import TEMPORARY_PREFIX
from train.config.schema import TrainConfig
from train.data.training_data import TrainingData
from train.models.registry import fit_model
from train.runs.folder import RunFolder
from train.runtime.distributed import World
from train.training.folds import predict_fold, predictions_path
from train.training.labels import labelled

if TYPE_CHECKING:
    import torch

    from train.runs.checkpoint import Checkpoint

__all__ = ["fit_part"]


def fit_part(
    config: TrainConfig,
    data: TrainingData,
    folder: RunFolder,
    *,
    device: "torch.device",
    world: World,
    resume: "Checkpoint | None",
) -> None:
    """Train one model into `folder`, and let it predict the photos that were held out. Raises what `fit_model` does."""
    if world.leads:
        folder.root.mkdir(parents=True, exist_ok=True)
        predictions_path(folder).unlink(missing_ok=True)  # of a shorter run
        _clean(folder)
    data = labelled(config, data, folder, lead=world.leads)
    localizer = fit_model(config, data, folder, device=device, resume=resume)
    if data.fold is not None and world.leads:
        predict_fold(folder, data, localizer)


def _clean(folder: RunFolder) -> None:
    """Remove what a process killed while writing left behind."""
    for leftover in folder.root.glob(f"{TEMPORARY_PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()
