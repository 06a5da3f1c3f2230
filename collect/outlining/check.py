"""What is in a site's file, feature by feature, and what keeps it from being a site."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import shapely
from shapely.geometry import MultiPolygon, Polygon
from shapely.geometry.base import BaseGeometry

from img2gps.drafts import replace_file
from img2gps.errors import NotFoundError, UsageError
from img2gps.site import Site, load_site, packaged_sites
from img2gps.site_file import site_bytes
from img2gps.text import format_count, safe_path, safe_text
from img2gps.time_zone import ZONES_EXTRA, zone_at
from img2gps.vector import Feature, features_of_bytes

__all__ = ["SiteCheck", "SitePart", "check_site", "mend_site"]

_LEAST_M2: Final = 400.0
_MOST_M2: Final = 25e6
_SLIVER: Final = 0.01
_MANY_CORNERS: Final = 5000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SitePart:
    """One feature of a file: what it is, and what is wrong with it ("" where it is fine)."""

    where: str
    kind: str
    corners: int
    problem: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SiteCheck:
    """What a file is. `problem` is why `--site` would refuse it, "" where it takes it; `remarks` are worth a look.

    `zone_found` is the time zone of its middle by the map of zones, None where that is not installed or there is none.
    """

    source: str
    site: Site | None
    problem: str
    parts: tuple[SitePart, ...]
    remarks: tuple[str, ...]
    zone_found: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``site check --json``."""
        facts: dict[str, Any] = {}
        if self.site is not None:
            polygon, local = self.site.polygon, self.site.local_polygon
            west, south, east, north = local.bounds
            polygons = _polygons(polygon)
            facts = {
                "name": self.site.name,
                "time_zone": self.site.time_zone,
                "polygons": len(polygons),
                "holes": sum(len(one.interiors) for one in polygons),
                "corners": int(shapely.get_num_coordinates(polygon)),
                "area_m2": round(float(local.area), 1),
                "width_m": round(east - west, 1),
                "height_m": round(north - south, 1),
                "bounds": list(polygon.bounds),
            }
        return {
            "source": self.source,
            "ok": not self.problem,
            "problem": self.problem or None,
            **facts,
            "zone_found": self.zone_found,
            "features": [dataclasses.asdict(part) for part in self.parts],
            "remarks": list(self.remarks),
        }


def check_site(name_or_file: str | Path) -> SiteCheck:
    """Return what a packaged site or a file (GeoJSON, KML, KMZ, GeoPackage) is, and why it is no site where it is none.

    Raises NotFoundError where there is neither.
    """
    source = safe_path(name_or_file)
    features: list[Feature] = []
    problem, site = "", None
    try:
        if str(name_or_file) not in packaged_sites() and Path(name_or_file).is_file():
            features = features_of_bytes(Path(name_or_file).read_bytes(), Path(name_or_file))
        site = load_site(name_or_file)
    except NotFoundError:
        raise
    except UsageError as error:
        problem = str(error)
    parts = tuple(_part(feature) for feature in features)
    zone = zone_at(site.polygon.centroid.x, site.polygon.centroid.y) if site else None
    remarks = _remarks(site, parts, zone) if site else _repairs(features)
    return SiteCheck(source=source, site=site, problem=problem, parts=parts, remarks=tuple(remarks), zone_found=zone)


def mend_site(file: Path, out: Path) -> Site:
    """Write what can be saved of a file as the GeoJSON that ``--site`` takes, and return it.

    Outlines that cross themselves are cut at their crossings, swapped axes turned, other features left out, and the
    time zone is looked up. Raises UsageError where nothing of it is a polygon, `file` is no file, or `out` is there
    already.
    """
    if out.exists():
        raise UsageError(f"{safe_path(out)} is there already: give a new file.")
    if not file.is_file():
        raise UsageError(f"{safe_path(file)} is no file to mend: give a polygon as GeoJSON, KML, KMZ or GeoPackage.")
    features = features_of_bytes(file.read_bytes(), file)
    polygons = [one for feature in features for one in _polygons(_mended(feature.geometry))]
    if not polygons:
        raise UsageError(f"{safe_path(file)} holds no polygon that could be mended: draw one with `img2gps site draw`.")
    polygon = shapely.union_all(polygons)
    assert isinstance(polygon, Polygon | MultiPolygon)
    zone = zone_at(polygon.centroid.x, polygon.centroid.y)
    properties = next((feature.properties for feature in features if feature.properties), {})
    name = safe_text(str(properties.get("name") or file.stem), limit=80)
    site = Site(name=name, polygon=polygon, time_zone=zone)
    replace_file(out, site_bytes(site))
    return load_site(out)


