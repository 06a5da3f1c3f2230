"""The state of a dataset in memory, and the one place that writes it, in an order that survives a kill at any point.

Order of writes of a commit (docs/ingest.md says why):

1. working copies: temporary file, fsync, rename; then one fsync per folder
2. rejected.csv
3. sources.parquet
4. outside.parquet, with the rows that a new site leaves outside
5. site.next.geojson, where the site changes
6. manifest.parquet, the commit itself: what neither it nor outside.parquet names does not exist
7. site.next.geojson becomes site.geojson, where the site changes
8. outside.parquet, without the rows that a new site takes back
"""

import dataclasses
from sys import intern
from typing import Any, Final

from collect.ingestion.outside import check_shrinking, read_outside, write_outside
from collect.ingestion.photo_store import CopyStore
from collect.ingestion.site_change import finish_site_change, prepare_site_change
from collect.ingestion.sources import SeenSource, holds_whole_paths, read_sources, source_key, write_sources
from collect.splits.groups import assign_groups
from collect.splits.inherit import inherit_splits
from collect.validation.flags import with_flags
from collect.validation.off_site import coarse_detail
from collect.validation.rules import place
from collect.validation.timeline import Decisions, decisions_of, has_own_times, timed
from collect.validation.times import by_new_zone
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError
from img2gps.files import read_json_lines
from img2gps.manifest import ManifestInfo, photos_of, read_table, write_manifest
from img2gps.rejected import RejectedFile, read_rejected, tell_changed, write_rejected
from img2gps.site import Site
from img2gps.text import format_count
from img2gps.types import Photo, Rejection

__all__ = ["DatasetWriter", "empty_info"]

_FIRST_COMMIT: Final = 64
_GROWTH: Final = 2
_TIMES: Final = ("captured_at", "utc_offset_min", "time_source")
_TIME_FACTS: Final = ("clock_local", "clock_offset_min", "gps_at", "traits")
_FIX_FACTS: Final = ("gps_status", "gps_method")
_HEADING: Final = ("heading_deg", "declination_deg")
_REPEATED: Final = (
    "gps_source",
    "time_source",
    "site_relation",
    "heading_ref",
    "gps_status",
    "gps_method",
    "make",
    "model",
    "device",
    "ingest",
)


