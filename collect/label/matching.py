"""Which photo an entry of a file means: by id, name or time, or by where a track was when the photo was taken."""

import dataclasses
import re
from bisect import bisect_left
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from collect.label.entries import Entry
from collect.tables.names import NameBook, is_absolute, normal, shared_end
from img2gps.text import safe_text

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ImportProblem", "iso_time", "match_entries", "problem_of"]

_WAYPOINT_TOLERANCE: Final = timedelta(seconds=1)
_TRACK_GAP: Final = timedelta(seconds=30)
_ID: Final = re.compile(r"[0-9a-f]{64}")  # what else a column `id` may hold: the row numbers of QGIS


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportProblem:
    """One entry that was not taken over, and why, in words."""

    where: str
    text: str


def match_entries(entries: list[Entry], photos: "pd.DataFrame") -> tuple[list[tuple[str, Entry]], list[ImportProblem]]:
    """Return (photo id, entry) pairs, photos on a GPX track among them, and the entries without a photo."""
    matched: list[tuple[str, Entry]] = []
    unmatched: list[ImportProblem] = []
    ids = set(photos["id"])
    by_name = _ids_by_name(entries, photos)
    times = sorted(
        (time, photo_id) for time, photo_id in zip(photos["captured_at"], photos["id"], strict=True) if iso_time(time)
    )
    for entry in entries:
        if entry.segment is not None:
            continue
        named = next((found for name in entry.names if (found := by_name.get(name))), [])
        if entry.photo_id in ids:
            matched.append((entry.photo_id, entry))
        elif _ID.fullmatch(entry.photo_id):  # another dataset's photo may well have the same name
            unmatched.append(
                problem_of(entry, "no photo of the dataset has this id; without an id it is found by name")
            )
        elif len(named) == 1:
            matched.append((named[0], entry))
        elif len(named) > 1:
            unmatched.append(problem_of(entry, f"{len(named)} photos are called {safe_text(entry.names[0], limit=80)}"))
        elif found := _at_time(entry, times):
            matched += [(photo_id, entry) for photo_id in found]
        else:
            unmatched.append(problem_of(entry, "no photo of the dataset has this id, name or time"))
    matched += _on_track([entry for entry in entries if entry.segment is not None], times)
    return matched, unmatched


def _ids_by_name(entries: list[Entry], photos: "pd.DataFrame") -> dict[str, list[str]]:
    """Return the photos that each name of the entries means; see `NameBook`. A whole path is meant before its end."""
    names = {name for entry in entries for name in entry.names}
    spelled: dict[str, list[str]] = {}
    for name in names:
        spelled.setdefault(normal(name), []).append(name)
    book = NameBook(sorted(spelled), absolute={normal(name) for name in names if is_absolute(name)})
    claims: dict[str, list[tuple[str, str]]] = {}
    found: dict[str, list[str]] = {}
    for photo_id, source in zip(photos["id"], photos["source_name"], strict=True):
        if key := book.key(source):
            claims.setdefault(key, []).append((normal(source), photo_id))
        if (shown := safe_text(source)) in names and shown != source:
            found.setdefault(shown, []).append(photo_id)
    for key, claimed in claims.items():
        whole = [photo_id for source, photo_id in claimed if source.casefold() == key.casefold()]
        best = max(shared_end(key, source) for source, _ in claimed)
        near = [photo_id for source, photo_id in claimed if shared_end(key, source) == best]
        for name in spelled[key]:
            found[name] = whole or near
    return found


def _at_time(entry: Entry, times: list[tuple[Any, str]]) -> list[str]:
    """Return the photos of the closest capture time to a waypoint's, within a second."""
    if entry.time is None:
        return []
    gaps = [(abs(time - entry.time), photo_id) for time, photo_id in times]
    closest = min((gap for gap, _ in gaps), default=_TRACK_GAP)
    return [photo_id for gap, photo_id in gaps if gap == closest] if closest <= _WAYPOINT_TOLERANCE else []


def _on_track(points: list[Entry], times: list[tuple[Any, str]]) -> list[tuple[str, Entry]]:
    """Return the photos taken at a point of a segment or between two at most 30 s apart: where the walker was by then.

    Never between two segments; of several at one time, the one whose points are nearest in time.
    """
    segments: dict[int, list[tuple[datetime, float, float]]] = {}
    for point in points:
        if point.segment is not None and point.time and point.lon is not None and point.lat is not None:
            segments.setdefault(point.segment, []).append((point.time, point.lon, point.lat))
    lines = [sorted(line) for line in segments.values()]
    found = []
    for time, photo_id in times:
        spots = [spot for line in lines if (spot := _between(line, time))]
        if spots:
            _, lon, lat = min(spots, key=lambda spot: spot[0])
            found.append((photo_id, Entry(where=f"the track at {time:%H:%M:%S} UTC", lon=lon, lat=lat)))
    return found


def _between(line: list[tuple[datetime, float, float]], time: datetime) -> tuple[timedelta, float, float] | None:
    """Return how far the nearest point is in time, and the position (lon, lat) on a line of points in order."""
    after = bisect_left(line, (time,))
    at_point = after < len(line) and line[after][0] == time
    if after == len(line) or (after == 0 and not at_point):
        return None
    (t0, lon0, lat0), (t1, lon1, lat1) = line[after if at_point else after - 1], line[after]
    if t1 - t0 > _TRACK_GAP:
        return None
    share = (time - t0) / (t1 - t0) if t1 > t0 else 0.0
    return min(time - t0, t1 - time), lon0 + share * (lon1 - lon0), lat0 + share * (lat1 - lat0)


def problem_of(entry: Entry, text: str) -> ImportProblem:
    """Return why an entry was not taken over."""
    return ImportProblem(where=entry.where, text=text)


def iso_time(time: Any) -> str:
    """Return a time in ISO 8601, nothing where there is none."""
    import pandas as pd

    return "" if time is None or pd.isna(time) else time.isoformat()
