"""The cells of a site: squares along east and north, clipped to the outline, less the buildings."""

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from collect.layers import read_layer
from img2gps.errors import UsageError
from img2gps.geo import FloatArray
from img2gps.site import Site

__all__ = ["MIN_SHARE", "Grid", "make_grid", "read_shapes", "walkable"]

MIN_SHARE: Final = 0.25
"""A square belongs to the grid when this share of it can be stood on: nobody can fill a sliver with photos."""

MAX_CELLS: Final = 50_000

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Cells as column and row numbers, shape (C,), of squares of `size_m`; square (0, 0) starts at the origin."""

    size_m: float
    columns: Numbers
    rows: Numbers
    spots_m: FloatArray
    """A place inside each cell's part of the site, shape (C, 2): where to send somebody."""
    parts: FloatArray | None = None
    """The share of each square that can be stood on, shape (C,); None where all of each can."""

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def shares(self) -> FloatArray:
        """The share of each square that can be stood on, 0..1, shape (C,): the rest is another's ground."""
        return np.ones(len(self)) if self.parts is None else self.parts

    @property
    def corners_m(self) -> FloatArray:
        """South-west corners in metres, shape (C, 2)."""
        return np.asarray(np.stack([self.columns, self.rows], axis=1) * self.size_m, dtype=np.float64)

    def cell_of(self, east_north_m: FloatArray) -> Numbers:
        """Return the cell of each place (N, 2), -1 where none is."""
        squares = np.floor(east_north_m / self.size_m).astype(np.int64)
        known = {place: cell for cell, place in enumerate(zip(self.columns.tolist(), self.rows.tolist(), strict=True))}
        return np.array([known.get((column, row), -1) for column, row in squares.tolist()], dtype=np.int64)


def walkable(site: Site, buildings: BaseGeometry | None = None) -> BaseGeometry:
    """Return the part of the site that photos can be taken from, in metres of its frame.

    Raises UsageError where `buildings` leave nothing.
    """
    outline: BaseGeometry = shapely.make_valid(site.local_polygon)
    if buildings is None:
        return outline
    rest: BaseGeometry = shapely.difference(outline, buildings)
    if rest.is_empty:
        raise UsageError("The buildings cover the whole site: check the file given with --buildings.")
    return rest


def make_grid(area: BaseGeometry, size_m: float) -> Grid:
    """Return the cells of an area in metres; on large ones the size is raised to 20, 50, 100, ... m."""
    west, south, east, north = area.bounds
    while max(east - west, size_m) * max(north - south, size_m) > 4 * MAX_CELLS * size_m**2:
        size_m = _next_size(size_m)
    columns = np.arange(np.floor(west / size_m), np.ceil(east / size_m))
    rows = np.arange(np.floor(south / size_m), np.ceil(north / size_m))
    grid_columns, grid_rows = (axis.ravel() for axis in np.meshgrid(columns, rows))
    squares = shapely.box(
        grid_columns * size_m, grid_rows * size_m, (grid_columns + 1) * size_m, (grid_rows + 1) * size_m
    )
    shapely.prepare(area)
    touching = np.flatnonzero(shapely.intersects(area, squares))
    parts = squares[touching].copy()
    crossing = ~shapely.contains(area, parts)
    parts[crossing] = shapely.intersection(area, parts[crossing])
    # A site smaller than a square still has cells: the largest parts it has.
    areas_m2 = shapely.area(parts)
    enough = areas_m2 >= min(MIN_SHARE * size_m**2, areas_m2.max() / 2)
    kept = touching[enough]
    spots = shapely.point_on_surface(parts[enough])
    centroids = shapely.centroid(parts[enough])
    spots = np.where(shapely.covers(parts[enough], centroids), centroids, spots)
    return Grid(
        size_m=size_m,
        columns=grid_columns[kept].astype(np.int64),
        rows=grid_rows[kept].astype(np.int64),
        spots_m=np.stack([shapely.get_x(spots), shapely.get_y(spots)], axis=1),
        parts=np.minimum(areas_m2[enough] / size_m**2, 1.0),
    )


def read_shapes(path: Path, site: Site, *, lines: bool = False) -> BaseGeometry:
    """Return the polygons (or, with `lines`, the lines and polygons) of a GeoJSON file in metres of the site's frame.

    Raises NotFoundError, or UsageError saying what is wrong with the file.
    """

    def project(coordinates: FloatArray) -> FloatArray:
        return np.stack(site.frame.to_local(coordinates[:, 0], coordinates[:, 1]), axis=1)

    shapes = read_layer(path, kinds=("LineString", "Polygon") if lines else ("Polygon",), site=site)
    projected = [shapely.make_valid(shapely.transform(shape, project)) for shape in shapes]
    return shapely.make_valid(shapely.union_all(projected))


def _next_size(size_m: float) -> float:
    """Return the next larger size of the 1-2-5 series times ten to a power."""
    power = 10.0 ** np.floor(np.log10(size_m))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power > size_m * 1.001))
