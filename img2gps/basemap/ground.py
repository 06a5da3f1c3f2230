"""What the pages' map draws of a basemap: whole decimetres, each point as the step from the one before.

``report/ground.js`` reads it. Steps are short to write: 20,000 features take some 700 kB in a page.
"""

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from img2gps.basemap.features import CLASSES, Basemap, MapClass, MapFeature, in_metres
from img2gps.geo import LocalFrame
from img2gps.text import safe_text

__all__ = ["ground_columns"]

_TOLERANCE_M: Final = 0.15
_NAMED: Final[tuple[MapClass, ...]] = ("building", "green", "water")


def ground_columns(basemap: Basemap | None, frame: LocalFrame) -> dict[str, Any] | None:
    """Return a basemap as plain JSON values in decimetres of `frame`, None where there is none.

    ``layers`` are the classes in drawing order, each with ``areas`` (lists of rings), ``lines`` and ``spots``. A ring
    or a line is its first point and then steps. ``names`` are texts with their places, buildings first, the largest
    before others. ``credit`` is what the page must say.
    """
    if basemap is None:
        return None
    layers = [layer for kind in CLASSES if (layer := _layer(kind, basemap.of(kind), frame))]
    return {
        "credit": safe_text(basemap.credit, limit=300),
        "source": safe_text(f"{basemap.source}, {basemap.date}", limit=300),
        "layers": layers,
        "names": _names(basemap.of(*_NAMED), frame),
    }


def _layer(kind: MapClass, features: list[MapFeature], frame: LocalFrame) -> dict[str, Any] | None:
    if not features:
        return None
    shapes = np.array(in_metres((feature.geometry for feature in features), frame), dtype=object)
    parts = _single(shapely.simplify(shapes, _TOLERANCE_M))
    # holes turn the other way, so that overlapping areas fill as one path
    turned = [orient(part) for part in parts if _is(part, "Polygon")]
    areas = [[_steps(ring) for ring in (part.exterior, *part.interiors)] for part in turned]
    lines = [_steps(part) for part in parts if _is(part, "LineString")]
    spots = [round(value * 10) for part in parts if _is(part, "Point") for value in (part.x, part.y)]
    return {"kind": kind, "areas": areas, "lines": lines, "spots": spots}


def _names(features: list[MapFeature], frame: LocalFrame) -> list[dict[str, Any]]:
    """Return names with a place inside the thing and how wide it is: a name is drawn where it fits."""
    named = [feature for feature in features if feature.name and "Polygon" in feature.geometry.geom_type]
    shapes = in_metres((feature.geometry for feature in named), frame)
    found = []
    for feature, shape in zip(named, shapes, strict=True):
        middle = shape.centroid if shape.covers(shape.centroid) else shape.point_on_surface()
        west, south, east, north = shape.bounds
        size = round(10 * max(east - west, north - south))
        place = {"east": round(10 * middle.x), "north": round(10 * middle.y), "size": size}
        found.append({"text": safe_text(feature.name or "", limit=60), "kind": feature.kind, **place})
    return sorted(found, key=lambda name: (name["kind"] != "building", -name["size"], name["text"]))


def _single(shapes: Iterable[BaseGeometry]) -> list[Any]:
    return [part for part in shapely.get_parts(np.array(list(shapes), dtype=object)).tolist() if not part.is_empty]


def _is(part: BaseGeometry, kind: str) -> bool:
    return bool(part.geom_type == kind)


def _steps(line: BaseGeometry) -> list[int]:
    """Return a line as its first point and the steps from there, without points that fall on the one before."""
    points = np.rint(shapely.get_coordinates(line) * 10).astype(np.int64)
    moved = np.abs(np.diff(points, axis=0)).sum(axis=1) > 0
    points = points[np.concatenate([[True], moved])]
    return [int(value) for value in np.diff(points, axis=0, prepend=[[0, 0]]).ravel()]
