"""Buildings and paths that a user's file adds to a map, to a queue of labels or to an audit."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import shapely
from shapely import affinity
from shapely.geometry.base import BaseGeometry

from img2gps.errors import NotFoundError, UsageError
from img2gps.site import Site
from img2gps.text import safe_path
from img2gps.vector import features_of_bytes

__all__ = ["check_place", "read_layer", "read_shapes_with_properties"]

_MOST_BYTES: Final = 32 << 20
_FARTHEST_M: Final = 1000.0


def read_layer(path: Path | None, *, kinds: tuple[str, ...], site: Site | None = None) -> list[BaseGeometry]:
    """Return the geometries of a GeoJSON, KML, KMZ or GeoPackage file: those of `kinds`, and Multi-kinds.

    They are in degrees of WGS 84, whatever system the file declares. With a `site`, a layer of which nothing comes
    near it is refused: it is another place's, or its axes are swapped. An absent option (`None`) is an empty layer.
    Raises NotFoundError, or UsageError where the file is no such layer.
    """
    if path is None:
        return []
    usable = [part for part, _ in read_shapes_with_properties(path) if part.geom_type.removeprefix("Multi") in kinds]
    if not usable:
        raise UsageError(f"{safe_path(path)} holds no {' or '.join(kinds)}: export it as GeoJSON.")
    check_place(usable, path, site)
    return [shapely.make_valid(item) if "Polygon" in item.geom_type else item for item in usable]


def read_shapes_with_properties(path: Path) -> list[tuple[BaseGeometry, Mapping[str, Any]]]:
    """Return every geometry of a GeoJSON, KML, KMZ or GeoPackage file in degrees, with its feature's properties.

    Raises NotFoundError, or UsageError where the file is no such layer.
    """
    if not path.is_file():
        raise NotFoundError(f"No file {safe_path(path)}: give a GeoJSON file, for instance exported from QGIS.")
    if path.stat().st_size > _MOST_BYTES:
        raise UsageError(f"{safe_path(path)} is larger than {_MOST_BYTES >> 20} MiB: clip it to the site first.")
    features = features_of_bytes(path.read_bytes(), path)
    broken = next((feature for feature in features if feature.problem), None)
    if broken is not None:
        raise UsageError(f"{safe_path(path)} is not GeoJSON that can be read: {broken.where} has {broken.problem}.")
    shapes = [(part, feature.properties) for feature in features for part in _parts(feature.geometry)]
    return [(part, properties) for part, properties in shapes if not part.is_empty]


def _parts(geometry: BaseGeometry | None) -> Iterator[BaseGeometry]:
    if geometry is None:
        return
    if geometry.geom_type != "GeometryCollection":
        yield geometry
    else:
        for inner in shapely.get_parts(geometry):
            yield from _parts(inner)


def check_place(shapes: list[BaseGeometry], path: Path, site: Site | None) -> None:
    """Raise UsageError where coordinates are no degrees, or no shape is near the site."""
    bounds = shapely.total_bounds(shapes)
    if abs(bounds[[0, 2]]).max() <= 90 < abs(bounds[[1, 3]]).max() <= 180:
        raise UsageError(f"{safe_path(path)} has its axes swapped: write lon before lat, as GeoJSON does.")
    if not (abs(bounds[[0, 2]]).max() <= 360 and abs(bounds[[1, 3]]).max() <= 90):
        raise UsageError(f"{safe_path(path)} is not in degrees: export it in EPSG:4326 (WGS 84).")
    if site is None or (nearest_m := _nearest_m(shapes, site)) <= _FARTHEST_M:
        return
    turned = [affinity.affine_transform(item, (0, 1, 1, 0, 0, 0)) for item in shapes]
    turned_bounds = shapely.total_bounds(turned)
    if abs(turned_bounds[[1, 3]]).max() <= 90 and _nearest_m(turned, site) <= _FARTHEST_M:
        raise UsageError(
            f"{safe_path(path)} has its axes swapped: with lon and lat exchanged it lies on the site; "
            "write lon before lat, as GeoJSON does."
        )
    raise UsageError(
        f"Nothing of {safe_path(path)} lies near the site; the nearest is {nearest_m / 1000:,.0f} km away. "
        "Give the layer of this site, in EPSG:4326 (WGS 84) or with its crs."
    )


def _nearest_m(shapes: list[BaseGeometry], site: Site) -> float:
    """Return the metres from the site to the nearest shape, near enough to tell a site from another."""
    nearest = min(shapes, key=site.polygon.distance)
    if nearest.intersects(site.polygon):
        return 0.0
    spot = shapely.get_point(shapely.shortest_line(nearest, site.polygon), 0)
    return site.distance_m(float(spot.x), float(spot.y))
