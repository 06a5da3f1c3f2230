"""What a file is, by its first bytes, and how large a photo of each format may be.

Signatures: the formats' own specifications, collected in https://mimesniff.spec.whatwg.org and the
registry of ISO base media brands at https://mp4ra.org.
"""

import dataclasses
from typing import Final, Literal

__all__ = ["HEAD_BYTES", "MAX_EXIF_BYTES", "MAX_FILE_BYTES", "Kind", "max_pixels", "sniff"]

HEAD_BYTES: Final = 4096
MAX_FILE_BYTES: Final = 256 * 1024 * 1024
MAX_EXIF_BYTES: Final = 1024 * 1024

# JPEG decodes at an eighth of its size, so that a 200-megapixel phone photo costs little; the others decode whole.
_MAX_PIXELS: Final = {"JPEG": 250_000_000}
_MAX_PIXELS_DEFAULT: Final = 100_000_000

_READ_BRANDS: Final = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIF"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
}
_UNSUPPORTED: Final = (
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"8BPS", "Photoshop"),
    (b"\x00\x00\x00\x0cjP  ", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"FUJIFILMCCD-RAW", "Fujifilm RAW"),
    (b"IIRO", "Olympus RAW"),
    (b"IIRS", "Olympus RAW"),
    (b"MMOR", "Olympus RAW"),
    (b"IIU\x00", "Panasonic RAW"),
    (b"FOVb", "Sigma RAW"),
    (b"\x00\x00\x01\x00", "icon"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"\x1aqoi", "QOI"),
    (b"qoif", "QOI"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """What a file is: a photo in a format that is read, an image in another, or no image at all."""

    state: Literal["photo", "unsupported", "other"]
    name: str


def sniff(head: bytes) -> Kind:
    """Return what the file is that starts with `head` (`HEAD_BYTES` of it, or all where it is shorter)."""
    if head.startswith(b"\xff\xd8\xff"):
        return Kind(state="photo", name="JPEG")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return Kind(state="photo", name="PNG")
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return Kind(state="photo", name="WEBP")
    if head[:4] in (b"II*\x00", b"MM\x00*", b"II+\x00", b"MM\x00+"):
        return _tiff_kind(head)
    if head[4:8] == b"ftyp":
        return _media_kind(head)
    if head.startswith(b"BM") and head[6:10] == b"\x00\x00\x00\x00" and len(head) >= 26:
        return Kind(state="unsupported", name="BMP")
    name = next((name for magic, name in _UNSUPPORTED if head.startswith(magic)), None)
    return Kind(state="unsupported", name=name) if name else Kind(state="other", name="")


def max_pixels(format_name: str) -> int:
    """Return how many pixels a photo of this format may have."""
    return _MAX_PIXELS.get(format_name, _MAX_PIXELS_DEFAULT)


def _tiff_kind(head: bytes) -> Kind:
    if head[8:10] == b"CR":
        return Kind(state="unsupported", name="Canon RAW")
    return Kind(state="photo", name="TIFF")


def _media_kind(head: bytes) -> Kind:
    """Return the kind by the brands of the first box; a video shares the container with HEIC."""
    end = min(int.from_bytes(head[:4], "big"), len(head))
    major = head[8:12]
    brands = [major, *(head[at : at + 4] for at in range(16, end - 3, 4))]
    if major == b"crx ":
        return Kind(state="unsupported", name="Canon RAW")
    name = next((_READ_BRANDS[brand] for brand in brands if brand in _READ_BRANDS), None)
    return Kind(state="photo", name=name) if name else Kind(state="other", name="")
