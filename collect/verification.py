"""Whether a dataset is what ingest wrote: every hash, every row, every line of its side files."""

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from collect.ingestion.outside import read_outside
from collect.ingestion.site_change import pending_site
from collect.ingestion.sources import read_sources
from img2gps.basemap.file import basemap_of
from img2gps.cluster_jobs import JobCluster, SharedFile, jobs_of, shards
from img2gps.corrections import file_text, is_end_whole, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError
from img2gps.files import TEMPORARY_PREFIX, read_json_lines
from img2gps.forgotten import read_forgotten
from img2gps.manifest import ManifestInfo, inspect_table, is_info_intact, photos_of, rows_digest
from img2gps.progress import track
from img2gps.reasons import FLAGS
from img2gps.redactions import load_redactions, redactions_path
from img2gps.refined import refinement_problems
from img2gps.rejected import is_changed, read_rejected
from img2gps.site import Site
from img2gps.site_file import is_edited
from img2gps.stored_dataset import refresh, stored_orphans
from img2gps.text import format_count, safe_path, safe_text
from img2gps.types import GpsSource, HeadingRef, Photo, SplitName, TimeSource
from img2gps.verification import Problem
from img2gps.working_copies import CopiesJob, copies_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Problem", "Verification", "corrections_problems", "is_dataset", "verify_dataset"]

