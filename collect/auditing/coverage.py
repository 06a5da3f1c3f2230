"""Coverage: what each cell of the site has been given, and how far the site's points are from a photo."""

from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from collect.auditing.grid import Grid
from collect.auditing.photo_arrays import PhotoArrays
from img2gps.geo import FloatArray

__all__ = ["ENOUGH_HEADINGS", "ENOUGH_PHOTOS", "ENOUGH_WALKS", "cell_table", "holes", "shares"]

ENOUGH_PHOTOS: Final = 3
ENOUGH_WALKS: Final = 2
ENOUGH_HEADINGS: Final = 4

_SAMPLE_POINTS: Final = 40_000

Numbers = NDArray[np.int64]


def cell_table(subject: PhotoArrays, grid: Grid) -> dict[str, Any]:
    """Return the cells as parallel lists: south-west corners, counts of photos, walks, days, headings, last visit.

    `headings` counts the heading sectors (of eight) that photos with a known heading look into, `sectors` lists them
    as bits (1: north, 2: north-east, ...). `last_visit` is the latest capture time in UTC (ISO 8601) or None.
    """
    cell = grid.cell_of(subject.east_north_m)
    cell[~subject.inside] = -1
    sectors = _distinct(cell, subject.sectors, len(grid))
    bits = np.zeros(len(grid), dtype=np.int64)
    looked = (cell >= 0) & (subject.sectors >= 0)
    np.bitwise_or.at(bits, cell[looked], np.int64(1) << subject.sectors[looked])
    corners_m = grid.corners_m
    return {
        "size_m": grid.size_m,
        "east_m": corners_m[:, 0].tolist(),
        "north_m": corners_m[:, 1].tolist(),
        "photos": np.bincount(cell[cell >= 0], minlength=len(grid)).tolist(),
        "walks": _distinct(cell, subject.walks, len(grid)).tolist(),
        "days": _distinct(cell, subject.days, len(grid)).tolist(),
        "headings": sectors.tolist(),
        "sectors": bits.tolist(),
        "last_visit": _last_visits(subject, cell, len(grid)),
    }


def shares(cells: dict[str, Any]) -> dict[str, float]:
    """Return the shares of cells with 3 photos or more, 2 walks or more, 4 headings or more, and of any photo."""
    asked = {
        "coverage": ("photos", ENOUGH_PHOTOS),
        "walks": ("walks", ENOUGH_WALKS),
        "headings": ("headings", ENOUGH_HEADINGS),
        "visited": ("photos", 1),
    }
    count = max(1, len(cells["photos"]))
    return {key: sum(value >= least for value in cells[column]) / count for key, (column, least) in asked.items()}


def holes(subject: PhotoArrays, area: BaseGeometry) -> dict[str, Any]:
    """Return the distances in metres from points of the site to the nearest photo: median, P95, the largest and where.

    The points are a grid over the area (at most 40,000), so the largest hole is known to the grid's `step_m`.
    """
    points_m, step_m = _sample(area)
    if not len(subject):
        return {"median_m": None, "p95_m": None, "largest_m": None, "largest_at": None, "step_m": step_m}
    from scipy.spatial import cKDTree

    distance_m = cKDTree(subject.east_north_m).query(points_m)[0]
    worst = int(distance_m.argmax())
    lon, lat = subject.site.frame.to_lonlat(*points_m[worst])
    return {
        "median_m": float(np.median(distance_m)),
        "p95_m": float(np.quantile(distance_m, 0.95)),
        "largest_m": float(distance_m[worst]),
        "largest_at": {
            "east_m": float(points_m[worst, 0]),
            "north_m": float(points_m[worst, 1]),
            "lon": round(float(lon), 6),
            "lat": round(float(lat), 6),
        },
        "step_m": step_m,
    }


def _distinct(cell: Numbers, values: Numbers, size: int) -> Numbers:
    """Return how many different values (-1: unknown, not counted) each cell has, shape (size,)."""
    known = (cell >= 0) & (values >= 0)
    pairs = np.unique(np.stack([cell[known], values[known]], axis=1), axis=0)
    return np.asarray(np.bincount(pairs[:, 0], minlength=size), dtype=np.int64)


def _last_visits(subject: PhotoArrays, cell: Numbers, size: int) -> list[str | None]:
    taken = subject.frame["captured_at"].dt.as_unit("us")
    seconds = np.where(taken.isna(), -np.inf, taken.astype("int64") / 1e6)
    latest = np.full(size, -np.inf)
    np.maximum.at(latest, cell[cell >= 0], seconds[cell >= 0])
    return [
        datetime.fromtimestamp(second, UTC).isoformat(timespec="seconds") if np.isfinite(second) else None
        for second in latest.tolist()
    ]


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
