"""From readings to outcomes: which file is new, which is known, which bytes came twice, what stands in a conflict."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final

import numpy as np

from collect.ingestion.dataset_writer import DatasetWriter
from collect.ingestion.digest_set import DigestSet
from collect.ingestion.labelled import Labelled, LabelledFiles
from collect.ingestion.outcomes import Outcomes
from collect.ingestion.photo_reader import FileTask, Reading, Skipped
from collect.ingestion.sources import SeenSource
from collect.reading.found_files import FoundFile, FoundFiles
from collect.validation.labels import LabelRow
from collect.validation.rules import Rules
from img2gps.geo import geodesic_m
from img2gps.manifest import unpack_photos
from img2gps.photo_columns import floats_of, tells
from img2gps.rejected import RejectedFile
from img2gps.text import format_count, safe_text
from img2gps.types import Photo, Rejection

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Intake"]

_SAME_M: Final = 0.1


class Intake:
    """Takes files in, in the order of the walk, so that the same input always ends the same way."""

    def __init__(
        self, *, writer: DatasetWriter, rules: Rules, outcomes: Outcomes, ingest: str, started: datetime
    ) -> None:
        self._writer = writer
        self._rules = rules
        self._outcomes = outcomes
        self._ingest = ingest
        self._started = started
        self._seen = DigestSet()
        self._accepted = DigestSet()
        self._superseded: set[str] = set()
        self._lost_rows: list[Labelled] = []
        self._labels_differ = 0

    def recognise(self, files: FoundFiles, labels: Sequence[LabelRow | None], *, rehash: bool) -> Sequence[Labelled]:
        """Settle the files that need not be read, and return the others."""
        unread = array("q")
        self._forget_folders(files)
        beside = {sidecar.path for file in files for sidecar in file.sidecars}
        self._outcomes.sidecars = sum(file.path in beside for file in files) if beside else 0
        for row, (file, label) in enumerate(zip(files, labels, strict=True)):
            seen = None if rehash else self._writer.known_source(file.path)
            if file.left_out is not None:
                self._outcomes.leave_out(file.name, file.left_out)
            elif file.obstacle is not None:
                self._outcomes.skip(file.name)
            elif file.unlistable is not None:
                self._reject(Rejection(path=file.name, reason="unreadable", detail=file.unlistable), None)
            elif seen is None or seen.status != file.status or not self._settle_known(file, seen, label):
                unread.append(row)
            elif len(name := file.name.encode()) > len(seen.path) and name.endswith(b"/" + seen.path):
                # an earlier version's, or found in a folder of it
                self._writer.remember_source(file.path, replace(seen, path=name))
        return LabelledFiles(files, labels, np.array(unread, dtype=np.int64))

    def _forget_folders(self, files: FoundFiles) -> None:
        """Forget that a folder could not be listed: something was found below it."""
        unlisted = {key for key, row in self._writer.rejected.items() if key.startswith("name:") and row.detail}
        if not unlisted:
            return
        for file in files:
            if file.unlistable is None:
                for folder in PurePosixPath(file.name).parents:
                    if (key := f"name:{safe_text(folder.as_posix())}") in unlisted:
                        self._writer.forget_rejection(key)

    def take(self, task: FileTask, reading: Reading) -> None:
        """Settle a file that was read."""
        if self._lost_its_row(reading):
            self._lost_rows.append(
                (FoundFile(path=task.path, name=task.name, sidecars=task.sidecars, stored=task.stored), task.label)
            )
            return
        self._note(task, reading)
        copy_taken = self._settle(task, reading)
        if reading.temporary is not None and not copy_taken:
            Path(reading.temporary).unlink(missing_ok=True)
        if reading.uploaded and not copy_taken and isinstance(reading.outcome, Photo):
            self._writer.take_back_copy(reading.outcome)
        self._remember(task, reading)
        self._writer.commit_if_due()

    def _lost_its_row(self, reading: Reading) -> bool:
        """Return whether a working copy lies in the dataset, so that none was made, and no row names it."""
        photo = reading.outcome
        stored = isinstance(photo, Photo) and not photo.photo_sha256 and self._writer.dataset is not None
        return stored and reading.sha256 not in self._writer.photos

    def _note(self, task: FileTask, reading: Reading) -> None:
        """Note what a person should know of what stands beside a file."""
        if reading.disagreement_m is not None and reading.sha256 not in self._writer.photos:
            self._outcomes.notes.append(
                f"{safe_text(task.name)}: the label lies {reading.disagreement_m:,.0f} m from its EXIF position; the "
                "label stands."
            )
        self._outcomes.notes += [f"{safe_text(task.name)}: {note}." for note in reading.notes]

    def _settle(self, task: FileTask, reading: Reading) -> bool:
        """Count a file that was read, take it in or not, and return whether its working copy is in use now."""
        outcome, digest = reading.outcome, reading.sha256
        if isinstance(outcome, Skipped):
            self._outcomes.skip(task.name)
        elif digest is not None and self._is_duplicate(digest, outcome):
            self._outcomes.duplicate += 1
            self._report_conflict(task, digest)
        elif isinstance(outcome, Rejection):
            self._reject(outcome, digest)
            if reading.unplaced is not None:
                self._outcomes.unplaced.append(reading.unplaced)
        else:
            return self._accept(task, outcome, reading.temporary)
        return False

    def rewritten(self) -> list[Labelled]:
        """Return the files whose working copy is stored but whose row is not: they are read again."""
        lost, self._lost_rows = self._lost_rows, []
        return lost

    def finish(self) -> None:
        """Count the flags of the photos of this input, and say what was not taken over of what they were given."""
        photos = self.accepted
        self._outcomes.count_flags(photos, site_has_zone=self._rules.site.zone is not None)
        if self._labels_differ:
            self._outcomes.notes.append(
                f"{format_count(self._labels_differ, 'label')} did not fit where photos of the dataset stand, and "
                "changed nothing: `img2gps label DATASET --import FILE` takes a CSV of source_name, lon and lat over."
            )
        limit_m = self._rules.max_accuracy_m
        vague = 0 if limit_m is None else int(np.sum(floats_of(photos.column("gps_accuracy_m")) > limit_m))
        if vague:
            self._outcomes.notes.append(
                f"{format_count(vague, 'photo')} came before with an accuracy worse than --max-accuracy, and stay: "
                "ingest into a new folder to leave them out."
            )

    @property
    def accepted(self) -> "pa.Table":
        """The photos of this input that the dataset has, those of earlier ingests among them, packed into columns."""
        return self._writer.packed_photos(self._accepted)

    def placed_by_track(self) -> list[Photo]:
        """Return the photos of this input that the dataset has from a track."""
        import pyarrow as pa

        photos = self.accepted
        return unpack_photos(photos.filter(pa.array(tells(photos.column("gps_source"), lambda word: word == "gpx"))))

    def drop_superseded(self) -> None:
        """Forget rejections of bytes that no source holds any more: the file was copied again or edited."""
        if self._superseded:
            for digest in self._superseded - self._writer.held_bytes():
                self._writer.forget_rejection(digest)

    def _settle_known(self, file: FoundFile, seen: SeenSource, label: LabelRow | None) -> bool:
        """Count a file that the index knows; False where the index is not borne out or the rules have changed."""
        digest = seen.sha256
        if seen.outcome == "skipped":
            self._outcomes.skip(file.name)
            return True
        in_manifest = digest in self._writer.photos
        if not in_manifest and (seen.outcome == "accepted" or seen.judged != self._rules.digest(label, file.sidecars)):
            return False
        if digest is not None and digest in self._seen:
            self._outcomes.duplicate += 1
        elif in_manifest and digest is not None:
            self._outcomes.unchanged += 1
            self._accepted.add(digest)
            if label is not None:
                self._compare(self._writer.photos[digest], label)
        else:
            self._reject(
                Rejection(path=file.name, reason=seen.reason or "unreadable", detail=seen.detail or ""), digest
            )
        if digest is not None:
            self._seen.add(digest)
        return True

    def _is_duplicate(self, digest: str, outcome: Photo | Rejection) -> bool:
        """Return whether these bytes came before; one copy that is accepted makes up for others that were not."""
        if digest not in self._seen:
            return False
        return isinstance(outcome, Rejection) or digest in self._accepted

    def _accept(self, task: FileTask, photo: Photo, temporary: str | None) -> bool:
        """Take a photo in, or count it as known; return whether its working copy is in use now."""
        self._seen.add(photo.id)
        self._accepted.add(photo.id)
        known = self._writer.photos.get(photo.id)
        if known is None:
            self._outcomes.new += 1
            stamped = replace(photo, source_name=task.name, ingested_at=self._started, ingest=self._ingest)
            self._writer.accept(stamped, temporary)
            return True
        self._outcomes.unchanged += 1
        self._compare(known, task.label)
        self._writer.refresh(photo)
        copy_had_gone = known.photo_sha256 == photo.photo_sha256
        if copy_had_gone:
            self._writer.put_copy(known, temporary)
        return copy_had_gone

    def _compare(self, known: Photo, label: LabelRow | None) -> None:
        """Count a label that differs from where a photo of the dataset stands: rows change by corrections alone."""
        if label is not None and label.position is not None:
            apart_m = float(geodesic_m(known.lon, known.lat, *label.position))
            self._labels_differ += not apart_m <= _SAME_M

    def _reject(self, rejection: Rejection, digest: str | None) -> None:
        self._outcomes.reject(rejection)
        if digest is not None:
            self._seen.add(digest)
        if rejection.reason != "forgotten" and digest not in self._writer.photos:  # of those, the tombstone is enough
            self._writer.reject(RejectedFile.of(rejection, digest))

    def _report_conflict(self, task: FileTask, digest: str) -> None:
        first = self._writer.photos.get(digest)
        position = task.label.position if task.label is not None else None
        if first is None or position is None or first.gps_source != "labels":
            return
        apart_m = float(geodesic_m(first.lon, first.lat, *position))
        if apart_m > _SAME_M:
            self._outcomes.notes.append(
                f"{safe_text(task.name)} holds the same bytes as {safe_text(first.source_name)}, but its label lies "
                f"{apart_m:,.1f} m away: the label of {safe_text(first.source_name)} stands."
            )

    def _remember(self, task: FileTask, reading: Reading) -> None:
        """Enter a file into the index of sources."""
        before = self._writer.known_source(task.path)
        if before is not None and before.outcome == "rejected" and before.sha256 not in (None, reading.sha256):
            self._superseded.add(str(before.sha256))
        outcome = reading.outcome
        rejection = outcome if isinstance(outcome, Rejection) else None
        # it could not be opened, so that there is nothing to recognise it by; or nothing of it may be kept
        if reading.status is None or (rejection is not None and rejection.reason == "forgotten"):
            self._writer.forget_source(task.path)
            return
        if reading.sha256 is not None or isinstance(reading.outcome, Skipped):
            self._writer.forget_rejection(f"name:{safe_text(task.name)}")
        size, mtime_ns, inode = reading.status
        seen = SeenSource(
            path=task.name.encode(),
            size=size,
            mtime_ns=mtime_ns,
            inode=inode,
            sha256=reading.sha256,
            outcome="rejected" if rejection else "skipped" if isinstance(outcome, Skipped) else "accepted",
            reason=rejection.reason if rejection else None,
            detail=rejection.detail if rejection else None,
            judged=self._rules.digest(task.label, task.sidecars) if rejection else None,
        )
        self._writer.remember_source(task.path, seen)