def _part(feature: Feature) -> SitePart:
    geometry = feature.geometry
    if geometry is None:
        return SitePart(where=feature.where, kind="nothing", corners=0, problem=feature.problem or "no geometry")
    problem = feature.problem
    if not problem and not _polygons(geometry):
        problem = f"a {geometry.geom_type} has no inside: it is passed over"
    elif not problem and not geometry.is_valid:
        problem = f"it crosses or touches itself: {shapely.is_valid_reason(geometry)}, in lon lat"
    elif not problem and geometry.area == 0:
        problem = "it has no area"
    corners = int(shapely.get_num_coordinates(geometry))
    return SitePart(where=safe_text(feature.where), kind=geometry.geom_type, corners=corners, problem=problem)


def _remarks(site: Site, parts: Sequence[SitePart], zone: str | None) -> list[str]:
    """Return what is worth a look in a file that is a site."""
    area, polygons = float(site.local_polygon.area), _polygons(site.local_polygon)
    remarks = [f"{part.where}: {part.problem}" for part in parts if part.problem]
    if site.time_zone is None:
        found = f'add "time_zone": "{zone}" to its properties' if zone else f"{ZONES_EXTRA} looks it up"
        remarks.append(f"It names no time zone, so that clock times of cameras stay unknown: {found}.")
    elif zone is not None and zone != site.time_zone:
        remarks.append(f"It names {site.time_zone}; the map of zones says {zone} there.")
    if area < _LEAST_M2:
        remarks.append(f"It is small ({area:,.0f} m2): GPS is off by as much as it is wide.")
    if area > _MOST_M2:
        remarks.append(f"It is large ({area / 1e6:,.0f} km2): a model for a walk needs the part that is walked.")
    slivers = [one for one in polygons if one.area < _SLIVER * area]
    if slivers:
        count = format_count(len(slivers), "part is", "parts are")
        remarks.append(f"{count} under 1 % of its area: left over from drawing?")
    if shapely.get_num_coordinates(site.polygon) > _MANY_CORNERS:
        remarks.append("It has thousands of corners: simplify it, and everything is drawn faster.")
    return remarks


def _repairs(features: Sequence[Feature]) -> list[str]:
    """Return whether a file that is no site can be made one."""
    if any(_polygons(_mended(feature.geometry)) for feature in features):
        return ["`--mend OUT.geojson` writes what can be saved of it: look at that with `img2gps site draw`."]
    lines = [feature for feature in features if feature.geometry and feature.geometry.geom_type == "LineString"]
    if lines:
        return ["It holds lines: close the outline in the program that drew it, and export it as a polygon."]
    return []


def _mended(geometry: BaseGeometry | None) -> BaseGeometry | None:
    if geometry is None or geometry.is_empty:
        return None
    geometry = shapely.force_2d(geometry)
    west, south, east, north = geometry.bounds
    if (south < -90 or north > 90) and west >= -90 and east <= 90 and south >= -180 and north <= 180:
        geometry = shapely.transform(geometry, lambda coordinates: coordinates[:, ::-1])
    west, south, east, north = geometry.bounds
    if not (west >= -360 and east <= 360 and south >= -90 and north <= 90):
        return None
    return shapely.make_valid(geometry)


def _polygons(geometry: BaseGeometry | None) -> list[Polygon]:
    if geometry is None:
        return []
    if isinstance(geometry, Polygon):
        return [geometry] if geometry.area > 0 or not geometry.is_valid else []
    if isinstance(geometry, MultiPolygon) or hasattr(geometry, "geoms"):
        return [one for part in geometry.geoms for one in _polygons(part)]
    return []
