"""The best next walk: which places lack what, in an order one can walk."""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from collect.auditing.coverage import ENOUGH_HEADINGS, ENOUGH_PHOTOS, ENOUGH_WALKS, CellTable
from collect.auditing.distances import on_foot
from collect.auditing.expected_error import ExpectedErrors, choose_by_error
from collect.auditing.grid import Grid
from collect.auditing.photo_arrays import SECTOR_DEG, SECTORS, PhotoArrays
from collect.auditing.standing import Walking
from collect.auditing.walk_choice import SECONDS_PER_STOP, WALKING_M_PER_S, choose, lacking
from img2gps.geo import FloatArray, LocalFrame
from img2gps.text import join_words

if TYPE_CHECKING:
    from img2gps.basemap.ways import WayTable

__all__ = ["SECTOR_NAMES", "Stop", "route_length_m", "route_minutes", "shortest_order", "walk_list"]

SECTOR_NAMES: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")

_START_HOURS: Final = (8, 11, 14, 17, 20)
_WALK_HOURS: Final = 3

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One place to go to: where, which ways to look (the first matters most), at which hour, and why.

    `minutes` are those on foot from the start of the walk, with the time to photograph at the stops before. `way_m` are
    the metres from the stop before, `way` that way as (lon, lat) where the map of the site knows it.
    """

    order: int
    rank: int
    lon: float
    lat: float
    east_m: float
    north_m: float
    heading_deg: float
    headings_deg: tuple[float, ...]
    hour: int
    minutes: float = 0.0
    missing: float
    nearest_photo_m: float | None
    why: str
    way_m: float = 0.0
    way: tuple[tuple[float, float], ...] = ()


def walk_list(
    arrays: PhotoArrays,
    grid: Grid,
    cells: CellTable,
    *,
    stops: int = 24,
    walking: Walking | None = None,
    expected: ExpectedErrors | None = None,
) -> list[Stop]:
    """Return up to `stops` places of the next walk in visiting order; none where every cell has all it needs.

    A cell's need is what it lacks of 3 photos, 2 walks and 4 headings, each 0..1. The first place lies in the largest
    hole, each further one gives most per minute on foot (`collect.auditing.walk_choice`). They are ordered by nearest
    neighbour and 2-opt (Croes, "A method for solving traveling-salesman problems", Operations Research 6, 1958). Ways
    are straight or, with `walking`, those of the site's map. The walk starts at the hour at which these places and
    their neighbours were photographed least. With `expected`, places are those that lower the error to expect of a run
    most per minute (`collect.auditing.expected_error`).
    """
    need = lacking(cells)
    nearest_m = _nearest_photo_m(arrays, grid.spots_m)
    walked_m = on_foot(grid) if walking else None
    chosen = (
        choose_by_error(grid, expected, stops, walked_m)
        if expected
        else choose(grid, cells, nearest_m, stops, walked_m)
    )
    if not chosen:
        return []
    spots_m = walking.spots_m(grid, chosen) if walking else grid.spots_m[chosen]
    table = walking.between(spots_m) if walking else None
    distances_m = table.distances_m if table else _straight_m(spots_m)
    order = shortest_order(spots_m, distances_m)
    start_hour = _start_hour(arrays, grid, chosen)
    legs_m = [0.0, *(float(distances_m[pair]) for pair in pairwise(order))]
    arrivals = _arrivals_min(legs_m)
    lons, lats = arrays.site.frame.to_lonlat(spots_m[:, 0], spots_m[:, 1])
    result = []
    for number, (place, minutes) in enumerate(zip(order, arrivals, strict=True), start=1):
        cell = chosen[place]
        headings = _missing_headings(int(cells.sectors[cell]), grid, cell)
        result.append(
            Stop(
                order=number,
                rank=place + 1,
                lon=round(float(lons[place]), 7),
                lat=round(float(lats[place]), 7),
                east_m=round(float(spots_m[place, 0]), 2),
                north_m=round(float(spots_m[place, 1]), 2),
                heading_deg=headings[0],
                headings_deg=headings,
                hour=int(start_hour + minutes // 60) % 24,
                minutes=round(minutes, 1),
                missing=round(float(need[cell]), 3),
                nearest_photo_m=None if nearest_m is None else round(float(nearest_m[cell]), 1),
                why=f"{expected.error_m[cell]:.0f} m off to expect" if expected else _why(cells, cell),
                way_m=round(legs_m[number - 1], 1),
                way=_way(table, order, number - 1, arrays.site.frame),
            )
        )
    return result


def shortest_order(points_m: FloatArray, distances_m: FloatArray | None = None) -> list[int]:
    """Return an order (row numbers) of points (N, 2) whose open path is short: nearest neighbours, then 2-opt.

    `distances_m` (N, N) are those on foot, the straight ones where None.
    """
    if len(points_m) < 3:
        return list(range(len(points_m)))
    distances_m = _straight_m(points_m) if distances_m is None else distances_m
    tours = (_nearest_neighbours(distances_m, start) for start in range(len(points_m)))
    return _two_opt(min(tours, key=lambda tour: _length_m(distances_m, tour)), distances_m)


def route_minutes(stops: Sequence[Stop]) -> float:
    """Return the minutes of the whole walk: the way, and the time to photograph at every stop."""
    return round(stops[-1].minutes + SECONDS_PER_STOP / 60.0, 1) if stops else 0.0


def route_length_m(stops: Sequence[Stop]) -> float:
    """Return the metres through the stops: on foot where the map knows the ways, else straight."""
    return float(sum(stop.way_m for stop in stops))


def _straight_m(points_m: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(points_m[:, None] - points_m[None, :], axis=2), dtype=np.float64)


def _way(table: "WayTable | None", order: list[int], leg: int, frame: LocalFrame) -> tuple[tuple[float, float], ...]:
    """Return the way to a stop from the one before as (lon, lat); nothing for the first, or where none is known."""
    if table is None or leg == 0 or not table.known[order[leg - 1], order[leg]]:
        return ()
    line = table.line(order[leg - 1], order[leg])
    lons, lats = frame.to_lonlat(line[:, 0], line[:, 1])
    return tuple(zip(lons.round(7).tolist(), lats.round(7).tolist(), strict=True))


def _missing_headings(bits: int, grid: Grid, cell: int) -> tuple[float, ...]:
    """Return the headings still to take, those farthest from any taken first, then those that look into the site."""
    seen = [sector for sector in range(SECTORS) if bits >> sector & 1]
    inward_m = grid.spots_m.mean(axis=0) - grid.spots_m[cell]
    inward = np.degrees(np.arctan2(inward_m[0], inward_m[1])) % 360.0 / SECTOR_DEG

    def apart(one: float, other: float) -> float:
        return abs((one - other + SECTORS / 2) % SECTORS - SECTORS / 2)

    missing = [sector for sector in range(SECTORS) if sector not in seen]
    wanted: list[int] = []
    while missing and (not wanted or len(wanted) + len(seen) < ENOUGH_HEADINGS):
        taken = seen + wanted
        best = min(missing, key=lambda one: (-min((apart(one, o) for o in taken), default=0.0), apart(one, inward)))
        wanted.append(best)
        missing.remove(best)
    return tuple(sector * SECTOR_DEG for sector in wanted) or (0.0,)


def _start_hour(arrays: PhotoArrays, grid: Grid, chosen: list[int]) -> int:
    """Return the start whose three hours have the fewest photos near the stops, then on the whole site."""
    from scipy.spatial import cKDTree

    if not len(arrays):
        return _START_HOURS[1]
    distance_m = cKDTree(grid.spots_m[chosen]).query(arrays.east_north_m)[0]
    near = distance_m <= 2 * grid.size_m

    def photos(start: int, rows: NDArray[np.bool_]) -> int:
        return int((rows & (arrays.hours >= start) & (arrays.hours < start + _WALK_HOURS)).sum())

    return min(_START_HOURS, key=lambda start: (photos(start, near), photos(start, arrays.hours >= 0), start))


def _arrivals_min(legs_m: list[float]) -> list[float]:
    """Return the minutes from the start to each stop, at an easy pace with time to photograph."""
    seconds = np.concatenate([[0.0], np.cumsum(np.array(legs_m[1:]) / WALKING_M_PER_S + SECONDS_PER_STOP)])
    return [float(second) / 60.0 for second in seconds]


def _nearest_photo_m(arrays: PhotoArrays, points_m: FloatArray) -> FloatArray | None:
    from scipy.spatial import cKDTree

    if not len(arrays):
        return None
    return np.asarray(cKDTree(arrays.east_north_m).query(points_m)[0], dtype=np.float64)


def _why(cells: CellTable, cell: int) -> str:
    photos, walks, headings = (int(counts[cell]) for counts in (cells.photos, cells.walks, cells.headings))
    if not photos:
        return "no photo yet"
    asked = (
        (photos, ENOUGH_PHOTOS, "photos"),
        (walks, ENOUGH_WALKS, "walks"),
        (headings, ENOUGH_HEADINGS, "headings"),
    )
    return join_words([f"{have} of {least} {noun}" for have, least, noun in asked if have < least])


def _nearest_neighbours(distances_m: FloatArray, start: int) -> list[int]:
    tour, left = [start], set(range(len(distances_m))) - {start}
    while left:
        tour.append(min(left, key=lambda one: (distances_m[tour[-1], one], one)))
        left.remove(tour[-1])
    return tour


def _length_m(distances_m: FloatArray, tour: list[int]) -> float:
    return float(distances_m[tour[:-1], tour[1:]].sum())


def _two_opt(tour: list[int], distances_m: FloatArray) -> list[int]:
    """Turn stretches of the tour around while that makes the open path shorter."""
    length_m = _length_m(distances_m, tour)
    improved = True
    while improved:
        improved = False
        for start in range(len(tour) - 1):
            for end in range(start + 2, len(tour) + 1):
                turned = tour[:start] + tour[start:end][::-1] + tour[end:]
                turned_m = _length_m(distances_m, turned)
                if turned_m < length_m - 1e-9:
                    tour, length_m, improved = turned, turned_m, True
    return tour
