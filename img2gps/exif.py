"""The EXIF tags that say when and by which camera a photo was taken (CIPA DC-008, "Exif 2.32")."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Self

from PIL import Image
from PIL.ExifTags import IFD, Base

from img2gps.clock import ClockTime, clock_text, is_blank, read_clock, read_offset

__all__ = ["Camera", "Capture", "CaptureClock", "Tags", "capture_of", "clock_of", "local_time_of", "tag_text"]

Tags = Mapping[int, Any]

_TIME_ZONE_OFFSET: Final = 0x882A  # TIFF/EP's TimeZoneOffset: hours, of DateTimeOriginal first
_FIRST_CAMERA_YEAR: Final = 1990  # before it, a clock that was never set
_ONE_EDIT: Final = timedelta(minutes=1)
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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CaptureClock:
    """The camera's clock at the exposure: naive local time, and the offset from UTC that the file names, in minutes.

    `is_doubtful` where an offset is written that cannot be read, or two that differ: then the hour is not known.
    """

    local_time: datetime | None = None
    utc_offset_min: int | None = None
    is_doubtful: bool = False


def local_time_of(main: Tags, camera: Tags) -> datetime | None:
    """Return the moment of the exposure by the phone's clock, naive; DateTime (of the last edit) is never used."""
    read = _written_time(main, camera)
    return None if read is None or read.local.year < _FIRST_CAMERA_YEAR else read.local


def clock_of(main: Tags, camera: Tags) -> CaptureClock:
    """Return the moment of the exposure by the phone's clock with its offset, from whichever tags name them."""
    read = _written_time(main, camera)
    written = [text for text in _offset_texts(main, camera, read) if not is_blank(text)]
    offsets = [offset for text in written if (offset := read_offset(text)) is not None]
    if not offsets and not written:
        offsets = _offset_of_hours(camera.get(_TIME_ZONE_OFFSET, main.get(_TIME_ZONE_OFFSET)))
    own = None if read is None else read.offset_min
    if own is not None:
        contradicted = bool(offsets) and offsets[0] != own
        return CaptureClock(local_time=read.local if read else None, utc_offset_min=own, is_doubtful=contradicted)
    return CaptureClock(
        local_time=None if read is None else read.local,
        utc_offset_min=offsets[0] if offsets else None,
        is_doubtful=bool(written) and not offsets,
    )


def _written_time(main: Tags, camera: Tags) -> ClockTime | None:
    for tag, subsec_tag in (
        (Base.DateTimeOriginal, Base.SubsecTimeOriginal),
        (Base.DateTimeDigitized, Base.SubsecTimeDigitized),
    ):
        read = read_clock(clock_text(camera.get(tag) or main.get(tag)))
        if read is not None:
            microseconds = _microseconds(tag_text(camera.get(subsec_tag))) or read.local.microsecond
            return dataclasses.replace(read, local=read.local.replace(microsecond=microseconds))
    return None


def _offset_texts(main: Tags, camera: Tags, read: ClockTime | None) -> list[str]:
    """Return the offsets as written, the exposure's first; that of DateTime counts where no later edit wrote it."""
    texts = [clock_text(camera.get(tag)) for tag in (Base.OffsetTimeOriginal, Base.OffsetTimeDigitized)]
    edited = clock_text(main.get(Base.DateTime))
    edit = read_clock(edited)
    if read is not None and (is_blank(edited) or (edit is not None and abs(edit.local - read.local) <= _ONE_EDIT)):
        texts.append(clock_text(camera.get(Base.OffsetTime)))
    return texts


def _offset_of_hours(value: Any) -> list[int]:
    first = value[0] if isinstance(value, tuple) and value else value
    hours = first if isinstance(first, int) and not isinstance(first, bool) else None
    return [hours * 60] if hours is not None and -12 <= hours <= 14 else []


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
