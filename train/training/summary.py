"""A finished run in figures."""

from collections.abc import Mapping
from typing import Any

from train.runs.checkpoint import read_checkpoint
from train.runs.folder import RunFolder

__all__ = ["summary"]


def summary(run: RunFolder) -> Mapping[str, Any]:
    """Return a finished run as JSON values: where it lies and, per model, its last and its best epoch."""
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
