"""Corrections in files of other programs: CSV, GeoJSON and GPX, read as entries and written from them."""

import csv
import dataclasses
import io
import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

from img2gps.corrections import Action
from img2gps.errors import NotFoundError, UsageError
from img2gps.files import write_atomic, write_csv, write_json
from img2gps.text import safe_path, safe_text

__all__ = ["FORMATS", "Entry", "read_entries", "write_entries"]

FORMATS: Final = (".csv", ".geojson", ".json", ".gpx")
_MOST_BYTES: Final = 64 << 20
_NOTE: Final = re.compile(r"\b(id|heading_deg)=(\S+)")

# The names that QGIS, spreadsheets and other tools give to the same thing.
_ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "photo_id": ("id", "photo_id"),
    "name": ("source_name", "file_name", "filename", "file", "name"),
    "lon": ("lon", "longitude", "lng", "x"),
    "lat": ("lat", "latitude", "y"),
    "heading_deg": ("heading_deg", "heading"),
    "action": ("action",),
    "why": ("why", "comment", "note"),
}
_COLUMNS: Final = (
    *("id", "source_name", "captured_at", "action", "lon", "lat", "heading_deg"),
    *("ingest_lon", "ingest_lat", "moved_m", "at", "by", "why"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One correction of a file: `where` names its row; the photo is known by id, by name or by its time (UTC).

    `complaint` says what is wrong with the row itself, "" where it can be read.
    """

    where: str
    photo_id: str = ""
    name: str = ""
    time: datetime | None = None
    lon: float | None = None
    lat: float | None = None
    heading_deg: float | None = None
    action: str = "move"
    why: str = ""
    on_track: bool = False
    complaint: str = ""


def read_entries(path: Path) -> list[Entry]:
    """Return the entries of a file, by its suffix (see `FORMATS`), in order.

    Points of a GPX track are marked `on_track`: photos between two of them lie between their positions. A row that
    makes no sense has a `complaint`. Raises NotFoundError or UsageError where the file as a whole is none of these.
    """
    if not path.is_file():
        raise NotFoundError(f"No file {safe_path(path)}: give a CSV, GeoJSON or GPX file of corrections.")
    if path.stat().st_size > _MOST_BYTES:
        raise UsageError(f"{safe_path(path)} is larger than {_MOST_BYTES >> 20} MiB: that is no list of corrections.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{safe_path(path)} is not UTF-8 text: export it again as UTF-8.") from error
    suffix = _suffix(path)
    if suffix == ".csv":
        return _read_csv(text, safe_path(path))
    return _read_gpx(text, safe_path(path)) if suffix == ".gpx" else _read_geojson(text, safe_path(path))


def write_entries(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write corrections (the keys of `_COLUMNS`; positions in degrees) in the format of the suffix, in one step."""
    suffix = _suffix(path)
    if suffix == ".csv":
        write_csv(path, _COLUMNS, [{key: _cell(row[key]) for key in _COLUMNS} for row in rows])
    elif suffix == ".gpx":
        write_atomic(path, _gpx(rows).encode())
    else:
        features = [
            {
                "type": "Feature",
                "properties": {key: row[key] for key in _COLUMNS if key not in ("lon", "lat")},
                "geometry": {"type": "Point", "coordinates": [row["lon"], row["lat"]]},
            }
            for row in rows
        ]
        write_json(path, {"type": "FeatureCollection", "features": features})


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{safe_path(path)} is none of {', '.join(FORMATS)}: name the file by its format.")
    return suffix


def _read_csv(text: str, where: str) -> list[Entry]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        names = [name.strip().lower() for name in reader.fieldnames or ()]
        reader.fieldnames = names
        rows = list(reader)
    except csv.Error as error:
        raise UsageError(f"{where} is not a CSV file ({error}): export it again.") from error
    for needed in ("lon", "lat"):
        if not set(names) & set(_ALIASES[needed]):
            raise UsageError(f"{where} has no column {needed} ({', '.join(_ALIASES[needed])}): add it.")
    if not set(names) & {*_ALIASES["photo_id"], *_ALIASES["name"]}:
        raise UsageError(f"{where} has neither a column id nor source_name: nothing says which photo a row is about.")
    return [_entry(row, f"{where}, row {number}") for number, row in enumerate(rows, start=2)]


def _read_geojson(text: str, where: str) -> list[Entry]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not GeoJSON: export the corrected points again.") from error
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise UsageError(f"{where} is no FeatureCollection: export the corrected points as GeoJSON.")
    return [_feature(feature, f"{where}, feature {number}") for number, feature in enumerate(features, start=1)]


def _feature(feature: Any, where: str) -> Entry:
    """Return the entry of a GeoJSON feature; one that is no point has a complaint."""
    outer = feature if isinstance(feature, dict) else {}
    given = outer.get("properties")
    properties = {str(key).lower(): value for key, value in given.items()} if isinstance(given, dict) else {}
    geometry = outer.get("geometry")
    spot = geometry.get("coordinates") if isinstance(geometry, dict) and geometry.get("type") == "Point" else None
    if not isinstance(spot, list) or len(spot) < 2:
        entry = _entry({"id": outer.get("id", ""), **properties, "lon": None, "lat": None}, where)
        return dataclasses.replace(entry, complaint="it is no point: corrections are points, one per photo")
    return _entry({"id": outer.get("id", ""), **properties, "lon": spot[0], "lat": spot[1]}, where)


def _read_gpx(text: str, where: str) -> list[Entry]:
    import gpxpy
    import gpxpy.gpx

    if "<!DOCTYPE" in text or "<!ENTITY" in text:  # an entity can expand to gigabytes, and GPX needs none
        raise UsageError(f"{where} declares a document type, which no GPX file needs: export it again.")
    try:
        document = gpxpy.parse(text)
    except (gpxpy.gpx.GPXException, ValueError) as error:
        raise UsageError(f"{where} is not GPX ({safe_text(str(error), limit=120)}): export it again.") from error
    listed: list[tuple[gpxpy.gpx.GPXWaypoint | gpxpy.gpx.GPXTrackPoint, bool]] = [
        (point, False) for point in document.waypoints
    ]
    listed += [(point, True) for track in document.tracks for segment in track.segments for point in segment.points]
    return [_point(point, where, number, on_track=on_track) for number, (point, on_track) in enumerate(listed, start=1)]


def _point(point: Any, where: str, number: int, *, on_track: bool) -> Entry:
    """Return the entry of a GPX point. What GPX has no place for stands in the comment (see `_gpx`)."""
    notes = dict(_NOTE.findall(point.comment or ""))
    action = str(point.type or "").lower()  # other programs put categories of their own here
    row = {"id": notes.get("id"), "heading": notes.get("heading_deg"), "lon": point.longitude, "lat": point.latitude}
    row |= {"action": action if action in get_args(Action) else None}
    entry = _entry(row, f"{where}, {'track point' if on_track else 'waypoint'} {number}")
    return dataclasses.replace(
        entry, name=point.name or "", why=point.description or "", time=_utc(point.time), on_track=on_track
    )


def _entry(row: Mapping[str, Any], where: str) -> Entry:
    values = {
        field: next((row[name] for name in names if row.get(name) not in (None, "")), "")
        for field, names in _ALIASES.items()
    }
    numbers = {name: _number(values[name]) for name in ("lon", "lat", "heading_deg")}
    bad = next((name for name, number in numbers.items() if number is not None and not math.isfinite(number)), None)
    return Entry(
        where=where,
        photo_id=str(values["photo_id"]).strip().lower(),
        name=str(values["name"]).strip(),
        action=str(values["action"]).strip().lower() or "move",
        why=str(values["why"]),
        complaint=f"it holds {safe_text(repr(values[bad]), limit=40)} where a number should be" if bad else "",
        **(dict.fromkeys(numbers) if bad else numbers),
    )


def _number(value: Any) -> float | None:
    """Return a number, None for an empty cell, NaN for what is none."""
    if value in (None, ""):
        return None
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _cell(value: Any) -> Any:
    return "" if value is None else safe_text(value) if isinstance(value, str) else value


def _gpx(rows: list[dict[str, Any]]) -> str:
    import gpxpy.gpx

    document = gpxpy.gpx.GPX()
    document.creator = "img2gps"
    for row in rows:
        point = gpxpy.gpx.GPXWaypoint(latitude=row["lat"], longitude=row["lon"], name=safe_text(row["source_name"]))
        point.time = datetime.fromisoformat(row["captured_at"]) if row["captured_at"] else None
        # GPX has a place for the kind of a point, none for an id or a heading
        heading = "" if row["heading_deg"] is None else f" heading_deg={row['heading_deg']!r}"
        point.type, point.comment = row["action"], f"id={row['id']}{heading}"
        point.description = safe_text(row["why"])
        document.waypoints.append(point)
    return str(document.to_xml())