_RESTORE: Final = "restore it from a backup"
_ID: Final = re.compile(r"[0-9a-f]{64}")
_ALLOWED: Final[dict[str, frozenset[Any]]] = {
    "gps_source": frozenset(get_args(GpsSource)),
    "gps_status": frozenset({None, "A", "V"}),
    "time_source": frozenset({None, *get_args(TimeSource)}),
    "heading_ref": frozenset({None, *get_args(HeadingRef)}),
    "split": frozenset({None, *get_args(SplitName)}),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """The result: `problems` make a dataset invalid, `orphans` (files that no row names) do not.

    `to_forget` photos were to be forgotten when a kill came: they are still here, and the dataset is whole.
    """

    photos: int
    problems: tuple[Problem, ...]
    orphans: tuple[str, ...]
    to_forget: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``verify --json``."""
        return {"ok": not self.problems, **dataclasses.asdict(self)}

    def sentence(self) -> str:
        """Return the result in words."""
        orphans = format_count(len(self.orphans), "file that no row names", "files that no row names")
        left = (
            f"; {orphans}, left by an ingest that was cut off or a site that was redrawn (harmless)"
            if self.orphans
            else ""
        )
        if self.to_forget:
            count = format_count(self.to_forget, "photo is", "photos are")
            left += f"; {count} still to be forgotten: run `img2gps forget DATASET`"
        count = format_count(self.photos, "photo")
        if self.problems:
            return f"{count}, {format_count(len(self.problems), 'problem')}{left}."
        return f"{count}, every hash and every row as written{left}."


def is_dataset(root: Path) -> bool:
    """Return whether a folder is a dataset, or what is left of one."""
    refresh(root)
    dataset = Dataset(root=root)
    return dataset.manifest_path.exists() or dataset.site_path.exists()


def verify_dataset(root: Path, *, cluster: str | None = None) -> Verification:
    """Check a dataset completely and return what is wrong with it.

    The workers of `cluster` (`img2gps.cluster`) hash the working copies. Raises NotFoundError where there is none,
    InvalidDatasetError where the folder is no dataset, and what `open_jobs` and `JobCluster.do` raise.
    """
    with jobs_of(cluster) as workers:
        return _verified(Dataset.open(root), workers)


def _verified(dataset: Dataset, workers: JobCluster | None) -> Verification:
    problems = list(_side_files(dataset))
    try:
        table, info, intact = inspect_table(dataset.manifest_path)
        photos = photos_of(table)
    except InvalidDatasetError as error:
        problems.append(Problem(where="manifest.parquet", what=str(error), remedy=_RESTORE))
        return Verification(photos=0, problems=tuple(problems), orphans=())
    except Exception as error:  # noqa: BLE001  a geometry that is no WKB point
        what = f"a row cannot be read ({safe_text(str(error))})"
        problems.append(Problem(where="manifest.parquet", what=what, remedy=_RESTORE))
        return Verification(photos=0, problems=tuple(problems), orphans=())
    problems += _manifest(table, info, intact=intact)
    try:
        site = pending_site(dataset, info.site_sha256) or dataset.site()
    except InvalidDatasetError as error:
        problems.append(Problem(where="site.geojson", what=str(error), remedy=_RESTORE))
    else:
        if site.sha256 != info.site_sha256:
            what = "it is not the polygon that the photos were judged by"
            remedy = "restore it, or ingest with `--site` to judge every photo by it"
            problems.append(Problem(where="site.geojson", what=what, remedy=remedy))
        elif site.name != info.site_name:
            what = f"the site is called {site.name}, in the manifest {safe_text(info.site_name)}"
            problems.append(Problem(where="site.geojson", what=what, remedy=_RESTORE))
        elif is_edited(dataset.site_path):
            what = "it was changed after it was written"
            remedy = "restore it, or ingest with `--site` to confirm what it says"
            problems.append(Problem(where="site.geojson", what=what, remedy=remedy))
        problems += _misplaced(photos, site)
    problems += _rows(photos)
    kept = [*photos, *_outside(dataset)]
    problems += _working_copies(dataset, kept, workers)
    forgotten = _forgotten(dataset)
    return Verification(
        photos=len(photos),
        problems=tuple(problems),
        orphans=tuple(_orphans(dataset, kept)),
        to_forget=sum(photo.id in forgotten for photo in kept),
    )


def _manifest(table: "pa.Table", info: ManifestInfo, *, intact: bool) -> list[Problem]:
    """Check the digests of the manifest."""
    found: list[str] = []
    if rows_digest(table, info.schema_version) != info.rows_sha256:
        found.append("its rows were changed after they were written")
    if not is_info_intact(table):
        found.append("what it says about itself (site, salt, split, coordinates) was changed after it was written")
    if not intact and not found:
        found.append("its bytes were changed after they were written")
    return [Problem(where="manifest.parquet", what=what, remedy=_RESTORE) for what in found]


def corrections_problems(dataset: Dataset) -> Iterator[Problem]:
    """Check every byte of the corrections."""
    path = dataset.corrections_path
    try:
        corrections = read_corrections(path)
        # the digests cover values; the comparison covers every byte, the last line end included
        if path.exists() and path.read_bytes() not in (b"", file_text(corrections).encode()):
            what = "its text was changed after it was written, or its last line was cut off"
            yield Problem(where=path.name, what=what, remedy=_RESTORE)
        if not is_end_whole(path, corrections):
            what = "it does not name a line of corrections.csv"
            yield Problem(where="corrections.sha256", what=what, remedy=f"{_RESTORE}, or delete it")
    except (InvalidDatasetError, UnicodeDecodeError) as error:
        yield Problem(where=path.name, what=safe_text(str(error)), remedy=_RESTORE)


def _side_files(dataset: Dataset) -> Iterator[Problem]:
    """Check the files beside the manifest."""
    if is_changed(dataset.rejected_path):
        remedy = "restore it, or delete it and ingest the rejected photos again"
        yield Problem(where="rejected.csv", what="it was changed after it was written", remedy=remedy)
    yield from corrections_problems(dataset)
    for where, what in refinement_problems(dataset.refined_path):
        yield Problem(where=where, what=what, remedy=f"{_RESTORE}, or refine again")
    try:
        read_outside(dataset)
    except InvalidDatasetError as error:
        yield Problem(where=dataset.outside_path.name, what=str(error), remedy=_RESTORE)
    try:
        read_forgotten(dataset.forgotten_path)
    except InvalidDatasetError as error:
        remedy = f"{_RESTORE}, or delete it and forget the photos again"
        yield Problem(where=dataset.forgotten_path.name, what=str(error), remedy=remedy)
    try:
        load_redactions(dataset)
    except InvalidDatasetError as error:
        remedy = f"{_RESTORE}, or delete it: pictures are looked at again, regions drawn by hand are lost"
        yield Problem(where=redactions_path(dataset).name, what=str(error), remedy=remedy)
    for name, read in (("rejected.csv", read_rejected), ("sources.parquet", read_sources)):
        try:
            read(dataset.root / name)
        except InvalidDatasetError as error:
            yield Problem(where=name, what=str(error), remedy="delete it; the next ingest makes it anew")
    try:
        basemap_of(dataset)
    except InvalidDatasetError as error:
        remedy = "make it anew with `img2gps basemap`, or delete it"
        yield Problem(where=dataset.basemap_path.name, what=safe_text(str(error)), remedy=remedy)
    try:
        read_json_lines(dataset.ingests_path)
    except ValueError as error:
        yield Problem(where=dataset.ingests_path.name, what=safe_text(str(error)), remedy="delete that line")


def _outside(dataset: Dataset) -> list[Photo]:
    """Return the photos that a redrawn site left outside: their working copies are kept."""
    try:
        return list(read_outside(dataset).values())
    except InvalidDatasetError:  # told already
        return []


def _forgotten(dataset: Dataset) -> frozenset[str]:
    """Return the hashes of photos that must not be here."""
    try:
        return frozenset(read_forgotten(dataset.forgotten_path))
    except InvalidDatasetError:  # told already
        return frozenset()


def _misplaced(photos: Sequence[Photo], site: Site) -> Iterator[Problem]:
    for photo in photos:
        relation, distance_m = site.relation(photo.lon, photo.lat, photo.gps_accuracy_m)
        if relation != photo.site_relation:
            what = f"it is called {safe_text(photo.site_relation)}, but lies {relation} ({distance_m:.0f} m)"
            yield Problem(where=_row(photo), what=what)


def _rows(photos: Sequence[Photo]) -> Iterator[Problem]:
    for photo in photos:
        if not _ID.fullmatch(photo.id):
            yield Problem(where=_row(photo), what="its id is no SHA-256")
        elif photo.file_name != f"photos/{photo.id[:2]}/{photo.id}.jpg":
            yield Problem(where=_row(photo), what=f"its working copy is called {safe_text(photo.file_name)}")
        for column, allowed in _ALLOWED.items():
            if getattr(photo, column) not in allowed:
                yield Problem(where=_row(photo), what=f"{column} is {safe_text(repr(getattr(photo, column)))}")
        unknown = [flag for flag in photo.flags if flag not in FLAGS]
        if unknown:
            yield Problem(where=_row(photo), what=f"the flag {safe_text(unknown[0])} does not exist")


def _working_copies(dataset: Dataset, photos: Sequence[Photo], workers: JobCluster | None) -> Iterator[Problem]:
    named = [photo for photo in photos if _ID.fullmatch(photo.id)]
    for photo, digest in zip(named, _digests(dataset, [photo.id for photo in named], workers), strict=True):
        where = f"photos/{photo.id[:2]}/{photo.id}.jpg"
        if isinstance(digest, OSError):
            error = digest
            what = f"{error.strerror}: ingest {safe_text(photo.source_name)} with --rehash"
            yield Problem(where=where, what=what, remedy=f"ingest {safe_text(photo.source_name)} with --rehash")
            continue
        if digest != photo.photo_sha256:
            what = f"its bytes were changed: delete it and ingest {safe_text(photo.source_name)} with --rehash"
            remedy = f"delete it and ingest {safe_text(photo.source_name)} with --rehash"
            yield Problem(where=where, what=what, remedy=remedy)


def _digests(dataset: Dataset, ids: Sequence[str], workers: JobCluster | None) -> Iterator[str | OSError]:
    """Yield the digest of each working copy, or why it cannot be read."""
    doing = "Hashing working copies"
    if workers is None:
        yield from track(dataset.copies.digests(ids), doing, len(ids))
        return
    root, needs = dataset.root.resolve(), [SharedFile.of(dataset.manifest_path)]
    workers.check_shared(needs)
    jobs = [CopiesJob(root=root, ids=tuple(some)) for some in shards(ids, workers.slots)]
    for _, digests in workers.do(hash_copies, jobs, doing=doing, needs=needs, steps=lambda job: len(job.ids)):
        yield from digests


def hash_copies(job: CopiesJob) -> list[str | OSError]:
    """Return what `WorkingCopies.digests` yields; called on a worker of a cluster."""
    return list(copies_of(job.root).digests(job.ids))


def _orphans(dataset: Dataset, photos: Sequence[Photo]) -> list[str]:
    """Return what a killed ingest left: copies without a row, temporary files, a polygon that waits."""
    named = {photo.file_name for photo in photos}
    stored = [Path("photos", name) for name in dataset.copies.names()]
    loose = [path.relative_to(dataset.root) for path in dataset.root.glob(f"{TEMPORARY_PREFIX}*")]
    loose += [path.relative_to(dataset.root) for path in dataset.root.glob("site.next.geojson")]
    loose += map(Path, stored_orphans(dataset.root))
    return [safe_path(path) for path in sorted([*stored, *loose]) if path.as_posix() not in named]


def _row(photo: Photo) -> str:
    return f"row {safe_text(photo.source_name)}"
