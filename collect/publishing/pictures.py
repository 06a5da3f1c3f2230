"""The pictures that are published: the working copies, checked, and blurred where people were found."""

import dataclasses
import io
from collections.abc import Mapping
from typing import Final, Protocol

from PIL import Image

from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError
from img2gps.files import sha256_bytes
from img2gps.text import safe_path, shell_path

__all__ = ["Picture", "PictureSource", "WorkingCopies", "without_metadata"]

# segments of a JPEG that hold the picture: JFIF, tables, frames, restart intervals; everything else may tell something
_PICTURE: Final = frozenset({0xE0, 0xDB, 0xC4, 0xDD, *range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xD0)})
_SCAN: Final = 0xDA


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """The bytes of a JPEG, its size in pixels and its perceptual hash.

    `redacted` is how many regions of it were made unrecognisable.
    """

    data: bytes
    width: int
    height: int
    phash: str
    redacted: int = 0


class PictureSource(Protocol):
    """What gives the pictures of a dataset."""

    def read(self, photo_id: str) -> Picture:
        """Return the picture of a photo. Raises InvalidDatasetError where it is missing or damaged."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorkingCopies:
    """The working copies as ingest wrote them; `sha256s` are their digests, `phashes` their hashes, by id."""

    dataset: Dataset
    sha256s: Mapping[str, str]
    phashes: Mapping[str, str]

    def read(self, photo_id: str) -> Picture:
        """Return a working copy. Raises InvalidDatasetError where it is missing, changed, or more than a picture."""
        path = self.dataset.photo_path(photo_id)
        verify = f"run `img2gps verify {shell_path(self.dataset.root)}`"
        try:
            data = path.read_bytes()
        except FileNotFoundError as error:
            raise InvalidDatasetError(f"{safe_path(path)} is missing: {verify}.") from error
        if sha256_bytes(data) != self.sha256s[photo_id]:
            raise InvalidDatasetError(f"{safe_path(path)} was changed after ingest: {verify}.")
        if not without_metadata(data):
            raise InvalidDatasetError(f"{safe_path(path)} holds metadata, which is never published: {verify}.")
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
            width, height = image.size
        return Picture(data=data, width=width, height=height, phash=self.phashes[photo_id])


def without_metadata(data: bytes) -> bool:
    """Return whether a JPEG is a picture and nothing else: no EXIF, XMP, IPTC, comment, profile, or bytes behind it.

    The segments are those of ITU-T T.81, annex B.
    """
    place = 2
    while data[:2] == b"\xff\xd8" and place + 4 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker == _SCAN:
            return data.find(b"\xff\xd9", place) == len(data) - 2
        if marker not in _PICTURE:
            return False
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return False
