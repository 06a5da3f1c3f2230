"""Whether a run is what training wrote: every checkpoint, prediction and figure, of its folds and evaluations too."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from img2gps.errors import Img2GPSError
from img2gps.files import SUMS, TEMPORARY_PREFIX, changed_files
from img2gps.progress import track
from img2gps.text import format_count, safe_path, safe_text
from img2gps.verification import Problem
from train.runs.circles import circles
from train.runs.folder import RunFolder

__all__ = ["RunVerification", "verify_run"]

_CHECKPOINTS: Final = ("best", "last", "previous")
_AGAIN: Final = "restore it from a backup, or train again"
_OTHER: Final = "use another checkpoint of the run, or train again"
_RESUME: Final = "delete it and run `img2gps train --resume`"
_EVALUATE: Final = "delete the folder and evaluate again"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RunVerification:
    """The result: `problems` make a run invalid, `orphans` (what a killed training left) do not."""

    checkpoints: int
    predictions: int
    evaluations: int
    problems: tuple[Problem, ...]
    orphans: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``verify --json``."""
        return {"ok": not self.problems, **dataclasses.asdict(self)}

    def sentence(self) -> str:
        """Return the result in words."""
        counts = [
            format_count(self.checkpoints, "checkpoint"),
            format_count(self.predictions, "file of predictions", "files of predictions"),
            format_count(self.evaluations, "evaluation"),
        ]
        found = format_count(len(self.problems), "problem") if self.problems else "every digest as written"
        left = f"; {format_count(len(self.orphans), 'file')} left by a training that was cut off (harmless)"
        return f"{', '.join(counts)}: {found}{left if self.orphans else ''}."


def verify_run(root: Path) -> RunVerification:
    """Check a run, or one fold of one, completely and return what is wrong with it."""
    run = RunFolder(root=root)
    numbers = sorted(path for path in run.folds_path.glob("*") if path.is_dir() and path.name.isdigit())
    folders = [run, *(RunFolder(root=path) for path in numbers)]
    checkpoints = [folder.root / name for folder in folders for name in _CHECKPOINTS if (folder.root / name).is_dir()]
    evaluations = sorted(path for path in run.evaluations_path.glob("*") if path.is_dir())
    tables = [
        *run.root.glob("*.parquet"),
        *run.folds_path.rglob("*.parquet"),
        *run.evaluations_path.glob("*/*.parquet"),
    ]
    tables = sorted(path for path in tables if path.name != "photos.parquet")
    problems = [
        *_config(run),
        *(problem for folder in folders for problem in _rows_and_figures(folder, root)),
        *_refined(run),
        *(p for path in track(checkpoints, "Verifying checkpoints", len(checkpoints)) for p in _checkpoint(path, root)),
        *(problem for path in tables for problem in _predictions(path, root)),
        *(problem for folder in evaluations for problem in _evaluation(folder, root)),
    ]
    return RunVerification(
        checkpoints=len(checkpoints),
        predictions=len(tables),
        evaluations=len(evaluations),
        problems=tuple(_once_each(problems)),
        orphans=tuple(safe_path(path.relative_to(root)) for path in sorted(root.rglob(f"{TEMPORARY_PREFIX}*"))),
    )


def _once_each(problems: list[Problem]) -> list[Problem]:
    """Return one problem per file: the first, which says most."""
    return list({problem.where: problem for problem in reversed(problems)}.values())[::-1]


def _told(where: Path, root: Path, remedy: str, read: Callable[[], object]) -> Iterator[Problem]:
    """Yield the problem that reading a file meets, if any."""
    try:
        read()
    except Img2GPSError as error:
        yield Problem(where=safe_path(where.relative_to(root)), what=str(error), remedy=remedy)
    except OSError as error:
        what = safe_text(error.strerror or type(error).__name__)
        yield Problem(where=safe_path(where.relative_to(root)), what=what, remedy=remedy)


def _config(run: RunFolder) -> Iterator[Problem]:
    if not run.config_path.is_file():
        if run.root.parent.name != "folds":  # a fold has none of its own
            yield Problem(where="config.toml", what="it is missing", remedy=_AGAIN)
        return
    found = list(_told(run.config_path, run.root, _AGAIN, run.read_info_quietly))
    yield from found
    if not found and run.is_config_changed():
        yield Problem(
            where="config.toml",
            what="it was changed after it was written",
            remedy="restore it; what it says now holds for evaluating the run and for going on with it",
        )


