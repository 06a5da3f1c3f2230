"""Finding, making and mending the dataset folder before an ingest writes to it."""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from collect.ingestion.dataset_writer import empty_info
from collect.ingestion.erasure import Traces, erase
from collect.ingestion.photo_store import sweep_temporary_files
from collect.ingestion.site_change import finish_site_change
from collect.reading.found_files import FoundFile
from img2gps.address import Address, Place
from img2gps.dataset import Dataset
from img2gps.drafts import draft_of, sweep_drafts
from img2gps.errors import InvalidDatasetError, MissingSiteError, UsageError
from img2gps.files import TEMPORARY_PREFIX, fsync_folder, write_atomic
from img2gps.forgotten import read_forgotten
from img2gps.manifest import read_table, write_manifest
from img2gps.object_store import told
from img2gps.site import Site, packaged_sites
from img2gps.site_file import site_bytes
from img2gps.stored_dataset import RECORD, address_of
from img2gps.text import safe_path, safe_text
from img2gps.working_copies import PLACE_FILE, StoredCopies, WorkingCopies, copies_at, place_bytes

__all__ = [
    "check_copies",
    "check_free_space",
    "check_space_for",
    "is_fresh",
    "make_dataset",
    "mend_dataset",
    "new_copies",
]

_COPY_BYTES_AT_512_PX = 120_000  # measured: 60 to 130 kB for 512 x 683 px of a campus at quality 90
_OTHER_BYTES = 4 << 20


def is_fresh(root: Path) -> bool:
    """Return whether `root` is absent or holds nothing that an ingest would have to respect.

    Raises UsageError where it is something else than a dataset.
    """
    if not root.exists():
        return True
    if not root.is_dir():
        raise UsageError(f"{safe_path(root)} is a file: give the folder of a dataset, or a new one.")
    others = (TEMPORARY_PREFIX, ".lock", RECORD)
    names = {entry.name for entry in root.iterdir() if not entry.name.startswith(others)}
    if {"site.geojson", "manifest.parquet"} <= names:
        return False
    if names <= {"manifest.parquet", PLACE_FILE}:  # empty, or killed while it was made
        return True
    if "site.geojson" in names:
        raise InvalidDatasetError(
            f"{safe_path(root)} lacks its manifest.parquet: restore it from a backup, or ingest into a new folder."
        )
    raise UsageError(f"{safe_path(root)} is a folder with other files in it: give a dataset, or a new or empty folder.")


def require_site(root: Path, site: Site | None) -> Site:
    """Return the site for a new dataset. Raises UsageError where none was given."""
    if site is None:
        names = ", ".join(packaged_sites())
        raise MissingSiteError(
            f"{safe_path(root)} is new: say with --site which site it is for (a GeoJSON file, or {names})."
        )
    return site


def make_dataset(root: Path, site: Site, short_side_px: int, copies: WorkingCopies | None = None) -> Dataset:
    """Make an empty dataset; a folder that does not exist yet appears complete or not at all.

    `copies` is where its working copies will lie (None: in its folder).
    """
    if root.exists():
        _fill(root, site, short_side_px, copies)
        return Dataset(root=root)
    root.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(root)
    draft = draft_of(root)
    try:
        _fill(draft, site, short_side_px, copies)
        draft.rename(root)
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        # another ingest may have been first
        if not isinstance(error, OSError) or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    fsync_folder(root.parent)
    return Dataset(root=root)


def _fill(root: Path, site: Site, short_side_px: int, copies: WorkingCopies | None) -> None:
    (root / PLACE_FILE).unlink(missing_ok=True)  # of one that was killed while it was made
    if copies is not None:
        write_atomic(root / PLACE_FILE, place_bytes(copies))
    dataset = Dataset(root=root)
    write_manifest(dataset.manifest_path, [], empty_info(site, short_side_px))
    write_atomic(dataset.site_path, site_bytes(site))


def new_copies(place: Place | None, photos: Sequence[Place], root: Path) -> WorkingCopies | None:
    """Return the place of the working copies of a new dataset, None where that is its folder.

    Those of a dataset in a store lie below its address, unless `place` is another. Raises UsageError where nothing can
    lie there, where something does, or where it is one of the photos' folders.
    """
    stored = address_of(root)
    own = Address(f"{stored.url}/photos") if stored and place is None else None
    place = place or own
    if place is None:
        return None
    copies = copies_at(place.absolute() if isinstance(place, Path) else place)
    where = safe_text(str(copies))
    for source in photos:
        whole = str(source.absolute() if isinstance(source, Path) else source).rstrip("/")
        if f"{copies}/".startswith(f"{whole}/"):
            raise UsageError(
                f"The working copies may not lie among the photos, at {where}: give --photos another place."
            )
    with told(place) if isinstance(place, Address) else contextlib.nullcontext():
        # an ingest on another machine may have left copies there, and was killed before its first commit
        if own is None and next(copies.names(), None) is not None:
            raise UsageError(f"{where} holds files already: give --photos a new place for each dataset.")
    return copies


def check_copies(dataset: Dataset, place: Place | None) -> None:
    """Raise UsageError where `place` is not where the working copies of an older dataset lie."""
    if place is None:
        return
    given = copies_at(place.absolute() if isinstance(place, Path) else place)
    if given != dataset.copies:
        where = safe_text(str(dataset.copies))
        raise UsageError(
            f"The working copies of this dataset lie at {where}: leave --photos out, or ingest into a new folder."
        )


def mend_dataset(dataset: Dataset) -> Traces:
    """Finish what a kill left: temporary files, a change of site, photos to forget. The caller holds the lock.

    Returns what was still there of photos that were to be forgotten.
    """
    sweep_temporary_files(dataset.root)
    finish_site_change(dataset, read_table(dataset.manifest_path)[1].site_sha256)
    return erase(dataset, read_forgotten(dataset.forgotten_path))


def check_free_space(dataset: Dataset, files: Iterable[FoundFile], short_side_px: int) -> None:
    """Raise OSError (ENOSPC) where the working copies of `files` would not fit, before any work is done."""
    copy_bytes = _COPY_BYTES_AT_512_PX * (short_side_px / 512) ** 2
    needed = sum(min(file.size, copy_bytes) for file in files)
    check_space_for(dataset.root, 0 if isinstance(dataset.copies, StoredCopies) else needed, at=dataset.photos_path)


def check_space_for(root: Path, size: float, *, at: Path | None = None) -> None:
    """Raise OSError (ENOSPC) where copies of `size` bytes would not fit beside what a dataset has besides.

    `at` is the folder of the copies where that may be another disk.
    """
    needed, folder = size + _OTHER_BYTES, (at or root).absolute()
    free = shutil.disk_usage(next(one for one in (folder, *folder.parents) if one.exists())).free
    if needed > free:
        message = f"Too little free space: about {needed / 1e6:,.0f} MB are needed, {free / 1e6:,.0f} MB are free"
        raise OSError(errno.ENOSPC, message, os.fspath(root))
