"""Buildings and paths that a user's GeoJSON adds to the map."""

import json
from pathlib import Path
from typing import Any, Final

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from img2gps.errors import NotFoundError, UsageError
from img2gps.geo import FloatArray, LocalFrame
from img2gps.text import safe_path

__all__ = ["depth_inside_m", "read_layer", "to_geojson"]

_MOST_BYTES: Final = 32 << 20


def read_layer(path: Path | None, *, kinds: tuple[str, ...]) -> list[BaseGeometry]:
    """Return the geometries of a GeoJSON file (degrees, EPSG:4326) whose type is one of `kinds`, or starts with Multi.

    An absent option (`None`) is an empty layer. Raises NotFoundError, or UsageError where the file is no such layer.
    """
    if path is None:
        return []
    if not path.is_file():
        raise NotFoundError(f"No file {safe_path(path)}: give a GeoJSON file, for instance exported from QGIS.")
    if path.stat().st_size > _MOST_BYTES:
        raise UsageError(f"{safe_path(path)} is larger than {_MOST_BYTES >> 20} MiB: clip it to the site first.")
    try:
        found = [shape(entry) for entry in _geometries(json.loads(path.read_text(encoding="utf-8")))]
        usable = [shapely.force_2d(item) for item in found if item.geom_type.removeprefix("Multi") in kinds]
    except Exception as error:
        raise UsageError(f"{safe_path(path)} is not GeoJSON that can be read ({type(error).__name__}).") from error
    if not usable:
        raise UsageError(f"{safe_path(path)} holds no {' or '.join(kinds)}: export it as GeoJSON.")
    bounds = shapely.total_bounds(usable)
    if not (abs(bounds[[0, 2]]).max() <= 360 and abs(bounds[[1, 3]]).max() <= 90):
        raise UsageError(f"{safe_path(path)} is not in degrees: export it in EPSG:4326 (WGS 84).")
    return [shapely.make_valid(item) if "Polygon" in item.geom_type else item for item in usable]


def depth_inside_m(buildings: list[BaseGeometry], position_m: FloatArray, frame: LocalFrame) -> FloatArray:
    """Return how many metres inside a building each position (N, 2, metres of `frame`) lies, 0 outside; shape (N,)."""
    import numpy as np

    if not buildings:
        return np.zeros(len(position_m))

    def project(coordinates: Any) -> Any:
        return np.column_stack(frame.to_local(coordinates[:, 0], coordinates[:, 1]))

    merged = shapely.transform(shapely.union_all(buildings), project)
    points = shapely.points(position_m)
    inside = shapely.covers(merged, points)
    return np.where(inside, shapely.distance(shapely.boundary(merged), points), 0.0)


def to_geojson(geometries: list[BaseGeometry]) -> list[dict[str, Any]]:
    """Return plain GeoJSON geometries."""
    return [json.loads(shapely.to_geojson(geometry)) for geometry in geometries]


def _geometries(document: Any) -> list[dict[str, Any]]:
    """Return the geometries of whatever GeoJSON object holds them."""
    if not isinstance(document, dict):
        return []
    if document.get("type") == "FeatureCollection":
        return [entry for feature in document["features"] for entry in _geometries(feature)]
    if document.get("type") == "GeometryCollection":
        return [entry for geometry in document["geometries"] for entry in _geometries(geometry)]
    if document.get("type") == "Feature":
        return _geometries(document.get("geometry"))
    return [document]
