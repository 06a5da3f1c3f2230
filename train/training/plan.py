"""What training would do, as JSON values: everything is checked, nothing is written."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.config.schema import TrainConfig
from train.config.values import config_values
from train.data.training_data import TrainingData, read_photos
from train.inference.load import read_resumable
from train.models.registry import check_model
from train.runs.names import check_free, open_run
from train.runtime.devices import naming_memory, pick_device, use_threads
from train.training.cluster_folds import check_folds_shared, folds_cluster
from train.training.parts import continuation, folder_of, selections
from train.training.session import LESS_MEMORY, RUNS

__all__ = ["plan", "resume_plan"]


@naming_memory(LESS_MEMORY)
def plan(
    root: Path,
    config: TrainConfig,
    *,
    folds: bool = False,
    name: str | None = None,
    runs: Path = RUNS,
    cluster: str | None = None,
) -> Mapping[str, Any]:
    """Return what `start_run` would do, as JSON values, having done all of it but train; nothing is written.

    Raises what `start_run` would before its first step.
    """
    use_threads(config.threads)
    device = pick_device(config.device)
    with folds_cluster(cluster, folds=folds) as workers:
        parts = selections(read_photos(root), folds=folds)
        if name is not None:
            check_free(runs, name)
        if workers is not None:
            check_folds_shared(parts, workers)
        check_model(config, parts, device=device)
    return {"dataset": str(root), "models": [_counts(data) for data in parts], "config": config_values(config)}


def resume_plan(path: Path, *, epochs: int | None = None, cluster: str | None = None) -> Mapping[str, Any]:
    """Return what `resume_run` would do, as JSON values; nothing is written. Raises what `resume_run` raises."""
    run = open_run(path)
    with run.lock() if run.is_training else contextlib.nullcontext():  # raises; a lock that is free needs no file
        info = run.read_info()
    use_threads(info.config.threads)
    device = pick_device(info.config.device)
    with folds_cluster(cluster, folds=info.folds) as workers:
        config, parts, chosen = continuation(path, run, info, epochs)
        if workers is not None:
            check_folds_shared(parts, workers, run)
    found = [chosen or read_resumable(folder_of(run, data)) for data in parts]
    is_read_back = config.method == "probe" and config == info.config and None not in found
    if not is_read_back:
        check_model(config, parts, device=device, with_weights=config.method == "probe" or None in found)
    done = [0 if checkpoint is None else checkpoint.epochs_done for checkpoint in found]
    counts = [_counts(data) | {"epochs_done": epochs} for data, epochs in zip(parts, done, strict=True)]
    return {"run": str(run.root), "dataset": str(info.dataset), "models": counts, "config": config_values(config)}


def _counts(data: TrainingData) -> dict[str, Any]:
    sizes = {"train": len(data.train), "val": len(data.val or ()), "held_out": len(data.held_out or ())}
    return {"fold": data.fold, **sizes}
