"""Coverage: what each cell of the site has been given, and how far the site's points are from a photo."""

import dataclasses
from datetime import UTC, datetime
from typing import Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from collect.auditing.grid import Grid
from collect.auditing.photo_arrays import PhotoArrays
from img2gps.geo import FloatArray

__all__ = [
    "ENOUGH_HEADINGS",
    "ENOUGH_PHOTOS",
    "ENOUGH_WALKS",
    "CellTable",
    "CoverageShares",
    "HolePlace",
    "Holes",
    "cell_table",
    "holes",
    "shares",
]

ENOUGH_PHOTOS: Final = 3
ENOUGH_WALKS: Final = 2
ENOUGH_HEADINGS: Final = 4

_SAMPLE_POINTS: Final = 40_000

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellTable:
    """The cells as parallel arrays, shape (C,): south-west corners, counts of photos, walks, days and headings.

    `headings` counts the heading sectors (of eight) that photos with a known heading look into, `sectors` lists them
    as bits (1: north, 2: north-east, ...). `last_visit` is the latest capture time in UTC, to the second, or None.
    """

    size_m: float
    east_m: FloatArray
    north_m: FloatArray
    photos: Numbers
    walks: Numbers
    days: Numbers
    headings: Numbers
    sectors: Numbers
    last_visit: tuple[datetime | None, ...]

    def __len__(self) -> int:
        return len(self.photos)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CoverageShares:
    """The shares of cells with 3 photos or more, 2 walks or more, 4 headings or more, and of any photo; 0..1."""

    coverage: float
    walks: float
    headings: float
    visited: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HolePlace:
    """Where the largest hole is, in metres of the site's frame and in degrees."""

    east_m: float
    north_m: float
    lon: float
    lat: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holes:
    """Distances in metres from points of the site, `step_m` apart, to the nearest photo; None without photos."""

    median_m: float | None = None
    p95_m: float | None = None
    largest_m: float | None = None
    largest_at: HolePlace | None = None
    step_m: float


def cell_table(arrays: PhotoArrays, grid: Grid) -> CellTable:
    """Return what each cell of the grid has; photos outside the outline count nowhere."""
    cell = grid.cell_of(arrays.east_north_m)
    cell[~arrays.inside] = -1
    sectors = _distinct(cell, arrays.sectors, len(grid))
    bits = np.zeros(len(grid), dtype=np.int64)
    looked = (cell >= 0) & (arrays.sectors >= 0)
    np.bitwise_or.at(bits, cell[looked], np.int64(1) << arrays.sectors[looked])
    corners_m = grid.corners_m
    return CellTable(
        size_m=grid.size_m,
        east_m=corners_m[:, 0],
        north_m=corners_m[:, 1],
        photos=np.bincount(cell[cell >= 0], minlength=len(grid)),
        walks=_distinct(cell, arrays.walks, len(grid)),
        days=_distinct(cell, arrays.days, len(grid)),
        headings=sectors,
        sectors=bits,
        last_visit=_last_visits(arrays, cell, len(grid)),
    )


def shares(cells: CellTable) -> CoverageShares:
    """Return the shares of cells that have enough photos, walks and headings."""
    count = max(1, len(cells))

    def share(values: Numbers, least: int) -> float:
        return int((values >= least).sum()) / count

    return CoverageShares(
        coverage=share(cells.photos, ENOUGH_PHOTOS),
        walks=share(cells.walks, ENOUGH_WALKS),
        headings=share(cells.headings, ENOUGH_HEADINGS),
        visited=share(cells.photos, 1),
    )


def holes(arrays: PhotoArrays, area: BaseGeometry) -> Holes:
    """Return the distances in metres from points of the site to the nearest photo: median, P95, the largest and where.

    The points are a grid over the area (at most 40,000), so the largest hole is known to the grid's `step_m`.
    """
    points_m, step_m = _sample(area)
    if not len(arrays):
        return Holes(step_m=step_m)
    from scipy.spatial import cKDTree

    distance_m = cKDTree(arrays.east_north_m).query(points_m)[0]
    worst = int(distance_m.argmax())
    lon, lat = arrays.site.frame.to_lonlat(*points_m[worst])
    return Holes(
        median_m=float(np.median(distance_m)),
        p95_m=float(np.quantile(distance_m, 0.95)),
        largest_m=float(distance_m[worst]),
        largest_at=HolePlace(
            east_m=float(points_m[worst, 0]),
            north_m=float(points_m[worst, 1]),
            lon=round(float(lon), 6),
            lat=round(float(lat), 6),
        ),
        step_m=step_m,
    )


def _distinct(cell: Numbers, values: Numbers, size: int) -> Numbers:
    """Return how many different values (-1: unknown, not counted) each cell has, shape (size,)."""
    known = (cell >= 0) & (values >= 0)
    pairs = np.unique(np.stack([cell[known], values[known]], axis=1), axis=0)
    return np.asarray(np.bincount(pairs[:, 0], minlength=size), dtype=np.int64)


def _last_visits(arrays: PhotoArrays, cell: Numbers, size: int) -> tuple[datetime | None, ...]:
    taken = arrays.frame["captured_at"].dt.as_unit("us")
    seconds = np.where(taken.isna(), -np.inf, taken.astype("int64") / 1e6)
    latest = np.full(size, -np.inf)
    np.maximum.at(latest, cell[cell >= 0], seconds[cell >= 0])
    return tuple(
        datetime.fromtimestamp(second, UTC).replace(microsecond=0) if np.isfinite(second) else None
        for second in latest.tolist()
    )


def _sample(area: BaseGeometry) -> tuple[FloatArray, float]:
    west, south, east, north = area.bounds
    step_m = float(max(1.0, np.sqrt((east - west) * (north - south) / _SAMPLE_POINTS)))
    easts = np.arange(west + step_m / 2, east + step_m / 2, step_m)
    norths = np.arange(south + step_m / 2, north + step_m / 2, step_m)
    points = np.stack([axis.ravel() for axis in np.meshgrid(easts, norths)], axis=1)
    shapely.prepare(area)
    inside = points[shapely.intersects_xy(area, points[:, 0], points[:, 1])]
    if not len(inside):
        centre = shapely.point_on_surface(area)
        inside = np.array([[centre.x, centre.y]])
    return inside, round(step_m, 2)
