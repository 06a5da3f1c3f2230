"""Photos opened as far as their header, and what the header alone disqualifies."""

from collections.abc import Mapping
from typing import Any, Final

from PIL import Image

from img2gps.formats import MAX_EXIF_BYTES, Kind, max_pixels
from img2gps.imaging import open_image

__all__ = ["header_fault", "open_photo"]

_NEW_SUBFILE_TYPE: Final = 254
_STRIP_OFFSETS, _STRIP_BYTE_COUNTS, _TILE_OFFSETS, _TILE_BYTE_COUNTS = 273, 279, 324, 325
_DNG_VERSION: Final = 50706


def open_photo(data: bytes) -> Image.Image:
    """Return an image whose header was read, of any number of pixels. Raises whatever its decoder raises."""
    # Pillow's own limit of pixels warns or raises at a size that phones exceed; `max_pixels` replaces it.
    Image.MAX_IMAGE_PIXELS = None
    return open_image(data)


def header_fault(image: Image.Image, kind: Kind, file_bytes: int) -> tuple[str, str] | None:
    """Return (reason, detail) of an image that its header alone disqualifies."""
    pixels, limit = image.width * image.height, max_pixels(kind.name)
    if pixels > limit:
        return "too_large", f"{image.width} x {image.height} pixels, {limit / 1e6:,.0f} megapixels allowed"
    exif_size = len(image.info.get("exif") or b"")
    if exif_size > MAX_EXIF_BYTES:
        return "too_large", f"{exif_size:,} bytes of EXIF, {MAX_EXIF_BYTES:,} allowed"
    if kind.name == "TIFF":
        return _tiff_fault(getattr(image, "tag_v2", {}), file_bytes)
    return None


def _tiff_fault(tags: Mapping[int, Any], file_bytes: int) -> tuple[str, str] | None:
    """Return (reason, detail) of a camera's RAW file in a TIFF's clothes, or of one whose strips or tiles were cut off.

    A DNG says so; NEF and ARW start with a reduced image, whose pixels are no photo.
    """
    if _DNG_VERSION in tags or int(tags.get(_NEW_SUBFILE_TYPE, 0)) & 1:
        return "unsupported_format", "camera RAW"
    for offsets, counts in ((_STRIP_OFFSETS, _STRIP_BYTE_COUNTS), (_TILE_OFFSETS, _TILE_BYTE_COUNTS)):
        ends = [start + count for start, count in zip(tags.get(offsets, ()), tags.get(counts, ()), strict=False)]
        if ends and max(ends) > file_bytes:
            return "truncated", f"{file_bytes:,} of {max(ends):,} bytes are there"
    return None
