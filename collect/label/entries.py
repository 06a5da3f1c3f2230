"""Corrections in files of other programs: CSV, GeoJSON and GPX, read as entries and written from them."""

import dataclasses
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

from shapely.geometry import MultiPoint, Point

from collect.tables.angles import number
from collect.tables.columns import SPELLINGS, plain_name
from collect.tables.names import has_photo_suffix
from collect.tables.reader import read_table
from img2gps.corrections import Action
from img2gps.errors import NotFoundError, UsageError
from img2gps.files import write_atomic, write_csv, write_json
from img2gps.text import escape_text, safe_path, safe_text, unescape_text
from img2gps.vector import Feature, features_of_bytes
from img2gps.xml import children, parse_xml, text_in

__all__ = ["FORMATS", "READ_FORMATS", "Entry", "read_entries", "write_entries"]

FORMATS: Final = (".csv", ".geojson", ".json", ".gpx")
READ_FORMATS: Final = (*FORMATS, ".tsv", ".txt", ".kml", ".kmz", ".gpkg")
_MOST_BYTES: Final = 64 << 20
_NOTE: Final = re.compile(r"\b(id|heading_deg|texts)=(\S+)")

_COLUMNS: Final = (
    *("id", "source_name", "captured_at", "action", "lon", "lat", "heading_deg"),
    *("ingest_lon", "ingest_lat", "moved_m", "at", "by", "why", "texts"),
)
_ESCAPED: Final = "escaped"
"""What the column `texts` of an export says: names and reasons went through `img2gps.text.escape_text`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One correction of a file: `where` names its row; the photo is known by id, by name or by its time (UTC).

    `names` are its name as each likely encoding reads it. Points of a GPX track carry the number of their `segment`,
    and are in order there. `complaint` says what is wrong with the row itself, "" where it can be read.
    """

    where: str
    photo_id: str = ""
    names: tuple[str, ...] = ()
    time: datetime | None = None
    lon: float | None = None
    lat: float | None = None
    heading_deg: float | None = None
    action: str = "move"
    why: str = ""
    segment: int | None = None
    complaint: str = ""


def read_entries(path: Path) -> list[Entry]:
    """Return the entries of a file, by its suffix (see `READ_FORMATS`), in order.

    Photos between two points of one segment of a GPX track lie between their positions. A row that makes no sense has
    a `complaint`. Raises NotFoundError or UsageError where the file as a whole is none of these.
    """
    if not path.is_file():
        raise NotFoundError(f"No file {safe_path(path)}: give a CSV, GeoJSON or GPX file of corrections.")
    if path.stat().st_size > _MOST_BYTES:
        raise UsageError(f"{safe_path(path)} is larger than {_MOST_BYTES >> 20} MiB: that is no list of corrections.")
    suffix = _suffix(path, READ_FORMATS)
    if suffix in (".csv", ".tsv", ".txt"):
        return _read_table(path)
    content = path.read_bytes()
    if suffix == ".gpx":
        return _read_gpx(content, safe_path(path))
    features = features_of_bytes(content, path)
    if not features:
        raise UsageError(
            f"{safe_path(path)} is no FeatureCollection with points: export the corrected points as GeoJSON."
        )
    return [_feature(feature) for feature in features]


