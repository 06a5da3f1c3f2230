from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2gps.errors import NotFoundError, UsageError
from tests.train.colours import colour_dataset, colour_photo, tiny_config, without_curves
from train import Model, load_model, predict
from train.training.session import start_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        folder = tmp_path_factory.mktemp("model")
        return start_run(colour_dataset(folder / "ds", 12).root, tiny_config(epochs=1), runs=folder).root


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    return load_model(str(run), device="cpu")


def test_a_path_an_image_and_an_array_of_one_photo_are_one_place(model: Model, run: Path, tmp_path: Path) -> None:
    photo = colour_photo(30.0, -20.0)
    path = tmp_path / "a.png"
    photo.save(path)
    with Image.open(path) as opened:
        found = model.locate([path, str(path), opened, np.asarray(photo)])
        assert opened.getpixel((0, 0)) == photo.getpixel((0, 0))  # it is still the caller's
    places = {(round(one.lon or 0, 9), round(one.lat or 0, 9)) for one in found}
    assert len(places) == 1
    assert [one.file for one in found] == [str(path), str(path), "photo 3", "photo 4"]
    assert found[:1] == predict(run, path, device="cpu")
    assert model.locate(photo)[0].lon == found[2].lon


def test_an_image_is_turned_upright_as_its_file_is(model: Model, tmp_path: Path) -> None:
    upright = colour_photo(10.0, 10.0)
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.png"
    upright.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    with Image.open(path) as turned:
        by_image, by_file = model.locate([turned, path])
    assert (by_image.lon, by_image.lat) == pytest.approx((by_file.lon, by_file.lat), abs=1e-9)


def test_a_file_that_cannot_be_read_is_a_row_with_a_sentence(model: Model, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    broken, good = model.locate([bad, colour_photo(0.0, 0.0)])
    assert broken.lon is None
    assert broken.error == "not an image in a format that can be read"
    assert good.error is None
    assert good.lon is not None


def test_what_is_no_photo_is_refused(model: Model) -> None:
    for wrong in (np.zeros((4, 4, 3)), np.zeros((4, 4), np.uint8), 7):
        with pytest.raises(UsageError, match="Photo 1 is no path"):
            model.locate([wrong])  # type: ignore[list-item]
    with pytest.raises(UsageError, match="--walks"):
        model.locate(colour_photo(0.0, 0.0), walks=True)
    assert model.locate([]) == []


def test_no_run_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        load_model(tmp_path / "none")
