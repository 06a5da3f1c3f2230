"""Runs whose answers are known, for tests of what an evaluation makes of them."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from torch import Tensor

from img2gps.dataset import Dataset
from img2gps.geo import LocalFrame
from img2gps.pixels import PixelSpec
from img2gps.types import Photo
from tests.datasets import DAY, FRAME, NOON, line, make_dataset, make_walk
from train.config.schema import TrainConfig
from train.data.training_data import read_photos, select_fold, select_split
from train.inference.predictions import predictions_frame, write_predictions
from train.models.localizer import Estimate
from train.runs.folder import RunFolder, photo_rows
from train.runs.info import RunInfo

HALF_SIDE_M = 100.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ColourReader:
    """Reads the position that `dataset_of` painted into each photo's colour; `shift_m` makes it err east."""

    shift_m: float = 0.0
    sure: bool = True

    @property
    def frame(self) -> LocalFrame:
        return FRAME

    @property
    def pixels(self) -> PixelSpec:
        return PixelSpec(height=16, width=16, fit="squash")

    def locate(self, images: Tensor) -> Estimate:
        mean = images.double().mean(dim=(2, 3)).numpy()
        east_m, north_m = (mean[:, channel] / 255 * 2 * HALF_SIDE_M - HALF_SIDE_M for channel in (0, 1))
        radius = np.full(len(mean), abs(self.shift_m) + 2) if self.sure else None
        return Estimate(east_m=east_m + self.shift_m, north_m=north_m, radius_50_m=radius, radius_90_m=radius)


def walks(names: str, *, first_day: int = 0) -> list[Photo]:
    """Return a walk of 12 photos per letter, on lines of their own, a day apart."""
    return [
        photo
        for number, name in enumerate(names)
        for photo in make_walk(
            name,
            places=line((-80, 20 * number - 50), (80, 20 * number - 50), 12),
            start=NOON + (first_day + number) * DAY,
            utc_offset_min=-240,
        )
    ]


def dataset_of(root: Path, photos: list[Photo], splits: dict[str, str] | None = None) -> Dataset:
    """Write the dataset and working copies whose colour tells their place."""
    folds = {name: number for number, name in enumerate(sorted({photo.source_name[0] for photo in photos}))}
    placed = [
        dataclasses.replace(photo, split=(splits or {}).get(photo.source_name[0]), fold=folds[photo.source_name[0]])
        for photo in photos
    ]
    dataset = make_dataset(root, placed)
    for photo in placed:
        east_m, north_m = FRAME.to_local(photo.lon, photo.lat)
        red, green = (round((float(metres) + HALF_SIDE_M) / (2 * HALF_SIDE_M) * 255) for metres in (east_m, north_m))
        path = dataset.photo_path(photo.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 32), (red, green, 90)).save(path, quality=98, subsampling=0)
    return dataset


def run_of(root: Path, dataset: Dataset, *, name: str = "model-001") -> RunFolder:
    source = read_photos(dataset.root)
    run = RunFolder(root=root / "runs" / name)
    run.root.mkdir(parents=True)
    run.write_info(RunInfo.of(TrainConfig(), source, folds=False, made_by={}))
    run.write_photos(photo_rows(select_split(source)))
    return run


def folds_run_of(root: Path, dataset: Dataset, *, shift_m: float = 0.0, name: str = "folds-001") -> RunFolder:
    source = read_photos(dataset.root)
    run = RunFolder(root=root / "runs" / name)
    parts = []
    for fold in range(4):
        data = select_fold(source, fold)
        assert data.held_out is not None
        photos = data.held_out
        run.fold(fold).root.mkdir(parents=True)
        run.fold(fold).write_photos(photo_rows(data))
        estimate = Estimate(east_m=photos.east_m + shift_m + fold, north_m=photos.north_m)
        rows = {"ids": photos.ids.tolist(), "lon": photos.lon, "lat": photos.lat}
        parts.append(predictions_frame(**rows, estimate=estimate, frame=source.frame, fold=fold))
    run.write_info(RunInfo.of(TrainConfig(), source, folds=True, made_by={}))
    write_predictions(run.folds_path / "predictions.parquet", pd.concat(parts, ignore_index=True))
    return run


SPLITS = {"a": "train", "b": "train", "c": "val", "d": "test"}
