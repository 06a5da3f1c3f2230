"""A run from beginning to end: folder, data, model or models, predictions of folds, card and curves."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape

from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.progress import left_s, part_of, stderr
from img2gps.text import format_count, format_duration, safe_path
from train.config.schema import TrainConfig
from train.config.values import changed, config_values
from train.data.training_data import DatasetPhotos, TrainingData, fold_numbers, read_photos, select_fold, select_split
from train.inference.load import read_resumable
from train.models.registry import check_model, fit_model
from train.runs.folder import NO_PHOTOS, RunFolder, RunInfo, check_free, create_run, open_run, photo_rows
from train.runtime.devices import naming_memory, pick_device, use_threads
from train.runtime.distributed import World, joined, leads
from train.training.folds import is_finished, pool_folds, pooled_path, predict_fold, predictions_path

if TYPE_CHECKING:
    import torch

    from train.runs.checkpoint import Checkpoint

__all__ = ["RUNS", "plan", "resume_plan", "resume_run", "start_run", "summary"]

RUNS = Path("runs")

_LESS_MEMORY = "train with a smaller --batch-size, --size or --model, or close other programs"


@naming_memory(_LESS_MEMORY)
def start_run(
    root: Path, config: TrainConfig, *, folds: bool = False, name: str | None = None, runs: Path = RUNS
) -> RunFolder:
    """Train on the dataset at `root` and return the finished run, a new folder in `runs`.

    With `folds`, one model per fold of the dataset is trained on the other folds, and the photos it has not
    seen are located by it (``folds/predictions.parquet``). Raises what `fit_model` raises.
    """
    from train.models.network.checkpointer import made_by

    use_threads(config.threads)
    device = pick_device(config.device)
    with joined(device) as world:
        source = read_photos(root)
        parts = _selections(source, folds=folds)
        run = create_run(runs, prefix=config.preset, name=name) if world.leads else RunFolder(root=runs)
        with _held(run):
            if world.leads:
                run.write_info(RunInfo.of(config, source, folds=folds, made_by=made_by(device)))
            _announce(run, config, parts, device, world)
            try:
                _train(config, parts, run, device=device, world=world, resuming=False)
            except Exception:
                if world.leads:
                    _drop_if_empty(run)
                raise
    return run


@naming_memory(_LESS_MEMORY)
def resume_run(path: Path, *, epochs: int | None = None) -> RunFolder:
    """Go on with a run where its last checkpoint stands, or where `path` (``RUN/previous``) does; return it.

    `epochs` makes the run longer, on the schedule of a run of that length. Raises NotFoundError,
    InvalidCheckpointError naming a damaged file, InvalidDatasetError where the training photos have changed,
    UsageError where more than `epochs` are done, RunLockedError where another process trains it.
    """
    run = open_run(path)
    with _held(run):
        _go_on(path, run, epochs)
    return run


def _go_on(path: Path, run: RunFolder, epochs: int | None) -> None:
    info = run.read_info()
    use_threads(info.config.threads)
    device = pick_device(info.config.device)
    with joined(device) as world:
        config, parts, chosen = _continuation(path, run, info, epochs)
        if world.leads and config != info.config:
            run.write_info(dataclasses.replace(info, config=config))
        _train(config, parts, run, device=device, world=world, resuming=True, chosen=chosen)


def _held(run: RunFolder) -> contextlib.AbstractContextManager[None]:
    """Return the run's lock, held by the process that writes; the others of torchrun hold nothing."""
    return run.lock() if leads() else contextlib.nullcontext()


