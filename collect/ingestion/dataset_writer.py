"""The state of a dataset in memory, and the one place that writes it, in an order that survives a kill at any point.

Order of writes of a commit (docs/reference/ingest-rules.md says why):

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
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from collect.ingestion.digest_set import DigestSet
from collect.ingestion.log import finished_ingests
from collect.ingestion.outside import check_shrinking, read_outside, write_outside
from collect.ingestion.packed_rows import PackedRows, Packing
from collect.ingestion.photo_store import CopyStore
from collect.ingestion.rejudge import Rejudged, judge_again
from collect.ingestion.site_change import finish_site_change, prepare_site_change
from collect.ingestion.sources import (
    SeenSource,
    holds_whole_paths,
    load_sources,
    no_sources,
    source_key,
    told_sources,
    write_sources,
)
from collect.ingestion.stored_photo import refreshed
from collect.splits.groups import groups_of
from collect.splits.inherit import inherit_splits
from collect.validation.flags import flags_of
from collect.validation.off_site import coarse_detail
from collect.validation.timeline import decide_rows, timed
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError
from img2gps.forgotten import read_forgotten
from img2gps.manifest import ManifestInfo, pack_photos, read_table, unpack_photos, write_packed
from img2gps.photo_columns import codes_of, group_names, pack_groups, pack_table
from img2gps.rejected import RejectedFile, read_rejected, tell_changed, write_rejected
from img2gps.site import Site
from img2gps.tables import pieces_of
from img2gps.types import Photo
from img2gps.working_copies import StoredCopies

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["DatasetWriter", "empty_info"]

_FIRST_COMMIT: Final = 64
_GROWTH: Final = 2
_BLOCK: Final = 2048
_PACKING: Final = Packing[str, Photo](
    pack=lambda photos: pack_photos(list(photos.values())),
    unpack=unpack_photos,
    keys=lambda packed: packed.column("id").to_pylist(),
)


class DatasetWriter:
    """Photos, rejected files and seen sources of one dataset, or of none (a dry run, a validation).

    Others read them and call the methods; nothing else changes what is written.
    """

    def __init__(
        self, *, site: Site, info: ManifestInfo, dataset: Dataset | None = None, keep_positions: bool = False
    ) -> None:
        self.site = site
        self.info = info
        self.dataset = dataset
        self.notes: list[str] = []
        self._keep_positions = keep_positions
        self._photos = PackedRows(_PACKING)
        self._rejected: dict[str, RejectedFile] = {}
        self._sources = no_sources()
        self._outside: dict[str, Photo] = {}
        self._copies = CopyStore(dataset.photos_path) if dataset else None
        self._written_site = info.site_sha256
        self._photos_changed = False
        self._written_rejected: dict[str, RejectedFile] = {}
        self._sources_changed = False
        self._written_outside: dict[str, Photo] = {}
        self._uncommitted = 0
        self._next_commit = _FIRST_COMMIT
        self._ungrouped = False
        self._kept_splits = dict(info.kept_splits)
        self.forgotten: frozenset[str] = frozenset()

    @classmethod
    def load(cls, dataset: Dataset, *, read_only: bool = False, keep_positions: bool = False) -> "DatasetWriter":
        """Return the writer of an existing dataset. Raises InvalidDatasetError where one of its files is damaged.

        Unless `keep_positions`, its rejections lose the exact positions off the site that they name.
        """
        table, info = read_table(dataset.manifest_path)
        dataset.tell_changed_site(info)
        written_to = None if read_only else dataset
        writer = cls(site=dataset.site(), info=info, dataset=written_to, keep_positions=keep_positions)
        pieces = [pack_table(piece) for piece in pieces_of(table)]
        del table
        writer._photos = PackedRows(_PACKING, _joined(pieces))
        ingests = codes_of(writer._photos.table().column("ingest"))[1]
        writer._written_outside = read_outside(dataset)
        writer._outside = {key: row for key, row in writer._written_outside.items() if key not in writer._photos}
        tell_changed(dataset.rejected_path)
        writer._written_rejected = read_rejected(dataset.rejected_path)
        # rows of a commit that never reached its manifest
        writer._rejected = {key: row for key, row in writer._written_rejected.items() if key not in writer._photos}
        writer._load_sources(dataset)
        writer.forgotten = frozenset(read_forgotten(dataset.forgotten_path))
        if not keep_positions:
            writer._forget_positions()
        finished = finished_ingests(dataset.ingests_path)
        writer._ungrouped = not finished.issuperset(ingests)  # an ingest was killed midway
        return writer

    def _load_sources(self, dataset: Dataset) -> None:
        """Read the index of sources; a damaged one is rebuilt, one of an earlier version is written anew."""
        try:
            self._sources = load_sources(dataset.sources_path, salt=self.info.device_salt)
            self._sources_changed = holds_whole_paths(dataset.sources_path)
        except InvalidDatasetError:
            self.notes.append("The index of sources was damaged and is rebuilt: every source is read again.")
            if self.dataset is not None:
                dataset.sources_path.unlink()

    @property
    def photos(self) -> Mapping[str, Photo]:
        """The accepted photos, by id."""
        return MappingProxyType(self._photos)

    def packed_photos(self, ids: DigestSet) -> "pa.Table":
        """Return the photos of these ids, packed into columns (`img2gps.photo_columns`)."""
        import pyarrow as pa

        packed = self._photos.table()
        if len(ids) == len(packed):
            return packed
        return packed.filter(pa.array(self._photos.among(ids)))

    @property
    def rejected(self) -> Mapping[str, RejectedFile]:
        """The files that were not accepted, by the key of their row."""
        return MappingProxyType(self._rejected)

    def known_source(self, path: bytes) -> SeenSource | None:
        """Return how the file at an absolute path was seen last, None where it never was."""
        return self._sources.get(source_key(path, self.info.device_salt))

    def remember_source(self, path: bytes, seen: SeenSource) -> None:
        """Enter the file at an absolute path into the index of sources."""
        key = source_key(path, self.info.device_salt)
        if self._sources.get(key) != seen:
            self._sources[key] = seen
            self._sources_changed = True

    def forget_source(self, path: bytes) -> None:
        """Take the file at an absolute path out of the index: the next ingest reads it anew."""
        self._sources_changed |= self._sources.pop(source_key(path, self.info.device_salt), None) is not None

    def held_bytes(self) -> set[str]:
        """Return the digests of the bytes that some source holds."""
        return set(self._sources.table().column("sha256").drop_null().to_pylist())

    def forget_rejection(self, key: str) -> None:
        """Forget a file that was not accepted, by the key of its row."""
        self._rejected.pop(key, None)

    def _forget_positions(self) -> None:
        """Take the exact positions of an earlier version out of what is told of rejected files."""
        for key, row in self._rejected.items():
            coarse = coarse_detail(row.reason, row.detail, self.site)
            if coarse != row.detail:
                self._rejected[key] = dataclasses.replace(row, detail=coarse)
        for place_key, seen in told_sources(self._sources).items():
            coarse = coarse_detail(seen.reason or "", seen.detail or "", self.site)
            if coarse != (seen.detail or ""):
                self._sources[place_key] = dataclasses.replace(seen, detail=coarse)
                self._sources_changed = True

    def accept(self, photo: Photo, temporary: str | None) -> None:
        """Take a photo in; its working copy goes to its place, and a rejection of the same bytes is forgotten."""
        self._photos[photo.id] = photo
        self.forget_rejection(photo.id)
        self._outside.pop(photo.id, None)
        self._uncommitted += 1
        self._ungrouped = self._photos_changed = True
        self.put_copy(photo, temporary)

    def put_copy(self, photo: Photo, temporary: str | None) -> None:
        """Put the working copy of a photo in its place."""
        if temporary is not None and self._copies is not None and self.dataset is not None:
            self._copies.place(temporary, self.dataset.photo_path(photo.id))

    def take_back_copy(self, photo: Photo) -> None:
        """Delete a working copy that was put into an object store for nothing, unless a row names its very bytes."""
        known = self._photos.get(photo.id)
        copies = self.dataset.copies if self.dataset is not None else None
        if isinstance(copies, StoredCopies) and (known is None or known.photo_sha256 != photo.photo_sha256):
            copies.delete(photo.id)

    def reject(self, row: RejectedFile) -> None:
        """Remember a file that was not accepted."""
        self._rejected[row.key] = row

    def change_site(self, site: Site, *, allow_shrink: bool = False) -> list[str]:
        """Judge every photo again by its stored position, and its time by the site's clocks; return notes.

        A photo that falls outside is kept whole, and comes back with a polygon that holds it. Raises UsageError, having
        changed nothing, where over a tenth would fall outside and not `allow_shrink`.
        """
        after = judge_again(self._photos.values(), self._outside.values(), self.site, site, exact=self._keep_positions)
        if after.fell and not allow_shrink:
            nearest_m = min(site.distance_m(photo.lon, photo.lat) for photo, _ in after.fell)
            check_shrinking(site, photos=len(self._photos), fell=len(after.fell), nearest_m=nearest_m)
        self._take_over(after)
        self.site = site
        self.info = dataclasses.replace(self.info, site_name=site.name, site_sha256=site.sha256)
        self._ungrouped = self._photos_changed = True
        return after.notes(site)

    def _take_over(self, after: Rejudged) -> None:
        """Keep, leave out and take back photos; the splits of those that come back follow in the last commit."""
        for photo in after.kept:
            same_time = photo.captured_at == self._photos[photo.id].captured_at
            self._photos[photo.id] = photo if same_time else self._unsettled(photo)
        self._outside = {photo.id: photo for photo in after.outside}
        for photo, rejection in after.fell:
            del self._photos[photo.id]
            self._outside[photo.id] = photo
            self._unsettled(photo)
            self.reject(RejectedFile.of(rejection, photo.id))
        for photo in after.back:
            self.forget_rejection(photo.id)
            self._photos[photo.id] = self._unsettled(photo)

    def refresh(self, photo: Photo) -> None:
        """Give a stored photo what was read of its time and fix now; its walk may be another one then."""
        before = self._photos[photo.id]
        after = refreshed(before, photo)
        if after == before:
            return
        self._photos[photo.id] = after if after.captured_at == before.captured_at else self._unsettled(after)
        self._ungrouped = self._photos_changed = True

    def _unsettled(self, photo: Photo) -> Photo:
        """Return the photo without split and fold, which it gets again if its group and walk do not contradict them."""
        if photo.split is not None or photo.fold is not None:
            self._kept_splits[photo.id] = [photo.split, photo.split_reason, photo.fold]
        return dataclasses.replace(photo, split=None, split_reason=None, fold=None)

    def commit_if_due(self) -> None:
        """Commit in batches that grow geometrically, so that all commits together cost a multiple of the last."""
        if self.dataset is not None and self._uncommitted >= self._next_commit:
            self._next_commit = max(self._next_commit * _GROWTH, len(self._photos))
            self.commit()

    def commit(self, *, final: bool = False) -> None:
        """Group, flag and write what changed. Splits are inherited in the last commit only: they need every photo."""
        if self._ungrouped:
            self._regroup(inherit=final)
            self._ungrouped = not final
        if self.dataset is None or self._copies is None:
            return
        self._copies.settle()
        if self._rejected != self._written_rejected:
            write_rejected(self.dataset.rejected_path, self._rejected.values())
            self._written_rejected = dict(self._rejected)
        if self._sources_changed:
            write_sources(self.dataset.sources_path, self._sources)
            self._sources_changed = False
        if self._photos_changed or self._written_site != self.info.site_sha256:
            self._write_manifest(self.dataset)
        if self._outside != self._written_outside:  # also what a kill left there beside the manifest
            write_outside(self.dataset, self._outside, self.info)
            self._written_outside = dict(self._outside)
        self.dataset.publish()
        self._uncommitted = 0

    def close(self) -> None:
        """End the threads of the copies."""
        if self._copies is not None:
            self._copies.close()

    def _regroup(self, *, inherit: bool) -> None:
        """Decide times, walks, groups, splits and flags anew, from the columns of all photos."""
        import pyarrow as pa
        import pyarrow.compute as pc

        packed = self._photos.table()
        decided = decide_rows(packed, self.site.zone)
        ids = packed.column("id")
        disagree, repeated = (ids.filter(pa.array(rows)) for rows in (decided.disagree, decided.repeated))
        changed = list(decided.changed)
        for start in range(0, len(changed), _BLOCK):
            rows = changed[start : start + _BLOCK]
            for row, before in zip(rows, unpack_photos(packed.take(pa.array(rows))), strict=True):
                after = timed(before, decided.changed[row])
                self._photos[after.id] = after if after.captured_at == before.captured_at else self._unsettled(after)
        self._photos_changed |= bool(decided.changed)
        packed = self._photos.table()
        # without a dataset nobody will read groups and splits: flags need the walks
        groups = groups_of(packed, walks_only=self.dataset is None)
        names = {"walk": groups.walk}
        if self.dataset is not None:
            names |= {"burst": groups.burst, "group": pack_groups(packed, groups.group)}
        self._replace(names)
        if inherit and self.dataset is not None:
            self._inherit()
        packed = self._photos.table()
        masks = {
            name: pc.is_in(packed.column("id"), found).to_numpy()
            for name, found in (("disagree", disagree), ("repeated", repeated))
        }
        self._replace({"flags": flags_of(packed, **masks)})

    def _replace(self, columns: "Mapping[str, pa.Array | pa.ChunkedArray]") -> None:
        """Replace columns of all photos, and note whether that changed any."""
        import pyarrow as pa

        packed = self._photos.table()
        for name, values in columns.items():
            column = pa.chunked_array([values]) if isinstance(values, pa.Array) else values
            self._photos_changed |= not packed.column(name).cast(pa.string()).equals(column.cast(pa.string()))
        self._photos.replace_columns(columns)

    def _inherit(self) -> None:
        """Give photos without a split that of their group or walk: these alone, and those that they follow, count."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if self.info.split is None:
            return
        packed = self._photos.table()
        new = packed.column("split").is_null()
        some = new
        for column in (group_names(packed), packed.column("walk").cast(pa.string())):
            some = pc.or_(some, pc.is_in(column, column.filter(new)))
        # a buffer of metres around the cells that are held out concerns every photo
        photos = unpack_photos(packed if self.info.split.get("by") == "cell" else packed.filter(some))
        info = dataclasses.replace(self.info, kept_splits=self._kept_splits)
        for before, after in zip(photos, inherit_splits(photos, info), strict=True):
            if after != before:
                self._photos[after.id] = after
                self._photos_changed = True
        for photo_id in list(self._kept_splits):
            photo = self._photos.get(photo_id)
            if photo is not None and photo.split is not None:
                del self._kept_splits[photo_id]

    def _write_manifest(self, dataset: Dataset) -> None:
        moved = self._written_site != self.info.site_sha256
        fallen = self._written_outside | self._outside  # none leaves the file before the manifest holds it
        if fallen != self._written_outside:
            write_outside(dataset, fallen, self.info)
        if moved:
            prepare_site_change(dataset, self.site)
        info = dataclasses.replace(self.info, kept_splits=dict(self._kept_splits))
        self._photos.sort_by(("source_name", "id"))
        self.info = write_packed(dataset.manifest_path, self._photos.table(), info)
        if moved:
            finish_site_change(dataset, self.info.site_sha256)
        self._written_outside = fallen
        self._written_site, self._photos_changed = self.info.site_sha256, False


def _joined(pieces: "list[pa.Table]") -> "pa.Table":
    import pyarrow as pa

    return pa.concat_tables(pieces)


def empty_info(site: Site, short_side_px: int) -> ManifestInfo:
    """Return what the manifest of a new dataset says about itself."""
    return ManifestInfo(
        site_name=site.name, site_sha256=site.sha256, device_salt=site.sha256, short_side_px=short_side_px
    )
