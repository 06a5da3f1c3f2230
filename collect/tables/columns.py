"""Which column of a table holds what, under any usual spelling of its header."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["SPELLINGS", "Columns", "columns_of", "missing", "plain_name"]

SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": (
        *("source_name", "file_name", "filename", "file", "image", "image_name", "image_file", "image_path", "img"),
        *("img_name", "path", "file_path", "filepath", "name", "photo", "photo_name", "photo_path", "picture"),
        *("sourcefile", "source_file", "source", "relative_path", "relpath", "label"),
        *("datei", "dateiname", "bild", "foto", "fichier", "nom_fichier", "archivo", "imagen", "foto_name"),
    ),
    "lat": (
        *("latitude", "lat", "latitude_deg", "lat_deg", "gps_lat", "gps_latitude", "gpslatitude", "lat_dd"),
        *("decimallatitude", "decimal_latitude", "lat_wgs84", "latitude_degrees", "lat_degrees", "lat_d"),
        *("breitengrad", "breite", "latitud", "latitudine", "y"),
    ),
    "lon": (
        *("longitude", "lon", "lng", "long", "longitude_deg", "lon_deg", "gps_lon", "gps_lng", "gps_long"),
        *("gps_longitude", "gpslongitude", "lon_dd", "long_dd", "lng_dd", "decimallongitude", "decimal_longitude"),
        *("lon_wgs84", "longitude_degrees", "lon_degrees", "long_deg", "lon_d", "long_d"),
        *("l_ngengrad", "laengengrad", "l_nge", "laenge", "longitud", "longitudine", "x"),
    ),
    "easting": ("easting", "utm_easting", "utm_e", "utm_x", "easting_m", "east", "x_utm"),
    "northing": ("northing", "utm_northing", "utm_n", "utm_y", "northing_m", "north", "y_utm"),
    "zone": ("utm_zone", "zone", "utmzone", "grid_zone", "zone_number"),
    "zone_hemisphere": ("hemisphere", "utm_hemisphere", "zone_hemisphere"),
    "crs": ("epsg", "crs", "srid", "epsg_code", "srs", "coordinate_system"),
    "datum": ("datum", "gpsmapdatum", "gps_map_datum", "map_datum", "geodetic_datum"),
    "captured_at": (
        *("captured_at", "timestamp", "datetime", "date_time", "time", "taken_at", "capture_time", "created_at"),
        *("datetime_original", "datetimeoriginal"),
    ),
    "accuracy_m": (
        *("accuracy_m", "accuracy", "gps_accuracy_m", "gps_accuracy", "horizontal_accuracy", "accuracy_meters"),
        *("gpshpositioningerror", "hdop_m", "precision"),
    ),
    "heading_deg": ("heading_deg", "heading", "bearing", "yaw", "azimuth", "direction", "compass", "gpsimgdirection"),
    "device": ("device", "camera", "phone", "device_id", "model", "camera_id"),
    "photo_id": ("id", "photo_id"),
    "action": ("action",),
    "why": ("why", "comment", "note"),
    "texts": ("texts",),
}
_LAT_ENDS: Final = ("latitude", "lat", "gpslatitude", "gps_lat")
_LON_ENDS: Final = ("longitude", "lon", "lng", "long", "gpslongitude", "gps_lon", "gps_lng")
_STEMS: Final = {"lat": ("latitude", "lat"), "lon": ("longitude", "long", "lon", "lng")}
_PARTS: Final = {"min": ("minutes", "minute", "min"), "sec": ("seconds", "second", "sec")}
_PAIRS: Final = (
    *(("latitude", "longitude"), ("lat", "lon"), ("lat", "lng"), ("lat", "long"), ("gps_lat", "gps_lon")),
    *(("gps_latitude", "gps_longitude"), ("gpslatitude", "gpslongitude")),
)
_REF_ENDS: Final = ("ref", "hemisphere", "hemi", "dir", "direction", "letter")
_BARE_REFS: Final = {
    "lat": ("ns", "n_s", "north_south", "latref", "ns_hemisphere", "ns_ref"),
    "lon": ("ew", "e_w", "we", "w_e", "east_west", "lonref", "ew_hemisphere", "ew_ref", "lngref", "longref"),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """The header and where each field stands in it; several columns may hold names.

    `others` are further pairs of (latitude, longitude) under other usual names.
    """

    header: tuple[str, ...]
    at: Mapping[str, int]
    names: tuple[int, ...] = ()
    problem: str = ""
    others: tuple[tuple[int, int], ...] = ()

    @property
    def projected(self) -> bool:
        """Whether positions are in columns of a map grid."""
        return "lat" not in self.at

    def title(self, field: str) -> str:
        """Return the name of a field's column as it stands in the file."""
        return self.header[self.at[field]].strip()


def plain_name(cell: str) -> str:
    """Return a header in lower case with single underscores: ``Latitude (deg)`` is ``latitude_deg``."""
    return re.sub(r"[^a-z0-9]+", "_", cell.strip().lower()).strip("_")


