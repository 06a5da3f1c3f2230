"""The site: a polygon, its name, its time zone, and whether a position belongs to it."""

import dataclasses
import json
import math
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import affinity
from shapely.geometry import MultiPolygon, Point, Polygon, mapping, shape
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points

from img2gps.errors import NotFoundError, UsageError
from img2gps.files import canonical_json, sha256_bytes
from img2gps.geo import FloatArray, LocalFrame, geodesic_m
from img2gps.text import safe_path, safe_text

__all__ = ["Site", "SiteRelation", "load_site", "packaged_sites", "read_site", "site_from_geojson"]

SiteRelation = Literal["inside", "edge", "outside"]

# A photo from the far sidewalk is outside the outline, which runs along street centre lines: it is an
# edge photo when its distance is within what its position can be off by, and never beyond 30 m.
_EDGE_DEFAULT_M = 10.0
_EDGE_LIMIT_M = 30.0
_METRES_PER_DEGREE = 110_574.0  # of latitude at the equator, the fewest anywhere on WGS 84
_NEAR_DEG = 5.0
_DEGREES = ("CRS84", "OGC:1.3:CRS84", "EPSG::4326", "EPSG:4326")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Site:
    """A named polygon in EPSG:4326, (lon, lat) order, with the IANA time zone of its clocks.

    The only type here without slots: the frame and the hash are computed once, on first use.
    """

    name: str
    polygon: Polygon | MultiPolygon
    time_zone: str | None = None
    title: str | None = None

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
        point = Point(float(self._near(lon)), lat)
        if self.polygon.covers(point):
            return 0.0
        # Longitudes are shrunk by cos(latitude) so that the nearest boundary point is the nearest in metres.
        shrink = max(math.cos(math.radians(lat)), 1e-6)
        scaled = affinity.scale(self.polygon, xfact=shrink, yfact=1.0, origin=(0, 0))
        nearest = nearest_points(scaled, Point(point.x * shrink, lat))[0]
        return float(geodesic_m(point.x, lat, nearest.x / shrink, nearest.y))

    def relation(self, lon: float, lat: float, accuracy_m: float | None = None) -> tuple[SiteRelation, float]:
        """Return how a position in degrees lies to the site, and its distance from the polygon in metres.

        ``edge`` is outside by no more than the reported accuracy (10 m where none is reported, 30 m at most).
        """
        distance_m = self.distance_m(lon, lat)
        if distance_m == 0.0:
            return "inside", 0.0
        tolerance_m = min(_EDGE_DEFAULT_M if accuracy_m is None else accuracy_m, _EDGE_LIMIT_M)
        return ("edge" if distance_m <= tolerance_m else "outside"), distance_m

    def to_geojson(self) -> dict[str, Any]:
        """Return the site as a GeoJSON FeatureCollection that `site_from_geojson` reads back."""
        properties = {"name": self.name, "title": self.title, "time_zone": self.time_zone}
        feature = {
            "type": "Feature",
            "properties": {key: value for key, value in properties.items() if value is not None},
            "geometry": json.loads(json.dumps(mapping(self.polygon))),
        }
        return {"type": "FeatureCollection", "features": [feature]}

    def _near(self, lon: ArrayLike) -> FloatArray:
        """Return longitudes on the turn of the globe nearest to the polygon's middle (sites across 180 degrees)."""
        west, _, east, _ = self.polygon.bounds
        lons = np.asarray(lon, dtype=np.float64)
        turns = np.round(((west + east) / 2 - lons) / 360.0)
        return np.where((west <= lons) & (lons <= east), lons, lons + 360.0 * turns)


def packaged_sites() -> list[str]:
    """Return the names of the sites that ship with the package."""
    return sorted(Path(entry.name).stem for entry in _site_folder().iterdir() if entry.name.endswith(".geojson"))


