"""What is remarkable about accepted photos, recomputed from their rows alone: own values and walk neighbours."""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Final

import numpy as np

from collect.validation.sequence import Decision
from collect.validation.timeline import Decisions
from collect.validation.two_times import STALE_AGE_S
from img2gps.geo import geodesic_m
from img2gps.reasons import FLAGS
from img2gps.types import Photo

__all__ = ["with_flags"]

_POOR_ACCURACY_M: Final = 100.0
_POOR_DOP: Final = 20.0  # "poor" on the usual scale of dilution of precision
# Of GPSProcessingMethod (Exif 2.32, 4.6.6: GPS, CELLID, WLAN, MANUAL) and of Android's location providers
_SATELLITES: Final = re.compile(r"\bGPS\b|GNSS|FUSED")
_NO_SATELLITES: Final = re.compile(r"NETWORK|CELL|WLAN|WI-?FI|MANUAL|\bIP\b|GEOIP")
_BY_CLOCK: Final = ("exif_offset", "site_zone")
_STALE_RUN_PHOTOS: Final = 3
_STALE_RUN_S: Final = 15.0
_QUANTISED_TOLERANCE_ARCSEC: Final = 1e-6
_WALKING_LIMIT_M_S: Final = 4.0
# What a phone that reports no accuracy is off by: the median of 715 photos of one campus that were corrected by hand.
_UNKNOWN_ACCURACY_M: Final = 17.6


def with_flags(photos: Sequence[Photo], decisions: Decisions | None = None) -> list[Photo]:
    """Return the photos with their flags, in the order of `img2gps.reasons.FLAGS`; `walk` must be filled in.

    `decisions` are those of `collect.validation.timeline`: what they say of a photo's times is flagged, too.
    """
    decisions = decisions or {}
    stale: set[str] = set()
    too_fast: set[str] = set()
    for walk in _walks(photos):
        stale.update(photo.id for photo in _repeated_positions(walk))
        too_fast.update(photo.id for photo in _too_fast(walk))
    none = Decision()
    return [
        _flagged(photo, decisions.get(photo.id, none), repeated=photo.id in stale, too_fast=photo.id in too_fast)
        for photo in photos
    ]


def _flagged(photo: Photo, decision: Decision, *, repeated: bool, too_fast: bool) -> Photo:
    """Return the photo with its flags: those of its own values, and what its neighbours in the walk say."""
    old_fix = photo.fix_age_s is not None and photo.fix_age_s > STALE_AGE_S
    conditions = {
        "edge": photo.site_relation == "edge",
        "accuracy_unknown": photo.gps_accuracy_m is None,
        "stale_fix": repeated or old_fix,
        "void_fix": photo.gps_status == "V",
        "network_fix": _is_without_satellites(photo.gps_method or ""),
        "poor_accuracy": (photo.gps_accuracy_m or 0.0) > _POOR_ACCURACY_M,
        "poor_geometry": (photo.gps_dop or 0.0) > _POOR_DOP,
        "quantised_gps": _is_quantised(photo.lat) and _is_quantised(photo.lon),
        "heading_unknown": photo.heading_deg is None,
        "time_unknown": photo.captured_at is None,
        "times_disagree": decision.kind is not None,
        "repeated_hour": decision.is_repeated,
        "implausible_speed": too_fast,
        **{trait: trait in photo.traits for trait in ("panorama", "drone", "small_picture", "dark_frame")},
    }
    flags = tuple(code for code in FLAGS if conditions[code])
    return photo if photo.flags == flags else dataclasses.replace(photo, flags=flags)


def _is_without_satellites(method: str) -> bool:
    return bool(_NO_SATELLITES.search(method)) and not _SATELLITES.search(method)


def _is_quantised(degrees: float) -> bool:
    arc_seconds = abs(degrees) * 3600
    return abs(arc_seconds - round(arc_seconds)) < _QUANTISED_TOLERANCE_ARCSEC


def _walks(photos: Iterable[Photo]) -> list[list[Photo]]:
    """Return the timed photos of each walk in order of time."""
    walks: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        if photo.captured_at is not None:
            walks[photo.walk].append(photo)
    return [sorted(walk, key=attrgetter("captured_at", "source_name", "id")) for walk in walks.values()]


def _repeated_positions(walk: Sequence[Photo]) -> Iterable[Photo]:
    """Yield the photos of every run of one position that lasts too long for somebody who walks."""
    for _, group in groupby(walk, key=attrgetter("lon", "lat")):
        run = list(group)
        clock_s = [_clock_s(photo) for photo in run]
        if len(run) >= _STALE_RUN_PHOTOS and max(clock_s) - min(clock_s) > _STALE_RUN_S:
            yield from run


def _clock_s(photo: Photo) -> float:
    """Return the camera's clock in seconds, where it is known: a stale fix may have stopped the GPS time, too."""
    assert photo.captured_at is not None
    by_clock = photo.time_source in _BY_CLOCK
    return photo.captured_at.timestamp() + (0.0 if by_clock else photo.fix_age_s or 0.0)


def _too_fast(walk: Sequence[Photo]) -> Iterable[Photo]:
    """Yield each photo whose distance from the one before no walker covers, both accuracies granted."""
    if len(walk) < 2:
        return
    lons, lats = (np.array([getattr(photo, axis) for photo in walk], dtype=np.float64) for axis in ("lon", "lat"))
    steps_m = geodesic_m(lons[:-1], lats[:-1], lons[1:], lats[1:])
    for (before, after), step_m in zip(pairwise(walk), steps_m.tolist(), strict=True):
        explained_m = _accuracy_m(before) + _accuracy_m(after)
        if step_m - explained_m > _WALKING_LIMIT_M_S * _elapsed_s(before, after):
            yield after


def _accuracy_m(photo: Photo) -> float:
    return _UNKNOWN_ACCURACY_M if photo.gps_accuracy_m is None else photo.gps_accuracy_m


def _elapsed_s(first: Photo, last: Photo) -> float:
    assert first.captured_at is not None
    assert last.captured_at is not None
    return (last.captured_at - first.captured_at) / timedelta(seconds=1)
