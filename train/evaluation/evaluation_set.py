"""What an evaluation scores: which photos of which dataset, and what the run has already seen of them."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.splits import emptied_splits, in_split, split_hashes
from img2gps.text import format_count, safe_path, shell_path
from train.evaluation.training_overlap import label_notes, learned_from, overlap_notes, without_overlap
from train.inference.predictions import read_predictions
from train.runs.circles import refuse_circles
from train.runs.folder import RunFolder
from train.runs.info import NO_PHOTOS, RunInfo
from train.runs.names import open_run

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["FOLDS", "EvaluationSet", "choose_evaluation_set"]

FOLDS: Final = "folds"
"""The name of the pooled out-of-fold predictions where a split is named."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """The photos to score and those the model learned from.

    `rows` are rows of the dataset's frame with a column `fold` (the fold whose model predicts the photo, -1: the
    run's one model). `training` has id, photo_sha256, lon, lat, fold: the photos the run's models learned from.
    `predictions` are the stored out-of-fold ones, None where the model is to be run.
    """

    path: Path
    run: RunFolder
    info: RunInfo
    dataset: Dataset
    split: str
    rows: "gpd.GeoDataFrame"
    training: "pd.DataFrame"
    training_dataset: Dataset | None
    predictions: "pd.DataFrame | None"
    left_out: dict[str, int]
    notes: tuple[str, ...]

    @property
    def run_name(self) -> str:
        """The run's name; of one of its checkpoints or folds, with the part of the path inside the run."""
        inside = self.path.resolve().relative_to(self.run.root.resolve())
        return "/".join((self.run.root.resolve().name, *inside.parts))

    @property
    def dataset_name(self) -> str:
        """The dataset folder's name."""
        return self.dataset.root.resolve().name


def choose_evaluation_set(
    path: Path, *, on: Path | None = None, split: str | None = None, force: bool = False
) -> EvaluationSet:
    """Return what `evaluate` scores for the run at `path`, by the rules of the command.

    Raises NotFoundError, UsageError where the question makes no sense, InvalidDatasetError where the photos
    of the split changed since the run and not `force`.
    """
    run = open_run(path)
    info = run.read_info()
    dataset = _dataset(info, on)
    frame = dataset.frame()
    own = _is_own(info, dataset, frame)
    if info.folds and not own and _fold_of(path, run) is None:
        raise UsageError(
            f"{safe_path(run.root)} holds one model per fold and none for all: "
            f"give {safe_path(run.root)}/folds/0, or train without --folds."
        )
    if own and info.folds:
        chosen = _pooled_folds(path, run, info, dataset, frame, split, force)
    elif own:
        chosen = _own_split(path, run, info, dataset, frame, split, force)
    else:
        chosen = _other_dataset(path, run, info, dataset, frame, split)
    refuse_circles(chosen.run, chosen.rows["id"], chosen.rows["fold"], chosen.training["id"])
    return chosen


def _dataset(info: RunInfo, on: Path | None) -> Dataset:
    try:
        return Dataset.open(info.dataset if on is None else on)
    except NotFoundError as error:
        if on is not None:
            raise
        raise NotFoundError(
            f"The run's dataset is no longer at {safe_path(info.dataset)}: say where it is with --on DATASET."
        ) from error


def _fold_of(path: Path, run: RunFolder) -> int | None:
    """Return the fold whose folder or checkpoint `path` is, None for the run itself."""
    parts = path.resolve().relative_to(run.root.resolve()).parts
    return int(parts[1]) if len(parts) > 1 and parts[0] == "folds" and parts[1].isdigit() else None


def _is_own(info: RunInfo, dataset: Dataset, frame: "gpd.GeoDataFrame") -> bool:
    """Tell whether this is the dataset of the run: by its place, or by its photos where it was moved or copied."""
    if dataset.root.resolve() == info.dataset.resolve():
        return True
    return split_hashes(frame).ids["all"] == info.split_ids["all"]


def _own_split(
    path: Path,
    run: RunFolder,
    info: RunInfo,
    dataset: Dataset,
    frame: "gpd.GeoDataFrame",
    split: str | None,
    force: bool,
) -> EvaluationSet:
    name = split or _held_out_split(info, frame, dataset, force=force)
    rows = in_split(frame, name)
    changed = split_hashes(frame).ids[name] != info.split_ids[name]
    if changed and not force:
        raise InvalidDatasetError(
            f"The photos of {name} in {safe_path(dataset.root)} changed since {safe_path(run.root)} was trained: "
            "train again, or use --force to score today's photos that were not in training."
        )
    if rows.empty:
        raise UsageError(
            f"{safe_path(dataset.root)} has no photos in {name}: "
            "choose another --split, or make one with `img2gps split`."
        )
    run_photos = run.read_photos()
    notes = label_notes(info, frame, name)
    left_out: dict[str, int] = {}
    if changed:
        notes.append(f"the photos of {name} changed since the run was trained; scored all the same (--force)")
        rows, left_out = without_overlap(rows, run_photos)
        if rows.empty:
            raise _nothing_left(dataset, name)
    notes += overlap_notes(name, rows, run_photos)
    return EvaluationSet(
        path=path,
        run=run,
        info=info,
        dataset=dataset,
        split=name,
        rows=_filled(rows, dataset).assign(fold=-1),
        training=learned_from(run_photos),
        training_dataset=dataset,
        predictions=None,
        left_out=left_out,
        notes=tuple(notes),
    )


