"""The ingest: walk, recognise, read, judge, store, commit. And the validation, which is the same without a store."""

import contextlib
import dataclasses
import os
import platform
from collections.abc import Generator, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import PIL
from shapely.geometry import box

from collect.ingestion.chunks import chunks_of
from collect.ingestion.dataset_writer import DatasetWriter, empty_info
from collect.ingestion.intake import Intake, Labelled
from collect.ingestion.log import log_ingest
from collect.ingestion.outcomes import Outcomes
from collect.ingestion.photo_reader import FileTask, Reading, ReadSettings, read_file, read_files
from collect.ingestion.photo_store import sweep_temporary_files
from collect.ingestion.prepare import check_free_space, is_fresh, make_dataset, mend_dataset, require_site
from collect.ingestion.workers import Failure, Settings, prepare_workers, process_items
from collect.reading.discover import FoundFile, check_inputs, discover
from collect.validation.clock import find_clock_offset, witnesses_of
from collect.validation.gpx import Tracks, read_tracks
from collect.validation.labels import LabelRow, Labels, NamedFile, capitalised, merge_labels, read_labels
from collect.validation.rules import Rules
from collect.validation.unplaced import track_notes
from img2gps import __version__
from img2gps.console import say
from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.imaging import WORKING_SHORT_SIDE_PX
from img2gps.interrupts import held_back
from img2gps.progress import bar
from img2gps.site import Site, load_site
from img2gps.text import format_count, safe_path, safe_text
from img2gps.types import Photo, Rejection

__all__ = ["IngestOptions", "examine", "ingest", "validate"]

_WORLD = Site(name="the world", polygon=box(-180, -90, 180, 90))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IngestOptions:
    """What may be asked of an ingest or a validation; see the help of the commands.

    `labels` and `gpx` are files that add up. `clock_offset_s` "auto" finds the offset from photos with positions
    or from the stops of the tracks.
    `site` is a packaged name or a GeoJSON file, needed for a new dataset and to change the polygon of an old one.
    `allow_shrink` lets a new polygon leave over a tenth of the photos outside.
    `short_side_px` is the working copies' (None: the dataset's own). `jobs` of 0 reads in this process, where a file
    that crashes the decoder takes everything with it: for debugging. `include_hidden` takes trash, unfinished files
    and thumbnails in, too. `keep_positions` lets details of rejections name exact positions of photos off the site.
    """

    site: str | Path | None = None
    labels: Path | Sequence[Path] | None = None
    gpx: Path | Sequence[Path] | None = None
    clock_offset_s: float | Literal["auto"] = 0.0
    max_accuracy_m: float | None = None
    short_side_px: int | None = None
    jobs: int = 1
    timeout_s: float = 60.0
    rehash: bool = False
    allow_shrink: bool = False
    include_hidden: bool = False
    keep_positions: bool = False
    dry_run: bool = False
    command: str = "ingest"


def ingest(photos: Sequence[Path], root: Path, options: IngestOptions) -> Outcomes:
    """Take the photos below `photos` into the dataset at `root` and return what became of every file.

    Raises NotFoundError, UsageError, InvalidDatasetError, DatasetLockedError, or the OSError of a disk that is
    full or read-only; the dataset then holds what was committed before.
    """
    # read when pyarrow is first imported, which is later: its own allocators would keep the tables of every commit
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    check_inputs(photos)
    site = load_site(options.site) if options.site is not None else None
    labels = _labels(options)
    track, offset_notes = tracks_for(photos, site or _site_of(root), options)
    with _opened(root, site, options) as ledger:
        site_moved = site is not None and site.sha256 != ledger.info.site_sha256
        files = discover(photos, exclude=root, include_hidden=options.include_hidden)
        outcomes = Outcomes(notes=[*offset_notes, *ledger.notes])
        if site_moved:
            assert site is not None
            outcomes.notes += ledger.change_site(site, allow_shrink=options.allow_shrink)
        rules = Rules(
            site=ledger.site,
            device_salt=ledger.info.device_salt,
            track=track,
            max_accuracy_m=options.max_accuracy_m,
            keep_positions=options.keep_positions,
        )
        settings = ReadSettings(
            rules=rules,
            short_side_px=ledger.info.short_side_px,
            pixels="check" if ledger.dataset is None else "write",
            photos_path=root / "photos" if root.exists() else None,
        )
        _take_in(files, labels, ledger, settings, outcomes, options)
    return outcomes


def validate(photos: Sequence[Path], options: IngestOptions) -> Outcomes:
    """Return what an ingest into a new dataset would make of every file; nothing is written.

    Pixels are decoded only where a file's structure leaves doubt (see `collect.reading.structure`).
    """
    return examine(photos, options)[0]


