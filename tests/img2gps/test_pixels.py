from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2gps.pixels import PixelSpec, UnreadableImageError, fit_pixels, read_pixels

BLUE = (0, 0, 255)


def test_padding_keeps_the_aspect_and_fills_with_grey() -> None:
    pixels = fit_pixels(Image.new("RGB", (64, 32), BLUE), PixelSpec(height=40, width=30, fit="pad"))
    assert pixels.shape == (3, 40, 30)
    blue = (pixels[2] == 255).all(axis=1)
    assert blue.sum() == 15
    assert (pixels[:, ~blue] == 127).all()


def test_squashing_fills_the_whole_input() -> None:
    pixels = fit_pixels(Image.new("RGB", (64, 32), BLUE), PixelSpec(height=40, width=30, fit="squash"))
    assert (pixels[2] == 255).all()
    assert (pixels[:2] == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(tmp_path: Path, orientation: int) -> None:
    upright = Image.new("RGB", (30, 40), "black")
    upright.paste("white", (0, 0, 30, 20))
    inverse = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = upright if inverse is None else upright.transpose(Image.Transpose(inverse))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "photo.png", exif=exif)
    pixels = read_pixels(tmp_path / "photo.png", PixelSpec(height=40, width=30, fit="pad"))
    assert np.array_equal(pixels, np.asarray(upright).transpose(2, 0, 1))


@pytest.mark.parametrize("content", [b"", b"text, named jpg", b"\xff\xd8\xff\xe0" + b"\0" * 50])
def test_what_is_no_photo_is_unreadable(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "photo.jpg").write_bytes(content)
    with pytest.raises(UnreadableImageError):
        read_pixels(tmp_path / "photo.jpg", PixelSpec(height=16, width=16, fit="pad"))


def test_a_truncated_photo_is_unreadable(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    Image.effect_noise((200, 200), 50).convert("RGB").save(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(UnreadableImageError):
        read_pixels(path, PixelSpec(height=16, width=16, fit="pad"))


def test_an_image_of_absurd_size_is_refused_by_its_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("img2gps.pixels._MAX_PIXELS", 100)
    Image.new("RGB", (11, 10)).save(tmp_path / "photo.png")
    with pytest.raises(UnreadableImageError, match="11 x 10"):
        read_pixels(tmp_path / "photo.png", PixelSpec(height=16, width=16, fit="pad"))
