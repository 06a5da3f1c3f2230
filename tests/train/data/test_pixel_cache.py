import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from img2gps.errors import InvalidDatasetError
from img2gps.pixels import PixelSpec, read_pixels
from tests.train.colours import colour_dataset
from train.data.pixel_cache import cache_path, cached_pixels
from train.data.training_data import read_photos

SPEC = PixelSpec(height=32, width=24, fit="pad")


def test_the_cache_holds_what_the_decoder_gives(tmp_path: Path) -> None:
    dataset = colour_dataset(tmp_path / "ds", 6)
    source = read_photos(dataset.root)
    pixels = cached_pixels(source, SPEC)
    assert pixels.shape == (6, 3, 32, 24)
    for row, photo_id in enumerate(source.photos.ids):
        assert np.array_equal(pixels[row], read_pixels(dataset.photo_path(photo_id), SPEC))


def test_the_second_time_nothing_is_decoded(tmp_path: Path) -> None:
    source = read_photos(colour_dataset(tmp_path / "ds", 5).root)
    first = np.array(cached_pixels(source, SPEC))
    shutil.rmtree(source.dataset.photos_path)
    assert np.array_equal(cached_pixels(source, SPEC), first)


def test_the_cache_is_safe_to_delete_and_to_damage(tmp_path: Path) -> None:
    source = read_photos(colour_dataset(tmp_path / "ds", 5).root)
    first = np.array(cached_pixels(source, SPEC))
    path = cache_path(source, SPEC)
    whole = path.read_bytes()
    for length in (0, 3, 8, 100, len(whole) - 1):
        path.write_bytes(whole[:length])
        assert np.array_equal(cached_pixels(source, SPEC), first)
        assert path.read_bytes() == whole
    shutil.rmtree(path.parent)
    assert np.array_equal(cached_pixels(source, SPEC), first)


def test_writing_to_the_array_leaves_the_file_alone(tmp_path: Path) -> None:
    source = read_photos(colour_dataset(tmp_path / "ds", 4).root)
    first = cached_pixels(source, SPEC)
    before = np.array(first)
    first[:] = 0
    assert np.array_equal(cached_pixels(source, SPEC), before)


def test_photos_size_and_fit_each_make_another_cache(tmp_path: Path) -> None:
    source = read_photos(colour_dataset(tmp_path / "a", 4).root)
    other = read_photos(colour_dataset(tmp_path / "b", 5).root)
    specs = [SPEC, PixelSpec(height=24, width=32, fit="pad"), PixelSpec(height=32, width=24, fit="squash")]
    names = {cache_path(photos, spec).name for photos in (source, other) for spec in specs}
    assert len(names) == 6


def test_a_cache_of_other_photos_goes_when_a_new_one_comes(tmp_path: Path) -> None:
    source = read_photos(colour_dataset(tmp_path / "ds", 4).root)
    cached_pixels(source, SPEC)
    grown = read_photos(colour_dataset(tmp_path / "ds", 6).root)
    cached_pixels(grown, SPEC)
    assert [path.name for path in cache_path(grown, SPEC).parent.glob("*.npy")] == [cache_path(grown, SPEC).name]


def test_a_missing_working_copy_is_named(tmp_path: Path) -> None:
    dataset = colour_dataset(tmp_path / "ds", 4)
    source = read_photos(dataset.root)
    dataset.photo_path(str(source.photos.ids[2])).unlink()
    with pytest.raises(InvalidDatasetError, match=str(source.photos.ids[2])):
        cached_pixels(source, SPEC)
    assert not list(cache_path(source, SPEC).parent.glob("*.npy"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_dataset_that_cannot_be_written_trains_from_memory(tmp_path: Path) -> None:
    source = read_photos(colour_dataset(tmp_path / "ds", 4).root)
    source.dataset.root.chmod(0o555)
    assert cached_pixels(source, SPEC).shape == (4, 3, 32, 24)


def test_pixels_can_be_had_without_writing(tmp_path: Path) -> None:
    source = read_photos(colour_dataset(tmp_path / "ds", 4).root)
    assert cached_pixels(source, SPEC, may_write=False).shape == (4, 3, 32, 24)
    assert not cache_path(source, SPEC).exists()