def columns_of(header: Sequence[str]) -> Columns:
    """Return what the cells of a header mean; a field that no cell names is not in `at`."""
    plain = [plain_name(cell) for cell in header]
    at = {
        field: plain.index(spelling)
        for field, spellings in SPELLINGS.items()
        if field != "name" and (spelling := next((name for name in spellings if name in plain), None))
    }
    if "easting" in at and "northing" in at and not _named(plain, ("latitude", "lat"), ("longitude", "lon")):
        at.pop("lat", None)
        at.pop("lon", None)
    problem = ""
    if not {"lat", "lon"} <= at.keys() and not {"easting", "northing"} <= at.keys():
        pairs = _prefixed(plain)
        if len(pairs) > 1:
            problem = "names several positions: keep one pair of latitude and longitude"
        elif pairs:
            at |= {"lat": pairs[0][0], "lon": pairs[0][1]}
            at |= _beside(plain, pairs[0][0])
    for axis in ("lat", "lon"):
        if axis in at and (ref := _ref_of(plain, axis, plain[at[axis]])) is not None:
            at[f"{axis}_ref"] = ref
        if axis in at:
            at |= _parts_of(plain, axis)
    twice = [header[i].strip() for field in ("lat", "lon") if field in at and plain.count(plain[i := at[field]]) > 1]
    if twice:
        problem = f"has two columns {twice[0]}: keep one"
    names = sorted(
        (number for number, name in enumerate(plain) if name in SPELLINGS["name"]),
        key=lambda number: SPELLINGS["name"].index(plain[number]),
    )
    return Columns(header=tuple(header), at=at, names=tuple(names), problem=problem, others=_others(plain, at))


def _others(plain: Sequence[str], at: Mapping[str, int]) -> tuple[tuple[int, int], ...]:
    """Return the pairs that are not the one chosen; x and y beside degrees are pixels or metres.

    A pair with its error beside it (``gps_error_m``) is what a phone measured, not where the photo was taken.
    """
    pairs = [
        (plain.index(lat), plain.index(lon))
        for lat, lon in _PAIRS
        if lat in plain and lon in plain and plain.index(lat) != at.get("lat")
        if f"{lat.rpartition('_')[0]}_error_m" not in plain
    ]
    return tuple(pairs) if "lat" in at and at["lat"] < len(plain) and plain[at["lat"]] != "y" else ()


def missing(columns: Columns) -> list[str]:
    """Return which of name, lat and lon no column holds; an id stands for a name."""
    at = columns.at
    grid = {"easting", "northing"} <= at.keys()
    absent = [] if columns.names or "photo_id" in at else ["name"]
    return absent + [axis for axis in ("lat", "lon") if axis not in at and not grid]


def _named(plain: Sequence[str], *groups: tuple[str, ...]) -> bool:
    return all(any(name in plain for name in group) for group in groups)


def _prefixed(plain: Sequence[str]) -> list[tuple[int, int]]:
    """Return the pairs of columns such as ``location_latitude`` and ``location_longitude`` (Kobo, ODK)."""
    lats = {name.removesuffix(end): n for n, name in enumerate(plain) for end in _LAT_ENDS if name.endswith(f"_{end}")}
    lons = {name.removesuffix(end): n for n, name in enumerate(plain) for end in _LON_ENDS if name.endswith(f"_{end}")}
    return sorted({(lats[prefix], lons[prefix]) for prefix in lats if prefix in lons})


def _beside(plain: Sequence[str], lat_at: int) -> dict[str, int]:
    """Return the accuracy that belongs to a prefixed pair."""
    prefix = plain[lat_at].rpartition("_")[0]
    for end in ("precision", "accuracy"):
        if f"{prefix}_{end}" in plain:
            return {"accuracy_m": plain.index(f"{prefix}_{end}")}
    return {}


def _parts_of(plain: Sequence[str], axis: str) -> dict[str, int]:
    """Return the columns of an axis's minutes and seconds. Beside a greatest latitude, the least is no minutes."""
    stems = _STEMS[axis]
    if any(f"{stem}_max" in plain for stem in stems):
        return {}
    return {
        f"{axis}_{part}": plain.index(name)
        for part, endings in _PARTS.items()
        for name in [
            *(f"{stem}{link}{end}" for stem in stems for link in ("_", "") for end in endings),
            *(f"{stem}_{part[0]}" for stem in stems if f"{stem}_d" in plain),  # lat_d, lat_m, lat_s
        ]
        if name in plain
    }


def _ref_of(plain: Sequence[str], axis: str, name: str) -> int | None:
    """Return the column of an axis's hemisphere letter, by its name."""
    stems = {name, name.removesuffix("_deg"), *(_LAT_ENDS if axis == "lat" else _LON_ENDS)}
    known = {f"{stem}{link}{end}" for stem in stems for link in ("_", "") for end in _REF_ENDS} | {*_BARE_REFS[axis]}
    return next((number for number, cell in enumerate(plain) if cell in known), None)
