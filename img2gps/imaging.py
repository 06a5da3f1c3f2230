"""Image bytes to upright RGB pixels: the one decoder of ingest and predict.

Ingest's working copies and predict's photos must come from the same path, or a model is judged on
pixels it was not trained for.
"""

import io
import struct
from functools import cache, lru_cache
from typing import Final

from PIL import (
    AvifImagePlugin,
    ExifTags,
    Image,
    ImageCms,
    ImageFile,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

__all__ = ["FORMATS", "WORKING_SHORT_SIDE_PX", "fit_short_side", "load_scaled", "open_image", "upright_rgb", "xmp_of"]

# Importing a plugin registers its format; naming them here spares the import of all forty others.
_PLUGINS = (AvifImagePlugin, PngImagePlugin, TiffImagePlugin, WebPImagePlugin)

FORMATS: Final = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
"""The Pillow formats that are read, and no others: each further decoder is a further way in.

An MPO is read as the JPEG that it begins with: its other pictures are views and maps of the same.
"""

WORKING_SHORT_SIDE_PX: Final = 512

_XMP: Final = "img2gps xmp"
# Where Pillow keeps an XMP packet: JPEG, TIFF, WebP, HEIF, AVIF; PNG; PNG as ImageMagick writes it.
_XMP_KEYS: Final = ("xmp", "XML:com.adobe.xmp", "Raw profile type xmp")
_RESAMPLED_MODES: Final = ("L", "RGB", "CMYK", "YCbCr")
# How pixels stored under each EXIF orientation are turned upright (CIPA DC-008, table 5).
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@cache
def _formats() -> tuple[str, ...]:
    """Return the formats that can be read here: where an exported model runs, the decoder of HEIF may be missing."""
    try:
        import pillow_heif
    except ImportError:
        return tuple(name for name in FORMATS if name != "HEIF")
    pillow_heif.register_heif_opener(thumbnails=False)
    return FORMATS


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """A JPEG whose print resolution is left alone: Pillow looks for it in the EXIF, and fails where it is text."""

    def _read_dpi_from_exif(self) -> None:
        return


def open_image(data: bytes) -> Image.Image:
    """Return the image of `data` with only its header parsed, in one of `FORMATS`.

    An XMP packet in it is out of Pillow's sight (`xmp_of`): of the orientations only EXIF's counts, as in browsers.
    Raises what Pillow raises (PIL.UnidentifiedImageError, OSError, SyntaxError, struct.error, ...).
    """
    image = _open_jpeg(data) if data.startswith(b"\xff\xd8\xff") else _open_other(data)
    if isinstance(image, ImageFile.ImageFile):
        image.decodermaxblock = max(len(data), ImageFile.MAXBLOCK)  # it is all here: one piece, not 64 KiB at a time
    _set_xmp_aside(image)
    return image


def xmp_of(image: Image.Image) -> bytes:
    """Return the XMP packet of an image from `open_image`, empty where its header holds none."""
    _set_xmp_aside(image)
    packet = image.info.get(_XMP, b"")
    return packet if isinstance(packet, bytes) else b""


def _set_xmp_aside(image: Image.Image) -> None:
    """Hide the XMP from `getexif`, which would take an orientation from it where the EXIF has none."""
    for key in _XMP_KEYS:
        packet = image.info.pop(key, None)
        if packet:
            image.info.setdefault(_XMP, packet.encode() if isinstance(packet, str) else packet)


def _open_jpeg(data: bytes) -> Image.Image:
    try:
        return _Jpeg(io.BytesIO(data))
    except (SyntaxError, IndexError, TypeError, struct.error) as error:  # as `Image.open` does
        raise UnidentifiedImageError("cannot identify image file: its JPEG header is damaged") from error


def _open_other(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=_formats())


def upright_rgb(image: Image.Image, *, short_side_px: int | None = WORKING_SHORT_SIDE_PX) -> Image.Image:
    """Return the pixels upright, in sRGB, without alpha, the short side at most `short_side_px`.

    JPEGs are decoded at the smallest scale (1, 1/2, 1/4, 1/8) that still covers the target, which costs a
    fraction of a full decode. HEIF arrives upright from its decoder. Raises what Pillow raises.
    """
    load_scaled(image, short_side_px)
    turn = _turn(image)  # after load: TIFF turns by itself
    # small first: turning and colour conversion then cost a fraction; other modes cannot be resampled as they are
    small = fit_short_side(image, short_side_px) if image.mode in _RESAMPLED_MODES else image
    rgb = fit_short_side(_to_srgb(small), short_side_px)
    return rgb if turn is None else rgb.transpose(turn)


def load_scaled(image: Image.Image, short_side_px: int | None) -> None:
    """Decode an image, a JPEG at the smallest scale that covers `short_side_px`. Raises what Pillow raises."""
    if short_side_px is not None and image.format == "JPEG":
        image.draft("RGB", _covering_size(image.size, short_side_px))
    image.load()
    _set_xmp_aside(image)  # a PNG may hold it behind its pixels


def fit_short_side(image: Image.Image, short_side_px: int | None) -> Image.Image:
    """Return the image scaled down so that its short side is `short_side_px`; never enlarged."""
    short = min(image.size)
    if short_side_px is None or short <= short_side_px:
        return image
    scale = short_side_px / short
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  a damaged block raises anything, and is no reason to lose the pixels
        return None


def _covering_size(size: tuple[int, int], short_side_px: int) -> tuple[int, int]:
    scale = short_side_px / min(size)
    return (size[0], size[1]) if scale >= 1 else (round(size[0] * scale), round(size[1] * scale))


def _to_srgb(image: Image.Image) -> Image.Image:
    """Return RGB pixels in sRGB: an embedded profile (Display P3 on iPhones) is applied, alpha goes over white."""
    profile = image.info.get("icc_profile")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit PNG and TIFF: the high byte; a plain convert would clip everything above 255 to white
        image = image.convert("I").point(lambda value: value / 256).convert("L")
    rgb = image if image.mode == "RGB" or (image.mode == "CMYK" and profile) else image.convert("RGB")
    if not profile:
        return rgb
    try:
        converted = ImageCms.applyTransform(rgb, _srgb_transform(profile, rgb.mode))
    except (ImageCms.PyCMSError, OSError, ValueError):  # a broken profile is no reason to lose the photo
        return image.convert("RGB")
    assert converted is not None
    return converted


@lru_cache(maxsize=8)
def _srgb_transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    return ImageCms.buildTransform(source, ImageCms.createProfile("sRGB"), mode, "RGB")