def _continuation(
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
    parts = _selections(source, folds=info.folds)
    if epochs is not None and config.method == "network":  # a probe of fewer epochs is fitted anew
        _check_epochs(epochs, run, parts, chosen)
    return config, parts, chosen


def _check_epochs(epochs: int, run: RunFolder, parts: list[TrainingData], chosen: "Checkpoint | None") -> None:
    """Raise UsageError where a model of the run has seen more than `epochs` already."""
    for data in parts:
        found = chosen or read_resumable(_folder_of(run, data))
        if found is not None and found.epochs_done > epochs:
            raise UsageError(
                f"{safe_path(found.folder)} has {found.epochs_done} epochs behind it: "
                f"give --epochs {found.epochs_done} or more, or train a new run."
            )


@naming_memory(_LESS_MEMORY)
def plan(
    root: Path, config: TrainConfig, *, folds: bool = False, name: str | None = None, runs: Path = RUNS
) -> Mapping[str, Any]:
    """Return what `start_run` would do, as JSON values, having done all of it but train; nothing is written.

    Raises what `start_run` would before its first step.
    """
    use_threads(config.threads)
    device = pick_device(config.device)
    parts = _selections(read_photos(root), folds=folds)
    if name is not None:
        check_free(runs, name)
    check_model(config, parts, device=device)
    return {"dataset": str(root), "models": [_counts(data) for data in parts], "config": config_values(config)}


def resume_plan(path: Path, *, epochs: int | None = None) -> Mapping[str, Any]:
    """Return what `resume_run` would do, as JSON values; nothing is written. Raises what `resume_run` raises."""
    run = open_run(path)
    with run.lock() if run.is_training else contextlib.nullcontext():  # raises; a lock that is free needs no file
        info = run.read_info()
    use_threads(info.config.threads)
    device = pick_device(info.config.device)
    config, parts, chosen = _continuation(path, run, info, epochs)
    found = [chosen or read_resumable(_folder_of(run, data)) for data in parts]
    is_read_back = config.method == "probe" and config == info.config and None not in found
    if not is_read_back:
        check_model(config, parts, device=device, with_weights=config.method == "probe" or None in found)
    done = [0 if checkpoint is None else checkpoint.epochs_done for checkpoint in found]
    counts = [_counts(data) | {"epochs_done": epochs} for data, epochs in zip(parts, done, strict=True)]
    return {"run": str(run.root), "dataset": str(info.dataset), "models": counts, "config": config_values(config)}


def _counts(data: TrainingData) -> dict[str, Any]:
    sizes = {"train": len(data.train), "val": len(data.val or ()), "held_out": len(data.held_out or ())}
    return {"fold": data.fold, **sizes}


def _folder_of(run: RunFolder, data: TrainingData) -> RunFolder:
    return run if data.fold is None else run.fold(data.fold)


def _selections(source: DatasetPhotos, *, folds: bool) -> list[TrainingData]:
    return [select_fold(source, number) for number in fold_numbers(source)] if folds else [select_split(source)]


def _train(
    config: TrainConfig,
    parts: list[TrainingData],
    run: RunFolder,
    *,
    device: "torch.device",
    world: World,
    resuming: bool,
    chosen: "Checkpoint | None" = None,
) -> None:
    """Fit each part that is not finished; what is finished is left alone."""
    try:
        started, done = time.monotonic(), 0
        for number, data in enumerate(parts, start=1):
            folder = _folder_of(run, data)
            if data.fold is not None and is_finished(folder, config):
                continue
            if data.fold is not None and world.leads:
                pooled_path(run).unlink(missing_ok=True)  # of shorter runs: an evaluation must not find it now
                _announce_fold(number, parts, left_s(time.monotonic() - started, done, done + len(parts) - number + 1))
            found = chosen or (read_resumable(folder) if resuming else None)
            with part_of("" if data.fold is None else f"fold {number} of {len(parts)}"):
                _fit_part(config, data, folder, device=device, world=world, resume=found)
            done += 1
    except KeyboardInterrupt:
        if world.leads:
            where = safe_path(run.root)
            stderr().print(escape(f"Every finished epoch is kept: go on with `img2gps train --resume {where}`."))
        raise
    if not world.leads:
        return
    if parts[0].fold is not None:
        pool_folds(run, parts)
    _describe(run, config, parts)


def _announce_fold(number: int, parts: list[TrainingData], left: float | None) -> None:
    """Say which fold begins and, from the second that this process trains on, when all will be done."""
    about = "" if left is None else f" (about {format_duration(left)} left for all)"
    photos = format_count(len(parts[number - 1].train), "photo")
    stderr().print(f"Fold {number} of {len(parts)}{about}: {photos} train.")


def _fit_part(
    config: TrainConfig,
    data: TrainingData,
    folder: RunFolder,
    *,
    device: "torch.device",
    world: World,
    resume: "Checkpoint | None",
) -> None:
    if world.leads:
        folder.root.mkdir(parents=True, exist_ok=True)
        predictions_path(folder).unlink(missing_ok=True)  # of a shorter run
        folder.write_photos(photo_rows(data))
        _clean(folder)
    localizer = fit_model(config, data, folder, device=device, resume=resume)
    if data.fold is not None and world.leads:
        predict_fold(folder, data, localizer)


def _drop_if_empty(run: RunFolder) -> None:
    """Remove the folder of a run that failed before its first checkpoint: an unknown model, no weights."""
    import shutil

    if not any(run.root.rglob("state.json")):
        shutil.rmtree(run.root)


def _clean(folder: RunFolder) -> None:
    """Remove what a process killed while writing left behind."""
    import shutil

    from img2gps.files import TEMPORARY_PREFIX

    for leftover in folder.root.glob(f"{TEMPORARY_PREFIX}*"):
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def _check_same_photos(source: DatasetPhotos, info: RunInfo, run: RunFolder) -> None:
    names = ("all",) if info.folds or source.hashes.ids["train"] == NO_PHOTOS else ("train", "val")
    where = safe_path(run.root)
    for name in names:
        if source.hashes.ids[name] != info.split_ids[name]:
            raise InvalidDatasetError(
                f"The {name} photos of {safe_path(info.dataset)} are not those that {where} began with: "
                f"train anew with `img2gps train --config {where}/config.toml`."
            )
        if source.hashes.labels[name] != info.split_labels[name]:
            stderr().print(f"Labels of {name} photos have changed since {escape(where)} began.")


def _announce(
    run: RunFolder, config: TrainConfig, parts: list[TrainingData], device: "torch.device", world: World
) -> None:
    if not world.leads:
        return
    from train.runtime.devices import device_name

    data = parts[0]
    if data.fold is not None:
        photos = f"{len(parts)} folds, {format_count(sum(len(part.held_out or ()) for part in parts), 'photo')}"
    elif data.val is None:
        why = _why_none_held_back(data.source)
        photos = f"{format_count(len(data.train), 'photo')}, none held back ({why})"
        photos += "" if config.method == "probe" else "; the last epoch is kept"
    else:
        photos = f"{format_count(len(data.train), 'photo')} train, {len(data.val):,} validate"
    spec = config.pixels
    stderr().print(
        escape(
            f"{safe_path(run.root)}: {config.preset}, {config.model} ({config.weights} weights) at "
            f"{spec.width} x {spec.height} px on {device_name(device)}; {photos}."
        )
    )


def _why_none_held_back(source: DatasetPhotos) -> str:
    if "val" in source.emptied:
        root = safe_path(source.dataset.root)
        return f"every validation photo is excluded by a correction: `img2gps split {root}` deals out others"
    return "the split has no validation photos" if any(source.photos.split) else "there is no split"


def _describe(run: RunFolder, config: TrainConfig, parts: list[TrainingData]) -> None:
    from train.training.curves import draw_curves
    from train.training.model_card import write_card

    for data in parts:
        draw_curves(_folder_of(run, data))
    write_card(run, config, parts)


def summary(run: RunFolder) -> Mapping[str, Any]:
    """Return a finished run as JSON values: where it lies and, per model, its last and its best epoch."""
    from train.runs.checkpoint import read_checkpoint

    folders = [run]
    if run.folds_path.is_dir():
        folders = sorted((RunFolder(root=path) for path in run.folds_path.iterdir() if path.is_dir()), key=_fold_key)
    models = []
    for folder in folders:
        state = read_checkpoint(folder.best).state
        lines = folder.read_metrics()
        models.append(
            {
                "path": str(folder.root),
                "fold": state.get("fold"),
                "epoch": state.get("epoch"),
                "metrics": state.get("metrics"),
                "last": lines[-1] if lines else None,
            }
        )
    return {"run": str(run.root), "models": models}


def _fold_key(folder: RunFolder) -> int:
    return int(folder.root.name)
