"""Geometry for the report's map: polygons and lines as whole decimetres east and north."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import ArrayLike
from shapely.geometry.base import BaseGeometry

__all__ = ["DECIMETRES_PER_METRE", "decimetres", "lines_dm", "rings_dm", "whole"]

DECIMETRES_PER_METRE: Final = 10


def whole(values: ArrayLike, scale: float = 1.0) -> list[int | None]:
    """Return values times `scale` as whole numbers, with None where they are not finite."""
    scaled = np.asarray(values, dtype=np.float64) * scale
    return [round(value) if np.isfinite(value) else None for value in scaled.tolist()]


def decimetres(values_m: ArrayLike) -> list[int | None]:
    """Return metres as whole decimetres: finer than any phone knows its position, and short to write."""
    return whole(values_m, DECIMETRES_PER_METRE)


def rings_dm(geometries: BaseGeometry | Iterable[BaseGeometry]) -> list[list[list[int | None]]]:
    """Return polygons in metres, each as a list of rings (outer, then holes) of east, north, east, north, ..."""
    polygons = [part for part in _parts(geometries) if part.geom_type == "Polygon" and not part.is_empty]
    return [[_flat(ring) for ring in (polygon.exterior, *polygon.interiors)] for polygon in polygons]


def lines_dm(geometries: BaseGeometry | Iterable[BaseGeometry]) -> list[list[int | None]]:
    """Return the lines among geometries in metres, and polygons' rings as lines, as east, north, east, north, ..."""
    lines: list[list[int | None]] = []
    for part in _parts(geometries):
        if part.geom_type in ("LineString", "LinearRing"):
            lines.append(_flat(part))
        elif part.geom_type == "Polygon":
            lines += [_flat(ring) for ring in (part.exterior, *part.interiors)]
    return lines


def _parts(geometries: BaseGeometry | Iterable[BaseGeometry]) -> Sequence[Any]:
    given = [geometries] if isinstance(geometries, BaseGeometry) else list(geometries)
    parts = shapely.get_parts(np.array(given, dtype=object))
    # a GeometryCollection gives its members first, and those may be Multi... again
    return list(shapely.get_parts(parts)) if len(parts) else []


def _flat(line: BaseGeometry) -> list[int | None]:
    return decimetres(shapely.get_coordinates(line).ravel())
