"""The EXIF tags that say when and by which camera a photo was taken (CIPA DC-008, "Exif 2.32")."""

import dataclasses
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, Self

from PIL import Image
from PIL.ExifTags import IFD, Base

__all__ = ["Camera", "Capture", "Tags", "capture_of", "local_time_of", "tag_text"]

Tags = Mapping[int, Any]

_LOCAL: Final = re.compile(r"(\d{4})[:-](\d{2})[:-](\d{2})[ T](\d{2}):(\d{2}):(\d{2})")
_YEARS: Final = range(1990, 2100)
_CAMERA_SERIAL: Final = 0xC62F  # DNG's CameraSerialNumber


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Camera:
    """What a camera calls itself, None where it does not."""

    make: str | None = None
    model: str | None = None
    serial: str | None = None

    @classmethod
    def of(cls, main: Tags, camera: Tags) -> Self:
        """Return the camera that the main and the Exif IFD name."""
        return cls(
            make=tag_text(main.get(Base.Make)),
            model=tag_text(main.get(Base.Model)),
            serial=tag_text(camera.get(Base.BodySerialNumber)) or tag_text(main.get(_CAMERA_SERIAL)),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """Which camera took a photo, and the moment of the exposure by its clock, naive; None where it does not say."""

    camera: Camera = Camera()
    local_time: datetime | None = None


def capture_of(image: Image.Image) -> Capture:
    """Return what the EXIF of `image` says of its capture; a block that cannot be parsed says nothing.

    Pillow warns of such blocks. Raises MemoryError only.
    """
    try:
        exif = image.getexif()
        main, camera = dict(exif), exif.get_ifd(IFD.Exif)
        return Capture(camera=Camera.of(main, camera), local_time=local_time_of(main, camera))
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  mutated blocks raise SyntaxError, struct.error, TypeError, ValueError and others
        return Capture()


def local_time_of(main: Tags, camera: Tags) -> datetime | None:
    """Return the moment of the exposure by the phone's clock, naive; DateTime (of the last edit) is never used."""
    for tag, subsec_tag in (
        (Base.DateTimeOriginal, Base.SubsecTimeOriginal),
        (Base.DateTimeDigitized, Base.SubsecTimeDigitized),
    ):
        written = tag_text(camera.get(tag) or main.get(tag))
        match = _LOCAL.match(written or "")
        if match is None:
            continue
        try:
            moment = datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]  # six integers
        except ValueError:  # 0000:00:00, or a leap second
            continue
        if moment.year in _YEARS:
            return moment.replace(microsecond=_microseconds(tag_text(camera.get(subsec_tag))))
    return None


def tag_text(value: Any) -> str | None:
    """Return the text of a tag up to its first NUL, stripped; None where nothing is left."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    if not isinstance(value, str):
        return None
    # lone surrogates cannot be stored as UTF-8
    return value.split("\0", 1)[0].strip().encode("utf-8", "backslashreplace").decode()[:200] or None


def _microseconds(digits: str | None) -> int:
    return int(digits[:6].ljust(6, "0")) if digits and digits.isascii() and digits.isdigit() else 0
