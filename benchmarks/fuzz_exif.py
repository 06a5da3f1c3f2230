"""An atheris target for the reader of EXIF: `pip install atheris`, then `python benchmarks/fuzz_exif.py CORPUS_FOLDER`.

Every input becomes the EXIF block of a small JPEG. Anything but a fact or a reason is a crash for atheris to report.
"""

import io
import sys

import atheris
from PIL import Image

with atheris.instrument_imports():
    from collect.reading.exif import read_facts
    from collect.reading.facts import Facts

_BUFFER = io.BytesIO()
Image.new("RGB", (8, 8)).save(_BUFFER, "JPEG")
_JPEG = _BUFFER.getvalue()


def read_one(data: bytes) -> None:
    """Read `data` as the EXIF block of a photo."""
    block = b"Exif\0\0" + data[:65_000]
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    image = Image.open(io.BytesIO(_JPEG[:2] + segment + _JPEG[2:]), formats=("JPEG",))
    assert isinstance(read_facts(image), Facts)


if __name__ == "__main__":
    atheris.Setup(sys.argv, read_one)
    atheris.Fuzz()