def examine(photos: Sequence[Path], options: IngestOptions) -> tuple[Outcomes, list[Photo]]:
    """Return the outcomes of a validation and its photos (without working copies); no site accepts every position."""
    return _examined(photos, load_site(options.site) if options.site is not None else _WORLD, options)


def _examined(photos: Sequence[Path], site: Site, options: IngestOptions) -> tuple[Outcomes, list[Photo]]:
    labels = _labels(options)
    track, notes = tracks_for(photos, site, options)
    if options.jobs:
        prepare_workers()
    ledger = DatasetWriter(site=site, info=empty_info(site, WORKING_SHORT_SIDE_PX))
    outcomes = Outcomes(notes=notes)
    rules = Rules(site=site, device_salt=site.sha256, track=track, max_accuracy_m=options.max_accuracy_m)
    settings = ReadSettings(rules=rules, short_side_px=WORKING_SHORT_SIDE_PX, pixels="doubtful")
    files = discover(photos, include_hidden=options.include_hidden)
    _take_in(files, labels, ledger, settings, outcomes, options)
    return outcomes, list(ledger.photos.values())


def _labels(options: IngestOptions) -> list[Labels]:
    paths = _paths(options.labels)
    return [read_labels(path, file=path.name if len(paths) > 1 else "") for path in paths]


def _paths(given: Path | Sequence[Path] | None) -> list[Path]:
    return [given] if isinstance(given, Path) else list(given or ())


def _site_of(root: Path) -> Site | None:
    """Return the site of a dataset that is there already."""
    return Dataset.open(root).site() if (root / "site.geojson").exists() else None


def tracks_for(photos: Sequence[Path], site: Site | None, options: IngestOptions) -> tuple[Tracks | None, list[str]]:
    """Return the tracks with the clock's offset, looked for where that is asked, and notes.

    Raises UsageError where the offset cannot be told.
    """
    paths = _paths(options.gpx)
    if not paths:
        if options.clock_offset_s == "auto":
            raise UsageError("--clock-offset auto compares photos with a track: give one with --gpx.")
        return None, []
    if options.clock_offset_s != "auto":
        return read_tracks(paths, clock_offset_s=options.clock_offset_s), []
    tracks = read_tracks(paths)
    anywhere = dataclasses.replace(_WORLD, time_zone=site.time_zone if site else None)
    plain = dataclasses.replace(options, gpx=None, labels=None, clock_offset_s=0.0, max_accuracy_m=None, rehash=False)
    outcomes, found = _examined(photos, anywhere, plain)
    offset = find_clock_offset(tracks, witnesses_of(found), outcomes.unplaced)
    if offset.offset_s is None:
        raise UsageError(f"--clock-offset auto cannot tell the camera's offset: {offset.text}.")
    return dataclasses.replace(tracks, clock_offset_s=offset.offset_s), [offset.text]


@contextlib.contextmanager
def _opened(root: Path, site: Site | None, options: IngestOptions) -> Iterator[DatasetWriter]:
    """Yield the ledger of a dataset that is locked for writing; for a dry run, of one that nothing is written to."""
    new_site = require_site(root, site) if is_fresh(root) else None
    if new_site is not None and options.jobs:
        prepare_workers()  # every photo will be read
    short_side_px = options.short_side_px or WORKING_SHORT_SIDE_PX
    if options.dry_run:
        yield (
            DatasetWriter(site=new_site, info=empty_info(new_site, short_side_px))
            if new_site is not None
            else DatasetWriter.load(Dataset.open(root), read_only=True, keep_positions=options.keep_positions)
        )
        return
    dataset = make_dataset(root, new_site, short_side_px) if new_site is not None else Dataset.open(root)
    with dataset.lock():
        mend_dataset(dataset)
        ledger = DatasetWriter.load(dataset, keep_positions=options.keep_positions)
        if options.short_side_px not in (None, ledger.info.short_side_px):
            raise UsageError(
                f"The working copies of this dataset have a short side of {ledger.info.short_side_px} px, "
                f"not {options.short_side_px}: leave --short-side out, or ingest into a new folder."
            )
        try:
            yield ledger
        finally:
            ledger.close()


