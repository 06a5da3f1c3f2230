"""Buildings and paths as the label page and its queue use them."""

import json
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from img2gps.geo import FloatArray, LocalFrame

__all__ = ["depth_inside_m", "to_geojson"]


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
