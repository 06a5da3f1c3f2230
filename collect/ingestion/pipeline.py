"""The ingest: walk, recognise, read, judge, store, commit. And the validation, which is the same without a store."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from shapely.geometry import box

from collect.ingestion.dataset_writer import DatasetWriter, empty_info
from collect.ingestion.given_labels import read_given_labels
from collect.ingestion.options import IngestOptions
from collect.ingestion.outcomes import Outcomes
from collect.ingestion.photo_reader import ReadSettings
from collect.ingestion.prepare import check_copies, is_fresh, make_dataset, mend_dataset, new_copies, require_site
from collect.ingestion.site_change import confirm_site
from collect.ingestion.take_in import take_in
from collect.ingestion.workers import prepare_workers
from collect.reading.discover import check_inputs, discover
from collect.validation.clock import find_clock_offset, witnesses_of
from collect.validation.gpx import Tracks, read_tracks
from collect.validation.rules import Rules
from img2gps.address import Address, Place
from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.imaging import WORKING_SHORT_SIDE_PX
from img2gps.site import Site, load_site
from img2gps.stored_dataset import refresh
from img2gps.types import Photo
from img2gps.working_copies import WorkingCopies, copies_of

__all__ = ["examine", "ingest", "tracks_for", "validate"]

_WORLD = Site(name="the world", polygon=box(-180, -90, 180, 90))


def ingest(photos: Sequence[Place], root: Path, options: IngestOptions) -> Outcomes:
    """Take the photos below `photos` into the dataset at `root` and return what became of every file.

    Raises NotFoundError, UsageError, InvalidDatasetError, DatasetLockedError, or the OSError of a disk that is
    full or read-only; the dataset then holds what was committed before.
    """
    # read when pyarrow is first imported, which is later: its own allocators would keep the tables of every commit
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    check_inputs(photos)
    refresh(root)
    site = load_site(options.site) if options.site is not None else None
    labels = read_given_labels(options.label_paths)
    track, offset_notes = tracks_for(photos, site or _site_of(root), options)
    found = None
    if site is not None and any(isinstance(one, Address) for one in photos) and is_fresh(root):
        # asked before the dataset is made: a wrong address leaves none
        found = discover(photos, exclude=root, include_hidden=options.include_hidden)
    with _opened(photos, root, site, options) as writer:
        site_moved = site is not None and site.sha256 != writer.info.site_sha256
        if found is None:
            found = discover(photos, exclude=root, include_hidden=options.include_hidden)
        outcomes = Outcomes(notes=[*offset_notes, *writer.notes])
        if site_moved:
            assert site is not None
            outcomes.notes += writer.change_site(site, allow_shrink=options.allow_shrink)
        elif site is not None and writer.dataset is not None:
            confirm_site(writer.dataset, site)
        rules = Rules(
            site=writer.site,
            device_salt=writer.info.device_salt,
            track=track,
            max_accuracy_m=options.max_accuracy_m,
            keep_positions=options.keep_positions,
        )
        settings = ReadSettings(
            rules=rules,
            short_side_px=writer.info.short_side_px,
            pixels="check" if writer.dataset is None else "write",
            copies=_copies_for(root) if root.exists() else None,
            forgotten=writer.forgotten,
        )
        take_in(found, labels, writer, settings, outcomes, options)
    return outcomes


def validate(photos: Sequence[Place], options: IngestOptions) -> Outcomes:
    """Return what an ingest into a new dataset would make of every file; nothing is written.

    Pixels are decoded only where a file's structure leaves doubt (see `collect.reading.structure`).
    """
    return examine(photos, options)[0]


def examine(photos: Sequence[Place], options: IngestOptions) -> tuple[Outcomes, list[Photo]]:
    """Return the outcomes of a validation and its photos (without working copies); no site accepts every position."""
    return _examined(photos, load_site(options.site) if options.site is not None else _WORLD, options)


def _examined(photos: Sequence[Place], site: Site, options: IngestOptions) -> tuple[Outcomes, list[Photo]]:
    labels = read_given_labels(options.label_paths)
    track, notes = tracks_for(photos, site, options)
    if options.jobs:
        prepare_workers()
    writer = DatasetWriter(site=site, info=empty_info(site, WORKING_SHORT_SIDE_PX))
    outcomes = Outcomes(notes=notes)
    rules = Rules(site=site, device_salt=site.sha256, track=track, max_accuracy_m=options.max_accuracy_m)
    settings = ReadSettings(rules=rules, short_side_px=WORKING_SHORT_SIDE_PX, pixels="doubtful")
    files = discover(photos, include_hidden=options.include_hidden)
    take_in(files, labels, writer, settings, outcomes, options)
    return outcomes, list(writer.photos.values())


def _site_of(root: Path) -> Site | None:
    """Return the site of a dataset that is there already."""
    return Dataset.open(root).site() if (root / "site.geojson").exists() else None


def tracks_for(photos: Sequence[Place], site: Site | None, options: IngestOptions) -> tuple[Tracks | None, list[str]]:
    """Return the tracks with the clock's offset, looked for where that is asked, and notes.

    Raises UsageError where the offset cannot be told.
    """
    paths = options.gpx_paths
    if not paths:
        if options.clock_offset_s == "auto":
            raise UsageError("--clock-offset auto compares photos with a track: give one with --gpx.")
        if options.clock_offset_s:
            raise UsageError("--clock-offset counts for a track alone: give one with --gpx.")
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


def _copies_for(root: Path) -> WorkingCopies:
    """Return where working copies go, as workers of another current folder find it."""
    return copies_of(root.absolute())


@contextlib.contextmanager
def _opened(photos: Sequence[Place], root: Path, site: Site | None, options: IngestOptions) -> Iterator[DatasetWriter]:
    """Yield the writer of a dataset that is locked for writing; for a dry run, of one that nothing is written to."""
    new_site = require_site(root, site) if is_fresh(root) else None
    if new_site is not None and options.jobs and options.cluster is None:
        prepare_workers()  # every photo will be read
    short_side_px = options.short_side_px or WORKING_SHORT_SIDE_PX
    copies = new_copies(options.copies, photos, root) if new_site is not None else None
    if options.dry_run:
        yield (
            DatasetWriter(site=new_site, info=empty_info(new_site, short_side_px))
            if new_site is not None
            else DatasetWriter.load(Dataset.open(root), read_only=True, keep_positions=options.keep_positions)
        )
        return
    dataset = make_dataset(root, new_site, short_side_px, copies) if new_site is not None else Dataset.open(root)
    check_copies(dataset, options.copies)
    with dataset.lock():
        mend_dataset(dataset)
        writer = DatasetWriter.load(dataset, keep_positions=options.keep_positions)
        if options.short_side_px not in (None, writer.info.short_side_px):
            raise UsageError(
                f"The working copies of this dataset have a short side of {writer.info.short_side_px} px, "
                f"not {options.short_side_px}: leave --short-side out, or ingest into a new folder."
            )
        try:
            yield writer
        finally:
            writer.close()
