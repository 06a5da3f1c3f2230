"""A basemap behind a plot, with its attribution."""

from typing import TYPE_CHECKING, Final

import numpy as np
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry
from shapely.geometry.polygon import orient

from img2gps.basemap.features import CLASSES, Basemap, MapClass, in_metres
from img2gps.geo import LocalFrame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path

__all__ = ["draw_basemap"]

_FILLS: Final[dict[MapClass, str]] = {
    "green": "#dfead2", "water": "#c9dfee", "road": "#e4e2dd", "path": "#efe6d3", "wall": "#b9b3a6",
    "building": "#d9d5cc", "tree": "#b7cfa4", "door": "#9a6b4f",
}  # fmt: skip
_EDGES: Final[dict[MapClass, str]] = {**_FILLS, "building": "#b9b3a6", "path": "#d3c39f"}
_WIDTHS: Final[dict[MapClass, float]] = {"road": 3.0, "path": 1.4, "wall": 0.8, "water": 1.2, "tree": 0.8}


def draw_basemap(axes: "Axes", basemap: Basemap | None, *, frame: LocalFrame | None = None) -> None:
    """Draw a basemap below everything else on `axes`, in metres of `frame` or, without one, in degrees.

    The limits of the axes stay as the rest of the plot makes them. The attribution stands in the lower right corner.
    Nothing is drawn where `basemap` is None.
    """
    if basemap is None:
        return
    from matplotlib.patches import PathPatch

    for height, kind in enumerate(CLASSES):
        geometries = [feature.geometry for feature in basemap.of(kind)]
        shapes = in_metres(geometries, frame) if frame else geometries
        parts = shapely.get_parts(np.array(shapes, dtype=object)).tolist()
        layer = -len(CLASSES) + height
        areas = _compound([part for part in parts if part.geom_type == "Polygon"])
        lines = _compound([part for part in parts if part.geom_type == "LineString"])
        spots = [part for part in parts if part.geom_type == "Point"]
        edge = {"edgecolor": _EDGES[kind], "zorder": layer}
        if areas is not None:
            axes.add_artist(PathPatch(areas, facecolor=_FILLS[kind], linewidth=0.5, **edge))
        if lines is not None:
            axes.add_artist(PathPatch(lines, fill=False, linewidth=_WIDTHS.get(kind, 1.0), **edge))
        if spots:
            axes.plot([p.x for p in spots], [p.y for p in spots], ".", color=_FILLS[kind], markersize=3, zorder=layer,
                      scalex=False, scaley=False)  # fmt: skip
    axes.text(
        0.995, 0.005, basemap.credit, transform=axes.transAxes, ha="right", va="bottom", fontsize=6, color="#444444",
        bbox={"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.5},
    )  # fmt: skip


def _compound(parts: list[BaseGeometry]) -> "Path | None":
    """Return one path of all rings or lines, None where there are none: a hole is a hole by its direction."""
    from matplotlib.path import Path

    lines = [ring for part in parts for ring in _rings(part)]
    if not lines:
        return None
    points = [shapely.get_coordinates(line) for line in lines]
    codes = [np.full(len(line), Path.LINETO, dtype=Path.code_type) for line in points]
    for code in codes:
        code[0] = Path.MOVETO
    return Path(np.concatenate(points), np.concatenate(codes))


def _rings(part: BaseGeometry) -> list[BaseGeometry]:
    if not isinstance(part, Polygon):
        return [part]
    turned = orient(part)
    return [turned.exterior, *turned.interiors]
