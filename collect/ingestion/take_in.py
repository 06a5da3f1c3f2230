"""From files found to a dataset that holds them: read by workers, settled in order, committed, logged."""

import contextlib
import platform
from collections.abc import Generator, Sequence
from datetime import UTC, datetime

import PIL

from collect.ingestion.chunks import chunks_of
from collect.ingestion.dataset_writer import DatasetWriter
from collect.ingestion.given_labels import match_labels
from collect.ingestion.intake import Intake
from collect.ingestion.labelled import Labelled
from collect.ingestion.log import log_ingest, without_names
from collect.ingestion.options import IngestOptions
from collect.ingestion.outcomes import Outcomes
from collect.ingestion.photo_reader import FileTask, Reading, ReadSettings, read_file, read_files
from collect.ingestion.photo_store import sweep_temporary_files
from collect.ingestion.prepare import check_free_space
from collect.ingestion.shards import ShardSettings, read_by_cluster
from collect.ingestion.workers import Failure, Settings, process_items
from collect.reading.found_files import FoundFiles
from collect.validation.gpx import Tracks
from collect.validation.labels import Labels
from collect.validation.unplaced import track_notes
from img2gps import __version__
from img2gps.cluster import open_cluster
from img2gps.console import say
from img2gps.errors import UsageError
from img2gps.interrupts import held_back
from img2gps.object_store import is_of_this_process
from img2gps.progress import Advance, bar
from img2gps.text import format_count, safe_path
from img2gps.types import Rejection
from img2gps.working_copies import StoredCopies

__all__ = ["take_in"]


def take_in(
    files: FoundFiles,
    labels: Sequence[Labels],
    writer: DatasetWriter,
    settings: ReadSettings,
    outcomes: Outcomes,
    options: IngestOptions,
) -> None:
    """Read what is new of `files`, settle every one of them in `outcomes`, and commit the rest to the dataset, if any.

    What was taken in before Ctrl-C is committed, too.
    """
    started = datetime.now(UTC)
    matched = match_labels(files, labels, outcomes)
    intake = Intake(writer=writer, rules=settings.rules, outcomes=outcomes, ingest=ingest_id(started), started=started)
    unread = intake.recognise(files, matched, rehash=options.rehash)
    if writer.dataset is not None:
        check_free_space(writer.dataset, (file for file, _ in unread), settings.short_side_px)
    try:
        _read_all(unread, intake, settings, options)
    except KeyboardInterrupt:
        _keep(writer, outcomes)
        raise
    intake.drop_superseded()
    writer.commit(final=True)
    if unread and writer.dataset is not None:  # a worker that crashed had written copies that were made again
        sweep_temporary_files(writer.dataset.root)
    intake.finish()
    if isinstance(settings.rules.track, Tracks):
        outcomes.notes += track_notes(settings.rules.track, intake.placed_by_track(), outcomes.unplaced)
    if writer.dataset is not None:
        _log(writer, outcomes, started, options)


def _read_all(unread: Sequence[Labelled], intake: Intake, settings: ReadSettings, options: IngestOptions) -> None:
    with bar("Reading photos", len(unread)) as advance:
        _read(_readings(unread, settings, options), intake, advance)
        _read(_readings(intake.rewritten(), settings, options, again=True), intake, advance)


def _read(readings: Generator[tuple[FileTask, Reading], None, None], intake: Intake, advance: Advance) -> None:
    with contextlib.closing(readings):
        for task, reading in readings:
            with held_back():  # a photo is taken in whole or not at all
                intake.take(task, reading)
            advance()


def _keep(writer: DatasetWriter, outcomes: Outcomes) -> None:
    """Commit what an ingest had taken in when it was told to stop, and say so."""
    if writer.dataset is None:
        return
    with held_back():
        writer.commit()
        sweep_temporary_files(writer.dataset.root)
        count = format_count(outcomes.new, "new photo is", "new photos are")
        say(f"{count} in {safe_path(writer.dataset.root)}: run the same command again for the rest.")


def _readings(
    work: Sequence[Labelled], settings: ReadSettings, options: IngestOptions, *, again: bool = False
) -> Generator[tuple[FileTask, Reading], None, None]:
    if not work:
        return
    chunks = chunks_of(work, again=again, hash_all=settings.pixels != "doubtful", jobs=options.jobs)
    of_this_process = any(file.stored and is_of_this_process(file.stored.store) for file, _ in work)
    if isinstance(settings.copies, StoredCopies):
        of_this_process |= is_of_this_process(settings.copies.objects.address.url)
    if options.cluster is not None:
        if of_this_process:
            raise UsageError("What lies at memory:// is known to this process alone: leave --cluster out.")
        shard_settings = ShardSettings(reading=settings, timeout_s=options.timeout_s, given_up=_given_up)
        with open_cluster(options.cluster) as cluster:
            yield from read_by_cluster(work, shard_settings, cluster, again=again)
        return
    if options.jobs == 0 or of_this_process:
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


def _log(writer: DatasetWriter, outcomes: Outcomes, started: datetime, options: IngestOptions) -> None:
    assert writer.dataset is not None
    forgotten = [one.path for one in outcomes.rejections if one.reason == "forgotten"]
    line = {
        "ingest": ingest_id(started),
        "started_at": started.isoformat(),
        "finished_at": datetime.now(UTC).isoformat(),
        "command": without_names(options.command, forgotten),
        "counts": outcomes.to_dict(),
        "photos": len(writer.photos),
        "site": {"name": writer.info.site_name, "sha256": writer.info.site_sha256},
        "versions": {"img2gps": __version__, "python": platform.python_version(), "Pillow": PIL.__version__},
    }
    log_ingest(writer.dataset.ingests_path, line)


def ingest_id(started: datetime) -> str:
    """Return the name of an ingest: when it started, to the millisecond."""
    return f"{started:%Y%m%dT%H%M%S}.{started.microsecond // 1000:03d}Z"