def load_site(name_or_file: str | Path) -> Site:
    """Return a packaged site by its name, or the site of a GeoJSON file.

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
    """Return the site of a GeoJSON file; UsageError says what is wrong with it."""
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else error.strerror
        raise UsageError(f"Cannot read the site file {safe_path(path)}: {reason}; give a GeoJSON polygon.") from error
    return site_from_geojson(content, where=safe_path(path), default_name=path.stem)


def site_from_geojson(content: str, *, where: str, default_name: str = "site") -> Site:
    """Return the site of GeoJSON text; `where` names the source in the UsageError of a bad one."""
    try:
        document = json.loads(content)
        features = _polygon_features(document)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where} is not GeoJSON ({error}); export the outline as a GeoJSON polygon.") from error
    if not features:
        raise UsageError(f"{where} holds no GeoJSON polygon; export the site's outline as Polygon or MultiPolygon.")
    _check_degrees(document, where)
    given = [entry["properties"] for entry in features if isinstance(entry.get("properties"), dict)]
    properties: dict[str, Any] = given[0] if given else {}
    polygon = _checked_polygon([entry["geometry"] for entry in features], where)
    return Site(
        name=safe_text(str(properties.get("name") or default_name), limit=80),
        title=safe_text(str(properties["title"]), limit=120) if properties.get("title") else None,
        polygon=polygon,
        time_zone=_checked_time_zone(properties.get("time_zone"), where),
    )


def _polygon_features(document: object) -> list[dict[str, Any]]:
    """Return the features with a polygon, whatever GeoJSON object holds them."""
    if not isinstance(document, dict):
        return []
    if document.get("type") in ("Polygon", "MultiPolygon"):
        return [{"geometry": document}]
    if document.get("type") == "Feature":
        return _polygon_features(document.get("geometry")) and [document]
    features = document.get("features")
    return [entry for item in features for entry in _polygon_features(item)] if isinstance(features, list) else []


def _checked_polygon(geometries: list[dict[str, Any]], where: str) -> Polygon | MultiPolygon:
    try:
        polygons = [shape(geometry) for geometry in geometries]
    except Exception as error:
        raise UsageError(f"{where} holds a polygon with malformed coordinates ({error}); export it again.") from error
    for polygon in polygons:
        if not polygon.is_valid:
            reason = shapely.is_valid_reason(polygon)
            raise UsageError(
                f"{where} holds an invalid polygon ({reason}, in lon lat); "
                "redraw the outline so that no edge crosses another."
            )
        if polygon.is_empty or polygon.area == 0:
            raise UsageError(f"{where} holds a polygon without an area; draw the site's outline and export it again.")
        west, south, east, north = polygon.bounds
        if not (-360 <= west <= east <= 360 and -90 <= south <= north <= 90):
            raise UsageError(f"{where} is not in degrees, lon before lat; export it in EPSG:4326 (WGS 84).")
    merged = _on_one_turn(shapely.force_2d(shapely.union_all(polygons)))
    assert isinstance(merged, Polygon | MultiPolygon)
    return merged


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


def _check_degrees(document: dict[str, Any], where: str) -> None:
    """Raise UsageError where the file declares coordinates that are not WGS 84 (``crs``, GeoJSON before RFC 7946)."""
    crs = document.get("crs")
    given = crs.get("properties") if isinstance(crs, dict) else None
    name = str(given.get("name") or "") if isinstance(given, dict) else ""
    if crs is not None and not name.upper().endswith(_DEGREES):
        raise UsageError(
            f"{where} declares the coordinates {safe_text(name or repr(crs), limit=80)!r}; "
            "export it in EPSG:4326 (WGS 84)."
        )


def _checked_time_zone(name: object, where: str) -> str | None:
    if name is None:
        return None
    try:
        return ZoneInfo(str(name)).key
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise UsageError(
            f"{where} names the unknown time zone {safe_text(repr(name))}; use an IANA name such as Europe/Berlin."
        ) from error


def _site_folder() -> Any:
    return resources.files("img2gps") / "sites"