def _take_in(
    files: Sequence[FoundFile],
    labels: Sequence[Labels],
    ledger: DatasetWriter,
    settings: ReadSettings,
    outcomes: Outcomes,
    options: IngestOptions,
) -> None:
    started = datetime.now(UTC)
    matched = _labelled(files, labels, outcomes)
    intake = Intake(ledger=ledger, rules=settings.rules, outcomes=outcomes, ingest=ingest_id(started), started=started)
    unread = intake.recognise(files, matched, rehash=options.rehash)
    if ledger.dataset is not None:
        check_free_space(ledger.dataset.root, [file for file, _ in unread], settings.short_side_px)
    try:
        _read_all(unread, intake, settings, options)
    except KeyboardInterrupt:
        _keep(ledger, outcomes)
        raise
    intake.drop_superseded()
    ledger.commit(final=True)
    if unread and ledger.dataset is not None:  # a worker that crashed had written copies that were made again
        sweep_temporary_files(ledger.dataset.root)
    intake.finish()
    if isinstance(settings.rules.track, Tracks):
        outcomes.notes += track_notes(settings.rules.track, intake.accepted, outcomes.unplaced)
    if ledger.dataset is not None:
        _log(ledger, outcomes, started, options)


def _read_all(unread: Sequence[Labelled], intake: Intake, settings: ReadSettings, options: IngestOptions) -> None:
    with bar("Reading photos", len(unread)) as advance:
        for pass_again in (False, True):
            work = intake.rewritten() if pass_again else unread
            with contextlib.closing(_readings(work, settings, options, again=pass_again)) as readings:
                for task, reading in readings:
                    with held_back():  # a photo is taken in whole or not at all
                        intake.take(task, reading)
                    advance()


def _keep(ledger: DatasetWriter, outcomes: Outcomes) -> None:
    """Commit what an ingest had taken in when it was told to stop, and say so."""
    if ledger.dataset is None:
        return
    with held_back():
        ledger.commit()
        sweep_temporary_files(ledger.dataset.root)
        count = format_count(outcomes.new, "new photo is", "new photos are")
        say(f"{count} in {safe_path(ledger.dataset.root)}: run the same command again for the rest.")


def _labelled(files: Sequence[FoundFile], labels: Sequence[Labels], outcomes: Outcomes) -> list[LabelRow | None]:
    """Return the label of each file; what is no regular file has none and makes no name ambiguous.

    Of several label files, the later one stands before the earlier. What a person should know goes to `outcomes`.
    """
    regular = [file for file in files if file.obstacle is None and file.unlistable is None]
    named = [NamedFile(name=file.name, size=file.size, path=file.path) for file in regular]
    merged: list[LabelRow | None] = [None] * len(named)
    if labels:
        outcomes.unused_labels = []
    for table in labels:
        found, notes = table.match(named)
        outcomes.notes += [*table.notes, *table.rounding_notes(), *notes]
        outcomes.unused_labels = [*(outcomes.unused_labels or []), *table.unused(found)]
        for number, label in enumerate(found):
            earlier = merged[number]
            merged[number], contradict = merge_labels(earlier, label)
            if contradict and earlier is not None and label is not None:
                outcomes.notes.append(
                    f"{capitalised(earlier.where)} and {label.where} place {safe_text(named[number].name)} "
                    f"differently: {safe_text(label.file)}, which was given later, stands."
                )
    label_of = {file.path: label for file, label in zip(regular, merged, strict=True)}
    return [label_of.get(file.path) for file in files]


def _readings(
    work: Sequence[Labelled], settings: ReadSettings, options: IngestOptions, *, again: bool
) -> Generator[tuple[FileTask, Reading], None, None]:
    if not work:
        return
    chunks = chunks_of(work, again=again, hash_all=settings.pixels != "doubtful", jobs=options.jobs)
    if options.jobs == 0:
        for chunk in chunks:
            yield from ((task, read_file(task, settings)) for task in chunk)
        return
    worker_settings = Settings(
        function=read_files,
        argument=settings,
        on_failure=_given_up,
        jobs=min(options.jobs, len(work)),
        timeout_s=options.timeout_s,
    )
    yield from process_items(chunks, worker_settings)


def _given_up(task: FileTask, failure: Failure, detail: str) -> Reading:
    return Reading(outcome=Rejection(path=task.name, reason=failure, detail=detail))


def _log(ledger: DatasetWriter, outcomes: Outcomes, started: datetime, options: IngestOptions) -> None:
    assert ledger.dataset is not None
    line = {
        "ingest": ingest_id(started),
        "started_at": started.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "command": options.command,
        "counts": outcomes.to_dict(),
        "photos": len(ledger.photos),
        "site": {"name": ledger.info.site_name, "sha256": ledger.info.site_sha256},
        "versions": {"img2gps": __version__, "python": platform.python_version(), "Pillow": PIL.__version__},
    }
    log_ingest(ledger.dataset.ingests_path, line)


def ingest_id(started: datetime) -> str:
    """Return the name of an ingest: when it started, to the millisecond."""
    return f"{started:%Y%m%dT%H%M%S}.{started.microsecond // 1000:03d}Z"
