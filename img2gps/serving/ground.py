"""What the page's map draws: the outline of the site, or where the cells lie if the site is not known."""

import numpy as np
import shapely
from numpy.typing import ArrayLike
from shapely.geometry.base import BaseGeometry

from img2gps.basemap.features import Basemap
from img2gps.basemap.ground import ground_columns
from img2gps.report.shapes import decimetres, rings_dm
from img2gps.serving.backend import Ground
from img2gps.site import Site

__all__ = ["ground_of_cells", "ground_of_points", "ground_of_site"]


def ground_of_site(site: Site, basemap: Basemap | None = None) -> Ground:
    """Return the outline of a site and the map under it, where there is one, in decimetres of its frame."""
    return {**_ground(site.local_polygon), "ground": ground_columns(basemap, site.frame)}


def ground_of_cells(centres: ArrayLike, cell_m: float) -> Ground:
    """Return the squares of cells with `centres` (C, 2) in metres, joined, in decimetres of the same frame."""
    corners = np.floor(np.asarray(centres, dtype=np.float64) / cell_m) * cell_m
    squares = shapely.box(corners[:, 0], corners[:, 1], corners[:, 0] + cell_m, corners[:, 1] + cell_m)
    return _ground(shapely.union_all(squares))


def ground_of_points(xy: ArrayLike, *, margin_m: float = 20.0) -> Ground:
    """Return the hull of positions (N, 2) in metres and `margin_m` around it, in decimetres of the same frame."""
    hull = shapely.MultiPoint(np.asarray(xy, dtype=np.float64)).convex_hull
    return _ground(shapely.buffer(hull, margin_m))


def _ground(shape: BaseGeometry) -> Ground:
    return {"bounds": decimetres(shape.bounds), "outline": rings_dm(shape), "buildings": [], "paths": []}
