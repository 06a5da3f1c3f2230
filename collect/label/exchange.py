"""Corrections from elsewhere into a dataset, and a dataset's corrections out: QGIS, a surveyed list, a GNSS track."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, get_args

from collect.label.actions import Label, too_long
from collect.label.entries import Entry, read_entries, write_entries
from collect.label.matching import ImportProblem, iso_time, match_entries, problem_of
from collect.label.store import LabelStore, position_complaint
from img2gps.corrections import Action
from img2gps.errors import UsageError
from img2gps.geo import geodesic_m
from img2gps.site import Site
from img2gps.text import safe_path, safe_text

__all__ = ["ImportProblem", "ImportReport", "export_corrections", "import_corrections"]

_SAME_M: Final = 0.05


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportReport:
    """What became of a file's entries, one by one; `conflicts` differ from what the dataset (or the file) says."""

    found: int
    applied: int
    unchanged: int
    conflicts: tuple[ImportProblem, ...]
    unmatched: tuple[ImportProblem, ...]
    unusable: tuple[ImportProblem, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(slots=True, kw_only=True)
class _Sorting:
    """The piles that entries are sorted into while a file is read."""

    wanted: dict[str, tuple[Entry, Label]] = dataclasses.field(default_factory=dict)
    unchanged: int = 0
    conflicts: list[ImportProblem] = dataclasses.field(default_factory=list)
    unmatched: list[ImportProblem] = dataclasses.field(default_factory=list)
    unusable: list[ImportProblem] = dataclasses.field(default_factory=list)


def import_corrections(store: LabelStore, path: Path, *, replace: bool = False) -> ImportReport:
    """Take corrections over from a CSV, GeoJSON or GPX file, in one action that one undo takes back.

    Entries find their photo by id, by source name, and in GPX files also by time. An entry that differs from a
    correction the dataset has already is a conflict and left alone, unless `replace`. Raises UsageError or
    NotFoundError for the file, DatasetLockedError where another process is writing.
    """
    photos = store.refresh().frame
    entries = read_entries(path)
    matched, unmatched = match_entries(entries, photos)
    piles = _Sorting(unmatched=unmatched)
    rows = {row["id"]: row for row in photos.to_dict("records")}
    current = store.labels()
    twice = _ambiguous(matched, rows, store.site)
    for photo_id, entry in matched:
        _sort(
            piles,
            entry,
            rows[photo_id],
            current.get(photo_id, Label()),
            store.site,
            replace=replace,
            twice=photo_id in twice,
        )
    afters = {photo_id: after for photo_id, (_, after) in piles.wanted.items()}
    fallback = f"imported from {safe_text(path.name, limit=80)}"
    why = {photo_id: entry.why if entry.why.strip() else fallback for photo_id, (entry, _) in piles.wanted.items()}
    overtaken = store.apply_import(afters, why, replace=replace)
    piles.conflicts += [problem_of(piles.wanted[photo_id][0], "it was corrected just now") for photo_id in overtaken]
    return ImportReport(
        found=len(matched) + len(unmatched),
        applied=len(afters) - len(overtaken),
        unchanged=piles.unchanged,
        conflicts=tuple(piles.conflicts),
        unmatched=tuple(piles.unmatched),
        unusable=tuple(piles.unusable),
    )


def export_corrections(store: LabelStore, path: Path) -> int:
    """Write every photo with a correction to a CSV, GeoJSON or GPX file and return how many there are.

    Raises UsageError for a file in the dataset's own folder, whose files this must never replace.
    """
    if path.resolve().is_relative_to(store.dataset.root.resolve()):
        raise UsageError(f"{safe_path(path)} lies in the dataset itself: name a file outside its folder.")
    frame, labels = store.refresh().frame, store.labels()
    rows = []
    for row in frame.to_dict("records"):
        label = labels.get(row["id"])
        if label is None or not label.state:
            continue
        rows.append(
            {
                "id": row["id"],
                "source_name": row["source_name"],
                "captured_at": iso_time(row["captured_at"]),
                "action": label.state,
                **{name: float(row[name]) for name in ("lon", "lat", "ingest_lon", "ingest_lat")},
                "heading_deg": label.heading_deg,
                "moved_m": round(float(row["moved_m"]), 2),
                **{name: getattr(label, name) for name in ("at", "by", "why")},
            }
        )
    write_entries(path, rows)
    return len(rows)


def _sort(
    piles: _Sorting, entry: Entry, row: dict[Any, Any], label: Label, site: Site, *, replace: bool, twice: bool
) -> None:
    """Put one matched entry on its pile."""
    complaint = _complaint(entry, site)
    if complaint:
        piles.unusable.append(problem_of(entry, complaint))
        return
    after = _label_of(entry, row)
    if _agree(after, label, row) or (row["id"] in piles.wanted and not twice):
        piles.unchanged += 1  # so it stands, or so an earlier row of the file has it
    elif twice:
        piles.conflicts.append(problem_of(entry, "the file names this photo more than once"))
    elif label.state and not replace:
        lon, lat = _stands(label, row)
        apart_m = float(geodesic_m(lon, lat, *_stands(after, row)))
        text = f"{safe_text(label.by) or 'somebody'} has it as {label.state}, {apart_m:.1f} m from there"
        piles.conflicts.append(problem_of(entry, text))
    else:
        piles.wanted[row["id"]] = (entry, after)


def _ambiguous(matched: list[tuple[str, Entry]], rows: Mapping[str, dict[Any, Any]], site: Site) -> set[str]:
    """Return the photos that a file names more than once and not alike."""
    first: dict[str, Label] = {}
    found = set()
    for photo_id, entry in matched:
        if not _complaint(entry, site):
            label = _label_of(entry, rows[photo_id])
            if not _alike(label, first.setdefault(photo_id, label), rows[photo_id]):
                found.add(photo_id)
    return found


def _complaint(entry: Entry, site: Site) -> str:
    if entry.complaint:
        return entry.complaint
    if complaint := too_long(entry.why):
        return complaint
    if entry.action not in get_args(Action) or entry.action == "reset":
        return f"its action is {safe_text(entry.action, limit=40)!r}, not move, unsure, exclude or confirm"
    if (entry.lon is None) != (entry.lat is None):
        return "it has only one of lon and lat"
    if entry.lon is None and entry.heading_deg is None and entry.action == "move":
        return "it holds neither a position nor a heading"
    return position_complaint(site, entry.lon, entry.lat)


def _label_of(entry: Entry, row: dict[Any, Any]) -> Label:
    """Return the label that an entry asks for; a position that is the ingested one is none of its own."""
    heading = None if entry.heading_deg is None else entry.heading_deg % 360.0
    if entry.lon is None or entry.lat is None:
        return Label(state=entry.action, heading_deg=heading)
    away_m = float(geodesic_m(entry.lon, entry.lat, row["ingest_lon"], row["ingest_lat"]))
    if away_m <= _SAME_M and (entry.action != "move" or heading is not None):
        return Label(state=entry.action, heading_deg=heading)
    return Label(state=entry.action, lon=entry.lon, lat=entry.lat, heading_deg=heading)


def _agree(after: Label, label: Label, row: dict[Any, Any]) -> bool:
    """Return whether a label has already what an entry asks for; an entry without a heading asks for none."""
    return _alike(after, label, row) or (
        after.heading_deg is None and _alike(after, dataclasses.replace(label, heading_deg=None), row)
    )


def _alike(one: Label, other: Label, row: dict[Any, Any]) -> bool:
    close = float(geodesic_m(*_stands(one, row), *_stands(other, row))) <= _SAME_M
    return close and one.state == other.state and one.heading_deg == other.heading_deg


def _stands(label: Label, row: dict[Any, Any]) -> tuple[float, float]:
    if label.lon is None or label.lat is None:
        return row["ingest_lon"], row["ingest_lat"]
    return label.lon, label.lat
