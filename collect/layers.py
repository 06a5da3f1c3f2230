"""Buildings and paths that a user's GeoJSON adds to a map, to a queue of labels or to an audit."""

import json
from pathlib import Path
from typing import Any, Final

import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from img2gps.errors import NotFoundError, UsageError
from img2gps.text import safe_path

__all__ = ["read_layer"]

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
        found = [shape(entry) for entry in _geometries(json.loads(path.read_text(encoding="utf-8-sig")))]
        usable = [shapely.force_2d(item) for item in found if item.geom_type.removeprefix("Multi") in kinds]
    except Exception as error:
        raise UsageError(f"{safe_path(path)} is not GeoJSON that can be read ({type(error).__name__}).") from error
    if not usable:
        raise UsageError(f"{safe_path(path)} holds no {' or '.join(kinds)}: export it as GeoJSON.")
    bounds = shapely.total_bounds(usable)
    if not (abs(bounds[[0, 2]]).max() <= 360 and abs(bounds[[1, 3]]).max() <= 90):
        raise UsageError(f"{safe_path(path)} is not in degrees: export it in EPSG:4326 (WGS 84).")
    return [shapely.make_valid(item) if "Polygon" in item.geom_type else item for item in usable]


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