def write_entries(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write corrections (the keys of `_COLUMNS`; positions in degrees) in the format of the suffix, in one step."""
    suffix = _suffix(path, FORMATS)
    rows = [{key: _safe(value) for key, value in row.items()} | {"texts": _ESCAPED} for row in rows]
    if suffix == ".csv":
        write_csv(path, _COLUMNS, rows)
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


def _suffix(path: Path, formats: tuple[str, ...]) -> str:
    suffix = path.suffix.lower()
    if suffix not in formats:
        raise UsageError(f"{safe_path(path)} is none of {', '.join(formats)}: name the file by its format.")
    return suffix


def _read_table(path: Path) -> list[Entry]:
    table = read_table(path, option="--import")
    return [
        Entry(
            where=f"{table.where}, row {row.row}",
            photo_id=row.photo_id.lower(),
            names=tuple(_text(name, row.texts) for name in row.names),
            lon=row.lon,
            lat=row.lat,
            heading_deg=row.heading_deg,
            action=row.action.lower() or "move",
            why=_text(row.why, row.texts),
            complaint=row.complaint or _unread_heading(row.unread),
        )
        for row in table.rows
    ]


def _unread_heading(unread: tuple[str, ...]) -> str:
    return "its heading is no number" if "heading_deg" in unread else ""


def _feature(feature: Feature) -> Entry:
    """Return the entry of a feature; one that is no point has a complaint."""
    values = {plain_name(str(key)): value for key, value in feature.properties.items() if value not in (None, "")}
    point = feature.geometry
    if isinstance(point, MultiPoint) and len(point.geoms) == 1:  # as QGIS writes the points of some layers
        point = point.geoms[0]
    entry = _entry({"id": feature.id, **values}, feature.where)
    if feature.problem:
        return dataclasses.replace(entry, complaint=f"it has {feature.problem}")
    if not isinstance(point, Point) or point.is_empty:
        return dataclasses.replace(entry, complaint="it is no point: corrections are points, one per photo")
    return dataclasses.replace(entry, lon=float(point.x), lat=float(point.y))


def _read_gpx(content: bytes, where: str) -> list[Entry]:
    root = parse_xml(content, where=where, kind="GPX")
    listed = [(point, None) for point in children(root, "wpt")]
    segments = [segment for track in children(root, "trk") for segment in children(track, "trkseg")]
    listed += [(point, n) for n, segment in enumerate(segments) for point in children(segment, "trkpt")]  # type: ignore[misc]
    return [_point(point, where, number, segment) for number, (point, segment) in enumerate(listed, start=1)]


def _point(point: Any, where: str, count: int, segment: int | None) -> Entry:
    """Return the entry of a GPX point. What GPX has no place for stands in the comment (see `_gpx`)."""
    notes = dict(_NOTE.findall(text_in(point, "cmt")))
    action = text_in(point, "type").lower()  # other programs put categories of their own here
    values = {"id": notes.get("id"), "heading": notes.get("heading_deg"), "name": text_in(point, "name")}
    values |= {
        "action": action if action in get_args(Action) else None,
        "why": text_in(point, "desc"),
        "texts": notes.get("texts"),
    }
    entry = _entry(values, f"{where}, {'waypoint' if segment is None else 'track point'} {count}")
    lon, lat = (number(point.get(axis) or "") for axis in ("lon", "lat"))
    if not (abs(lon) <= 360 and abs(lat) <= 90):
        return dataclasses.replace(entry, segment=segment, complaint="its lat and lon are no degrees")
    return dataclasses.replace(entry, lon=lon, lat=lat, time=_moment(text_in(point, "time")), segment=segment)


def _entry(row: Mapping[str, Any], where: str) -> Entry:
    """Return an entry without its position from values under any usual spelling of their names."""

    def value(field: str) -> str:
        return next((str(row[name]).strip() for name in SPELLINGS[field] if row.get(name) not in (None, "")), "")

    names = [str(row[name]).strip() for name in SPELLINGS["name"] if row.get(name) not in (None, "")]
    name = next((name for name in names if has_photo_suffix(name)), names[0] if names else "")
    heading = value("heading_deg")
    heading_deg = number(heading) if heading else None
    bad = heading_deg is not None and not abs(heading_deg) < 1e6  # NaN, too
    return Entry(
        where=where,
        photo_id=value("photo_id").lower(),
        names=(_text(name, row.get("texts")),) if name else (),
        heading_deg=None if bad else heading_deg,
        action=value("action").lower() or "move",
        why=_text(value("why"), row.get("texts")),
        complaint=f"it holds {safe_text(repr(heading), limit=40)} where a number should be" if bad else "",
    )


def _moment(text: str) -> datetime | None:
    try:
        return _utc(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None


def _utc(time: datetime) -> datetime:
    return time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)


def _safe(value: Any) -> Any:
    return escape_text(value) if isinstance(value, str) else value


def _text(text: str, form: Any) -> str:
    """Return a text of a file: as it stands, unless the file says that it was escaped by `write_entries`."""
    return unescape_text(text) if form == _ESCAPED else text


def _gpx(rows: list[dict[str, Any]]) -> str:
    import gpxpy.gpx

    document = gpxpy.gpx.GPX()
    document.creator = "img2gps"
    for row in rows:
        point = gpxpy.gpx.GPXWaypoint(latitude=row["lat"], longitude=row["lon"], name=row["source_name"])
        point.time = datetime.fromisoformat(row["captured_at"]) if row["captured_at"] else None
        # GPX has a place for the kind of a point, none for an id or a heading
        heading = "" if row["heading_deg"] is None else f" heading_deg={row['heading_deg']!r}"
        point.type, point.comment = row["action"], f"id={row['id']} texts={row['texts']}{heading}"
        point.description = row["why"]
        document.waypoints.append(point)
    return str(document.to_xml())