class DatasetWriter:
    """Photos, rejected files and seen sources of one dataset, or of none (a dry run, a validation)."""

    def __init__(self, *, site: Site, info: ManifestInfo, dataset: Dataset | None = None) -> None:
        self.site = site
        self.info = info
        self.dataset = dataset
        self.photos: dict[str, Photo] = {}
        self.rejected: dict[str, RejectedFile] = {}
        self.sources: dict[bytes, SeenSource] = {}
        self.outside: dict[str, Photo] = {}
        self.notes: list[str] = []
        self.keep_positions = False
        self._copies = CopyStore(dataset.photos_path) if dataset else None
        self._written_site = info.site_sha256
        self._photos_changed = False
        self._written_rejected: dict[str, RejectedFile] = {}
        self._written_sources: dict[bytes, SeenSource] = {}
        self._written_outside: dict[str, Photo] = {}
        self._uncommitted = 0
        self._next_commit = _FIRST_COMMIT
        self._ungrouped = False
        self._kept_splits = dict(info.kept_splits)

    @classmethod
    def load(cls, dataset: Dataset, *, read_only: bool = False, keep_positions: bool = False) -> "DatasetWriter":
        """Return the ledger of an existing dataset. Raises InvalidDatasetError where one of its files is damaged.

        Unless `keep_positions`, its rejections lose the exact positions off the site that they name.
        """
        table, info = read_table(dataset.manifest_path)
        dataset.tell_changed_site(info)
        ledger = cls(site=dataset.site(), info=info, dataset=None if read_only else dataset)
        ledger.keep_positions = keep_positions
        photos = photos_of(table)
        ledger.photos = {photo.id: photo for photo in photos}
        ledger._written_outside = read_outside(dataset)
        ledger.outside = {key: row for key, row in ledger._written_outside.items() if key not in ledger.photos}
        tell_changed(dataset.rejected_path)
        ledger._written_rejected = read_rejected(dataset.rejected_path)
        # rows of a commit that never reached its manifest
        ledger.rejected = {key: row for key, row in ledger._written_rejected.items() if key not in ledger.photos}
        try:
            ledger.sources = read_sources(dataset.sources_path, salt=info.device_salt)
            rewrite = holds_whole_paths(dataset.sources_path)
        except InvalidDatasetError:
            ledger.notes.append("The index of sources was damaged and is rebuilt: every source is read again.")
            if not read_only:
                dataset.sources_path.unlink()
            rewrite = False
        ledger._written_sources = {} if rewrite else dict(ledger.sources)
        if not keep_positions:
            ledger._forget_positions()
        finished = _finished_ingests(dataset)
        ledger._ungrouped = any(photo.ingest not in finished for photo in photos)  # an ingest was killed midway
        return ledger

    def source_key(self, path: bytes) -> bytes:
        """Return what an absolute path is known by in `sources`."""
        return source_key(path, self.info.device_salt)

    def _forget_positions(self) -> None:
        """Take the exact positions of an earlier version out of what is told of rejected files."""
        for key, row in self.rejected.items():
            coarse = coarse_detail(row.reason, row.detail, self.site)
            if coarse != row.detail:
                self.rejected[key] = dataclasses.replace(row, detail=coarse)
        for place_key, seen in self.sources.items():
            coarse = coarse_detail(seen.reason or "", seen.detail or "", self.site)
            if coarse != (seen.detail or ""):
                self.sources[place_key] = dataclasses.replace(seen, detail=coarse)

    def accept(self, photo: Photo, temporary: str | None) -> None:
        """Take a photo in; its working copy goes to its place, and a rejection of the same bytes is forgotten."""
        self.photos[photo.id] = _with_shared_words(photo)
        self.rejected.pop(photo.id, None)
        self.outside.pop(photo.id, None)
        self._uncommitted += 1
        self._ungrouped = self._photos_changed = True
        self.put_copy(photo, temporary)

    def put_copy(self, photo: Photo, temporary: str | None) -> None:
        """Put the working copy of a photo in its place."""
        if temporary is not None and self._copies is not None and self.dataset is not None:
            self._copies.place(temporary, self.dataset.photo_path(photo.id))

    def reject(self, row: RejectedFile) -> None:
        """Remember a file that was not accepted."""
        self.rejected[row.key] = row

    def change_site(self, site: Site, *, allow_shrink: bool = False) -> list[str]:
        """Judge every photo again by its stored position, and its time by the site's clocks; return notes.

        A photo that falls outside is kept whole in `outside`, and comes back with a polygon that holds it. Raises
        UsageError, having changed nothing, where over a tenth would fall outside and not `allow_shrink`.
        """
        old_zone, new_zone = self.site.zone, site.zone if site.time_zone != self.site.time_zone else None
        retimed = {
            photo.id: photo if new_zone is None else by_new_zone(photo, old_zone, new_zone)
            for photo in (*self.photos.values(), *self.outside.values())
        }
        placed = {photo_id: place(photo, site, exact=self.keep_positions) for photo_id, photo in retimed.items()}
        fell = [photo for photo in self.photos.values() if isinstance(placed[photo.id], Rejection)]
        if fell and not allow_shrink:
            nearest_m = min(site.distance_m(photo.lon, photo.lat) for photo in fell)
            check_shrinking(site, photos=len(self.photos), fell=len(fell), nearest_m=nearest_m)
        back = [photo for photo in self.outside.values() if isinstance(placed[photo.id], Photo)]
        self.site, self.info = site, _with_site(self.info, site)
        self._ungrouped = self._photos_changed = True
        self.outside = {photo_id: retimed[photo_id] for photo_id in self.outside}
        for photo in fell:
            self._leave(retimed[photo.id], placed[photo.id])
        for photo in list(self.photos.values()):
            after = placed[photo.id]
            assert isinstance(after, Photo)
            self.photos[photo.id] = after if after.captured_at == photo.captured_at else self._unsettled(after)
        for photo in back:
            self._come_back(placed[photo.id])
        notes = [f"The site is now {site.name}: {format_count(len(fell), 'photo')} fell outside."]
        if fell:
            notes[0] += " They are kept, and come back with a polygon that holds them."
        if back:
            notes.append(f"{format_count(len(back), 'photo')} of an earlier site came back.")
        if new_zone is not None:
            notes.append(
                "Its time zone is new: local times follow it, and photos given again with --rehash are timed anew."
            )
        return notes

    def _leave(self, photo: Photo, placed: Photo | Rejection) -> None:
        """Keep a photo that the new site leaves outside, with its place in the split."""
        assert isinstance(placed, Rejection)
        del self.photos[photo.id]
        self.outside[photo.id] = photo
        self._unsettled(photo)
        self.reject(RejectedFile.of(placed, photo.id))

    def _come_back(self, photo: Photo | Rejection) -> None:
        """Take a photo back that an earlier site left outside; its split follows in the last commit."""
        assert isinstance(photo, Photo)
        del self.outside[photo.id]
        self.rejected.pop(photo.id, None)
        self.photos[photo.id] = self._unsettled(photo)

    def refresh(self, photo: Photo) -> None:
        """Give a stored photo what was read of its time and fix now; its walk may be another one then."""
        before = self.photos[photo.id]
        after = dataclasses.replace(before, **_facts_read(before, photo))
        if not has_own_times(after):
            after = dataclasses.replace(after, **_times_read(before, photo))
        if after == before:
            return
        self.photos[photo.id] = after if after.captured_at == before.captured_at else self._unsettled(after)
        self._ungrouped = self._photos_changed = True

    def _unsettled(self, photo: Photo) -> Photo:
        """Return the photo without split and fold, which it gets again if its group and walk do not contradict them."""
        if photo.split is not None or photo.fold is not None:
            self._kept_splits[photo.id] = [photo.split, photo.split_reason, photo.fold]
        return dataclasses.replace(photo, split=None, split_reason=None, fold=None)

    def commit_if_due(self) -> None:
        """Commit in batches that grow geometrically, so that all commits together cost a multiple of the last."""
        if self.dataset is not None and self._uncommitted >= self._next_commit:
            self._next_commit = max(self._next_commit * _GROWTH, len(self.photos))
            self.commit()

    def commit(self, *, final: bool = False) -> None:
        """Group, flag and write what changed. Splits are inherited in the last commit only: they need every photo."""
        if self._ungrouped:
            self._regroup(inherit=final)
            self._ungrouped = not final
        if self.dataset is None or self._copies is None:
            return
        self._copies.settle()
        if self.rejected != self._written_rejected:
            write_rejected(self.dataset.rejected_path, self.rejected.values())
            self._written_rejected = dict(self.rejected)
        if self.sources != self._written_sources:
            write_sources(self.dataset.sources_path, self.sources)
            self._written_sources = dict(self.sources)
        if self._photos_changed or self._written_site != self.info.site_sha256:
            self._write_manifest(self.dataset)
        if self.outside != self._written_outside:  # also what a kill left there beside the manifest
            write_outside(self.dataset, self.outside, self.info)
            self._written_outside = dict(self.outside)
        self._uncommitted = 0

    def close(self) -> None:
        """End the threads of the copies."""
        if self._copies is not None:
            self._copies.close()

    def _regroup(self, *, inherit: bool) -> None:
        before = list(self.photos.values())
        decisions = decisions_of(before, self.site.zone)
        photos = assign_groups([self._timed(photo, decisions) for photo in before])
        if inherit:
            photos = inherit_splits(photos, dataclasses.replace(self.info, kept_splits=self._kept_splits))
            for photo in photos:
                if photo.split is not None:
                    self._kept_splits.pop(photo.id, None)
        photos = with_flags(photos, decisions)
        self._photos_changed |= photos != before
        self.photos = {photo.id: photo for photo in photos}

    def _timed(self, photo: Photo, decisions: Decisions) -> Photo:
        after = timed(photo, decisions)
        return after if after.captured_at == photo.captured_at else self._unsettled(after)

    def _write_manifest(self, dataset: Dataset) -> None:
        moved = self._written_site != self.info.site_sha256
        fallen = self._written_outside | self.outside  # none leaves the file before the manifest holds it
        if fallen != self._written_outside:
            write_outside(dataset, fallen, self.info)
        if moved:
            prepare_site_change(dataset, self.site)
        info = dataclasses.replace(self.info, kept_splits=dict(self._kept_splits))
        self.info = write_manifest(dataset.manifest_path, self.photos.values(), info)
        if moved:
            finish_site_change(dataset, self.info.site_sha256)
        self._written_outside = fallen
        self._written_site, self._photos_changed = self.info.site_sha256, False


