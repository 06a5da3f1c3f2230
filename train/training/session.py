"""A run from beginning to end: folder, data, model or models, predictions of folds, card and curves."""

import contextlib
import dataclasses
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from img2gps.progress import left_s, part_of, stderr
from img2gps.text import shell_path
from train.config.schema import TrainConfig
from train.data.training_data import TrainingData, read_photos
from train.inference.load import read_resumable
from train.runs.folder import RunFolder
from train.runs.info import RunInfo
from train.runs.names import create_run, open_run
from train.runtime.devices import naming_memory, pick_device, use_threads
from train.runtime.distributed import World, joined, leads
from train.training.announce import announce_fold, announce_run
from train.training.cluster_folds import fit_folds, folds_cluster
from train.training.folds import is_finished, pool_folds, pooled_path
from train.training.model import fit_part
from train.training.parts import continuation, folder_of, selections

if TYPE_CHECKING:
    import torch

    from img2gps.cluster_jobs import JobCluster
    from train.runs.checkpoint import Checkpoint

__all__ = ["LESS_MEMORY", "RUNS", "resume_run", "start_run"]

RUNS = Path("runs")

LESS_MEMORY = "train with a smaller --batch-size, --size or --model, or close other programs"


@naming_memory(LESS_MEMORY)
def start_run(
    root: Path,
    config: TrainConfig,
    *,
    folds: bool = False,
    name: str | None = None,
    runs: Path = RUNS,
    cluster: str | None = None,
) -> RunFolder:
    """Train on the dataset at `root` and return the finished run, a new folder in `runs`.

    With `folds`, one model per fold of the dataset is trained on the other folds. It locates the photos it has not seen
    (``folds/predictions.parquet``). The workers of `cluster` (`img2gps.cluster`) train a fold each. Raises what
    `fit_model` raises, and what `folds_cluster` says.
    """
    from train.models.network.checkpointer import made_by

    use_threads(config.threads)
    device = pick_device(config.device)
    with joined(device) as world, folds_cluster(cluster, folds=folds) as workers:
        source = read_photos(root)
        parts = selections(source, folds=folds)
        run = create_run(runs, prefix=config.preset, name=name) if world.leads else RunFolder(root=runs)
        with _held(run):
            if world.leads:
                run.write_info(RunInfo.of(config, source, folds=folds, made_by=made_by(device)))
            announce_run(run, config, parts, device, world)
            try:
                _train(config, parts, run, device=device, world=world, resuming=False, workers=workers)
            except Exception:
                if world.leads:
                    _drop_if_empty(run)
                raise
    return run


@naming_memory(LESS_MEMORY)
def resume_run(path: Path, *, epochs: int | None = None, cluster: str | None = None) -> RunFolder:
    """Go on with a run where its last checkpoint stands, or where `path` (``RUN/previous``) does; return it.

    `epochs` makes the run longer, on the schedule of a run of that length. The workers of `cluster` go on with its
    folds, one each. Raises NotFoundError, InvalidCheckpointError
    naming a damaged file, and InvalidDatasetError if the training photos have changed. Raises UsageError if more than
    `epochs` are done, and RunLockedError if another process trains it.
    """
    run = open_run(path)
    with _held(run):
        _go_on(path, run, epochs, cluster)
    return run


def _go_on(path: Path, run: RunFolder, epochs: int | None, cluster: str | None) -> None:
    info = run.read_info()
    use_threads(info.config.threads)
    device = pick_device(info.config.device)
    with joined(device) as world, folds_cluster(cluster, folds=info.folds) as workers:
        config, parts, chosen = continuation(path, run, info, epochs)
        if world.leads and config != info.config:
            run.write_info(dataclasses.replace(info, config=config))
        _train(config, parts, run, device=device, world=world, resuming=True, chosen=chosen, workers=workers)


def _held(run: RunFolder) -> contextlib.AbstractContextManager[None]:
    """Return the run's lock, held by the process that writes; the others of torchrun hold nothing."""
    return run.lock() if leads() else contextlib.nullcontext()


def _train(
    config: TrainConfig,
    parts: list[TrainingData],
    run: RunFolder,
    *,
    device: "torch.device",
    world: World,
    resuming: bool,
    chosen: "Checkpoint | None" = None,
    workers: "JobCluster | None" = None,
) -> None:
    """Fit each part that is not finished; what is finished is left alone."""
    waiting = [data for data in parts if data.fold is None or not is_finished(folder_of(run, data), config)]
    if parts[0].fold is not None and waiting and world.leads:
        pooled_path(run).unlink(missing_ok=True)  # of shorter runs: an evaluation must not find it now
    try:
        if workers is not None:
            fit_folds(run, waiting, parts, workers)
        else:
            _fit_here(config, waiting, parts, run, device=device, world=world, resuming=resuming, chosen=chosen)
    except KeyboardInterrupt:
        if world.leads:
            where = shell_path(run.root)
            stderr().print(escape(f"Every finished epoch is kept: go on with `img2gps train --resume {where}`."))
        raise
    if not world.leads:
        return
    if parts[0].fold is not None:
        pool_folds(run, parts)
    _document(run, config, parts)


def _fit_here(
    config: TrainConfig,
    waiting: list[TrainingData],
    parts: list[TrainingData],
    run: RunFolder,
    *,
    device: "torch.device",
    world: World,
    resuming: bool,
    chosen: "Checkpoint | None",
) -> None:
    """Fit parts one after the other, in this process."""
    started, numbers = time.monotonic(), {data.fold: number for number, data in enumerate(parts, start=1)}
    for done, data in enumerate(waiting):
        folder, number = folder_of(run, data), numbers[data.fold]
        if data.fold is not None and world.leads:
            announce_fold(number, parts, left_s(time.monotonic() - started, done, len(waiting)))
        found = chosen or (read_resumable(folder) if resuming else None)
        with part_of("" if data.fold is None else f"fold {number} of {len(parts)}"):
            fit_part(config, data, folder, device=device, world=world, resume=found)


def _drop_if_empty(run: RunFolder) -> None:
    """Remove the folder of a run that failed before its first checkpoint: an unknown model, no weights."""
    import shutil

    if not any(run.root.rglob("state.json")):
        shutil.rmtree(run.root)


def _document(run: RunFolder, config: TrainConfig, parts: list[TrainingData]) -> None:
    from train.training.curves import draw_curves
    from train.training.model_card import write_card

    for data in parts:
        draw_curves(folder_of(run, data))
    write_card(run, config, parts)
