import dataclasses
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.models import resnet18
from torchvision.transforms import v2

from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from tests.datasets import FRAME
from tests.train.colours import colour_dataset
from train import PhotoDataset

MADE: dict[str, Any] = {"at": "2025-06-03T00:00:00Z", "by": "me", "from_lon": -75.19, "from_lat": 39.95}
SMALL = v2.Compose([v2.Resize((32, 32)), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return colour_dataset(tmp_path_factory.mktemp("door") / "ds", 24, folds=3)


def test_items_are_image_place_and_id(dataset: Dataset) -> None:
    photos = PhotoDataset(dataset, split="all")
    frame = dataset.frame().sort_values("id").reset_index(drop=True)
    assert photos.ids == frame["id"].tolist()
    assert len(photos) == 24
    image, metres, photo_id = photos[3]
    east_m, north_m = FRAME.to_local(frame["lon"][3], frame["lat"][3])
    assert photo_id == frame["id"][3]
    assert image.shape == (3, 64, 48)
    assert image.dtype == torch.float32
    assert image.min() >= 0
    assert image.max() <= 1
    assert metres.tolist() == pytest.approx([float(east_m), float(north_m)], abs=0.01)
    # red grows to the east by 1.2 of 255 per metre
    assert float(image[0].mean()) * 255 == pytest.approx((float(east_m) + 100) * 1.2, abs=3)
    degrees = PhotoDataset(dataset, split="all", target="degrees")[3][1]
    assert degrees.dtype == torch.float64
    assert degrees.tolist() == [frame["lon"][3], frame["lat"][3]]


@pytest.mark.slow
def test_splits_and_folds_share_no_photo_and_lose_none(dataset: Dataset) -> None:
    parts = [PhotoDataset(str(dataset.root), split=name).ids for name in ("train", "val", "test")]
    assert sum(map(len, parts)) == 24 == len(set().union(*parts))
    for fold in range(3):
        held_out, rest = (PhotoDataset(dataset, split=name, fold=fold).ids for name in ("test", "train"))
        assert len(held_out) == 8
        assert sorted(held_out + rest) == PhotoDataset(dataset, split="all").ids


def test_corrections_hold(dataset: Dataset, tmp_path: Path) -> None:
    own = colour_dataset(tmp_path / "own", 12)
    first, second = own.frame()["id"][:2]
    excluded = Correction(photo_id=first, action="exclude", **MADE)
    lon, lat = FRAME.to_lonlat(5.0, -7.0)
    moved = Correction(photo_id=second, action="move", lon=float(lon), lat=float(lat), **MADE)
    append_corrections(own.corrections_path, [excluded, moved])
    photos = PhotoDataset(own, split="all")
    assert first not in photos.ids
    assert photos.targets[photos.ids.index(second)].tolist() == pytest.approx([5.0, -7.0], abs=0.01)


def copied(photos: PhotoDataset) -> PhotoDataset:
    """Return the dataset as a worker process that was spawned gets it."""
    copy = pickle.loads(pickle.dumps(photos))  # noqa: S301  our own bytes
    assert isinstance(copy, PhotoDataset)
    return copy


def test_a_stock_loader_with_workers_gives_what_the_dataset_gives(dataset: Dataset) -> None:
    photos = copied(PhotoDataset(dataset, split="train", transform=SMALL))
    loader = DataLoader(photos, batch_size=5, num_workers=2)
    batches = list(loader)
    ids = [photo_id for _, _, batch in batches for photo_id in batch]
    images = torch.cat([batch for batch, _, _ in batches])
    assert ids == photos.ids
    assert torch.equal(images, torch.stack([photos[index][0] for index in range(len(photos))]))


@pytest.mark.slow
def test_a_trainer_of_ones_own_learns_from_it(dataset: Dataset) -> None:
    torch.manual_seed(0)
    loader = DataLoader(PhotoDataset(dataset, split="train", transform=SMALL), batch_size=8, shuffle=True)
    model = resnet18(num_classes=2)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(12):
        for images, metres, _ids in loader:
            loss = torch.nn.functional.mse_loss(100 * model(images), metres)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert np.mean(losses[-2:]) < np.mean(losses[:2]) / 2


def test_what_is_not_there_is_one_sentence(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No split 'dev'"):
        PhotoDataset(dataset, split="dev")
    with pytest.raises(UsageError, match="No target"):
        PhotoDataset(dataset, target="feet")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="choose train or test"):
        PhotoDataset(dataset, split="val", fold=0)
    with pytest.raises(InvalidDatasetError, match="no photo in fold 9, test"):
        PhotoDataset(dataset, split="test", fold=9)
    own = colour_dataset(tmp_path / "own", 12)
    photos = PhotoDataset(own, split="all")
    own.photo_path(photos.ids[0]).write_bytes(b"\xff\xd8\xff nothing")
    with pytest.raises(InvalidDatasetError, match="img2gps verify"):
        photos[0]


def test_targets_are_those_of_the_frame(dataset: Dataset) -> None:
    photos = PhotoDataset(dataset, split="all")
    assert dataclasses.asdict(photos.frame) == dataclasses.asdict(dataset.site().frame)
