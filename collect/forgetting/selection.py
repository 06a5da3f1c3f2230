"""Which photos to forget: by id, device, walk, name of the source, or by what they look like."""

import dataclasses
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import numpy as np

from collect.ingestion.outside import read_outside
from collect.reading.working_copy import WorkingCopy, make_copy
from collect.splits.near_duplicates import MAX_BITS, is_informative, parse_hashes
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.files import sha256_bytes
from img2gps.imaging import open_image
from img2gps.manifest import photos_of, read_table
from img2gps.rejected import RejectedFile, read_rejected
from img2gps.text import join_words, safe_path, safe_text
from img2gps.types import Photo

__all__ = ["Chosen", "Selection", "choose"]

_SHORTEST: Final = 8
_HASH: Final = re.compile(rf"[0-9a-f]{{{_SHORTEST},64}}")
_MOST_NAMED: Final = 5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What was asked for; the kinds add up. Ids and devices may be given by their first characters (8, and 4)."""

    ids: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    walks: tuple[str, ...] = ()
    source_names: tuple[str, ...] = ()
    similar: tuple[Path, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing was asked for."""
        return not any(getattr(self, field.name) for field in dataclasses.fields(self))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The photos of a selection: `photos` with a row, `rejected` files that were never accepted.

    `bits` is by how many of 64 bits the perceptual hash of a photo differs from the one that it was found by.
    """

    photos: tuple[Photo, ...] = ()
    rejected: tuple[RejectedFile, ...] = ()
    bits: Mapping[str, int] = dataclasses.field(default_factory=dict)

    @property
    def hashes(self) -> frozenset[str]:
        """The hashes that a tombstone is written for."""
        return frozenset([*(photo.id for photo in self.photos), *(row.sha256 for row in self.rejected if row.sha256)])

    @property
    def names(self) -> frozenset[str]:
        """The names of rejected files whose hash is not known."""
        return frozenset(row.file for row in self.rejected if not row.sha256)


def choose(dataset: Dataset, selection: Selection, forgotten: Collection[str]) -> Chosen:
    """Return the photos of a dataset that a selection names, those outside its site and rejected files among them.

    An id of `forgotten` is no mistake: it was forgotten before. Raises NotFoundError where a part of the selection
    names nothing, UsageError where it names several things or a photo to compare cannot be read.
    """
    table, info = read_table(dataset.manifest_path)
    rows = {**read_outside(dataset), **{photo.id: photo for photo in photos_of(table)}}
    rejected = [row for key, row in read_rejected(dataset.rejected_path).items() if key not in rows]
    hashes = {*rows, *(row.sha256 for row in rejected if row.sha256)}
    wanted = {found for given in selection.ids for found in _by_id(given, hashes, forgotten)}
    devices = {_device(given, list(rows.values())) for given in selection.devices}
    wanted |= {photo.id for photo in rows.values() if photo.device in devices}
    for walk in selection.walks:
        wanted |= _found([photo.id for photo in rows.values() if photo.walk == walk], "walk", walk, forgotten)
    bits: dict[str, int] = {}
    for path in selection.similar:
        bits |= _similar(path, list(rows.values()), info.short_side_px)
    wanted |= set(bits)
    named: list[RejectedFile] = []
    for pattern in selection.source_names:
        hits = [photo.id for photo in rows.values() if _fits(photo.source_name, pattern)]
        named += [row for row in rejected if _fits(row.file, pattern)]
        wanted |= _found([*hits, *(row.file for row in named)], "file", pattern, forgotten) & set(hits)
    return Chosen(
        photos=tuple(photo for photo in rows.values() if photo.id in wanted),
        rejected=tuple(row for row in rejected if row.sha256 in wanted or row in named),
        bits=bits,
    )


def _by_id(given: str, hashes: Collection[str], forgotten: Collection[str]) -> list[str]:
    text = given.strip().lower().removesuffix(".jpg")
    if not _HASH.fullmatch(text):
        raise UsageError(f"{safe_text(repr(given))} is no id: give {_SHORTEST} or more of its 64 hexadecimal digits.")
    found = [photo_id for photo_id in hashes if photo_id.startswith(text)]
    if len(found) > 1:
        raise UsageError(f"The id {text} fits {len(found):,} photos: give more of its digits.")
    if not found and not any(photo_id.startswith(text) for photo_id in forgotten):
        raise NotFoundError(f"No photo with the id {text}: `img2gps label` shows the ids of photos.")
    return found


def _device(given: str, photos: Sequence[Photo]) -> str:
    """Return the one device that a hash, its first characters, or the words of a model name."""
    words = " ".join(given.split()).casefold()
    hashes = {photo.device for photo in photos if photo.device.startswith(given.strip().lower()) and len(given) >= 4}
    named = {photo.device for photo in photos if words and words in _model_names(photo)}
    found = sorted(hashes or named)
    if not found:
        models = sorted({f"{photo.device[:8]} ({_model(photo)})" for photo in photos})
        listed = f"{', '.join(models[:_MOST_NAMED])}{', ...' if len(models) > _MOST_NAMED else ''}"
        raise NotFoundError(f"No device {safe_text(repr(given))}: the dataset has {safe_text(listed)}.")
    if len(found) > 1:
        listed = join_words([device[:12] for device in found[:_MOST_NAMED]])
        raise UsageError(f"{safe_text(repr(given))} are {len(found):,} devices: give one of {listed}.")
    return found[0]


def _model_names(photo: Photo) -> set[str]:
    make, model = (photo.make or "").casefold(), (photo.model or "").casefold()
    return {" ".join(name.split()) for name in (model, f"{make} {model}") if model}


def _model(photo: Photo) -> str:
    return " ".join(filter(None, (photo.make, photo.model))) or "unknown"


def _found(hits: Iterable[str], kind: str, given: str, forgotten: Collection[str]) -> set[str]:
    found = set(hits)
    if not found:
        before = f" {len(forgotten):,} were forgotten before." if forgotten else ""
        raise NotFoundError(f"No photo of the {kind} {safe_text(given)}: nothing was changed.{before}")
    return found


def _fits(name: str, pattern: str) -> bool:
    """Return whether a name fits a pattern of a shell; one without a slash may fit the last part alone."""
    return fnmatchcase(name, pattern) or ("/" not in pattern and fnmatchcase(name.rpartition("/")[2], pattern))


def _similar(path: Path, photos: Sequence[Photo], short_side_px: int) -> dict[str, int]:
    """Return the photos with the bytes or the pixels of a file, or nearly its looks, and how many bits differ."""
    if not path.is_file():
        raise NotFoundError(f"No photo at {safe_path(path)}: give the file to compare with.")
    data = path.read_bytes()
    digest, copy = sha256_bytes(data), _copy_of(data, path, short_side_px)
    own = parse_hashes([copy.phash])
    differ = np.bitwise_count(parse_hashes([photo.phash for photo in photos]) ^ own) if photos else []
    told = bool(is_informative(own)[0])
    found = {
        photo.id: int(bits)
        for photo, bits in zip(photos, differ, strict=True)
        if photo.id == digest or photo.photo_sha256 == copy.sha256 or (told and bits <= MAX_BITS)
    }
    if not found:
        raise NotFoundError(f"No photo of the dataset looks like {safe_path(path)}: nothing was changed.")
    return found


def _copy_of(data: bytes, path: Path, short_side_px: int) -> WorkingCopy:
    try:
        return make_copy(open_image(data), short_side_px=short_side_px)
    except Exception as error:  # decoders raise anything on broken files
        raise UsageError(f"{safe_path(path)} is no photo that can be read: give a JPEG, PNG or HEIC.") from error
