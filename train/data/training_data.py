"""A dataset as arrays: which photos train, which judge, and where they were taken."""

import dataclasses
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from img2gps.dataset import Dataset, frame_info
from img2gps.errors import InvalidDatasetError
from img2gps.geo import FloatArray, LocalFrame
from img2gps.splits import SplitHashes, emptied_splits, split_hashes
from img2gps.text import safe_path, shell_path
from img2gps.walks import clock_seconds

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DatasetPhotos", "Photos", "TrainingData", "fold_numbers", "read_photos", "select_fold", "select_split"]

TextArray = NDArray[np.str_]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Photos:
    """N photos in order of their ids; every array has shape (N,), positions are corrected ones."""

    ids: TextArray
    photo_sha256: TextArray
    phash: TextArray
    lon: FloatArray
    lat: FloatArray
    east_m: FloatArray
    north_m: FloatArray
    heading_deg: FloatArray
    captured_s: FloatArray
    """Seconds by the camera's clock (`img2gps.walks.clock_seconds`), NaN where the time is unknown."""
    walk: TextArray
    group: TextArray
    split: TextArray
    fold: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, mask: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the photos where `mask`, shape (N,), is true, or those at some rows."""
        return type(self)(**{field.name: getattr(self, field.name)[mask] for field in dataclasses.fields(self)})


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetPhotos:
    """Every photo of a dataset that nobody excluded, and what identifies the state it was read in.

    Without slots: the rows of ids are computed once, on first use.
    """

    dataset: Dataset
    site_name: str
    site_sha256: str
    rows_sha256: str
    frame: LocalFrame
    photos: Photos
    hashes: SplitHashes
    emptied: tuple[str, ...] = ()
    """Splits whose photos a person has all excluded since they were dealt."""

    @cached_property
    def row_of(self) -> dict[str, int]:
        """The row in `photos` of each id."""
        return {str(photo_id): row for row, photo_id in enumerate(self.photos.ids)}

    def rows(self, photos: Photos) -> NDArray[np.int64]:
        """Return the rows of a selection, for indexing what was computed for all."""
        return np.asarray([self.row_of[str(photo_id)] for photo_id in photos.ids], dtype=np.int64)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainingData:
    """What one model is trained on (`train`) and chosen by (`val`, None: the last epoch is kept).

    `held_out` are the photos of the fold: no part of training sees them; the model is scored on them at
    the end.
    """

    source: DatasetPhotos
    train: Photos
    val: Photos | None = None
    held_out: Photos | None = None
    fold: int | None = None
    label_error_m: float | None = None
    """By how much the labels of `train` err, standard deviation per axis; None: as those of phones do."""


def read_photos(root: Path) -> DatasetPhotos:
    """Read a dataset. Raises NotFoundError, InvalidDatasetError; also where no photo is left."""
    dataset = Dataset.open(root)
    rows = dataset.frame()
    site = dataset.site()
    info = frame_info(rows)
    kept = rows[rows["split"].fillna("") != "excluded"].sort_values("id")
    if kept.empty:
        raise InvalidDatasetError(f"{safe_path(root)} holds no photo to train on: ingest some first.")
    return DatasetPhotos(
        dataset=dataset,
        site_name=site.name,
        site_sha256=site.sha256,
        rows_sha256=info.rows_sha256,
        frame=site.frame,
        photos=_photos(kept, site.frame),
        hashes=split_hashes(rows),
        emptied=emptied_splits(rows),
    )


def select_split(source: DatasetPhotos) -> TrainingData:
    """Return the stored split; where there is none, every photo trains and none is held back.

    Raises InvalidDatasetError where the split leaves nothing to train on.
    """
    split = source.photos.split
    if not np.any(split != "") and not source.emptied:
        return TrainingData(source=source, train=source.photos)
    train, val = source.photos.take(split == "train"), source.photos.take(split == "val")
    if not len(train):
        root = safe_path(source.dataset.root)
        if "train" in source.emptied:
            raise InvalidDatasetError(
                f"Every training photo of {root} is excluded by a correction: "
                f"split anew with `img2gps split {shell_path(source.dataset.root)}`."
            )
        raise InvalidDatasetError(
            f"The split of {root} leaves no photo to train on: split again with smaller --val and --test."
        )
    return TrainingData(source=source, train=train, val=val if len(val) else None)


def select_fold(source: DatasetPhotos, fold: int) -> TrainingData:
    """Return fold `fold`: its photos are held out, those of all other folds train.

    No photo chooses an epoch: the held-out ones must not, and the others are all needed.
    """
    of_fold = source.photos.fold
    train = source.photos.take((of_fold != fold) & (of_fold >= 0))
    if not len(train):
        raise InvalidDatasetError(
            f"Fold {fold} of {safe_path(source.dataset.root)} leaves no photo to train on: "
            f"make at least two with `img2gps split {shell_path(source.dataset.root)} --folds K`."
        )
    return TrainingData(source=source, train=train, held_out=source.photos.take(of_fold == fold), fold=fold)


def fold_numbers(source: DatasetPhotos) -> list[int]:
    """Return the folds of a dataset in order. Raises InvalidDatasetError where there are none."""
    numbers = sorted({int(fold) for fold in source.photos.fold if fold >= 0})
    if not numbers:
        root = safe_path(source.dataset.root)
        raise InvalidDatasetError(
            f"{root} has no folds: make them with `img2gps split {shell_path(source.dataset.root)} --folds walk`."
        )
    return numbers


def _photos(rows: "pd.DataFrame", frame: LocalFrame) -> Photos:
    def text(column: str) -> TextArray:
        return np.asarray(rows[column].fillna("").astype(str).tolist(), dtype=np.str_)

    def number(column: str) -> FloatArray:
        return np.asarray(rows[column].to_numpy(dtype=np.float64, na_value=np.nan), dtype=np.float64)

    lon, lat = number("lon"), number("lat")
    east_m, north_m = frame.to_local(lon, lat)
    columns: dict[str, Any] = {name: text(name) for name in ("photo_sha256", "phash", "walk", "group", "split")}
    return Photos(
        ids=text("id"),
        lon=lon,
        lat=lat,
        east_m=east_m,
        north_m=north_m,
        heading_deg=number("heading_deg"),
        captured_s=clock_seconds(rows),
        fold=np.asarray(rows["fold"].fillna(-1).astype(np.int64)),
        **columns,
    )
