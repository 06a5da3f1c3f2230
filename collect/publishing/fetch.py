"""A published dataset brought back as a dataset folder: splits, folds and groups as they were."""

import dataclasses
import platform
import shutil
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import PIL

from collect.ingestion.log import log_ingest
from collect.ingestion.prepare import is_fresh
from collect.publishing.columns import published_schema
from collect.publishing.folder import PublishedRecord, read_record
from collect.publishing.rows import PARTS
from img2gps import __version__
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.drafts import draft_of, sweep_drafts
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.files import fsync_folder, sha256_bytes, sha256_file, write_atomic
from img2gps.manifest import ManifestInfo, write_manifest
from img2gps.progress import bar
from img2gps.site import Site, read_site
from img2gps.site_file import site_bytes
from img2gps.splits import split_hashes
from img2gps.text import format_count, safe_path, safe_text, shell_path
from img2gps.types import Photo

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FetchResult", "fetch_folder"]

_SITE: Final = "site.geojson"
_SAME: Final = (
    *("id", "width", "height", "phash", "gps_source", "gps_accuracy_m", "gps_dop", "gps_status", "gps_method"),
    *("captured_at", "utc_offset_min", "time_source", "clock_local", "fix_age_s", "heading_ref", "altitude_m"),
    *("device", "walk", "burst", "group", "split", "fold"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FetchResult:
    """What came: the dataset's folder, its photos, those of each split (``none``: in no split), and the corrections."""

    dataset: Path
    source: str
    dry_run: bool
    photos: int
    splits: Mapping[str, int]
    corrections: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``fetch --json``."""
        return dataclasses.asdict(self) | {"dataset": safe_path(self.dataset)}


def fetch_folder(folder: Path, root: Path, *, source: str, dry_run: bool = False) -> FetchResult:
    """Make the dataset `root` of a published folder; `source` is what a person calls that, for messages and the log.

    Every file is compared with its digest first. `root` is absent or empty, and appears complete or not at all.
    Raises NotFoundError, UsageError, InvalidDatasetError, OSError.
    """
    record = read_record(folder, where=source)
    if not is_fresh(root):
        raise UsageError(f"{safe_path(root)} is a dataset already: fetch into a new folder.")
    _check_files(folder, record, source)
    site = _site_of(folder, record, source)
    splits = {name: record.parts[part] for name, part in _named_parts(record).items()}
    result = FetchResult(dataset=root, source=source, dry_run=dry_run, photos=record.photos, splits=splits)
    if dry_run:
        return result
    root.parent.mkdir(parents=True, exist_ok=True)
    sweep_drafts(root)
    draft = Dataset(root=draft_of(root))
    try:
        corrections = _fill(draft, folder, record, site, source)
        if root.exists():
            root.rmdir()  # empty, or somebody else's by now: then this fails
        draft.root.rename(root)
    finally:
        shutil.rmtree(draft.root, ignore_errors=True)
    fsync_folder(root.parent)
    return dataclasses.replace(result, corrections=corrections)


def _named_parts(record: PublishedRecord) -> dict[str, str]:
    """Return the parts that were published by the names of the splits that they are in a dataset."""
    names = {part: name for name, part in PARTS.items()} if record.split else {"train": "none"}
    return {names.get(part, "none"): part for part in record.parts}


def _check_files(folder: Path, record: PublishedRecord, source: str) -> None:
    """Raise InvalidDatasetError where a file that the record names is missing or has other bytes."""
    with bar(f"Checking {safe_text(source)}", len(record.files)) as advance:
        for name, digest in record.files.items():
            path = folder / name
            if Path(name).is_absolute() or ".." in Path(name).parts or not path.is_file():
                raise InvalidDatasetError(f"{source} lacks its file {safe_text(name)}: fetch or publish it again.")
            if sha256_file(path) != digest:
                raise InvalidDatasetError(
                    f"{source} has a file {safe_text(name)} that is not as it was published: fetch or publish it again."
                )
            advance(1)
    if _SITE not in record.files:
        raise InvalidDatasetError(f"{source} has no {_SITE}: publish it again.")


def _site_of(folder: Path, record: PublishedRecord, source: str) -> Site:
    try:
        site = read_site(folder / _SITE)
    except UsageError as error:
        raise InvalidDatasetError(f"{error}") from error
    if site.sha256 != record.site_sha256 or site.name != record.site_name:
        raise InvalidDatasetError(f"{source} has a {_SITE} that its record does not name: publish it again.")
    return site


def _fill(draft: Dataset, folder: Path, record: PublishedRecord, site: Site, source: str) -> int:
    """Write the dataset: pictures first, the manifest last. Returns how many corrections it has."""
    now = datetime.now(UTC)
    name = f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03d}Z"
    photos, corrections = [], []
    with bar(f"Fetching {format_count(record.photos, 'photo')}", record.photos) as advance:
        for row in _rows(folder, record, source):
            picture = row.pop("image")
            photos.append(_photo(row, picture, now, name, source))
            corrections += _correction(row, record)
            target = draft.photo_path(photos[-1].id)
            write_atomic(target, picture["bytes"], sync_folder=False)
            advance(1)
    if len({photo.id for photo in photos}) != len(photos) or len(photos) != record.photos:
        raise InvalidDatasetError(f"{source} has other photos than its record tells of: publish it again.")
    for parent in (*draft.photos_path.iterdir(), draft.photos_path):
        fsync_folder(parent)
    write_atomic(draft.site_path, site_bytes(site))
    info = ManifestInfo(
        site_name=site.name,
        site_sha256=site.sha256,
        device_salt=site.sha256,
        short_side_px=record.short_side_px,
        split=record.split,
    )
    write_manifest(draft.manifest_path, photos, info)
    append_corrections(draft.corrections_path, corrections)
    if record.split:
        hashes = split_hashes(draft.frame())
        split = {**record.split, "ids_sha256": hashes.ids, "labels_sha256": hashes.labels}
        write_manifest(draft.manifest_path, photos, dataclasses.replace(info, split=split))
    _log(draft, now, name, len(photos), site, source)
    return len(corrections)


def _rows(folder: Path, record: PublishedRecord, source: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of all files, a hundred in memory at a time, in the order in which they were published."""
    import pyarrow.parquet as pq

    expected = published_schema()
    names = [name for name in record.files if name.endswith(".parquet")]
    for name in names:
        with pq.ParquetFile(folder / name) as file:
            _check_schema(file.schema_arrow, expected, f"{source}, {safe_text(name)},")
            for batch in file.iter_batches(batch_size=100):
                yield from batch.to_pylist()


def _check_schema(found: "pa.Schema", expected: "pa.Schema", where: str) -> None:
    for field in expected:
        if field.name not in found.names or found.field(field.name).type != field.type:
            raise InvalidDatasetError(f"{where} lacks the column {field.name} as it is published: upgrade img2gps.")


def _photo(row: Mapping[str, Any], picture: Mapping[str, Any], now: datetime, ingest: str, source: str) -> Photo:
    """Return the row of the manifest. Raises InvalidDatasetError where the id could name another file."""
    photo_id, data = str(row["id"]), picture["bytes"]
    if len(photo_id) != 64 or not set(photo_id) <= set("0123456789abcdef"):
        raise InvalidDatasetError(f"{source} has a photo whose id is no SHA-256: publish it again.")
    looked_at = bool(row["label_state"])
    same: dict[str, Any] = {name: row[name] for name in _SAME}
    return Photo(
        **same,
        file_name=f"photos/{photo_id[:2]}/{photo_id}.jpg",
        photo_sha256=sha256_bytes(data),
        lon=row["phone_lon"] if looked_at else row["lon"],
        lat=row["phone_lat"] if looked_at else row["lat"],
        heading_deg=row["phone_heading_deg"] if looked_at else row["heading_deg"],
        source_name=safe_text(str(picture["path"])),
        bytes=len(data),
        site_relation=row["site_relation"],
        flags=tuple(row["flags"] or ()),
        traits=tuple(row["traits"] or ()),
        split_reason="as published" if row["split"] else None,
        ingested_at=now,
        ingest=ingest,
    )


def _correction(row: Mapping[str, Any], record: PublishedRecord) -> list[Correction]:
    """Return what a person said of a photo, if anything; nobody's name and no reason came along."""
    if not row["label_state"]:
        return []
    moved = (row["lon"], row["lat"]) != (row["phone_lon"], row["phone_lat"])
    turned = row["heading_deg"] != row["phone_heading_deg"]
    return [
        Correction(
            at=f"{record.published_on}T00:00:00+00:00",
            by="published",
            photo_id=row["id"],
            action=row["label_state"],
            from_lon=row["phone_lon"],
            from_lat=row["phone_lat"],
            lon=row["lon"] if moved else None,
            lat=row["lat"] if moved else None,
            heading_deg=row["heading_deg"] if turned else None,
            why="as published",
        )
    ]


def _log(draft: Dataset, now: datetime, ingest: str, photos: int, site: Site, source: str) -> None:
    line = {
        "ingest": ingest,
        "started_at": now.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "command": f"img2gps fetch {shell_path(source)}",
        "counts": {"found": photos, "new": photos},
        "photos": photos,
        "site": {"name": site.name, "sha256": site.sha256},
        "versions": {"img2gps": __version__, "python": platform.python_version(), "Pillow": PIL.__version__},
    }
    log_ingest(draft.ingests_path, line)
