"""Datasets whose photos show where they were taken: red grows to the east, green to the north."""

import dataclasses
import hashlib
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from img2gps.dataset import Dataset
from img2gps.types import Photo
from tests.datasets import FRAME, NOON, make_dataset, make_photo
from train.config.presets import preset
from train.config.schema import TrainConfig
from train.config.values import changed

# the smallest networks of torchvision's and timm's catalogues that have convolutions and BatchNorm
TINY = "timm/test_efficientnet"


def colour_photo(east_m: float, north_m: float, *, size: tuple[int, int] = (48, 64), seed: int = 0) -> Image.Image:
    """Return the photo taken at a place of a 200 m box, with a little noise."""
    noise = np.random.default_rng([seed, round(east_m + 500), round(north_m + 500)]).normal(0, 4, (size[1], size[0], 3))
    colour = np.asarray([(east_m + 100) * 1.2, (north_m + 100) * 1.2, 128.0])
    return Image.fromarray(np.clip(colour + noise, 0, 255).astype(np.uint8))


def colour_dataset(
    root: Path, count: int = 24, *, val: int = 6, folds: int = 0, split: bool = True, stops: int = 0
) -> Dataset:
    """Write a dataset of `count` photos at random places: `val` validate, two test, the others train.

    With `stops` its three walks pass so many places in turn, so that each view is on several.
    """
    rng = np.random.default_rng(count)
    places = rng.uniform(-90, 90, (count, 2))
    if stops:
        places = places[np.arange(count) // 3 % stops] + rng.normal(0, 1.0, (count, 2))
    rows: list[Photo] = []
    for number, (east_m, north_m) in enumerate(places.tolist()):
        fields: dict[str, Any] = {"walk": f"walk-{number % 3}", "group": f"group-{number}"}
        fields["captured_at"] = NOON + timedelta(seconds=20 * number)
        if split:
            fields["split"] = "val" if number < val else "test" if number < val + 2 else "train"
        if folds:
            fields["fold"] = number % folds
        rows.append(make_photo(f"photo {number}", east_m, north_m, **fields))
    dataset = make_dataset(root, [], grouped=True)
    stored = [_store(dataset, photo) for photo in rows]
    return make_dataset(root, stored, grouped=True)


def _store(dataset: Dataset, photo: Photo) -> Photo:
    east_m, north_m = FRAME.to_local(photo.lon, photo.lat)
    buffer = io.BytesIO()
    colour_photo(float(east_m), float(north_m)).save(buffer, format="JPEG", quality=95)
    path = dataset.photo_path(photo.id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return dataclasses.replace(photo, photo_sha256=hashlib.sha256(buffer.getvalue()).hexdigest(), width=48, height=64)


def without_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave the drawing of curves out, which takes longer than training a tiny network; test_predict draws them."""
    monkeypatch.setattr("train.training.curves.draw_curves", lambda _run: None)


def tiny_config(**values: object) -> TrainConfig:
    """Return a config that trains in a moment."""
    base = {"model": TINY, "size": 32, "epochs": 2, "batch_size": 8, "device": "cpu", "threads": 1, "lr": 3e-3}
    return changed(preset("published"), base | values)
