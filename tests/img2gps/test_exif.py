import io
from datetime import datetime

import pytest
from PIL import Image

from img2gps.exif import Camera, Capture, capture_of
from img2gps.imaging import open_image
from tests.photos import photo_bytes


def test_camera_and_time_are_read_and_the_time_of_an_edit_is_not() -> None:
    exif = Image.Exif()
    exif[0x010F], exif[0x0110], exif[0x0132] = "Maker", "Model 7", "2025:01:01 00:00:00"
    camera = exif.get_ifd(0x8769)
    camera[0x9003], camera[0x9291], camera[0xA431] = "2025:06:02 12:00:01", "25", "S-1"
    assert _captured(exif) == Capture(
        camera=Camera(make="Maker", model="Model 7", serial="S-1"),
        local_time=datetime(2025, 6, 2, 12, 0, 1, 250_000),
    )
    del camera[0x9003]
    assert _captured(exif).local_time is None


@pytest.mark.parametrize("written", ["0000:00:00 00:00:00", "1970:01:01 00:00:00", "yesterday", ""])
def test_a_clock_that_was_never_set_says_nothing(written: str) -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = written
    assert _captured(exif).local_time is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data", "ignore:Possibly corrupt EXIF data")
def test_a_damaged_block_is_no_error() -> None:
    data = bytearray(photo_bytes())
    start = data.index(b"Exif\0\0")
    for cut in range(start + 6, start + 60, 3):
        damaged = bytes(data[:cut]) + b"\xff" * 8 + bytes(data[cut + 8 :])
        assert isinstance(capture_of(open_image(damaged)), Capture)


def _captured(exif: Image.Exif) -> Capture:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8)).save(buffer, format="JPEG", exif=exif)
    return capture_of(open_image(buffer.getvalue()))
