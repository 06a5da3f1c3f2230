from pathlib import Path
from typing import Any

import numpy as np
import pytest

from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, NotFoundError
from img2gps.geo import geodesic_m
from img2gps.splits import split_hashes
from tests.datasets import four_walks, make_dataset, make_photo, without_split
from train.data.targets import TargetScale
from train.data.training_data import fold_numbers, read_photos, select_fold, select_split


def test_the_stored_split_is_used_and_excluded_photos_are_left_out(tmp_path: Path) -> None:
    splits = ["train", "train", "val", "test", "excluded", None]
    make_dataset(tmp_path, [make_photo(f"p{i}", i, -i, split=split) for i, split in enumerate(splits)])
    source = read_photos(tmp_path)
    data = select_split(source)
    assert (len(source.photos), len(data.train), len(data.val or ())) == (5, 2, 1)
    assert source.photos.ids.tolist() == sorted(source.photos.ids.tolist())
    assert source.hashes == split_hashes(Dataset.open(tmp_path).frame())


def test_without_a_split_every_photo_trains(tmp_path: Path) -> None:
    make_dataset(tmp_path, without_split(four_walks()))
    data = select_split(read_photos(tmp_path))
    assert len(data.train) == 110
    assert data.val is None


def test_a_split_without_training_photos_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path, [make_photo("a", split="val"), make_photo("b", split="test")])
    with pytest.raises(InvalidDatasetError, match="no photo to train on"):
        select_split(read_photos(tmp_path))


def test_exclusions_that_empty_a_split_are_known(tmp_path: Path) -> None:
    names = {"a": "train", "b": "val", "c": "test"}
    photos = [make_photo(name, split=split) for name, split in names.items()]
    dataset = make_dataset(tmp_path, photos)
    made: dict[str, Any] = {"at": "2025-06-03T00:00:00Z", "by": "me", "from_lon": 0.0, "from_lat": 0.0}
    append_corrections(dataset.corrections_path, [Correction(photo_id=photos[1].id, action="exclude", **made)])
    source = read_photos(tmp_path)
    assert source.emptied == ("val",)
    assert select_split(source).val is None
    append_corrections(dataset.corrections_path, [Correction(photo_id=photos[0].id, action="exclude", **made)])
    with pytest.raises(InvalidDatasetError, match=r"Every training photo of .* is excluded"):
        select_split(read_photos(tmp_path))


def test_an_empty_dataset_is_refused(tmp_path: Path) -> None:
    make_dataset(tmp_path, [])
    with pytest.raises(InvalidDatasetError, match="no photo"):
        read_photos(tmp_path)
    with pytest.raises(NotFoundError):
        read_photos(tmp_path / "none")


def test_a_fold_never_trains_on_its_own_photos(tmp_path: Path) -> None:
    photos = [make_photo(f"p{i}", i, i, fold=i % 3 if i < 9 else None) for i in range(12)]
    make_dataset(tmp_path, photos)
    source = read_photos(tmp_path)
    assert fold_numbers(source) == [0, 1, 2]
    for number in range(3):
        data = select_fold(source, number)
        assert data.held_out is not None
        assert not set(data.train.ids) & set(data.held_out.ids)
        assert (len(data.train), len(data.held_out)) == (6, 3)
        assert data.val is None


def test_a_dataset_without_folds_or_with_one(tmp_path: Path) -> None:
    make_dataset(tmp_path / "none", [make_photo("a")])
    with pytest.raises(InvalidDatasetError, match="--folds"):
        fold_numbers(read_photos(tmp_path / "none"))
    make_dataset(tmp_path / "one", [make_photo("a", fold=0)])
    with pytest.raises(InvalidDatasetError, match="make at least two"):
        select_fold(read_photos(tmp_path / "one"), 0)


@pytest.mark.parametrize("kind", ["degrees", "metres"])
def test_targets_come_back_to_where_they_were(tmp_path: Path, kind: str) -> None:
    make_dataset(tmp_path, four_walks())
    source = read_photos(tmp_path)
    scale = TargetScale.of(kind, source.photos)  # type: ignore[arg-type]
    targets = scale.encode(source.photos)
    assert abs(targets.mean()) < 1e-3
    east_m, north_m = scale.decode(targets.astype(np.float64), source.frame)
    lon, lat = source.frame.to_lonlat(east_m, north_m)
    assert geodesic_m(source.photos.lon, source.photos.lat, lon, lat).max() < 1e-3
    assert TargetScale.from_json(scale.to_json()) == scale


def test_degrees_are_latitude_first_each_with_its_own_deviation(tmp_path: Path) -> None:
    make_dataset(tmp_path, four_walks())
    photos = read_photos(tmp_path).photos
    targets = TargetScale.of("degrees", photos).encode(photos)
    assert np.allclose(targets.std(axis=0), 1.0, atol=1e-3)
    assert np.corrcoef(targets[:, 0], photos.lat)[0, 1] == pytest.approx(1.0)


def test_metres_share_one_scale(tmp_path: Path) -> None:
    make_dataset(tmp_path, four_walks())
    photos = read_photos(tmp_path).photos
    scale = TargetScale.of("metres", photos)
    assert scale.scale[0] == scale.scale[1] == scale.metres_per_unit
    assert scale.metres_per_unit == pytest.approx(np.sqrt((photos.east_m.var() + photos.north_m.var()) / 2))


def test_photos_of_a_single_place_still_have_a_scale(tmp_path: Path) -> None:
    make_dataset(tmp_path, [make_photo("a"), make_photo("b")])
    photos = read_photos(tmp_path).photos
    for kind in ("degrees", "metres"):
        assert np.isfinite(TargetScale.of(kind, photos).encode(photos)).all()  # type: ignore[arg-type]
