"""The site: a polygon, its name, its time zone, and whether a position belongs to it."""

import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import affinity
from shapely.geometry import MultiPolygon, Point, Polygon, mapping
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points

from img2gps.errors import NotFoundError, UsageError
from img2gps.files import canonical_json, sha256_bytes
from img2gps.geo import FloatArray, LocalFrame, geodesic_m
from img2gps.text import join_words, safe_path, safe_text
from img2gps.vector import Feature, features_of_bytes, features_of_geojson

__all__ = ["Site", "SiteRelation", "load_site", "packaged_sites", "read_site", "site_from_geojson"]

SiteRelation = Literal["inside", "edge", "outside"]

# A photo from the far sidewalk is outside the outline, which runs along street centre lines: it is an
# edge photo when its distance is within what its position can be off by, and never beyond 30 m.
_EDGE_DEFAULT_M = 10.0
_EDGE_LIMIT_M = 30.0
_METRES_PER_DEGREE = 110_574.0  # of latitude at the equator, the fewest anywhere on WGS 84
_NEAR_DEG = 5.0
_ZONE_KEYS = ("timezone", "tz", "tzid", "timezoneid", "timezonename", "iana", "ianatimezone")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """A named polygon in EPSG:4326, (lon, lat) order, with the IANA time zone of its clocks.

    The only type here without slots: the frame, the hash and the bounds are computed once, on first use.
    """

    name: str
    polygon: Polygon | MultiPolygon
    time_zone: str | None = None
    title: str | None = None

    @classmethod
    def open(cls, name_or_file: str | Path) -> "Site":
        """Return a packaged site by its name, or the site of a file: see `load_site`."""
        return load_site(name_or_file)

    @cached_property
    def frame(self) -> LocalFrame:
        """Local east/north metres around the centroid, rounded so that it reads well in files."""
        centroid = self.polygon.centroid
        return LocalFrame(origin_lon=round(centroid.x, 6), origin_lat=round(centroid.y, 6))

    @cached_property
    def sha256(self) -> str:
        """A hash of what decides about photos: the polygon's normal form and the time zone."""
        ring = json.loads(shapely.to_geojson(shapely.normalize(self.polygon)))
        return sha256_bytes(canonical_json({"geometry": ring, "time_zone": self.time_zone}))

    @cached_property
    def local_polygon(self) -> Polygon | MultiPolygon:
        """The polygon in east/north metres of `frame`."""

        def project(coordinates: Any) -> Any:
            east_m, north_m = self.frame.to_local(coordinates[:, 0], coordinates[:, 1])
            coordinates[:, 0], coordinates[:, 1] = east_m, north_m
            return coordinates

        return shapely.transform(self.polygon, project)

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone as an object, or None where the site file names none."""
        return ZoneInfo(self.time_zone) if self.time_zone else None

    def covers(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.bool_]:
        """Return which positions in degrees, shape (N,), lie on the site, its boundary included; NaN lies nowhere."""
        found = shapely.intersects_xy(self.polygon, self._near(lon), np.asarray(lat, dtype=np.float64))
        return np.asarray(found, dtype=np.bool_)

    def around(self, lon: ArrayLike, lat: ArrayLike, *, margin_m: float) -> "Site":
        """Return the part of the site in the box of positions in degrees, `margin_m` larger: a site with a near frame.

        Its edges are cut into pieces of at most a hundredth of the box, so that they stay where they are in metres.
        Where nothing of the site lies in the box, the box itself is the site.
        """
        lons, lats = self._near(lon), np.asarray(lat, dtype=np.float64)
        north_deg = margin_m / _METRES_PER_DEGREE
        east_deg = north_deg / max(math.cos(math.radians(float(np.abs(lats).max()))), 1e-6)
        box = (lons.min() - east_deg, lats.min() - north_deg, lons.max() + east_deg, lats.max() + north_deg)
        found = shapely.clip_by_rect(self.polygon, *(float(side) for side in box))
        parts = [part for part in shapely.get_parts(found) if isinstance(part, Polygon) and part.area > 0]
        polygon = shapely.union_all(parts) if parts else shapely.box(*box)
        step_deg = max(box[2] - box[0], box[3] - box[1]) / 100
        return dataclasses.replace(self, polygon=shapely.segmentize(polygon, step_deg))

    def distance_m(self, lon: float, lat: float) -> float:
        """Return the metres from a position to the polygon; 0 inside or on the boundary."""
        return float(geodesic_m(self._near_one(lon), lat, *self.nearest(lon, lat)))

    def nearest(self, lon: float, lat: float) -> tuple[float, float]:
        """Return the place (lon, lat) of the polygon nearest to a position: itself inside or on the boundary."""
        point = Point(self._near_one(lon), lat)
        if self.polygon.covers(point):
            return point.x, point.y
        # Longitudes are shrunk by cos(latitude) so that the nearest boundary point is the nearest in metres.
        shrink = max(math.cos(math.radians(lat)), 1e-6)
        scaled = affinity.scale(self.polygon, xfact=shrink, yfact=1.0, origin=(0, 0))
        nearest = nearest_points(scaled, Point(point.x * shrink, lat))[0]
        return nearest.x / shrink, nearest.y

    def relation(self, lon: float, lat: float, accuracy_m: float | None = None) -> tuple[SiteRelation, float]:
        """Return how a position in degrees lies to the site, and its distance from the polygon in metres.

        ``edge`` is outside by no more than the reported accuracy (10 m where none is reported, 30 m at most).
        """
        if shapely.intersects_xy(self.polygon, self._near_one(lon), lat):  # no distance to be measured, mostly
            return "inside", 0.0
        distance_m = self.distance_m(lon, lat)
        if distance_m == 0.0:
            return "inside", 0.0
        tolerance_m = min(_EDGE_DEFAULT_M if accuracy_m is None else accuracy_m, _EDGE_LIMIT_M)
        return ("edge" if distance_m <= tolerance_m else "outside"), distance_m

    def holds_swapped(self, lon: float, lat: float) -> bool:
        """Return whether a position off the site would be on it with its two coordinates in the other order."""
        return abs(lon) <= 90 and self.relation(lon, lat)[0] == "outside" and self.relation(lat, lon)[0] != "outside"

    def to_geojson(self) -> dict[str, Any]:
        """Return the site as a GeoJSON FeatureCollection that `site_from_geojson` reads back."""
        properties = {"name": self.name, "title": self.title, "time_zone": self.time_zone}
        feature = {
            "type": "Feature",
            "properties": {key: value for key, value in properties.items() if value is not None},
            "geometry": json.loads(json.dumps(mapping(self.polygon))),
        }
        return {"type": "FeatureCollection", "features": [feature]}

    @cached_property
    def _west_east(self) -> tuple[float, float]:
        west, _, east, _ = self.polygon.bounds
        return west, east

    def _near_one(self, lon: float) -> float:
        """Return what `_near` does of a single longitude, which costs a tenth of an array of one."""
        west, east = self._west_east
        if west <= lon <= east or not math.isfinite(lon):
            return lon
        return lon + 360.0 * round(((west + east) / 2 - lon) / 360.0)

    def _near(self, lon: ArrayLike) -> FloatArray:
        """Return longitudes on the turn of the globe nearest to the polygon's middle (sites across 180 degrees)."""
        west, east = self._west_east
        lons = np.asarray(lon, dtype=np.float64)
        turns = np.round(((west + east) / 2 - lons) / 360.0)
        return np.where((west <= lons) & (lons <= east), lons, lons + 360.0 * turns)


