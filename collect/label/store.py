"""The dataset whose labels are corrected: read again when its files change; all corrections are written here."""

import dataclasses
import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from collect.label.actions import BY_LIMIT, Change, Label, labels_of, lines_of, lines_to, new_batch, stale, undo_lines
from collect.label.ranking import Stamp, stamp_of
from img2gps.corrections import Correction, append_corrections, histories, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.site import Site
from img2gps.text import safe_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["LabelStore", "Outcome", "Snapshot", "position_complaint"]

_FARTHEST_M: Final = 1000.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a request: the lines written, or the photos whose label was newer than the one seen."""

    batch: str
    written: tuple[Correction, ...] = ()
    stale: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The manifest with its corrections, and what its files looked like when they were read."""

    frame: "pd.DataFrame"
    stamp: Stamp

    @property
    def ids(self) -> frozenset[str]:
        """The photos of the dataset."""
        return frozenset(self.frame["id"])

    @property
    def ingested(self) -> dict[str, tuple[float, float]]:
        """The position (lon, lat in degrees) with which each photo was ingested."""
        frame = self.frame
        return dict(zip(frame["id"], zip(frame["ingest_lon"], frame["ingest_lat"], strict=True), strict=True))


class LabelStore:
    """The labels of a dataset; `by` is the person whose corrections are written. Safe to call from several threads."""

    def __init__(self, dataset: Dataset, *, by: str) -> None:
        self.dataset = dataset
        self.by = by
        self.site = dataset.site()
        self._writing = threading.Lock()
        self._newest = _read(dataset)

    def refresh(self) -> Snapshot:
        """Return the dataset as it stands, read again where another process has ingested or corrected."""
        if stamp_of(self.dataset.root) != self._newest.stamp:
            self._newest = _read(self.dataset)
        return self._newest

    @property
    def newest(self) -> Snapshot:
        """The dataset as of the last `refresh`."""
        return self._newest

    def labels(self) -> dict[str, Label]:
        """Return the labels of the photos that anybody touched, read from the file."""
        return labels_of(read_corrections(self.dataset.corrections_path))

    def apply(self, changes: list[Change], *, why: str, batch: str) -> Outcome:
        """Append the lines of a request under the dataset's lock, all or none.

        A batch that the file knows already is not written twice: its sender missed the answer and asked again.
        Raises NotFoundError for a photo the dataset has not, UsageError for a position far off the site,
        DatasetLockedError where another process is writing.
        """
        ingested = self._newest.ingested
        _check(changes, ingested, self.site)

        def add(corrections: list[Correction]) -> Outcome:
            """Return the outcome with the lines to append."""
            labels = labels_of(corrections)
            if outdated := stale(changes, labels):
                return Outcome(batch=batch, stale=tuple(outdated))
            lines = lines_of(changes, labels, ingested, by=self.by, why=why, batch=batch)
            return Outcome(batch=batch, written=tuple(lines))

        return self._append(add, batch)

    def undo(self, undone: str | None, *, batch: str) -> Outcome:
        """Take back a batch (None: the newest of this store's person that still counts), all or none.

        Raises NotFoundError where there is nothing to undo.
        """

        def take_back(corrections: list[Correction]) -> Outcome:
            """Return the outcome with the lines to append. Raises NotFoundError."""
            target = undone if undone is not None else _newest_batch(corrections, self.by)
            if target is None:
                raise NotFoundError("There is nothing to undo.")
            lines, changed = undo_lines(corrections, self._newest.ingested, undone=target, by=self.by, batch=batch)
            if changed:
                return Outcome(batch=batch, stale=tuple(changed))
            if not lines:
                raise NotFoundError("There is nothing to undo: that was undone before.")
            return Outcome(batch=batch, written=tuple(lines))

        return self._append(take_back, batch)

    def apply_import(self, afters: Mapping[str, Label], why: Mapping[str, str], *, replace: bool) -> list[str]:
        """Append the lines that lead to `afters` and return the photos left alone because they are corrected already.

        With `replace` those are overwritten too. Raises DatasetLockedError where another process is writing.
        """
        kept: list[str] = []
        batch = new_batch()

        def take_over(corrections: list[Correction]) -> Outcome:
            """Return the outcome with the lines to append."""
            labels = labels_of(corrections)
            kept.extend(photo_id for photo_id in afters if labels.get(photo_id, Label()).state and not replace)
            wanted = {photo_id: after for photo_id, after in afters.items() if photo_id not in set(kept)}
            lines = lines_to(wanted, labels, self._newest.ingested, by=self.by, why=why, batch=batch)
            return Outcome(batch=batch, written=tuple(lines))

        self._append(take_over, batch)
        return kept

    def _append(self, decide: Callable[[list[Correction]], Outcome], batch: str) -> Outcome:
        """Append what `decide` makes of the corrections so far, under the dataset's lock, each batch once."""
        with self._writing, self.dataset.lock():
            corrections = read_corrections(self.dataset.corrections_path)
            if known := [line for line in corrections if line.batch == batch]:
                return Outcome(batch=batch, written=tuple(known))
            outcome = decide(corrections)
            if outcome.stale:
                return outcome
            written = append_corrections(self.dataset.corrections_path, list(outcome.written))
            return dataclasses.replace(outcome, written=tuple(written))


def position_complaint(site: Site, lon: float | None, lat: float | None) -> str:
    """Return why a position (degrees) cannot be a photo's, "" where it can or there is none."""
    if lon is None or lat is None:
        return ""
    if not (abs(lon) <= 180 and abs(lat) <= 90):
        return "it lies beyond 180 degrees of longitude or 90 of latitude"
    distance_m = site.distance_m(lon, lat)
    if distance_m <= _FARTHEST_M:
        return ""
    if site.holds_swapped(lon, lat):
        return f"its lon and lat are swapped: lon {lat:.6f}, lat {lon:.6f} lies on the site"
    return f"it lies {distance_m:,.0f} m outside the site"


def _read(dataset: Dataset) -> Snapshot:
    stamp = stamp_of(dataset.root)  # before reading: what changes meanwhile is read again next time
    return Snapshot(stamp=stamp, frame=dataset.frame())


def _check(changes: list[Change], ingested: Mapping[str, tuple[float, float]], site: Site) -> None:
    for change in changes:
        if change.photo_id not in ingested:
            raise NotFoundError("The dataset has no such photo: load the page again.")
        complaint = position_complaint(site, change.lon, change.lat)
        if complaint:
            raise UsageError(f"That cannot be the position, {complaint}: nothing was changed.")


def _newest_batch(corrections: list[Correction], by: str) -> str | None:
    counting = {line.digest for stack in histories(corrections).values() for line in stack}
    names = (by, safe_text(by, limit=BY_LIMIT))  # lines of earlier versions have the second form
    return next((line.batch for line in reversed(corrections) if line.by in names and line.digest in counting), None)
