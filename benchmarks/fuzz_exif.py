"""An atheris target for the reader of EXIF: `pip install atheris`, then `python benchmarks/fuzz_exif.py CORPUS_FOLDER`.

Every input becomes the EXIF block of a small JPEG, which is read and turned upright. Anything but facts and pixels is
a crash for atheris to report. Options of libFuzzer go behind the folder: `-max_total_time=180`, for one.
"""

import io
import sys
import warnings

import atheris
from PIL import Image

with atheris.instrument_imports():
    from collect.reading.exif import read_facts
    from collect.reading.facts import Facts
    from img2gps.imaging import open_image, upright_rgb

_BUFFER = io.BytesIO()
Image.new("RGB", (8, 6)).save(_BUFFER, "JPEG")
_JPEG = _BUFFER.getvalue()


def read_one(data: bytes) -> None:
    """Read `data` as the EXIF block of a photo."""
    block = b"Exif\0\0" + data[:65_000]
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    image = open_image(_JPEG[:2] + segment + _JPEG[2:])
    assert isinstance(read_facts(image), Facts)
    assert upright_rgb(image).size in ((8, 6), (6, 8))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    atheris.Setup(sys.argv, read_one)
    atheris.Fuzz()
