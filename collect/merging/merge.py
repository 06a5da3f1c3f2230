"""Merge two datasets into a new one, which appears complete or not at all."""

import contextlib
import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from collect.ingestion.dataset_writer import empty_info
from collect.ingestion.log import without_names_in
from collect.ingestion.outside import write_outside
from collect.ingestion.photo_store import CopyStore
from collect.ingestion.prepare import check_space_for
from collect.ingestion.sources import write_sources
from collect.merging.corrections import CorrectionConflict, merged_corrections
from collect.merging.rows import MergedRows, merged_rows
from collect.merging.side import Side, read_side
from img2gps.corrections import Correction, write_corrections
from img2gps.dataset import Dataset
from img2gps.drafts import draft_of, sweep_drafts
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.files import TEMPORARY_PREFIX, fsync_folder, replace_records, sha256_bytes, write_atomic
from img2gps.forgotten import write_forgotten
from img2gps.manifest import ManifestInfo, write_manifest
from img2gps.progress import track
from img2gps.redactions import Redactions, merged_redactions, save_redactions, without_photos
from img2gps.rejected import write_rejected
from img2gps.site_file import site_bytes
from img2gps.splits import split_hashes
from img2gps.text import format_count, safe_path, safe_text, shell_path
from img2gps.types import Photo