def _rows_and_figures(folder: RunFolder, root: Path) -> Iterator[Problem]:
    yield from _told(folder.metrics_path, root, "delete the line that is named", folder.read_metrics)
    if folder.missing_metrics():
        where = safe_path(folder.metrics_path.relative_to(root))
        remedy = "restore it from a backup; without it, the curves lack epochs"
        yield Problem(where=where, what="it lacks lines that were written", remedy=remedy)
    if folder.photos_path.is_file() or folder.best.is_dir():
        yield from _told(folder.photos_path, root, _AGAIN, folder.read_photos)
    if folder.last.is_dir() and not folder.best.is_dir():
        yield from _missing_best(folder, root)


def _refined(run: RunFolder) -> Iterator[Problem]:
    """Tell of models whose labels were refined with the photos they are scored on."""
    try:
        found = [*circles(run)]
    except Img2GPSError as error:
        yield Problem(where="refined.json", what=str(error), remedy=_AGAIN)
        return
    for folder, photos in found:
        where = safe_path(folder.refined_path.relative_to(run.root))
        what = f"its labels were refined with {format_count(photos, 'photo')} that it is scored on"
        yield Problem(where=where, what=what, remedy="train again with --labels refined")


def _missing_best(folder: RunFolder, root: Path) -> Iterator[Problem]:
    from train.runs.checkpoint import read_checkpoint

    try:
        best = read_checkpoint(folder.last).state.get("best")
    except Img2GPSError:
        return  # it is told of the checkpoint itself
    if isinstance(best, dict) and best.get("epoch"):
        where = safe_path(folder.best.relative_to(root))
        what = f"it is missing; the last checkpoint tells of a best epoch {safe_text(str(best['epoch']))}"
        yield Problem(where=where, what=what, remedy=_AGAIN)


def _checkpoint(path: Path, root: Path) -> Iterator[Problem]:
    """Check the sums of a checkpoint, every tensor in it, and that they make a model."""
    import torch

    from train.models.registry import restored
    from train.runs.checkpoint import OPTIMIZER, read_checkpoint, read_tensors

    def read() -> None:
        checkpoint = read_checkpoint(path, to_resume=path.name != "best")
        assert checkpoint.epochs_done >= 0  # or it raises
        if (path / f"{OPTIMIZER}.safetensors").is_file():
            read_tensors(path, OPTIMIZER)
        restored(checkpoint, device=torch.device("cpu"))

    found = list(_told(path, root, _OTHER, read))
    yield from found
    if not found:
        yield from _without_sum(path, root)


def _without_sum(path: Path, root: Path) -> Iterator[Problem]:
    """Tell of files that a checkpoint's list of sums no longer names: it was cut short."""
    sums = path / SUMS
    named = {line.partition("  ")[2] for line in sums.read_text(encoding="utf-8", errors="replace").splitlines()}
    for file in sorted(path.iterdir()):
        if file.name != SUMS and file.name not in named and not file.name.startswith(TEMPORARY_PREFIX):
            where = safe_path(sums.relative_to(root))
            yield Problem(where=where, what=f"it does not name {safe_text(file.name)}: it was cut short", remedy=_OTHER)


def _predictions(path: Path, root: Path) -> Iterator[Problem]:
    from train.inference.predictions import read_predictions

    remedy = _EVALUATE if path.is_relative_to(root / "evaluations") else _RESUME
    yield from _told(path, root, remedy, lambda: read_predictions(path))


def _evaluation(folder: Path, root: Path) -> Iterator[Problem]:
    """Compare the sums of an evaluation; earlier versions wrote none: its figures must then be JSON at least."""
    for name, what in changed_files(folder):
        yield Problem(where=safe_path((folder / name).relative_to(root)), what=what, remedy=_EVALUATE)
    figures = folder / "evaluation.json"
    if (folder / SUMS).is_file() or not figures.is_file():
        return
    try:
        json.loads(figures.read_bytes())
    except (ValueError, RecursionError):
        yield Problem(where=safe_path(figures.relative_to(root)), what="it is not JSON", remedy=_EVALUATE)