def packaged_sites() -> list[str]:
    """Return the names of the sites that ship with the package."""
    return sorted(Path(entry.name).stem for entry in _site_folder().iterdir() if entry.name.endswith(".geojson"))


def load_site(name_or_file: str | Path) -> Site:
    """Return a packaged site by its name, or the site of a GeoJSON, KML, KMZ or GeoPackage file.

    Raises NotFoundError where neither exists, UsageError where the file is no usable polygon.
    """
    text = str(name_or_file)
    if text in packaged_sites():
        content = (_site_folder() / f"{text}.geojson").read_text(encoding="utf-8")
        return site_from_geojson(content, where=f"the packaged site {text}")
    path = Path(name_or_file)
    if not path.exists():
        names = ", ".join(packaged_sites())
        raise NotFoundError(f"No site {safe_path(path)}: give a GeoJSON file, or one of the packaged names ({names}).")
    return read_site(path)


def read_site(path: Path) -> Site:
    """Return the site of a GeoJSON, KML, KMZ or GeoPackage file; UsageError says what is wrong with it."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"Cannot read the site file {safe_path(path)}: {error.strerror}; give a polygon.") from error
    return _site_of(features_of_bytes(content, path), where=safe_path(path), default_name=path.stem)


def site_from_geojson(content: str, *, where: str, default_name: str = "site") -> Site:
    """Return the site of GeoJSON text; `where` names the source in the UsageError of a bad one."""
    return _site_of(features_of_geojson(content, where=where), where=where, default_name=default_name)


def _site_of(features: Sequence[Feature], *, where: str, default_name: str) -> Site:
    broken = next((feature for feature in features if feature.problem), None)
    if broken is not None:
        raise UsageError(f"{where} holds a polygon with {broken.problem}; export it again.")
    outlined = [(feature, polygons) for feature in features if (polygons := _polygons_in(feature.geometry))]
    if not outlined:
        raise UsageError(f"{where} holds no GeoJSON polygon; export the site's outline as Polygon or MultiPolygon.")
    properties = next((feature.properties for feature, _ in outlined if feature.properties), {})
    return Site(
        name=safe_text(str(properties.get("name") or default_name), limit=80),
        title=safe_text(str(properties["title"]), limit=120) if properties.get("title") else None,
        polygon=_checked_polygon([polygon for _, polygons in outlined for polygon in polygons], where),
        time_zone=_time_zone_of([feature.properties for feature in features], where),
    )


def _polygons_in(geometry: BaseGeometry | None) -> list[BaseGeometry]:
    if geometry is None:
        return []
    if isinstance(geometry, Polygon | MultiPolygon):
        return [geometry]
    return [part for inner in getattr(geometry, "geoms", ()) for part in _polygons_in(inner)]


def _checked_polygon(polygons: list[BaseGeometry], where: str) -> Polygon | MultiPolygon:
    for polygon in polygons:
        if not polygon.is_valid:
            reason = shapely.is_valid_reason(polygon)
            raise UsageError(
                f"{where} holds an invalid polygon ({reason}, in lon lat); "
                "redraw the outline so that no edge crosses another."
            )
        if polygon.is_empty or polygon.area == 0:
            raise UsageError(f"{where} holds a polygon without an area; draw the site's outline and export it again.")
        _check_degrees(polygon, where)
    merged = _on_one_turn(shapely.force_2d(shapely.union_all(polygons)))
    assert isinstance(merged, Polygon | MultiPolygon)
    return merged


def _check_degrees(polygon: BaseGeometry, where: str) -> None:
    west, south, east, north = polygon.bounds
    if -360 <= west <= east <= 360 and -90 <= south <= north <= 90:
        return
    if -90 <= west <= east <= 90 and -180 <= south <= north <= 180:
        raise UsageError(
            f"{where} has its axes swapped: its second coordinate reaches {south if south < -90 else north:g}, which "
            "is no latitude; write lon before lat."
        )
    raise UsageError(f"{where} is not in degrees, lon before lat; export it in EPSG:4326 (WGS 84).")


def _on_one_turn(polygon: BaseGeometry) -> BaseGeometry:
    """Return a polygon in parts on both sides of 180 degrees (RFC 7946, 3.1.9) as one that crosses that line.

    Parts are moved by a turn where less than 5 degrees lie between the outermost the short way round, and more
    between others. The middle of the whole is not beyond 180 degrees.
    """
    parts = sorted(shapely.get_parts(polygon), key=lambda part: part.bounds[0])
    gaps = [(0.0, 0)]
    reach = parts[0].bounds[2]
    for number, part in enumerate(parts[1:], start=1):
        gaps.append((part.bounds[0] - reach, number))
        reach = max(reach, part.bounds[2])
    widest, first = max(gaps)
    across = parts[0].bounds[0] + 360.0 - reach
    if across > _NEAR_DEG or widest <= across:
        return polygon
    joined = shapely.union_all([*(affinity.translate(part, xoff=360.0) for part in parts[:first]), *parts[first:]])
    west, _, east, _ = joined.bounds
    return joined if (west + east) / 2 <= 180.0 else affinity.translate(joined, xoff=-360.0)


def _time_zone_of(given: Sequence[Mapping[str, Any]], where: str) -> str | None:
    """Return the time zone that the properties of any feature name, under any usual spelling of the key."""
    named = {
        str(value).strip()
        for properties in given
        for key, value in properties.items()
        if re.sub(r"[^a-z]", "", str(key).lower()) in _ZONE_KEYS and value not in (None, "")
    }
    zones = sorted({_checked_time_zone(name, where) for name in named})
    if len(zones) > 1:
        raise UsageError(f"{where} names several time zones ({join_words(zones)}); leave one of them.")
    return zones[0] if zones else None


def _checked_time_zone(name: str, where: str) -> str:
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        alike = [zone for zone in available_timezones() if zone.casefold() == name.replace(" ", "_").casefold()]
        if len(alike) == 1:
            return alike[0]
        raise UsageError(
            f"{where} names the unknown time zone {safe_text(repr(name))}; use an IANA name such as Europe/Berlin."
        ) from error


def _site_folder() -> Any:
    return resources.files("img2gps") / "sites"
