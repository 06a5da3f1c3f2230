"""Forget photos of a dataset: their tombstones first, then everything that holds them."""

import contextlib
import dataclasses
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from collect.forgetting.runs import Holder, holders, hub_caches, usual_places
from collect.forgetting.selection import Chosen, Selection, choose
from collect.ingestion.erasure import Traces, erase, find_traces
from collect.ingestion.prepare import mend_dataset
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.forgotten import read_forgotten, write_forgotten
from img2gps.text import format_count, join_words, safe_path, safe_text

__all__ = ["ForgetResult", "forget_photos", "take_back_photos"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ForgetResult:
    """What was forgotten, or would be: the photos, what the dataset held of them, and who else holds them.

    `again` is how many of the photos were forgotten before, `forgotten` how many hashes the dataset keeps out now.
    """

    dataset: Path
    dry_run: bool
    chosen: Chosen
    traces: Traces
    holders: tuple[Holder, ...]
    again: int
    forgotten: int

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``forget --json``."""
        photos = [
            {
                "id": photo.id,
                "source_name": safe_text(photo.source_name),
                "walk": photo.walk,
                "device": photo.device,
                "bits": self.chosen.bits.get(photo.id),
            }
            for photo in self.chosen.photos
        ]
        rejected = [{"id": row.sha256 or None, "source_name": row.file} for row in self.chosen.rejected]
        runs = [
            {"folder": safe_path(one.folder), "kind": one.kind, "photos": one.photos, "files": list(one.files)}
            for one in self.holders
        ]
        return {
            "dataset": safe_path(self.dataset),
            "dry_run": self.dry_run,
            "photos": photos,
            "rejected": rejected,
            "removed": self.traces.counts(),
            "again": self.again,
            "forgotten": self.forgotten,
            "held_by": runs,
        }

    def sentence(self) -> str:
        """Return the result in words."""
        count = format_count(len(self.chosen.photos) + len(self.chosen.rejected), "photo")
        removed = [format_count(number, *_WORDS[kind]) for kind, number in self.traces.counts().items() if number]
        if not removed:
            return f"Nothing is left to forget; {format_count(self.forgotten, 'hash', 'hashes')} must not come back."
        did = "would be forgotten" if self.dry_run else "forgotten"
        return f"{count} {did}: {join_words(removed)}{'' if self.dry_run else ' removed'}."


_WORDS = {
    "photos": ("row",),
    "outside": ("row outside the site", "rows outside the site"),
    "rejected": ("rejected file",),
    "sources": ("entry of the index of sources", "entries of the index of sources"),
    "corrections": ("correction",),
    "redactions": ("picture's regions", "pictures' regions"),
    "splits": ("kept split",),
    "copies": ("working copy", "working copies"),
    "derived": ("file made of photos (caches, audit)", "files made of photos (caches, audit)"),
}


def forget_photos(
    dataset: Dataset, selection: Selection, *, runs: Collection[Path] = (), dry_run: bool = False
) -> ForgetResult:
    """Remove the photos of a selection from a dataset and keep their hashes, so that no ingest brings them back.

    Without a selection, what a killed call left is finished. `runs` are folders to look for runs in, beside the usual
    ones. Originals, runs and other copies are not touched: those that hold the photos are named. Raises UsageError,
    NotFoundError, InvalidDatasetError or DatasetLockedError, having changed nothing.
    """
    missing = [place for place in runs if not place.is_dir()]
    if missing:
        raise NotFoundError(f"No folder {safe_path(missing[0])}: give one with runs in it.")
    with contextlib.nullcontext() if dry_run else dataset.lock():
        left = Traces() if dry_run else mend_dataset(dataset)
        days = read_forgotten(dataset.forgotten_path)
        if selection.is_empty and not days and left.is_empty:
            raise UsageError("Say which photos: their ids, --device, --walk, --source-name or --similar.")
        chosen = _chosen(dataset, selection, days, finished=not left.is_empty)
        wanted = chosen.hashes | set(days)
        words = _words(dataset, wanted)
        if dry_run:
            traces = find_traces(dataset, wanted, chosen.names)
        else:
            today = datetime.now(UTC).date().isoformat()
            if not chosen.hashes <= days.keys():
                write_forgotten(dataset.forgotten_path, {**dict.fromkeys(chosen.hashes, today), **days})
            traces = erase(dataset, wanted, chosen.names)
            traces = left if traces.is_empty else traces
    places = [*runs, *usual_places(dataset.root)]
    return ForgetResult(
        dataset=dataset.root,
        dry_run=dry_run,
        chosen=chosen,
        traces=traces,
        holders=tuple(holders(places, words, beside=dataset.root, caches=hub_caches())),
        again=len(chosen.hashes & days.keys()),
        forgotten=len(wanted),
    )


def _chosen(dataset: Dataset, selection: Selection, days: Collection[str], *, finished: bool) -> Chosen:
    """Return the photos of a selection; none where a call that was killed had chosen them, and is `finished` now."""
    if selection.is_empty:
        return Chosen()
    try:
        return choose(dataset, selection, days)
    except NotFoundError:
        if finished:
            return Chosen()
        raise


def _words(dataset: Dataset, wanted: Collection[str]) -> set[str]:
    """Return what tells the photos in tables: their ids, and the hashes of their copies."""
    traces = find_traces(dataset, wanted)
    rows = [*traces.photos, *traces.outside]
    return {*wanted, *(row.photo_sha256 for row in rows)}


def take_back_photos(dataset: Dataset, ids: Collection[str], *, dry_run: bool = False) -> int:
    """Let photos in again that were forgotten, by their ids; return how many. The next ingest of them takes them in.

    Raises UsageError or NotFoundError, having changed nothing.
    """
    if not ids:
        raise UsageError("--take-back needs the ids of the photos: forgotten.txt of the dataset lists them.")
    with contextlib.nullcontext() if dry_run else dataset.lock():
        days = read_forgotten(dataset.forgotten_path)
        found: set[str] = set()
        for given in ids:
            hits = {digest for digest in days if digest.startswith(given.strip().lower())}
            if len(hits) != 1:
                raise NotFoundError(f"{len(hits)} forgotten photos have the id {safe_text(given)}: give one of them.")
            found |= hits
        if not dry_run:
            write_forgotten(dataset.forgotten_path, {key: day for key, day in days.items() if key not in found})
    return len(found)
