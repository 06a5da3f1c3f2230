"""The rows of a published dataset: what is told of each photo, and what never leaves.

Left behind:

- names of files and folders;
- make, model and the hash of the device (a serial number could be guessed from it);
- who corrected what and why;
- when and from where photos were ingested;
- photos that a person excluded.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence, Set
from datetime import datetime
from typing import Final

from img2gps.corrections import Correction, newest, read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.manifest import ManifestInfo, photos_of, read_table
from img2gps.site import Site
from img2gps.text import format_count, safe_path
from img2gps.types import Photo

__all__ = ["PARTS", "Coarseness", "PublishedPhoto", "PublishedRows", "part_of_row", "rows_of"]

PARTS: Final = {"train": "train", "val": "validation", "test": "test", "excluded": "excluded"}
"""What the Hub calls each split; photos that are in none are `UNASSIGNED`, or ``train`` where there is no split."""
UNASSIGNED: Final = "unassigned"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Coarseness:
    """How much is told of places and times: positions to a grid of `round_m` metres, times to the hour."""

    round_m: float | None = None
    hours: bool = False

    def __post_init__(self) -> None:
        if self.round_m is not None and not (math.isfinite(self.round_m) and 0 < self.round_m <= 100_000):
            raise UsageError(f"--round-m is a number of metres over 0 and at most 100,000, not {self.round_m:g}.")

    def place(self, lon: float, lat: float, site: Site) -> tuple[float, float]:
        """Return a position, degrees, at the nearest crossing of the grid through the middle of the site."""
        if self.round_m is None:
            return lon, lat
        east_m, north_m = site.frame.to_local(lon, lat)
        rounded = [round(float(value) / self.round_m) * self.round_m for value in (east_m, north_m)]
        lons, lats = site.frame.to_lonlat(*rounded)
        return round(float(lons), 7), round(float(lats), 7)

    def height(self, altitude_m: float | None) -> float | None:
        """Return a height, metres, as coarse as the positions."""
        if altitude_m is None or self.round_m is None:
            return altitude_m
        return round(altitude_m / self.round_m) * self.round_m

    def moment(self, at: datetime | None) -> datetime | None:
        """Return a moment, or the hour that it is in."""
        return at.replace(minute=0, second=0, microsecond=0) if at is not None and self.hours else at

    def clock(self, shown: str | None) -> str | None:
        """Return what a clock showed, or the hour that it was in."""
        if shown is None or not self.hours:
            return shown
        return datetime.fromisoformat(shown).replace(minute=0, second=0, microsecond=0).isoformat()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublishedPhoto:
    """One row but its picture: the fields are columns of `PUBLISHED_COLUMNS`; `name` is the picture's path."""

    name: str
    id: str
    lon: float
    lat: float
    captured_at: datetime | None
    heading_deg: float | None
    gps_accuracy_m: float | None
    device: str
    walk: str
    group: str
    split: str | None
    fold: int | None
    flags: tuple[str, ...]
    label_state: str
    phone_lon: float | None
    phone_lat: float | None
    phone_heading_deg: float | None
    burst: str | None
    gps_source: str
    gps_dop: float | None
    gps_status: str | None
    gps_method: str | None
    fix_age_s: float | None
    altitude_m: float | None
    heading_ref: str | None
    utc_offset_min: int | None
    time_source: str | None
    clock_local: str | None
    site_relation: str
    traits: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRows:
    """The rows in the order of the manifest, what the manifest says of itself, and how many photos stay behind.

    `copies` are the SHA-256 of the working copies by id, as ingest wrote them, `phashes` their perceptual hashes.
    """

    photos: tuple[PublishedPhoto, ...]
    info: ManifestInfo
    excluded: int
    copies: Mapping[str, str]
    phashes: Mapping[str, str]


def part_of_row(photo: PublishedPhoto, *, has_split: bool) -> str:
    """Return the name of the part that a photo is in: `PARTS`, or ``unassigned``."""
    return PARTS.get(photo.split or "", UNASSIGNED) if has_split else "train"


