"""Where one can stand on a site, by its map."""

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from img2gps.basemap.features import Basemap, in_metres
from img2gps.geo import FloatArray, LocalFrame
from img2gps.site import Site

__all__ = ["blocked_ground", "standing_places"]


def blocked_ground(basemap: Basemap, frame: LocalFrame) -> BaseGeometry | None:
    """Return buildings and water in metres of `frame`: nobody photographs from there. None where there are none."""
    shapes = in_metres([feature.geometry for feature in basemap.of("building", "water")], frame)
    areas = [shapely.make_valid(shape) for shape in shapes if "Polygon" in shape.geom_type]
    return shapely.union_all(areas) if areas else None


def standing_places(site: Site, basemap: Basemap | None, size_m: float) -> FloatArray:
    """Return the middles (C, 2) of squares of `size_m` in which one can stand, in metres of the site's frame."""
    area = shapely.make_valid(site.local_polygon)
    blocked = blocked_ground(basemap, site.frame) if basemap else None
    if blocked is not None:
        area = shapely.difference(area, blocked)
    west, south, east, north = site.local_polygon.bounds
    columns = np.arange(np.floor(west / size_m), np.ceil(east / size_m)) + 0.5
    rows = np.arange(np.floor(south / size_m), np.ceil(north / size_m)) + 0.5
    middles = np.stack([axis.ravel() for axis in np.meshgrid(columns, rows)], axis=1) * size_m
    shapely.prepare(area)
    return np.asarray(middles[shapely.contains_xy(area, middles[:, 0], middles[:, 1])], dtype=np.float64)
