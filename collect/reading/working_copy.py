"""The working copy of a photo: upright, small, sRGB, a JPEG without any metadata, the same bytes every time."""

import dataclasses
import io
from typing import Final

import imagehash
from PIL import Image

from img2gps.files import sha256_bytes
from img2gps.imaging import upright_rgb

__all__ = ["WorkingCopy", "encode_copy", "make_copy"]

QUALITY: Final = 90


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkingCopy:
    """The bytes of the JPEG, their SHA-256, its size in pixels, and the perceptual hash of its pixels."""

    data: bytes
    sha256: str
    width: int
    height: int
    phash: str


def make_copy(image: Image.Image, *, short_side_px: int) -> WorkingCopy:
    """Return the working copy of an opened image. Raises what Pillow raises where the pixels cannot be decoded."""
    pixels = upright_rgb(image, short_side_px=short_side_px)
    data = encode_copy(pixels)
    return WorkingCopy(
        data=data,
        sha256=sha256_bytes(data),
        width=pixels.width,
        height=pixels.height,
        phash=str(imagehash.phash(pixels)),
    )


def encode_copy(pixels: Image.Image) -> bytes:
    """Return RGB pixels as JPEG bytes that hold nothing but the picture."""
    pixels.info = {}  # Pillow would write a comment that it finds here
    buffer = io.BytesIO()
    pixels.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
