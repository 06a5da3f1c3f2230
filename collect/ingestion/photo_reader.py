"""One file from its path to an outcome: opened without following or blocking, read once, checked cheapest first.

Runs in a worker process. Hash, EXIF and pixels come from the same bytes, however the file changes meanwhile.
"""

import dataclasses
import errno
import hashlib
import mmap
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal
from uuid import uuid4

from PIL import Image, UnidentifiedImageError

from collect.reading.beside import with_what_stands_beside
from collect.reading.completeness import lost_pixels, whole_jpeg
from collect.reading.exif import read_facts
from collect.reading.file_content import FileContent, holds_same_bytes, load_content, load_object
from collect.reading.picture import picture_traits
from collect.reading.sidecars import Sidecar
from collect.reading.stores import StoredObject
from collect.reading.structure import Structure, structure_of
from collect.reading.tables import can_start
from collect.reading.working_copy import WorkingCopy, is_dark_copy, make_copy
from collect.validation.labels import LabelRow
from collect.validation.rules import Rules, SourceFile, judge
from collect.validation.unplaced import Unplaced
from img2gps.files import TEMPORARY_PREFIX
from img2gps.formats import MAX_FILE_BYTES
from img2gps.header import header_fault, open_photo
from img2gps.imaging import load_scaled
from img2gps.text import safe_text
from img2gps.types import Photo, Rejection
from img2gps.working_copies import FolderCopies, StoredCopies, WorkingCopies

__all__ = ["FileTask", "ReadSettings", "Reading", "Skipped", "read_file", "read_files"]

