"""The working copy of a photo: upright, small, sRGB, a JPEG without any metadata, the same bytes every time."""

import dataclasses
import io
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from img2gps.files import sha256_bytes
from img2gps.imaging import upright_rgb

__all__ = ["WorkingCopy", "encode_copy", "is_dark_copy", "make_copy", "perceptual_hash"]

QUALITY: Final = 90
_HASH_PX: Final = 32
_DARKEST_LIGHT: Final = 32.0  # of 255, the lightest of 32 x 32 pieces: a lamp in the night is lighter
_DCT: Final = 2 * np.cos(np.pi / (2 * _HASH_PX) * np.outer(np.arange(8), 2 * np.arange(_HASH_PX) + 1))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkingCopy:
    """The bytes of the JPEG, their SHA-256, its size in pixels, and the perceptual hash of its pixels.

    `is_dark` marks a frame that shows nothing: taken in a pocket, or with the lens covered.
    """

    data: bytes
    sha256: str
    width: int
    height: int
    phash: str
    is_dark: bool = False


def make_copy(image: Image.Image, *, short_side_px: int) -> WorkingCopy:
    """Return the working copy of an opened image. Raises what Pillow raises where the pixels cannot be decoded."""
    pixels = upright_rgb(image, short_side_px=short_side_px)
    grey = _small_grey(pixels)
    data = encode_copy(pixels)
    return WorkingCopy(
        data=data,
        sha256=sha256_bytes(data),
        width=pixels.width,
        height=pixels.height,
        phash=_hash_of(grey),
        is_dark=_is_dark(grey),
    )


def is_dark_copy(path: Path) -> bool:
    """Return whether a stored working copy shows nothing; one that cannot be read does not say so."""
    try:
        with Image.open(path, formats=("JPEG",)) as image:
            return _is_dark(_small_grey(image))
    except OSError:
        return False


def _is_dark(grey: NDArray[np.float64]) -> bool:
    return float(grey.max()) < _DARKEST_LIGHT


def perceptual_hash(pixels: Image.Image) -> str:
    """Return the 64-bit perceptual hash of a picture in hexadecimal, that of ``imagehash.phash`` or 2 bits off.

    The signs of the 8 x 8 lowest frequencies (DCT-II) about their median (hackerfactor.com, "Looks Like It", 2011). The
    library is not used: its import of scipy costs each worker the time of ten photos, and its scaling 1.4 ms a photo.
    Of 316 phone photos 275 have its very hash. Rounding keeps a picture without any structure from hashing its rounding
    errors.
    """
    return _hash_of(_small_grey(pixels))


def _small_grey(pixels: Image.Image) -> NDArray[np.float64]:
    small = pixels.convert("L").resize((_HASH_PX, _HASH_PX), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return np.asarray(small, dtype=np.float64)


def _hash_of(grey: NDArray[np.float64]) -> str:
    low = np.round(_DCT @ grey @ _DCT.T, 6)
    bits = (low > np.median(low)).ravel()
    return f"{int(''.join('1' if bit else '0' for bit in bits), 2):016x}"


def encode_copy(pixels: Image.Image) -> bytes:
    """Return RGB pixels as JPEG bytes that hold nothing but the picture."""
    pixels.info = {}  # Pillow would write a comment that it finds here
    buffer = io.BytesIO()
    pixels.save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
