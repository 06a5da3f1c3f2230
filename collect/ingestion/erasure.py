"""What a dataset holds of photos that it was asked to forget, and its removal, in an order that survives a kill.

The hashes are in forgotten.txt before anything else changes. From then on the photos are forgotten. The next writer of
the dataset goes on where a kill stopped. The order of writes:

1. caches and the audit's files: they hold pixels and positions, and whoever wants them makes them again
2. corrections.csv, chained anew; names in ingests.jsonl; rejected.csv; sources.parquet; redaction.json
3. manifest.parquet, then outside.parquet
4. working copies and temporary files; caches that somebody made meanwhile

A row goes after all that cannot be told to be of it, and before its copy: `verify` is clean at every moment.
"""

import dataclasses
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from collect.ingestion.log import forget_names
from collect.ingestion.outside import read_outside, write_outside
from collect.ingestion.photo_store import sweep_temporary_files
from collect.ingestion.sources import SeenSource, read_sources, write_sources
from collect.splits.groups import renamed_without
from img2gps.corrections import Correction, read_corrections, write_corrections
from img2gps.dataset import Dataset
from img2gps.files import TEMPORARY_PREFIX, fsync_folder
from img2gps.manifest import ManifestInfo, photos_of, read_table, write_manifest
from img2gps.redactions import load_redactions, save_redactions, without_photos
from img2gps.rejected import RejectedFile, read_rejected, write_rejected
from img2gps.splits import split_hashes
from img2gps.types import Photo

__all__ = ["Traces", "erase", "find_traces"]

_DERIVED: Final = ("audit/report.html", "audit/audit.json", "audit/walk-list.gpx", "audit/walk-list.geojson")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What a dataset holds of some photos: rows, lines and files of each kind.

    `redactions` are the photos that were looked at for people. `splits` are splits kept for photos outside the
    site. `derived` are files made from photos (caches, the audit, files of a killed ingest). They are removed whole if
    a row or a copy goes.
    """

    photos: tuple[Photo, ...] = ()
    outside: tuple[Photo, ...] = ()
    rejected: tuple[RejectedFile, ...] = ()
    sources: tuple[SeenSource, ...] = ()
    corrections: tuple[Correction, ...] = ()
    redactions: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    copies: tuple[Path, ...] = ()
    derived: tuple[Path, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left of the photos."""
        return not any(getattr(self, field.name) for field in dataclasses.fields(self))

    def counts(self) -> dict[str, int]:
        """Return how many rows, lines and files of each kind there are."""
        return {field.name: len(getattr(self, field.name)) for field in dataclasses.fields(self)}


def find_traces(dataset: Dataset, hashes: Collection[str], names: Collection[str] = ()) -> Traces:
    """Return what a dataset holds of files by their hashes, and of rejected files without a hash by their `names`.

    Raises InvalidDatasetError where a file of the dataset is damaged.
    """
    wanted = frozenset(hashes)
    table, info = read_table(dataset.manifest_path)
    looked = load_redactions(dataset)
    copies = tuple(path for digest in sorted(wanted) if (path := dataset.photo_path(digest)).exists())
    found = Traces(
        photos=tuple(photo for photo in photos_of(table) if photo.id in wanted),
        outside=tuple(photo for photo in read_outside(dataset).values() if photo.id in wanted),
        rejected=tuple(row for row in read_rejected(dataset.rejected_path).values() if _names(row, wanted, names)),
        sources=tuple(_sources(dataset, info, wanted).values()),
        corrections=tuple(line for line in read_corrections(dataset.corrections_path) if line.photo_id in wanted),
        redactions=tuple(sorted(wanted & (looked.regions.keys() | looked.looked.keys()))),
        splits=tuple(key for key in info.kept_splits if key in wanted),
        copies=copies,
    )
    pictured = found.photos or found.outside or found.copies
    return dataclasses.replace(found, derived=tuple(_derived(dataset))) if pictured else found


