"""From a photo's bytes to the pixels a model sees: the one path of training, validation, prediction and exports."""

import dataclasses
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from img2gps.exif import Capture, capture_of
from img2gps.imaging import open_image, upright_rgb
from img2gps.text import safe_text

__all__ = [
    "PADDING",
    "PREPROCESSING_VERSION",
    "Fit",
    "PixelSpec",
    "Pixels",
    "UnreadableImageError",
    "fit_pixels",
    "read_photo",
    "read_pixels",
]


Pixels = NDArray[np.uint8]

Fit = Literal["squash", "pad"]
"""squash: stretched to the size, as the published study does; pad: aspect kept, the rest filled with grey."""

PREPROCESSING_VERSION: Final = 1
"""Part of the cache's key: raised with every change to what this module returns."""

PADDING: Final = (127, 127, 127)
"""The grey of bars around a photo: the centre of the range, close to every backbone's mean."""

# Caps from the header, before anything is decoded: a 0.5 MB PNG can ask for gigabytes.
_MAX_BYTES: Final = 256 << 20
_MAX_PIXELS: Final = 128_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PixelSpec:
    """The shape of a model's input in pixels, and how a photo of another aspect is brought to it."""

    height: int
    width: int
    fit: Fit


class UnreadableImageError(ValueError):
    """A file that is no photo this program can read; the message is one sentence."""


def read_pixels(path: Path, spec: PixelSpec) -> Pixels:
    """Return a photo, upright and in sRGB, as uint8 of shape (3, height, width).

    Reads working copies and original photos (JPEG, MPO, PNG, WebP, TIFF, HEIC/HEIF, AVIF) alike. Raises
    UnreadableImageError for anything that cannot be decoded.
    """
    return _read(path, spec)[0]


def read_photo(photo: Path | bytes | Image.Image, spec: PixelSpec) -> tuple[Pixels, Capture]:
    """Return what `read_pixels` returns, and when and by which camera the photo was taken.

    `photo` is a file, its bytes, or an image that is open already and is left as it is. Raises UnreadableImageError.
    """
    if isinstance(photo, Path | bytes):
        pixels, image = _read(photo, spec)
        return pixels, capture_of(image)
    try:
        return fit_pixels(upright_rgb(photo.copy()), spec), capture_of(photo)
    except Exception as error:  # a lazily opened image raises what its decoder raises
        raise UnreadableImageError(f"the image is damaged ({safe_text(str(error) or type(error).__name__)})") from error


def _read(photo: Path | bytes, spec: PixelSpec) -> tuple[Pixels, Image.Image]:
    try:
        if (len(photo) if isinstance(photo, bytes) else photo.stat().st_size) > _MAX_BYTES:
            raise UnreadableImageError(f"the file is larger than {_MAX_BYTES >> 20} MiB")
        image = open_image(photo if isinstance(photo, bytes) else photo.read_bytes())
        if image.width * image.height > _MAX_PIXELS:
            raise UnreadableImageError(f"{image.width} x {image.height} pixels are more than can be read")
        return fit_pixels(upright_rgb(image), spec), image
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError("not an image in a format that can be read") from error
    except OSError as error:
        raise UnreadableImageError(safe_text(error.strerror or str(error))) from error
    except Exception as error:  # decoders raise SyntaxError, struct.error and more on broken files
        raise UnreadableImageError(f"the image is damaged ({safe_text(str(error) or type(error).__name__)})") from error


def fit_pixels(image: Image.Image, spec: PixelSpec) -> Pixels:
    """Return an upright RGB image as uint8 of shape (3, height, width), resized bilinearly with antialiasing."""
    target = (spec.width, spec.height)
    if spec.fit == "pad":
        scale = min(spec.width / image.width, spec.height / image.height)
        inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        canvas = Image.new("RGB", target, PADDING)
        corner = ((spec.width - inner[0]) // 2, (spec.height - inner[1]) // 2)
        canvas.paste(image.resize(inner, Image.Resampling.BILINEAR), corner)
    else:
        canvas = image.resize(target, Image.Resampling.BILINEAR)
    return np.ascontiguousarray(np.asarray(canvas, dtype=np.uint8).transpose(2, 0, 1))