_OF_METADATA: Final = frozenset({"no_exif", "no_gps"})


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FileTask:
    """A file to read.

    `again` asks for a working copy although one lies in the dataset (its row was lost). `twin` is the first input that
    can have the same bytes, or this file itself if there is none. A validation then need not hash it. `sidecars` may
    say where it was taken. `stored` is the object that stands for a file of this machine.
    """

    path: bytes
    name: str
    label: LabelRow | None = None
    again: bool = False
    twin: bytes | None = None
    sidecars: tuple[Sidecar, ...] = ()
    stored: StoredObject | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReadSettings:
    """How every file of an ingest is read.

    `pixels`: ``write`` puts working copies into `copies`, ``check`` decodes and forgets them, ``doubtful``
    decodes only what the structure of the file does not vouch for. `forgotten` are the hashes of files that must not
    come back.
    """

    rules: Rules
    short_side_px: int
    pixels: Literal["write", "check", "doubtful"]
    copies: WorkingCopies | None = None
    forgotten: frozenset[str] = frozenset()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Skipped:
    """A file that is no photo, and what it is instead."""

    detail: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What became of one file. `sha256` is None where it was not read to its end.

    `notes` are about what lies beside the file. `temporary` is the unsynced working copy that the parent puts in its
    place. None beside a photo means that the dataset already holds one of this id. `uploaded` says that this reading
    put the copy into the object store itself. `status` is (size, mtime_ns, inode) of the file that was read.
    """

    outcome: Photo | Rejection | Skipped
    sha256: str | None = None
    temporary: str | None = None
    uploaded: bool = False
    status: tuple[int, int, int] | None = None
    disagreement_m: float | None = None
    unplaced: Unplaced | None = None
    notes: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Pixels:
    """A photo on its way to its working copy: opened, and the bytes and the structure that it was opened from."""

    image: Image.Image
    data: bytes | mmap.mmap
    structure: Structure

    def lost(self) -> str | None:
        """Return what says that pixels of a decoded JPEG are missing that its structure did not miss."""
        settled = self.image.format != "JPEG" or self.structure.doubt
        return None if settled else lost_pixels(self.data, self.structure, self.image)


def read_file(task: FileTask, settings: ReadSettings) -> Reading:
    """Return the outcome of one file; every fault of the file is a value.

    Raises OSError where the working copy cannot be written or put into its store, MemoryError where the memory limit
    was reached.
    """
    try:
        content = (
            load_object(task.stored)
            if task.stored is not None
            else load_content(task.path, mapped=settings.pixels == "doubtful")
        )
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Reading(outcome=Skipped(detail="a symbolic link"))
        return Reading(outcome=_rejection(task, "unreadable", error.strerror or str(error)))
    if content is None:
        return Reading(outcome=Skipped(detail="not a regular file"))
    if content.size > MAX_FILE_BYTES:
        detail = f"{content.size / 2**20:,.0f} MiB, {MAX_FILE_BYTES / 2**20:,.0f} allowed"
        return Reading(outcome=_rejection(task, "too_large", detail), status=content.status)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Corrupt EXIF data": what matters of it ends in a reason
        reading = _examine(task, content, settings)
    return dataclasses.replace(reading, status=content.status)


def _examine(task: FileTask, content: FileContent, settings: ReadSettings) -> Reading:
    data, kind = content.data, content.kind
    if kind.state == "other":
        return Reading(outcome=Skipped(detail="not a photo" if data else "an empty file"))
    digest = hashlib.sha256(
        task.twin if task.twin and holds_same_bytes(data, task.path, task.twin) else data
    ).hexdigest()
    if digest in settings.forgotten:
        return Reading(outcome=_rejection(task, "forgotten", ""), sha256=digest)
    if kind.state == "unsupported":
        return Reading(outcome=_rejection(task, "unsupported_format", kind.name), sha256=digest)
    structure = Structure()
    try:
        structure = structure_of(data, kind.name)
        if structure.cut_off:
            return Reading(outcome=_rejection(task, "truncated", structure.cut_off), sha256=digest)
        plain = structure.plain and not structure.doubt
        header_only = settings.pixels == "doubtful" and plain and can_start(structure.tables)
        image = open_photo(data[: structure.header_bytes] if header_only else data[:])
        fault = header_fault(image, kind, len(data))
        if not fault and structure.doubt and kind.name == "JPEG":
            whole = whole_jpeg(data, structure)
            fault, image = (
                ("truncated", whole) if isinstance(whole, str) else None,
                image if isinstance(whole, str) else open_photo(whole),
            )
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  decoders raise anything on broken headers
        return Reading(outcome=_decode_fault(task, error, structure), sha256=digest)
    if fault:
        return Reading(outcome=_rejection(task, *fault), sha256=digest)
    source = SourceFile(sha256=digest, name=task.name, size=len(data))
    facts, notes = with_what_stands_beside(read_facts(image), image, task.name, task.sidecars)
    traits = picture_traits(image, facts.make, facts.model)
    if traits:
        facts = dataclasses.replace(facts, traits=(*facts.traits, *traits))
    verdict = judge(facts, source, settings.rules, task.label)
    photo = verdict.outcome
    reading = Reading(
        outcome=photo,
        sha256=digest,
        disagreement_m=verdict.disagreement_m,
        unplaced=verdict.unplaced,
        notes=notes,
    )
    if isinstance(photo, Rejection):
        if structure.doubt and photo.reason in _OF_METADATA and kind.name != "JPEG":  # it may lie behind the pixels
            return Reading(outcome=_rejection(task, "truncated", structure.doubt), sha256=digest)
        return reading
    if header_only:
        return reading
    return _with_copy(reading, photo, _Pixels(image=image, data=data, structure=structure), task, settings)


def _with_copy(reading: Reading, photo: Photo, pixels: _Pixels, task: FileTask, settings: ReadSettings) -> Reading:
    copies = settings.copies
    target = copies.path(photo.id) if isinstance(copies, FolderCopies) else None
    if target is not None and not task.again and target.exists():
        return dataclasses.replace(reading, outcome=_with_darkness(photo, is_dark_copy(target)))
    try:
        load_scaled(pixels.image, settings.short_side_px)
        lost = pixels.lost()
        if lost:
            return dataclasses.replace(reading, outcome=_rejection(task, "truncated", lost))
        copy = make_copy(pixels.image, short_side_px=settings.short_side_px)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  decoders raise anything on broken pixels
        return dataclasses.replace(reading, outcome=_decode_fault(task, error, pixels.structure))
    if isinstance(copies, StoredCopies) and settings.pixels == "write":
        uploaded = copies.put(photo.id, copy.data, again=task.again)
        if uploaded is None:  # as one that lies in a folder: the row that names it stands, or it is written again
            return dataclasses.replace(reading, outcome=_with_darkness(photo, copy.is_dark))
        reading = dataclasses.replace(reading, uploaded=uploaded)
    photo = dataclasses.replace(photo, photo_sha256=copy.sha256, width=copy.width, height=copy.height, phash=copy.phash)
    photo = _with_darkness(photo, copy.is_dark)
    temporary = None if target is None or settings.pixels != "write" else _write_temporary(target, copy)
    return dataclasses.replace(reading, outcome=photo, temporary=temporary)


def _with_darkness(photo: Photo, is_dark: bool) -> Photo:
    return dataclasses.replace(photo, traits=(*photo.traits, "dark_frame")) if is_dark else photo


def _write_temporary(target: Path, copy: WorkingCopy) -> str:
    """Write the copy beside its place, not yet synced: the parent syncs many at once."""
    temporary = target.parent / f"{TEMPORARY_PREFIX}{uuid4().hex}"
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_bytes(copy.data)
    return str(temporary)


def _decode_fault(task: FileTask, error: Exception, structure: Structure) -> Rejection:
    if structure.doubt:
        return _rejection(task, "truncated", structure.doubt)
    if isinstance(error, UnidentifiedImageError):
        return _rejection(task, "unreadable", "the header is damaged")
    message = str(error)
    cut_off = "truncated" in message.lower() or isinstance(error, EOFError)
    return _rejection(task, "truncated" if cut_off else "unreadable", message or type(error).__name__)


def _rejection(task: FileTask, reason: str, detail: str) -> Rejection:
    return Rejection(path=task.name, reason=reason, detail=safe_text(detail, limit=200))


def read_files(tasks: Sequence[FileTask], settings: ReadSettings) -> list[Reading]:
    """Return the outcome of each file, in order."""
    return [read_file(task, settings) for task in tasks]