def erase(dataset: Dataset, hashes: Collection[str], names: Collection[str] = ()) -> Traces:
    """Remove what `find_traces` finds, and return it; the caller holds the lock, and has written forgotten.txt."""
    wanted = frozenset(hashes)
    if not wanted and not names:
        return Traces()
    found = find_traces(dataset, wanted, names)
    if found.is_empty:
        return found
    _unlink(found.derived)
    if found.corrections:
        lines = read_corrections(dataset.corrections_path)
        write_corrections(dataset.corrections_path, [line for line in lines if line.photo_id not in wanted])
    rows = [*found.photos, *found.outside]
    forget_names(dataset.ingests_path, [*(row.source_name for row in rows), *(row.file for row in found.rejected)])
    if found.rejected:
        _erase_rejected(dataset, wanted, names)
    if found.sources:
        _erase_sources(dataset, wanted)
    if found.redactions:
        save_redactions(dataset, without_photos(load_redactions(dataset), wanted))
    if found.photos or found.splits:
        _erase_rows(dataset, wanted)
    _erase_outside(dataset, wanted)
    dataset.publish()  # in a store, too, rows go before copies
    _unlink(found.copies)
    for folder in {path.parent for path in found.copies}:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    sweep_temporary_files(dataset.root)
    if found.derived:  # a training may have made them again from the rows of before
        _unlink(tuple(_derived(dataset)))
    return found


def _erase_rows(dataset: Dataset, wanted: frozenset[str]) -> None:
    """Write the manifest without the rows; the others stay in their groups, walks, splits and folds."""
    table, info = read_table(dataset.manifest_path)
    photos = renamed_without([photo for photo in photos_of(table) if photo.id not in wanted], wanted)
    kept = {key: values for key, values in info.kept_splits.items() if key not in wanted}
    write_manifest(
        dataset.manifest_path,
        photos,
        dataclasses.replace(info, kept_splits=kept, split=_split_without(dataset, info, wanted)),
    )


def _erase_outside(dataset: Dataset, wanted: frozenset[str]) -> None:
    before = read_outside(dataset)
    after = renamed_without([row for key, row in before.items() if key not in wanted], wanted)
    if after != list(before.values()):
        write_outside(dataset, {row.id: row for row in after}, read_table(dataset.manifest_path)[1])


def _split_without(dataset: Dataset, info: ManifestInfo, wanted: frozenset[str]) -> Mapping[str, object] | None:
    """Return the record of the stored split with the fingerprints of the photos that are left."""
    if info.split is None:
        return None
    frame = dataset.frame()
    hashes = split_hashes(frame[~frame["id"].isin(wanted)])
    return {**info.split, "ids_sha256": hashes.ids, "labels_sha256": hashes.labels}


def _erase_rejected(dataset: Dataset, wanted: frozenset[str], names: Collection[str]) -> None:
    rows = read_rejected(dataset.rejected_path).values()
    write_rejected(dataset.rejected_path, [row for row in rows if not _names(row, wanted, names)])
    # the digests of the file before may tell what it held
    write_rejected(dataset.rejected_path, read_rejected(dataset.rejected_path).values())


def _erase_sources(dataset: Dataset, wanted: frozenset[str]) -> None:
    info = read_table(dataset.manifest_path)[1]
    index = read_sources(dataset.sources_path, salt=info.device_salt)
    write_sources(dataset.sources_path, {key: seen for key, seen in index.items() if seen.sha256 not in wanted})


def _sources(dataset: Dataset, info: ManifestInfo, wanted: frozenset[str]) -> dict[bytes, SeenSource]:
    """Return the entries of the index that name the hashes."""
    index = read_sources(dataset.sources_path, salt=info.device_salt)
    return {key: seen for key, seen in index.items() if seen.sha256 in wanted}


def _names(row: RejectedFile, wanted: frozenset[str], names: Collection[str]) -> bool:
    return row.sha256 in wanted or (not row.sha256 and row.file in names)


def _derived(dataset: Dataset) -> list[Path]:
    """Return the files that were made of the dataset's photos and can be made again."""
    cached = [path for path in (dataset.root / ".cache").rglob("*") if path.is_file() and path.name != "CACHEDIR.TAG"]
    loose = [*dataset.root.glob(f"{TEMPORARY_PREFIX}*"), *dataset.photos_path.glob(f"*/{TEMPORARY_PREFIX}*")]
    known = [dataset.root / name for name in _DERIVED]
    refined = (dataset.root / "refined").glob("*.parquet")  # a chain, which the photos had a part in
    return sorted([*cached, *loose, *refined, *(path for path in known if path.is_file())])


def _unlink(paths: Collection[Path]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)
    for folder in {path.parent for path in paths}:
        if folder.is_dir():
            fsync_folder(folder)
