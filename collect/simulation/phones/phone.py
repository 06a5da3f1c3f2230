"""Stores a developed photo as a phone does: turned, compressed, with EXIF."""

import io
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import numpy as np
import piexif
from PIL import Image

from collect.simulation.arrays import Bytes
from collect.simulation.phones.devices import Device

QUALITY = 90
# Magnetic north lies about 12 degrees west of true north around Philadelphia.
DECLINATION_DEG = -12.0
ALTITUDE_M = 21.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneFix:
    """What the phone believes about where and when: degrees, metres, true heading; `captured_at` in UTC."""

    latitude: float
    longitude: float
    accuracy_m: float | None
    altitude_m: float
    heading_deg: float
    captured_at: datetime
    fix_lag_s: float


def store(pixels: Bytes, device: Device, exif: dict[str, Any]) -> bytes:
    """`pixels` (rows, columns, 3), upright, as the bytes of a JPEG file with `exif`."""
    lying = device.sideways and pixels.shape[0] > pixels.shape[1]
    if lying:
        # Orientation 6 asks the viewer to turn the stored picture a quarter clockwise.
        pixels = np.ascontiguousarray(np.rot90(pixels))
    exif["0th"][piexif.ImageIFD.Orientation] = 6 if lying else 1
    exif["Exif"][piexif.ExifIFD.PixelXDimension] = pixels.shape[1]
    exif["Exif"][piexif.ExifIFD.PixelYDimension] = pixels.shape[0]
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=QUALITY, exif=piexif.dump(exif))
    return stream.getvalue()


def exif_of(device: Device, fix: PhoneFix, zone: tzinfo) -> dict[str, Any]:
    """The EXIF that `device` writes for a photo, as the dictionary that piexif takes."""
    local = fix.captured_at.astimezone(zone)
    offset = local.strftime("%z")
    return {
        "0th": {
            piexif.ImageIFD.Make: device.make,
            piexif.ImageIFD.Model: device.model,
            piexif.ImageIFD.Software: "img2gps simulate",
            piexif.ImageIFD.DateTime: local.strftime("%Y:%m:%d %H:%M:%S"),
        },
        "Exif": {
            piexif.ExifIFD.DateTimeOriginal: local.strftime("%Y:%m:%d %H:%M:%S"),
            piexif.ExifIFD.OffsetTimeOriginal: f"{offset[:3]}:{offset[3:5]}",
            piexif.ExifIFD.SubSecTimeOriginal: f"{local.microsecond // 1000:03d}",
        },
        "GPS": _gps(device, fix),
    }


def _gps(device: Device, fix: PhoneFix) -> dict[int, Any]:
    at = fix.captured_at - timedelta(seconds=fix.fix_lag_s)
    heading = fix.heading_deg if device.heading_ref == "T" else fix.heading_deg - DECLINATION_DEG
    gps: dict[int, Any] = {
        piexif.GPSIFD.GPSVersionID: (2, 3, 0, 0),
        piexif.GPSIFD.GPSLatitudeRef: "N" if fix.latitude >= 0 else "S",
        piexif.GPSIFD.GPSLatitude: _sexagesimal(fix.latitude),
        piexif.GPSIFD.GPSLongitudeRef: "E" if fix.longitude >= 0 else "W",
        piexif.GPSIFD.GPSLongitude: _sexagesimal(fix.longitude),
        piexif.GPSIFD.GPSAltitudeRef: 0,
        piexif.GPSIFD.GPSAltitude: (round(fix.altitude_m * 100), 100),
        piexif.GPSIFD.GPSDateStamp: at.strftime("%Y:%m:%d"),
        piexif.GPSIFD.GPSTimeStamp: ((at.hour, 1), (at.minute, 1), (at.second * 100 + at.microsecond // 10_000, 100)),
        piexif.GPSIFD.GPSImgDirectionRef: device.heading_ref,
        piexif.GPSIFD.GPSImgDirection: (round(heading % 360 * 100) % 36_000, 100),
    }
    if fix.accuracy_m is not None:
        gps[piexif.GPSIFD.GPSHPositioningError] = (round(fix.accuracy_m * 100), 100)
    return gps


def _sexagesimal(degrees: float) -> tuple[tuple[int, int], ...]:
    """Degrees, minutes and seconds to a ten-thousandth of a second (3 mm)."""
    ticks = round(abs(degrees) * 3600 * 10_000)
    seconds, minutes = ticks % 600_000, ticks // 600_000
    return (minutes // 60, 1), (minutes % 60, 1), (seconds, 10_000)