def _held_out_split(info: RunInfo, frame: "gpd.GeoDataFrame", dataset: Dataset, *, force: bool) -> str:
    """Return the split that the run held back, test before val, or the one of today for it to be refused as changed.

    With `force` it is one that has photos today. Raises UsageError where there is none.
    """
    then = [name for name in ("test", "val") if info.split_ids[name] != NO_PHOTOS]
    today = [name for name in ("test", "val") if not in_split(frame, name).empty]
    choices = [name for name in then if name in today or not force] or today
    emptied = [name for name in emptied_splits(frame) if name in ("test", "val") and name not in then]
    if emptied and choices[:1] != ["test"]:
        root = safe_path(dataset.root)
        raise InvalidDatasetError(
            f"Every photo of {emptied[-1]} in {root} is excluded by a correction: choose others with "
            f"`img2gps split {shell_path(dataset.root)}` and train again, or choose photos with --split."
        )
    if choices:
        return choices[0]
    raise UsageError(
        f"{safe_path(dataset.root)} holds nothing back for a test, the run learned from all of it: "
        "evaluate --on another dataset, or train with `--folds`."
    )


def _other_dataset(
    path: Path, run: RunFolder, info: RunInfo, dataset: Dataset, frame: "gpd.GeoDataFrame", split: str | None
) -> EvaluationSet:
    name = split or "all"
    rows = in_split(frame, name)
    fold = _fold_of(path, run)
    run_photos = (run if fold is None else run.fold(fold)).read_photos()
    source = Dataset(root=info.dataset) if info.dataset.is_dir() else None
    rows, left_out = without_overlap(rows, run_photos)
    if rows.empty:
        raise _nothing_left(dataset, name)
    notes = []
    if sum(left_out.values()):
        notes.append(f"{format_count(sum(left_out.values()), 'photo')} left out that the run has seen in training")
    if dataset.site().sha256 != info.site_sha256:
        notes.append("the dataset's site differs from the one the run was trained on")
    return EvaluationSet(
        path=path,
        run=run,
        info=info,
        dataset=dataset,
        split=name,
        rows=_filled(rows, dataset).assign(fold=-1),
        training=learned_from(run_photos),
        training_dataset=source,
        predictions=None,
        left_out=left_out,
        notes=tuple(notes),
    )


def _nothing_left(dataset: Dataset, name: str) -> UsageError:
    return UsageError(
        f"{safe_path(dataset.root)} leaves nothing to score in {name}: "
        "every photo of it was in training, or none is there."
    )


def _pooled_folds(
    path: Path,
    run: RunFolder,
    info: RunInfo,
    dataset: Dataset,
    frame: "gpd.GeoDataFrame",
    split: str | None,
    force: bool,
) -> EvaluationSet:
    stored = run.folds_path / "predictions.parquet"
    if not stored.is_file():
        raise NotFoundError(
            f"{safe_path(run.root)} has no pooled predictions yet: "
            f"finish its folds with `img2gps train --resume {shell_path(run.root)}`."
        )
    predictions = read_predictions(stored)
    in_folds = frame[(frame["fold"].fillna(-1) >= 0) & (frame["split"].fillna("") != "excluded")]
    changed = set(in_folds["id"]) != set(predictions["id"])
    if changed and not force:
        raise InvalidDatasetError(
            f"The photos of the folds in {safe_path(dataset.root)} changed since {safe_path(run.root)} was trained: "
            "train again, or score the photos that both have with --force."
        )
    rows = in_split(frame, split or "all")
    fold = _fold_of(path, run)
    asked = predictions if fold is None else predictions[predictions["fold"] == fold]
    rows = rows[rows["id"].isin(asked["id"])]
    if rows.empty:
        raise UsageError(f"No photo asked for in {safe_path(dataset.root)} has an out-of-fold prediction.")
    folds = predictions.set_index("id")["fold"]
    notes = label_notes(info, frame, "all")
    training = frame[frame["id"].isin(predictions["id"])].reset_index(drop=True)
    if changed:
        notes.append("the photos of the folds changed since the run was trained; those that both have are scored")
    return EvaluationSet(
        path=path,
        run=run,
        info=info,
        dataset=dataset,
        split=FOLDS if split is None else split,
        rows=_with_folds(rows.reset_index(drop=True), folds),
        training=_with_folds(training[["id", "photo_sha256", "lon", "lat"]], folds),
        training_dataset=dataset,
        predictions=predictions,
        left_out={},
        notes=tuple(notes),
    )


def _with_folds(rows: Any, folds: "pd.Series[int]") -> Any:
    """Return the rows with the fold of each id, which is the run's: the dataset's folds may have been drawn anew."""
    return rows.assign(fold=rows["id"].map(folds).astype(int))


def _filled(rows: "gpd.GeoDataFrame", dataset: Dataset) -> "gpd.GeoDataFrame":
    missing = [one for one, path in zip(rows["id"], dataset.photo_paths(rows["id"]), strict=True) if not path.is_file()]
    if missing:
        raise InvalidDatasetError(
            f"{safe_path(dataset.root)} lacks the working copies of {format_count(len(missing), 'photo')}, "
            f"such as {missing[0][:12]}: run `img2gps verify {shell_path(dataset.root)}`."
        )
    return rows.reset_index(drop=True)
