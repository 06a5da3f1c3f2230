"""The validation rules: facts, a label and the site in; a photo or a rejection out."""

import dataclasses
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from collect.reading.facts import CLOCK_DOUBTFUL, Facts, Position, PositionProblem
from collect.reading.gps_tags import NULL_ISLAND_DEG
from collect.reading.sidecars import Sidecar
from collect.validation.declination import with_true_heading
from collect.validation.gpx import Track, Tracks
from collect.validation.labels import LabelRow
from collect.validation.off_site import off_site, without_digits
from collect.validation.sequence import Decision
from collect.validation.times import capture_time, local_to_utc
from collect.validation.unplaced import BY_CAMERA, Unplaced
from img2gps.files import canonical_json, sha256_bytes
from img2gps.geo import geodesic_m
from img2gps.site import Site
from img2gps.types import GpsSource, HeadingRef, Photo, Rejection, TimeSource

__all__ = ["Rules", "SourceFile", "Verdict", "judge", "place"]

DISAGREEMENT_M: Final = 50.0
_RULES_VERSION: Final = 4
# A label or a track may well have its axes swapped. EXIF names each of them: there it is the site's file, or the photo.
_LABEL_SWAPPED: Final = "latitude and longitude of the label are swapped: exchanged, they lie on the site"
_SITE_SWAPPED: Final = (
    "the site's file has its axes swapped, lon comes first, or the photo has: exchanged, the position lies on the site"
)
_SWAPPED: Final = {"labels": _LABEL_SWAPPED, "gpx": _LABEL_SWAPPED.replace("the label", "the track")}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rules:
    """What photos are judged against. `device_salt` is the hash of the dataset's first site.

    `keep_positions` lets details name the exact position of a photo off the site.
    """

    site: Site
    device_salt: str
    track: Track | Tracks | None = None
    max_accuracy_m: float | None = None
    keep_positions: bool = False

    def digest(self, label: LabelRow | None, sidecars: Sequence[Sidecar] = ()) -> str:
        """Return a hash of what verdicts depend on beside the file: when it changes, rejections are judged again."""
        track = (self.track.sha256, self.track.clock_offset_s) if self.track else None
        parts = [_RULES_VERSION, self.site.sha256, track, self.max_accuracy_m, label.digest if label else None]
        parts += [[sidecar.kind, sidecar.state] for sidecar in sidecars]
        if self.keep_positions:
            parts.append("keep positions")
        return sha256_bytes(canonical_json(parts))[:16]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """The file that facts came from: its hash, its name relative to the input, its length in bytes."""

    sha256: str
    name: str
    size: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome, and how far label and EXIF lie apart where both gave a position and disagree.

    `unplaced` says when a photo without a position was taken, which a track could have placed.
    """

    outcome: Photo | Rejection
    disagreement_m: float | None = None
    unplaced: Unplaced | None = None


def judge(facts: Facts, source: SourceFile, rules: Rules, label: LabelRow | None = None) -> Verdict:
    """Return the photo (without its working copy's values) or the rejection.

    A label's position wins over the EXIF's, which wins over the track's: a person gave it on purpose.
    """
    taken = _capture_time(facts, rules, label)
    position, origin = _position(facts, rules, label, taken)
    if isinstance(position, PositionProblem):
        detail = position.detail if rules.keep_positions else without_digits(position.detail)
        rejection = Rejection(path=source.name, reason=position.reason, detail=detail)
        unplaced = Unplaced(
            captured_at=taken.captured_at,
            by_camera=taken.source in BY_CAMERA,
            device=_device(facts, label, rules.device_salt),
            is_zoneless=rules.site.zone is None
            and taken.captured_at is None
            and facts.local_time is not None
            and facts.utc_offset_min is None
            and CLOCK_DOUBTFUL not in facts.traits,
        )
        return Verdict(outcome=rejection, unplaced=None if origin in ("labels", "gpx") else unplaced)
    heading_deg, heading_ref = _heading(facts, label)
    accuracy_m = {"labels": label.accuracy_m if label else None, "exif": facts.accuracy_m}.get(origin)
    photo = Photo(
        id=source.sha256,
        file_name=f"photos/{source.sha256[:2]}/{source.sha256}.jpg",
        photo_sha256="",
        lon=position.lon,
        lat=position.lat,
        gps_source=origin,
        width=0,
        height=0,
        phash="",
        source_name=source.name,
        bytes=source.size,
        site_relation="inside",
        device=_device(facts, label, rules.device_salt),
        gps_accuracy_m=accuracy_m,
        gps_dop=facts.dop if origin == "exif" else None,
        gps_status=facts.gps_status if origin == "exif" else None,
        gps_method=facts.gps_method if origin == "exif" else None,
        captured_at=taken.captured_at,
        utc_offset_min=taken.utc_offset_min,
        time_source=taken.source,
        clock_local=None if facts.local_time is None else facts.local_time.isoformat(),
        clock_offset_min=facts.utc_offset_min,
        gps_at=facts.gps_time,
        fix_age_s=taken.fix_age_s if origin == "exif" else None,
        heading_deg=heading_deg,
        heading_ref=heading_ref,
        altitude_m=facts.altitude_m,
        make=facts.make,
        model=facts.model,
        traits=facts.traits,
    )
    placed = place(with_true_heading(photo), rules.site, exact=rules.keep_positions)
    if isinstance(placed, Photo) and _too_vague(accuracy_m, rules.max_accuracy_m):
        detail = f"{accuracy_m:.0f} m reported, {rules.max_accuracy_m:g} m allowed"
        placed = Rejection(path=source.name, reason="accuracy_too_low", detail=detail)
    return Verdict(outcome=placed, disagreement_m=_disagreement_m(facts, label))


def place(photo: Photo, site: Site, *, exact: bool = False) -> Photo | Rejection:
    """Return `photo` with its relation to `site`, or the rejection of one that lies outside.

    `exact` lets the rejection name its position.
    """
    relation, _ = site.relation(photo.lon, photo.lat, photo.gps_accuracy_m)
    if relation == "outside":
        detail = off_site(site, photo.lon, photo.lat, exact=exact)
        if site.holds_swapped(photo.lon, photo.lat):
            detail = f"{_SWAPPED.get(photo.gps_source, _SITE_SWAPPED)}; {detail}"
        return Rejection(path=photo.source_name, reason="outside_site", detail=detail)
    return photo if photo.site_relation == relation else dataclasses.replace(photo, site_relation=relation)


def _position(
    facts: Facts, rules: Rules, label: LabelRow | None, taken: Decision
) -> tuple[Position | PositionProblem, GpsSource]:
    if label is not None and label.position is not None:
        if label.complaint:
            return PositionProblem(reason="gps_not_finite", detail=f"{label.where}: {label.complaint}"), "labels"
        return _in_range(_of_label(label.position), f"{label.where}: "), "labels"
    by_exif = _in_range(facts.position, "") if isinstance(facts.position, Position) else facts.position
    if isinstance(by_exif, Position) or rules.track is None or taken.captured_at is None:
        return by_exif, facts.position_source
    by_track = rules.track.at(taken.captured_at, by_camera=taken.source in BY_CAMERA)
    return (by_exif, facts.position_source) if by_track is None else (_in_range(by_track, "the track: "), "gpx")


def _of_label(position: tuple[float, float]) -> Position:
    return Position(lon=position[0], lat=position[1])


def _in_range(position: Position, origin: str) -> Position | PositionProblem:
    lat, lon = position.lat, position.lon
    if not (math.isfinite(lat) and math.isfinite(lon)):  # first: NaN passes every comparison below
        return PositionProblem(reason="gps_not_finite", detail=f"{origin}latitude or longitude is not a number")
    detail = f"{origin}lat {lat:g}, lon {lon:g}"
    if abs(lat) > 90 or abs(lon) > 180:
        return PositionProblem(reason="gps_out_of_range", detail=detail)
    if abs(lat) < NULL_ISLAND_DEG and abs(lon) < NULL_ISLAND_DEG:
        return PositionProblem(reason="null_island", detail=detail)
    return position


def _capture_time(facts: Facts, rules: Rules, label: LabelRow | None) -> Decision:
    """Return the photo's own time, else one from beside its EXIF, else the label's."""
    zone = rules.site.zone
    taken = capture_time(facts, zone)
    beside = facts.moment_beside
    if taken.captured_at is None and beside is not None and (beside.tzinfo is not None or zone is not None):
        taken = _by_other(beside, facts.moment_source, zone)
    if taken.captured_at is None and label is not None and label.captured_at is not None:
        taken = _by_other(label.captured_at, "labels", zone)
    return taken


def _by_other(moment: datetime, source: TimeSource | None, zone: ZoneInfo | None) -> Decision:
    """Return a time that another than the EXIF names: naive, it is local at the site, or UTC where that has no zone."""
    aware = moment.tzinfo is not None
    captured_at = moment.astimezone(UTC) if aware else local_to_utc(moment, zone or UTC)
    at_site = captured_at.astimezone(zone).utcoffset() if zone else None
    offset = at_site if moment.tzinfo in (None, UTC) else moment.utcoffset()
    return Decision(
        captured_at=captured_at,
        utc_offset_min=None if offset is None else round(offset.total_seconds() / 60),
        source=source,
    )


def _heading(facts: Facts, label: LabelRow | None) -> tuple[float | None, HeadingRef | None]:
    if label is not None and label.heading_deg is not None:
        return label.heading_deg, "T"
    return facts.heading_deg, facts.heading_ref


def _device(facts: Facts, label: LabelRow | None, salt: str) -> str:
    """Return a pseudonym of the phone: the same for one phone in every dataset that began with the same site."""
    if label is not None and label.device:
        return _pseudonym(salt, label.device)
    return _pseudonym(salt, facts.make, facts.model, facts.serial)


@lru_cache(maxsize=64)  # a folder holds the photos of a few phones
def _pseudonym(salt: str, *identity: str | None) -> str:
    return sha256_bytes(canonical_json([salt, *identity]))[:16]


def _too_vague(accuracy_m: float | None, limit_m: float | None) -> bool:
    return limit_m is not None and accuracy_m is not None and accuracy_m > limit_m


def _disagreement_m(facts: Facts, label: LabelRow | None) -> float | None:
    if label is None or label.position is None or not isinstance(facts.position, Position):
        return None
    if isinstance(_in_range(facts.position, ""), PositionProblem):
        return None
    if isinstance(_in_range(_of_label(label.position), ""), PositionProblem):
        return None
    distance_m = float(geodesic_m(*label.position, facts.position.lon, facts.position.lat))
    return distance_m if distance_m > DISAGREEMENT_M else None
