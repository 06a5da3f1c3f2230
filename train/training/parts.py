"""The models that a run is of, one or one per fold: their photos, their folders, and what each goes on with."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.progress import stderr
from img2gps.text import safe_path, shell_path
from train.config.schema import TrainConfig
from train.config.values import changed
from train.data.training_data import DatasetPhotos, TrainingData, fold_numbers, read_photos, select_fold, select_split
from train.inference.load import read_resumable
from train.runs.folder import RunFolder
from train.runs.info import NO_PHOTOS, RunInfo

if TYPE_CHECKING:
    from train.runs.checkpoint import Checkpoint

__all__ = ["continuation", "folder_of", "selections"]


def folder_of(run: RunFolder, data: TrainingData) -> RunFolder:
    """Return where one model of a run lies."""
    return run if data.fold is None else run.fold(data.fold)


def selections(source: DatasetPhotos, *, folds: bool) -> list[TrainingData]:
    """Return the photos of each model: of the split, or of every fold."""
    return [select_fold(source, number) for number in fold_numbers(source)] if folds else [select_split(source)]


def continuation(
    path: Path, run: RunFolder, info: RunInfo, epochs: int | None
) -> "tuple[TrainConfig, list[TrainingData], Checkpoint | None]":
    """Return what `resume_run` goes on with: the config, the photos, the checkpoint that `path` names, if any."""
    from train.runs.checkpoint import read_checkpoint

    config = info.config if epochs is None else changed(info.config, {"epochs": epochs}, where="--epochs")
    source = read_photos(info.dataset)
    _check_same_photos(source, info, run)
    chosen = read_checkpoint(path, to_resume=True) if (path / "state.json").is_file() else None
    if chosen is not None and info.folds:
        raise UsageError(f"{safe_path(run.root)} holds a model per fold: resume the run itself.")
    parts = selections(source, folds=info.folds)
    if epochs is not None and config.method == "network":  # a probe of fewer epochs is fitted anew
        _check_epochs(epochs, run, parts, chosen)
    return config, parts, chosen


def _check_epochs(epochs: int, run: RunFolder, parts: list[TrainingData], chosen: "Checkpoint | None") -> None:
    """Raise UsageError where a model of the run has seen more than `epochs` already."""
    for data in parts:
        found = chosen or read_resumable(folder_of(run, data))
        if found is not None and found.epochs_done > epochs:
            raise UsageError(
                f"{safe_path(found.folder)} has {found.epochs_done} epochs behind it: "
                f"give --epochs {found.epochs_done} or more, or train a new run."
            )


def _check_same_photos(source: DatasetPhotos, info: RunInfo, run: RunFolder) -> None:
    names = ("all",) if info.folds or source.hashes.ids["train"] == NO_PHOTOS else ("train", "val")
    where = safe_path(run.root)
    for name in names:
        if source.hashes.ids[name] != info.split_ids[name]:
            raise InvalidDatasetError(
                f"The {name} photos of {safe_path(info.dataset)} are not those that {where} began with: "
                f"train anew with `img2gps train --config {shell_path(run.config_path)}`."
            )
        if source.hashes.labels[name] != info.split_labels[name]:
            stderr().print(f"Labels of {name} photos have changed since {escape(where)} began.")
