"""What of a dataset an earlier version wrote otherwise than this one, and its rewriting, file by file.

Every version opens the datasets of all before it: nothing has to be migrated. Who does it has one folder that any tool
of today reads alike, with digests in every file. Each file is replaced in one step, independently of the others. So a
kill leaves a dataset that verifies, and a rerun does the rest.
"""

import contextlib
import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from collect.ingestion.log import portable_command
from collect.ingestion.outside import read_outside, write_outside
from collect.ingestion.prepare import mend_dataset
from collect.ingestion.sources import holds_whole_paths, read_sources, write_sources
from collect.validation.off_site import coarse_detail
from img2gps.corrections import read_corrections, write_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError
from img2gps.files import is_digested, read_json_lines, replace_records, write_atomic
from img2gps.manifest import inspect_table, photos_of, read_table, write_manifest
from img2gps.manifest_schema import COLUMNS, SCHEMA_VERSION
from img2gps.rejected import RejectedFile, read_rejected, write_rejected
from img2gps.site_file import has_digest, site_bytes
from img2gps.tables import load_table
from img2gps.text import format_count, join_words, safe_path

__all__ = ["Migration", "Rewrite", "migrate_dataset"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """One file that is written anew, and what is new in it."""

    file: str
    what: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """What was written anew, or would be. `schema` is the manifest's before."""

    dataset: Path
    dry_run: bool
    schema: int
    rewrites: tuple[Rewrite, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``migrate --json``."""
        return {
            "dataset": safe_path(self.dataset),
            "dry_run": self.dry_run,
            "schema": self.schema,
            "newest_schema": SCHEMA_VERSION,
            "rewritten": [dataclasses.asdict(rewrite) for rewrite in self.rewrites],
        }

    def sentence(self) -> str:
        """Return the result in words."""
        where = safe_path(self.dataset)
        if not self.rewrites:
            return f"{where} is as this version writes it: manifest schema {self.schema}, nothing to do."
        word = "would be written anew" if self.dry_run else "written anew"
        return f"{where}: {format_count(len(self.rewrites), 'file')} {word}."


@dataclasses.dataclass(frozen=True, slots=True)
class _Step:
    rewrite: Rewrite
    write: Callable[[], object]


def migrate_dataset(
    dataset: Dataset, *, dry_run: bool = False, announce: Callable[[Rewrite], None] = lambda _: None
) -> Migration:
    """Write the files of an earlier version anew; `announce` hears of each before anything is written.

    Rows, positions, splits and corrections stay as they are, and columns that came later are empty: `ingest --rehash`
    of the originals fills them. Raises InvalidDatasetError or DatasetLockedError, and the OSError of a disk.
    """
    with contextlib.nullcontext() if dry_run else dataset.lock():
        if not dry_run:
            mend_dataset(dataset)
        schema = read_table(dataset.manifest_path)[1].schema_version
        steps = list(_steps(dataset))
        for step in steps:
            announce(step.rewrite)
        for step in steps if not dry_run else ():
            step.write()
    return Migration(
        dataset=dataset.root, dry_run=dry_run, schema=schema, rewrites=tuple(step.rewrite for step in steps)
    )


def _steps(dataset: Dataset) -> Iterator[_Step]:
    """Yield what is to be done, the manifest first: the other files are read by what it says."""
    yield from _manifest(dataset)
    yield from _outside(dataset)
    yield from _site(dataset)
    if holds_whole_paths(dataset.sources_path):
        yield _step(dataset.sources_path, "paths become relative to their input", lambda: _write_sources(dataset))
    yield from _rejected(dataset)
    yield from _corrections(dataset)
    yield from _log(dataset)


def _step(path: Path, what: str, write: Callable[[], object]) -> _Step:
    return _Step(Rewrite(file=path.name, what=what), write)


def _table_news(path: Path) -> str:
    """Return what is new in a manifest, nothing where an earlier version cannot be told from this one."""
    schema = inspect_table(path)[1].schema_version
    new = [column.name for column in COLUMNS if column.since > schema]
    if new:
        return f"schema {schema} becomes {SCHEMA_VERSION}, with empty columns {join_words(new)}"
    return "it gains a digest of its bytes" if load_table(path).intact is None else ""


def _manifest(dataset: Dataset) -> Iterator[_Step]:
    def write() -> None:
        table, info = read_table(dataset.manifest_path)
        write_manifest(dataset.manifest_path, photos_of(table), info)

    if news := _table_news(dataset.manifest_path):
        yield _step(dataset.manifest_path, news, write)


def _outside(dataset: Dataset) -> Iterator[_Step]:
    def write() -> None:
        write_outside(dataset, read_outside(dataset), read_table(dataset.manifest_path)[1])

    if dataset.outside_path.exists() and (news := _table_news(dataset.outside_path)):
        yield _step(dataset.outside_path, news, write)


def _site(dataset: Dataset) -> Iterator[_Step]:
    """Yield the polygon's file where it is the one that the photos were judged by; another waits for an ingest."""
    site, info = dataset.site(), read_table(dataset.manifest_path)[1]
    if site.sha256 == info.site_sha256 and site.name == info.site_name and not has_digest(dataset.site_path):
        yield _step(dataset.site_path, "it gains a digest", lambda: write_atomic(dataset.site_path, site_bytes(site)))


def _write_sources(dataset: Dataset) -> None:
    salt = read_table(dataset.manifest_path)[1].device_salt
    write_sources(dataset.sources_path, read_sources(dataset.sources_path, salt=salt))


def _rejected(dataset: Dataset) -> Iterator[_Step]:
    path, site = dataset.rejected_path, dataset.site()
    rows = read_rejected(path)
    coarse = [dataclasses.replace(row, detail=coarse_detail(row.reason, row.detail, site)) for row in rows.values()]

    def write(rows: list[RejectedFile] = coarse) -> None:
        write_rejected(path, rows)

    if coarse != list(rows.values()):
        yield _step(path, "exact positions become distances", write)
    elif rows and not path.with_suffix(".sha256").is_file():
        yield _step(path, "its digest is kept beside it", write)


def _corrections(dataset: Dataset) -> Iterator[_Step]:
    path = dataset.corrections_path
    lines = read_corrections(path)
    if lines and not path.with_suffix(".sha256").is_file():
        yield _step(path, "its last line is named beside it", lambda: write_corrections(path, lines))


def _log(dataset: Dataset) -> Iterator[_Step]:
    path = dataset.ingests_path
    try:
        lines = read_json_lines(path)
    except ValueError as error:
        raise InvalidDatasetError(f"{safe_path(path)} is damaged ({error}): delete that line.") from error
    new = [line | {"command": portable_command(str(line["command"]))} if "command" in line else line for line in lines]
    if json.dumps(new) != json.dumps(lines):
        yield _step(path, "commands lose the folders above those given", lambda: replace_records(path, new))
    elif lines and not is_digested(path):
        yield _step(path, "each line gains a digest", lambda: replace_records(path, new))
