"""The published folder: what it holds, which folders may become one, and how it appears complete or not at all."""

import contextlib
import dataclasses
import errno
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from collect.publishing.also import ALSO
from img2gps.drafts import draft_of, sweep_drafts
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.files import fsync_folder, sha256_file
from img2gps.interrupts import held_back
from img2gps.text import safe_path, safe_text

__all__ = ["RECORD", "PublishedRecord", "check_target", "digests_of", "new_folder", "read_record", "sizes_of"]

RECORD: Final = "img2gps.json"
"""What `fetch` needs to make a dataset of the folder again, with a digest of each file that it reads."""
_SCHEMA: Final = 1
_BESIDE: Final = frozenset(
    {RECORD, *(name for name, _ in ALSO.values()), "README.md", "CITATION.cff", "croissant.json", ".gitattributes"}
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRecord:
    """The content of `RECORD`.

    `files` are the SHA-256 of the data by name, and `split` the options of the split. `redaction` is what was looked
    for in the pictures and what was found. `also` are the further formats, `coarseness` how positions and times were
    cut.
    """

    site_name: str
    site_sha256: str
    short_side_px: int
    published_on: str
    photos: int
    parts: Mapping[str, int]
    files: Mapping[str, str]
    excluded: int = 0
    split: Mapping[str, Any] | None = None
    coarseness: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    redaction: Mapping[str, Any] | None = None
    also: Sequence[str] = ()
    tool_version: str = ""
    schema: int = _SCHEMA


def read_record(folder: Path, *, where: str) -> PublishedRecord:
    """Return what a published folder says of itself; `where` is its name, for messages.

    Raises NotFoundError where it has no record, InvalidDatasetError where the record is damaged or of a later version.
    """
    path = folder / RECORD
    if not path.is_file():
        raise NotFoundError(f"{where} has no {RECORD}: it is no dataset that `img2gps publish` wrote.")
    try:
        document = json.loads(path.read_bytes())
        if int(document["schema"]) > _SCHEMA:
            version = safe_text(str(document.get("tool_version")))
            raise InvalidDatasetError(f"{where} was published by img2gps {version}: upgrade img2gps.")
        names = {field.name for field in dataclasses.fields(PublishedRecord)}
        record = PublishedRecord(**{name: value for name, value in document.items() if name in names})
        dict(record.files), dict(record.parts), int(record.short_side_px)
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InvalidDatasetError(f"{where} has a damaged {RECORD}: publish or fetch it again.") from error
    return record


def check_target(out: Path, dataset_root: Path) -> None:
    """Raise UsageError where `out` is something that publishing would destroy, or lies in the dataset."""
    if out.resolve().is_relative_to(dataset_root.resolve()):
        raise UsageError(f"{safe_path(out)} lies in the dataset: give a folder beside it.")
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{safe_path(out)} is a file: give a new folder.")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()}
    if not names:
        return
    known = _BESIDE | set(read_record(out, where=safe_path(out)).files) if RECORD in names else frozenset()
    strange = sorted(names - known)
    if strange:
        raise UsageError(
            f"{safe_path(out)} holds files that `img2gps publish` did not write, such as {safe_text(strange[0])}: "
            "give a new or empty folder."
        )


@contextlib.contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Give a folder to fill, which becomes `out` at the end of the block; a published folder there is replaced.

    Killed at any point, `out` is the old folder, the new one, or for a moment none; a rerun clears what is left.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(out)
    draft = draft_of(out)
    draft.mkdir()
    try:
        yield draft
        for folder in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
            fsync_folder(folder)
        with held_back():  # an interrupt between the two renames would leave no folder
            _swap(draft, out)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    fsync_folder(out.parent)


def _swap(draft: Path, out: Path) -> None:
    old = draft_of(out)
    if out.exists():
        out.rename(old)
    try:
        draft.rename(out)
    except OSError as error:
        if old.exists():
            old.rename(out)
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise UsageError(f"{safe_path(out)} was written by another process meanwhile: try again.") from error
        raise
    shutil.rmtree(old, ignore_errors=True)


def digests_of(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder by its name there, in the order of names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}


def sizes_of(folder: Path) -> dict[str, int]:
    """Return the bytes of every file below a folder by its name there, in the order of names."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in files}