__all__ = ["MergeResult", "merge_datasets"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MergeResult:
    """What two datasets are as one: the rows, the lines of corrections, and where two people disagreed."""

    dataset: Path
    dry_run: bool
    rows: MergedRows
    corrections: int
    conflicts: tuple[CorrectionConflict, ...]
    of_first: int
    of_second: int

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``merge --json``."""
        rows = self.rows
        return {
            "dataset": safe_path(self.dataset),
            "dry_run": self.dry_run,
            "photos": len(rows.photos),
            "of_first": self.of_first,
            "of_second": self.of_second,
            "of_both": rows.both,
            "outside": len(rows.outside),
            "rejected": len(rows.rejected),
            "left_out_as_forgotten": rows.left_out,
            "corrections": self.corrections,
            "conflicts": [conflict.to_dict() for conflict in self.conflicts],
            "set_aside": [
                {"id": photo.id, "source_name": safe_text(photo.source_name), "reason": photo.split_reason}
                for photo in rows.set_aside
            ],
            "notes": list(rows.notes),
        }

    def sentence(self) -> str:
        """Return the result in words."""
        rows = self.rows
        left = f", {format_count(rows.left_out, 'photo')} left out as forgotten" if rows.left_out else ""
        word = "would hold" if self.dry_run else "holds"
        return (
            f"{safe_path(self.dataset)} {word} {format_count(len(rows.photos), 'photo')}: {self.of_first:,} and "
            f"{self.of_second:,}, {rows.both:,} of them in both{left}; "
            f"{format_count(self.corrections, 'correction')}, {format_count(len(self.conflicts), 'conflict')}; "
            f"{format_count(len(rows.set_aside), 'photo')} set aside."
        )


def merge_datasets(first: Dataset, second: Dataset, into: Path, *, dry_run: bool = False) -> MergeResult:
    """Merge two datasets of one site into the new folder `into`; neither is changed, and no originals are needed.

    Raises UsageError, InvalidDatasetError or DatasetLockedError, or the OSError of a disk; there is no `into` then.
    """
    if first.root.resolve() == second.root.resolve():
        raise UsageError(f"{safe_path(first.root)} is given twice: give two datasets.")
    for side in (first, second):
        if into.resolve().is_relative_to(side.root.resolve()):
            raise UsageError(
                f"{safe_path(into)} lies in {safe_path(side.root)}: give a folder outside of both datasets."
            )
    if into.exists() and (not into.is_dir() or any(into.iterdir())):
        raise UsageError(f"{safe_path(into)} is there already: give a new folder for the merged dataset.")
    with first.reading(), second.reading():
        one, other = read_side(first), read_side(second)
        rows = merged_rows(one, other)
        kept = rows.photos.keys() | rows.outside.keys()
        lines, conflicts = merged_corrections(one.corrections, other.corrections, kept)
        if not dry_run:
            check_space_for(into, _size_of_copies(rows, [one, other]))
            _appear(into, rows, lines, [one, other])
    return MergeResult(
        dataset=into,
        dry_run=dry_run,
        rows=rows,
        corrections=len(lines),
        conflicts=tuple(conflicts),
        of_first=len(one.photos),
        of_second=len(other.photos),
    )


def _appear(into: Path, rows: MergedRows, lines: list[Correction], sides: Sequence[Side]) -> None:
    """Let the dataset appear complete, or not at all."""
    into.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(into)
    draft = draft_of(into)
    try:
        _write(Dataset(root=draft), rows, lines, sides)
        if into.exists():
            into.rmdir()  # empty, or somebody else's by now: then this fails
        draft.rename(into)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    fsync_folder(into.parent)


def _write(dataset: Dataset, rows: MergedRows, lines: list[Correction], sides: Sequence[Side]) -> None:
    """Write a whole dataset into a folder that nobody sees yet; what the manifest names comes before it."""
    first, second = sides
    dataset.root.mkdir(parents=True, exist_ok=True)
    _copy_photos(dataset, [*rows.photos.values(), *rows.outside.values()], sides)
    write_atomic(dataset.site_path, site_bytes(first.site))
    forgotten = {**second.forgotten, **first.forgotten}
    if forgotten:
        write_forgotten(dataset.forgotten_path, forgotten)
    if rows.rejected:
        write_rejected(dataset.rejected_path, rows.rejected.values())
    same_salt = first.info.device_salt == second.info.device_salt  # the index is keyed by it
    sources = {**(second.sources if same_salt else {}), **first.sources}
    sources = {key: seen for key, seen in sources.items() if seen.sha256 not in forgotten}
    if sources:
        write_sources(dataset.sources_path, sources)
    write_corrections(dataset.corrections_path, lines)
    _write_redactions(dataset, rows, sides)
    replace_records(dataset.ingests_path, _log(first, second, len(rows.photos)))
    maps = [side.dataset.basemap_path for side in sides if side.dataset.basemap_path.is_file()]
    if maps:
        write_atomic(dataset.basemap_path, maps[0].read_bytes())
    info = dataclasses.replace(
        empty_info(first.site, first.info.short_side_px),
        device_salt=first.info.device_salt,
        split=rows.split,
        kept_splits=rows.kept_splits,
    )
    _write_rows(dataset, rows, info)


def _write_redactions(dataset: Dataset, rows: MergedRows, sides: Sequence[Side]) -> None:
    """Write what both know of people in the pictures that stay: what somebody hid must not show after a merge."""
    known = merged_redactions(*(side.redactions for side in sides))
    kept = rows.photos.keys() | rows.outside.keys()
    known = without_photos(known, (known.regions.keys() | known.looked.keys()) - kept)
    if known != Redactions():
        save_redactions(dataset, known)


def _write_rows(dataset: Dataset, rows: MergedRows, info: ManifestInfo) -> None:
    """Write manifest and outside.parquet; the record of the split gets the fingerprints of what it is now."""
    info = write_manifest(dataset.manifest_path, rows.photos.values(), info)
    if info.split is not None:
        hashes = split_hashes(dataset.frame())
        record = {**info.split, "ids_sha256": hashes.ids, "labels_sha256": hashes.labels}
        info = write_manifest(dataset.manifest_path, rows.photos.values(), dataclasses.replace(info, split=record))
    write_outside(dataset, rows.outside, info)


def _copy_photos(dataset: Dataset, photos: Sequence[Photo], sides: Sequence[Side]) -> None:
    """Copy the working copies, each as its row says. Raises InvalidDatasetError where neither dataset has it whole."""
    with contextlib.closing(CopyStore(dataset.photos_path)) as store:
        for photo in track(photos, "Copying photos", len(photos)):
            target = dataset.photo_path(photo.id)
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.parent / f"{TEMPORARY_PREFIX}{uuid4().hex}"
            temporary.write_bytes(_copy_of(photo, sides))
            store.place(str(temporary), target)
        if photos:
            store.settle()


def _copy_of(photo: Photo, sides: Sequence[Side]) -> bytes:
    for side in sides:
        with contextlib.suppress(OSError):
            data = side.dataset.photo_path(photo.id).read_bytes()
            if sha256_bytes(data) == photo.photo_sha256:
                return data
    holder = next(side for side in sides if photo.id in side.photos or photo.id in side.outside)
    raise InvalidDatasetError(
        f"The working copy of {safe_text(photo.source_name)} is missing or was changed: run "
        f"`img2gps verify {shell_path(holder.dataset.root)}`, which says what to do."
    )


def _size_of_copies(rows: MergedRows, sides: Sequence[Side]) -> int:
    photos = {**rows.photos, **rows.outside}
    sizes = 0
    for side in sides:
        paths = side.dataset.photo_paths(key for key in {**side.photos, **side.outside} if key in photos)
        sizes += sum(path.stat().st_size for path in paths if path.is_file())
    return sizes


def _forgotten_names(sides: Sequence[Side]) -> set[str]:
    """Return what files are called that one dataset forgot and the other still holds."""
    forgotten = {key for side in sides for key in side.forgotten}
    rows = [row for side in sides for row in (*side.photos.values(), *side.outside.values())]
    rejected = [row for side in sides for row in side.rejected.values()]
    return {row.source_name for row in rows if row.id in forgotten} | {
        row.file for row in rejected if row.sha256 in forgotten
    }


def _log(first: Side, second: Side, photos: int) -> list[Mapping[str, Any]]:
    """Return the lines of both datasets' ingests, each once, in order of time, and one that says of the merge."""
    lines = {str(line.get("ingest") or line): line for line in (*second.log, *first.log)}
    # what one forgot, the other may have been given by its name
    names = _forgotten_names((first, second))
    lines = {key: without_names_in(line, names) for key, line in lines.items()}
    ordered = sorted(lines.values(), key=lambda line: str(line.get("finished_at", "")))
    folders = [safe_text(side.dataset.root.resolve().name) for side in (first, second)]
    merge = {"merged": folders, "finished_at": datetime.now(UTC).isoformat(), "photos": photos}
    return [*ordered, merge]