def rows_of(dataset: Dataset, site: Site, coarseness: Coarseness) -> PublishedRows:
    """Return what is published of a dataset.

    Photos that a person excluded are left out. With times to the hour the rows are in the order of their ids, which
    tells nothing of the order in which they were taken. Raises InvalidDatasetError where nothing is left.
    """
    table, info = read_table(dataset.manifest_path)
    dataset.tell_changed_site(info)
    found = photos_of(table)
    latest = newest(read_corrections(dataset.corrections_path))
    out = {photo_id for photo_id, entry in latest.items() if entry.action == "exclude"}
    photos = [photo for photo in found if photo.id not in out]
    if not photos:
        what = f"{format_count(len(found), 'photo')}, each excluded by a person" if found else "no photo"
        raise InvalidDatasetError(f"{safe_path(dataset.root)} holds {what}: there is nothing to publish.")
    if coarseness.hours:
        photos.sort(key=lambda photo: photo.id)
    names = _Names.of(photos)
    rows = [
        _row(photo, latest.get(photo.id), site, coarseness, f"{number:06d}.jpg", names)
        for number, photo in enumerate(photos)
    ]
    return PublishedRows(
        photos=tuple(rows),
        info=info,
        excluded=len(found) - len(photos),
        copies={photo.id: photo.photo_sha256 for photo in photos},
        phashes={photo.id: photo.phash for photo in photos},
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    """Names that say nothing: those of a dataset tell when a walk began, and ids of photos that may stay behind."""

    devices: Mapping[str, str]
    walks: Mapping[str, str]
    groups: Mapping[str, str]
    bursts: Mapping[str, str]

    @classmethod
    def of(cls, photos: Sequence[Photo]) -> "_Names":
        return cls(
            devices=_numbered("device", {photo.device for photo in photos}),
            walks=_numbered("walk", {photo.walk for photo in photos}),
            groups=_numbered("group", {photo.group for photo in photos}),
            bursts=_numbered("burst", {photo.burst for photo in photos if photo.burst}),
        )


def _numbered(word: str, names: Set[str]) -> dict[str, str]:
    """Return a numbered name for each name, in the order of the names: what is sorted by them stays sorted."""
    ordered = sorted(names)
    digits = len(str(len(ordered)))
    return {name: f"{word}-{number:0{digits}d}" for number, name in enumerate(ordered, start=1)}


def _row(
    photo: Photo,
    correction: Correction | None,
    site: Site,
    coarseness: Coarseness,
    name: str,
    names: _Names,
) -> PublishedPhoto:
    lon, lat, heading_deg = photo.lon, photo.lat, photo.heading_deg
    if correction is not None and correction.lon is not None and correction.lat is not None:
        lon, lat = correction.lon, correction.lat
    if correction is not None and correction.heading_deg is not None:
        heading_deg = correction.heading_deg
    shown = coarseness.place(lon, lat, site)
    phone = coarseness.place(photo.lon, photo.lat, site) if correction else (None, None)
    kept = {field: getattr(photo, field) for field in _KEPT}
    return PublishedPhoto(
        name=name,
        lon=shown[0],
        lat=shown[1],
        phone_lon=phone[0],
        phone_lat=phone[1],
        heading_deg=heading_deg,
        phone_heading_deg=photo.heading_deg if correction else None,
        label_state=correction.action if correction else "",
        captured_at=coarseness.moment(photo.captured_at),
        altitude_m=coarseness.height(photo.altitude_m),
        clock_local=coarseness.clock(photo.clock_local),
        device=names.devices[photo.device],
        walk=names.walks[photo.walk],
        group=names.groups[photo.group],
        burst=names.bursts[photo.burst] if photo.burst else None,
        site_relation=site.relation(*(shown if phone[0] is None else phone), photo.gps_accuracy_m)[0],
        **kept,
    )


_KEPT: Final = (
    *("id", "gps_accuracy_m", "split", "fold", "flags", "gps_source", "gps_dop", "gps_status", "gps_method"),
    *("fix_age_s", "heading_ref", "utc_offset_min", "time_source", "traits"),
)
