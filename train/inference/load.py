"""A trained model, ready to locate photos, from where it lies on disk."""

import json
from pathlib import Path
from typing import Any

from img2gps.errors import NotFoundError
from img2gps.text import safe_path, shell_path
from train.models.localizer import Localizer
from train.models.registry import restored
from train.runs.checkpoint import STATE, Checkpoint, read_checkpoint
from train.runs.folder import RunFolder
from train.runs.names import open_run
from train.runtime.devices import naming_memory, pick_device

__all__ = ["checkpoint_path", "load_localizer", "read_resumable", "stated"]


@naming_memory("close other programs, or use another --device")
def load_localizer(run_path: Path, *, fold: int | None = None, device: str = "auto") -> Localizer:
    """Return the model of a run (``runs/NAME``), of one of its folds, or of one checkpoint (``runs/NAME/last``).

    Raises NotFoundError, InvalidCheckpointError naming the damaged file and a whole one, DeviceError.
    """
    checkpoint = read_checkpoint(checkpoint_path(run_path, fold=fold))
    return restored(checkpoint, device=pick_device(device))


def checkpoint_path(run_path: Path, *, fold: int | None = None) -> Path:
    """Return the checkpoint that is the model of `run_path`: the best, else the last, else the one before.

    Raises NotFoundError where there is none yet, or only models per fold and none was named.
    """
    if fold is None and (run_path / "state.json").is_file():
        return run_path
    run = RunFolder(root=run_path)
    if not (run.config_path.is_file() or run.last.is_dir() or run.best.is_dir()):
        run = open_run(run_path)
    folder = run if fold is None else run.fold(fold)
    for candidate in (folder.best, folder.last, folder.previous):
        if candidate.is_dir():
            return candidate
    raise NotFoundError(_why_none(run, fold))


def stated(run_path: Path, key: str, *, fold: int | None = None) -> Any:
    """Return what the state of the model of `run_path` says under `key`; None where that is nothing."""
    try:
        return json.loads((checkpoint_path(run_path, fold=fold) / STATE).read_text(encoding="utf-8")).get(key)
    except (NotFoundError, OSError, ValueError, AttributeError):
        return None


def read_resumable(run: RunFolder) -> Checkpoint | None:
    """Return the checkpoint that training goes on from, None where the run has not written one yet.

    ``previous`` takes the place of a ``last`` that is missing (killed between two renames).
    Raises InvalidCheckpointError where ``last`` is damaged.
    """
    for candidate in (run.last, run.previous):
        if candidate.is_dir():
            return read_checkpoint(candidate, to_resume=True)
    return None


def _why_none(run: RunFolder, fold: int | None) -> str:
    where, resume = safe_path(run.root), f"`img2gps train --resume {shell_path(run.root)}`"
    if fold is not None:
        return f"{where} has no model of fold {fold}: finish the run with {resume}."
    if run.folds_path.is_dir():
        return f"{where} holds one model per fold and none for all: give {where}/folds/0, or train without --folds."
    return f"{where} holds no checkpoint yet: finish the run with {resume}."
