"""Raw photos with any EXIF, as phones write them and as transfers break them.

`photo_bytes` builds one photo in memory, `write_photo` puts one into a file, `write_walk` a folder of them. Every tag
can be overridden or removed, so that a test states only what its photo is about.
"""

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final

import numpy as np
import piexif
from PIL import Image

EAST_CAMPUS: Final = (8.000123, 50.000217)
"""(lon, lat) near the middle of `SITE_GEOJSON`, a square of some 715 m by 1,112 m."""

SITE_GEOJSON: Final = """{"type": "FeatureCollection", "features": [{"type": "Feature",
 "properties": {"name": "test-square", "time_zone": "Europe/Berlin"},
 "geometry": {"type": "Polygon", "coordinates":
  [[[7.995, 49.995], [8.005, 49.995], [8.005, 50.005], [7.995, 50.005], [7.995, 49.995]]]}}]}
"""
FIRST_PHOTO_AT: Final = datetime(2024, 5, 6, 9, 0, 0, tzinfo=timezone(timedelta(hours=2)))
Ifd = Mapping[int, Any]


def scene(size: tuple[int, int] = (320, 240), seed: int = 0, *, detail: int = 8) -> Image.Image:
    """Return an RGB picture of `size` (width, height) that differs visibly from every other seed's."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (detail, detail, 3), dtype=np.uint8)
    return Image.fromarray(coarse, "RGB").resize(size, Image.Resampling.BICUBIC)


def degrees(value: float, *, precision: int = 1_000_000) -> tuple[tuple[int, int], ...]:
    """Return |value| as EXIF rationals of degrees, minutes, seconds (`precision` is the seconds' denominator)."""
    ticks = round(abs(value) * 3600 * precision)
    minutes, seconds = divmod(ticks, 60 * precision)
    return ((minutes // 60, 1), (minutes % 60, 1), (seconds, precision))


def gps_ifd(
    lon: float,
    lat: float,
    *,
    accuracy_m: float | None = None,
    heading_deg: float | None = None,
    heading_ref: str = "T",
    altitude_m: float | None = None,
    fix_at: datetime | None = None,
) -> dict[int, Any]:
    """Return a GPS IFD for piexif; `fix_at` is the time of the fix (aware)."""
    gps = piexif.GPSIFD
    ifd: dict[int, Any] = {
        gps.GPSVersionID: (2, 3, 0, 0),
        gps.GPSLatitudeRef: b"N" if lat >= 0 else b"S",
        gps.GPSLatitude: degrees(lat),
        gps.GPSLongitudeRef: b"E" if lon >= 0 else b"W",
        gps.GPSLongitude: degrees(lon),
    }
    if accuracy_m is not None:
        ifd[gps.GPSHPositioningError] = (round(accuracy_m * 1000), 1000)
    if heading_deg is not None:
        ifd |= {gps.GPSImgDirection: (round(heading_deg * 100), 100), gps.GPSImgDirectionRef: heading_ref.encode()}
    if altitude_m is not None:
        ifd |= {gps.GPSAltitude: (round(abs(altitude_m) * 100), 100), gps.GPSAltitudeRef: int(altitude_m < 0)}
    if fix_at is not None:
        utc = fix_at.astimezone(UTC)
        ifd |= {
            gps.GPSDateStamp: utc.strftime("%Y:%m:%d").encode(),
            gps.GPSTimeStamp: ((utc.hour, 1), (utc.minute, 1), (utc.second * 1000 + utc.microsecond // 1000, 1000)),
        }
    return ifd


def exif_bytes(
    *,
    lon: float | None = EAST_CAMPUS[0],
    lat: float | None = EAST_CAMPUS[1],
    taken_at: datetime | None = FIRST_PHOTO_AT,
    fix_age_s: float | None = 0.0,
    accuracy_m: float | None = 5.0,
    heading_deg: float | None = 90.0,
    heading_ref: str = "T",
    altitude_m: float | None = None,
    make: str | None = "Acme",
    model: str | None = "Phone 1",
    serial: str | None = None,
    orientation: int | None = None,
    gps: Ifd | None = None,
    zeroth: Ifd | None = None,
    exif: Ifd | None = None,
    without: tuple[int, ...] = (),
) -> bytes:
    """Return an EXIF block (``Exif\\0\\0`` included) as a phone writes it.

    `lon=None` leaves the position out. `taken_at` with a zone writes the local time and its offset, a naive one the
    local time alone. The fix is `fix_age_s` older than the photo; None leaves the GPS time out. `gps`, `zeroth` and
    `exif` override single tags; `without` removes tags of the GPS IFD.
    """
    main: dict[int, Any] = {}
    camera: dict[int, Any] = {}
    position: dict[int, Any] = {}
    for tag, text in ((piexif.ImageIFD.Make, make), (piexif.ImageIFD.Model, model)):
        if text is not None:
            main[tag] = text.encode()
    if orientation is not None:
        main[piexif.ImageIFD.Orientation] = orientation
    if serial is not None:
        camera[piexif.ExifIFD.BodySerialNumber] = serial.encode()
    if taken_at is not None:
        camera |= _local_time(taken_at)
    if lon is not None and lat is not None:
        aware = taken_at is not None and taken_at.tzinfo is not None and fix_age_s is not None
        fix_at = taken_at - timedelta(seconds=fix_age_s) if aware else None  # type: ignore[operator,arg-type]
        position = gps_ifd(
            lon, lat, accuracy_m=accuracy_m, heading_deg=heading_deg, heading_ref=heading_ref,
            altitude_m=altitude_m, fix_at=fix_at,
        )  # fmt: skip
    position |= gps or {}
    position = {tag: value for tag, value in position.items() if tag not in without}
    return bytes(piexif.dump({"0th": main | dict(zeroth or {}), "Exif": camera | dict(exif or {}), "GPS": position}))


def _local_time(taken_at: datetime) -> dict[int, bytes]:
    tags = {piexif.ExifIFD.DateTimeOriginal: taken_at.strftime("%Y:%m:%d %H:%M:%S").encode()}
    if taken_at.microsecond:
        tags[piexif.ExifIFD.SubSecTimeOriginal] = f"{taken_at.microsecond // 1000:03d}".encode()
    if taken_at.tzinfo is not None:
        zone = taken_at.strftime("%z")
        tags[piexif.ExifIFD.OffsetTimeOriginal] = f"{zone[:3]}:{zone[3:5]}".encode()
    return tags


def image_bytes(image: Image.Image, *, format: str = "JPEG", exif: bytes | None = None, **options: Any) -> bytes:  # noqa: A002
    """Return `image` encoded as JPEG, MPO, PNG, WEBP, TIFF, HEIF or AVIF, with an EXIF block where one is given."""
    buffer = io.BytesIO()
    if format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener(thumbnails=False)
    if format == "MPO":
        options = {"save_all": True, "append_images": [image.copy()], **options}
    if exif is not None:
        options["exif"] = _tiff_exif(exif) if format == "TIFF" else exif
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _tiff_exif(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(block)
    for pointer in (0x8769, 0x8825):
        exif.get_ifd(pointer)
    return exif


def photo_bytes(
    *,
    seed: int = 0,
    size: tuple[int, int] = (320, 240),
    format: str = "JPEG",  # noqa: A002
    image_options: Mapping[str, Any] | None = None,
    **exif: Any,
) -> bytes:
    """Return a photo in memory; keywords beyond these go to `exif_bytes`."""
    return image_bytes(scene(size, seed), format=format, exif=exif_bytes(**exif), **dict(image_options or {}))


def write_photo(path: Path, **options: Any) -> Path:
    """Write `photo_bytes(**options)` to `path` and return it; folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(photo_bytes(**options))
    return path


def write_walk(
    folder: Path,
    count: int,
    *,
    start: tuple[float, float] = EAST_CAMPUS,
    first_at: datetime = FIRST_PHOTO_AT,
    every_s: float = 10.0,
    first_seed: int = 0,
    prefix: str = "IMG_",
    **options: Any,
) -> list[Path]:
    """Write `count` photos of one phone that walks north from `start` (lon, lat), 1.1 m a second."""
    paths = []
    for index in range(count):
        lat = start[1] + index * every_s * 1e-5  # 1e-5 degrees of latitude are 1.11 m
        taken_at = first_at + timedelta(seconds=index * every_s)
        path = folder / f"{prefix}{index:04d}.jpg"
        paths.append(write_photo(path, seed=first_seed + index, lon=start[0], lat=lat, taken_at=taken_at, **options))
    return paths


def write_site(path: Path, *, time_zone: str | None = "Europe/Berlin") -> Path:
    """Write the square site around `EAST_CAMPUS` and return its path."""
    zone = f'"time_zone": "{time_zone}"' if time_zone else '"note": "no time zone"'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SITE_GEOJSON.replace('"time_zone": "Europe/Berlin"', zone), encoding="utf-8")
    return path
