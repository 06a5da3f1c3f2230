"""Pixels arrive upright, in sRGB, without anything else."""

import io

import numpy as np
import piexif
import pillow_heif
import pytest
from PIL import Image, ImageCms, PngImagePlugin

from img2gps.imaging import fit_short_side, open_image, upright_rgb, xmp_of

# Where the red corner of the upright picture lies in the stored one, by EXIF orientation.
STORED_CORNER = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (-1, 0), 7: (-1, -1), 8: (0, -1)}


def encoded(image: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.register_heif_opener(thumbnails=False)
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def corner_photo(orientation: int, kind: str = "JPEG") -> bytes:
    """Return a photo whose upright form is 60 x 80 with a red top-left corner."""
    size = (60, 80) if orientation < 5 else (80, 60)
    pixels = np.full((size[1], size[0], 3), 255, dtype=np.uint8)
    row, column = STORED_CORNER[orientation]
    rows = slice(0, 20) if row == 0 else slice(-20, None)
    columns = slice(0, 20) if column == 0 else slice(-20, None)
    pixels[rows, columns] = (255, 0, 0)
    exif = piexif.dump({"0th": {piexif.ImageIFD.Orientation: orientation}})
    return encoded(Image.fromarray(pixels), kind, exif=exif)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_ends_upright(orientation: int, kind: str) -> None:
    upright = upright_rgb(open_image(corner_photo(orientation, kind)))
    assert upright.size == (60, 80)
    red = np.asarray(upright).astype(int)[:, :, 1] < 128
    assert red[:15, :15].mean() > 0.9
    assert red[25:, :].mean() < 0.05
    assert red[:, 25:].mean() < 0.05


XMP_TURN = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>"""


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])  # the encoder of HEIF turns by its XMP itself
@pytest.mark.parametrize("orientation", [None, 1, 0, 9])
def test_an_orientation_counts_where_exif_has_it(orientation: int | None, kind: str) -> None:
    picture, options = Image.new("RGB", (80, 60)), {}
    if orientation is not None:
        options["exif"] = piexif.dump({"0th": {piexif.ImageIFD.Orientation: orientation}})
    if kind == "PNG":
        options["pnginfo"] = PngImagePlugin.PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", XMP_TURN.decode())
    elif kind == "TIFF":
        options = {"tiffinfo": {700: XMP_TURN} | ({} if orientation is None else {274: orientation})}
    else:
        options["xmp"] = XMP_TURN
    image = open_image(encoded(picture, kind, **options))
    assert upright_rgb(image).size == (80, 60)
    assert b'tiff:Orientation="6"' in xmp_of(image)


def test_large_photos_shrink_and_small_ones_stay() -> None:
    assert upright_rgb(open_image(encoded(Image.new("RGB", (1600, 1200))))).size == (683, 512)
    assert upright_rgb(open_image(encoded(Image.new("RGB", (100, 90))))).size == (100, 90)
    assert fit_short_side(Image.new("RGB", (4000, 3)), 512).size == (4000, 3)
    assert fit_short_side(Image.new("RGB", (4000, 40)), 20).size == (2000, 20)


def test_scaled_decoding_shows_the_same_picture() -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize((3200, 2400))
    data = encoded(coarse, quality=95)
    scaled = np.asarray(upright_rgb(open_image(data), short_side_px=240)).astype(float)
    full = np.asarray(fit_short_side(Image.open(io.BytesIO(data)).convert("RGB"), 240)).astype(float)
    assert scaled.shape == full.shape
    assert np.abs(scaled - full).mean() < 2.0


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (Image.new("RGBA", (8, 8), (255, 0, 0, 0)), (255, 255, 255)),
        (Image.new("LA", (8, 8), (0, 255)), (0, 0, 0)),
        (Image.new("L", (8, 8), 77), (77, 77, 77)),
        (Image.new("P", (8, 8), 0), (0, 0, 0)),
        (Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16)), (128, 128, 128)),
        (Image.new("1", (8, 8), 1), (255, 255, 255)),
    ],
    ids=lambda value: getattr(value, "mode", ""),
)
def test_every_mode_becomes_rgb(image: Image.Image, expected: tuple[int, int, int]) -> None:
    upright = upright_rgb(open_image(encoded(image, "PNG")))
    assert upright.mode == "RGB"
    assert upright.getpixel((4, 4)) == expected


def test_cmyk_jpeg_becomes_rgb() -> None:
    upright = upright_rgb(open_image(encoded(Image.new("CMYK", (32, 32), (0, 255, 255, 0)))))
    red, green, blue = upright.getpixel((16, 16))
    assert red > 200 > 60 > max(green, blue)


def test_colour_profile_is_applied_and_a_broken_one_ignored() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture = Image.new("RGB", (16, 16), (200, 100, 50))
    same = upright_rgb(open_image(encoded(picture, "PNG", icc_profile=lab)))
    assert np.abs(np.subtract(same.getpixel((8, 8)), (200, 100, 50))).max() <= 1
    broken = upright_rgb(open_image(encoded(picture, "PNG", icc_profile=b"not a profile")))
    assert broken.getpixel((8, 8)) == (200, 100, 50)


def test_heif_is_read() -> None:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.new("RGB", (64, 48), (10, 200, 10))).save(buffer, quality=90)
    upright = upright_rgb(open_image(buffer.getvalue()))
    assert upright.size == (64, 48)
    assert upright.getpixel((30, 20))[1] > 150


def test_other_formats_are_refused() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        open_image(encoded(Image.new("RGB", (8, 8)), "BMP"))