def _facts_read(before: Photo, photo: Photo) -> dict[str, Any]:
    """Return what was read of a stored photo's file now; what somebody else gave of its position and heading stays."""
    names = [*_TIME_FACTS]
    if photo.gps_source == before.gps_source == "exif":
        names += _FIX_FACTS
    if photo.heading_ref == before.heading_ref == "M":
        names += _HEADING
    return {name: getattr(photo, name) for name in names}


def _times_read(before: Photo, photo: Photo) -> dict[str, Any]:
    """Return the time of a photo whose file has none, as labels or other files give it now, if they do."""
    if photo.captured_at is None or before.time_source == "labels":
        return {}
    names = [*_TIMES, "fix_age_s"] if photo.gps_source == before.gps_source else _TIMES
    return {name: getattr(photo, name) for name in names}


def _with_shared_words(photo: Photo) -> Photo:
    """Return the photo with one copy in memory of each word that many photos have: workers send each its own."""
    words: dict[str, Any] = {name: getattr(photo, name) for name in _REPEATED}
    words = {name: intern(word) for name, word in words.items() if word is not None}
    return dataclasses.replace(photo, **words)


def empty_info(site: Site, short_side_px: int) -> ManifestInfo:
    """Return what the manifest of a new dataset says about itself."""
    return ManifestInfo(
        site_name=site.name, site_sha256=site.sha256, device_salt=site.sha256, short_side_px=short_side_px
    )


def _finished_ingests(dataset: Dataset) -> set[str]:
    """Return the names of the ingests that came to their end; a damaged log names none, which costs a regrouping."""
    try:
        return {str(line.get("ingest")) for line in read_json_lines(dataset.ingests_path)}
    except ValueError:
        return set()


def _with_site(info: ManifestInfo, site: Site) -> ManifestInfo:
    """Return `info` for a dataset whose site was redrawn: the salt of the devices stays."""
    return dataclasses.replace(info, site_name=site.name, site_sha256=site.sha256)
