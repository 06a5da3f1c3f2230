"""Capture times of a dataset's photos from what their rows keep of the files, so that later photos can change them."""

import dataclasses
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from collect.reading.facts import CLOCK_DOUBTFUL, STAMP_UNREADABLE
from collect.validation.declination import with_true_heading
from collect.validation.sequence import Decision, TimeEvidence, decide
from img2gps.types import Photo, TimeSource

__all__ = ["Decisions", "decisions_of", "has_own_times", "timed"]

Decisions = Mapping[str, Decision]

_BESIDE_THE_FILE: Final[tuple[TimeSource, ...]] = ("labels", "xmp", "sidecar", "takeout")


def has_own_times(photo: Photo) -> bool:
    """Return whether a row keeps what its file says of the time, and has its time from there (or none)."""
    known = photo.clock_local is not None or photo.gps_at is not None
    return known and photo.time_source not in _BESIDE_THE_FILE


def decisions_of(photos: Sequence[Photo], zone: ZoneInfo | None) -> dict[str, Decision]:
    """Return the decision of each photo by id, device by device; rows of before there were such columns have none."""
    devices: dict[str, list[Photo]] = defaultdict(list)
    for photo in photos:
        if has_own_times(photo):
            devices[photo.device].append(photo)
    return {
        photo.id: decision
        for own in devices.values()
        for photo, decision in zip(own, decide([_evidence(photo) for photo in own], zone), strict=True)
    }


def timed(photo: Photo, decisions: Decisions) -> Photo:
    """Return the photo with the time decided for it, and a magnetic heading turned by the declination then."""
    decision = decisions.get(photo.id)
    if decision is None:
        return photo
    times: dict[str, Any] = {
        "captured_at": decision.captured_at,
        "utc_offset_min": decision.utc_offset_min,
        "time_source": decision.source,
    }
    if photo.gps_source == "exif":
        times["fix_age_s"] = decision.fix_age_s
    if all(getattr(photo, name) == value for name, value in times.items()):
        return photo
    return with_true_heading(dataclasses.replace(photo, **times))


def _evidence(photo: Photo) -> TimeEvidence:
    return TimeEvidence(
        order=photo.source_name,
        local=None if photo.clock_local is None else datetime.fromisoformat(photo.clock_local),
        offset_min=photo.clock_offset_min,
        gps=photo.gps_at,
        is_doubtful=CLOCK_DOUBTFUL in photo.traits,
        is_stamped=photo.gps_at is not None or STAMP_UNREADABLE in photo.traits,
    )
