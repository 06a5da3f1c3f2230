"""The best next walk: which places lack what, in an order one can walk."""

import dataclasses
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collect.auditing.coverage import ENOUGH_HEADINGS, ENOUGH_PHOTOS, ENOUGH_WALKS
from collect.auditing.grid import Grid
from collect.auditing.photo_arrays import SECTOR_DEG, SECTORS, PhotoArrays
from img2gps.geo import FloatArray
from img2gps.text import join_words

__all__ = ["SECTOR_NAMES", "Stop", "route_length_m", "shortest_order", "walk_list"]

SECTOR_NAMES: Final = ("N", "NE", "E", "SE", "S", "SW", "W", "NW")

_START_HOURS: Final = (8, 11, 14, 17, 20)
_WALK_HOURS: Final = 3
_WALKING_M_PER_S: Final = 1.2
_SECONDS_PER_STOP: Final = 40.0
# A stop is worth up to 4.5 by what it lacks, and up to 2 more in the middle of a hole, for places without any photo
# lack all alike; this many metres of way cost one: near places before somewhat needier far ones.
_METRES_PER_POINT: Final = 100.0
_HOLE_M: Final = 50.0
_DEEPEST: Final = 2.0
_TIE: Final = 1e-6

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """One place to go to: where, which ways to look (the first matters most), at which hour, and why."""

    order: int
    rank: int
    lon: float
    lat: float
    east_m: float
    north_m: float
    heading_deg: float
    headings_deg: tuple[float, ...]
    hour: int
    missing: float
    nearest_photo_m: float | None
    why: str

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, fit for JSON."""
        return dataclasses.asdict(self) | {"headings_deg": list(self.headings_deg)}


def walk_list(subject: PhotoArrays, grid: Grid, cells: dict[str, Any], *, stops: int = 24) -> list[Stop]:
    """Return up to `stops` places of the next walk in visiting order; none where every cell has all it needs.

    A cell's need is what it lacks of 3 photos, 2 walks and 4 headings, each 0..1, with half of its neighbours' need
    on top, and a point for each 50 m to the nearest photo, two at most. Places are chosen by need against the way
    from those already chosen, ordered by nearest neighbour and
    2-opt (Croes, "A method for solving traveling-salesman problems", Operations Research 6, 1958). The walk starts
    at the hour at which these places and their neighbours were photographed least.
    """
    need = _need(cells)
    nearest_m = _nearest_photo_m(subject, grid.spots_m)
    depth = np.zeros(len(grid))
    if nearest_m is not None:
        depth = np.minimum(nearest_m / _HOLE_M, _DEEPEST) + nearest_m * _TIE  # of two deep ones, the deeper
    chosen = _choose(grid, need, depth, stops)
    if not chosen:
        return []
    order = shortest_order(grid.spots_m[chosen])
    start_hour = _start_hour(subject, grid, chosen)
    hours = _arrivals(grid.spots_m[chosen][order], start_hour)
    lons, lats = subject.site.frame.to_lonlat(grid.spots_m[chosen, 0], grid.spots_m[chosen, 1])
    result = []
    for number, (place, hour) in enumerate(zip(order, hours, strict=True), start=1):
        cell = chosen[place]
        headings = _missing_headings(cells["sectors"][cell], grid, cell)
        result.append(
            Stop(
                order=number,
                rank=place + 1,
                lon=round(float(lons[place]), 7),
                lat=round(float(lats[place]), 7),
                east_m=round(float(grid.spots_m[cell, 0]), 2),
                north_m=round(float(grid.spots_m[cell, 1]), 2),
                heading_deg=headings[0],
                headings_deg=headings,
                hour=hour,
                missing=round(float(need[cell]), 3),
                nearest_photo_m=None if nearest_m is None else round(float(nearest_m[cell]), 1),
                why=_why(cells, cell),
            )
        )
    return result


def shortest_order(points_m: FloatArray) -> list[int]:
    """Return an order (row numbers) of points (N, 2) whose open path is short: nearest neighbours, then 2-opt."""
    if len(points_m) < 3:
        return list(range(len(points_m)))
    distances_m = np.linalg.norm(points_m[:, None] - points_m[None, :], axis=2)
    tours = (_nearest_neighbours(distances_m, start) for start in range(len(points_m)))
    return _two_opt(min(tours, key=lambda tour: _length_m(distances_m, tour)), distances_m)


def route_length_m(stops: list[Stop]) -> float:
    """Return the metres of the straight way through the stops."""
    points_m = np.array([(stop.east_m, stop.north_m) for stop in stops]).reshape(-1, 2)
    return float(np.linalg.norm(np.diff(points_m, axis=0), axis=1).sum())


def _need(cells: dict[str, Any]) -> FloatArray:
    asked = (("photos", ENOUGH_PHOTOS), ("walks", ENOUGH_WALKS), ("headings", ENOUGH_HEADINGS))
    lacking = [np.maximum(0, least - np.array(cells[key], dtype=np.float64)) / least for key, least in asked]
    return np.asarray(np.sum(lacking, axis=0), dtype=np.float64)


def _choose(grid: Grid, need: FloatArray, depth: FloatArray, stops: int) -> list[int]:
    worth = np.where(need > 0, need + 0.5 * _neighbour_mean(grid, need) + depth, -np.inf)
    away_m = np.zeros(len(grid))
    chosen: list[int] = []
    while len(chosen) < stops:
        gain = worth - away_m / _METRES_PER_POINT
        best = int(gain.argmax()) if len(gain) else -1
        if best < 0 or not np.isfinite(gain[best]):
            break
        distance_m = np.linalg.norm(grid.spots_m - grid.spots_m[best], axis=1)
        away_m = distance_m if not chosen else np.minimum(away_m, distance_m)
        chosen.append(best)
        # On the way through a stop its neighbours are passed: they need no stop of their own.
        worth[distance_m < 1.5 * grid.size_m] = -np.inf
    return chosen


def _neighbour_mean(grid: Grid, values: FloatArray) -> FloatArray:
    """Return the mean over the up to eight cells around each, 0 where there are none."""
    width = int(np.ptp(grid.columns)) + 3 if len(grid) else 3
    height = int(np.ptp(grid.rows)) + 3 if len(grid) else 3
    board, present = np.zeros((height, width)), np.zeros((height, width))
    if not len(grid):
        return values
    row, column = grid.rows - grid.rows.min() + 1, grid.columns - grid.columns.min() + 1
    board[row, column], present[row, column] = values, 1.0
    around = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]
    total = sum(board[row + dy, column + dx] for dy, dx in around)
    count = sum(present[row + dy, column + dx] for dy, dx in around)
    return np.asarray(total / np.maximum(count, 1.0), dtype=np.float64)


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


def _start_hour(subject: PhotoArrays, grid: Grid, chosen: list[int]) -> int:
    """Return the start whose three hours have the fewest photos near the stops, then on the whole site."""
    from scipy.spatial import cKDTree

    if not len(subject):
        return _START_HOURS[1]
    distance_m = cKDTree(grid.spots_m[chosen]).query(subject.east_north_m)[0]
    near = distance_m <= 2 * grid.size_m

    def photos(start: int, rows: NDArray[np.bool_]) -> int:
        return int((rows & (subject.hours >= start) & (subject.hours < start + _WALK_HOURS)).sum())

    return min(_START_HOURS, key=lambda start: (photos(start, near), photos(start, subject.hours >= 0), start))


def _arrivals(points_m: FloatArray, start_hour: int) -> list[int]:
    """Return the hour (0..23) at which each stop is reached, at an easy pace with time to photograph."""
    legs_m = np.linalg.norm(np.diff(points_m, axis=0), axis=1)
    seconds = np.concatenate([[0.0], np.cumsum(legs_m / _WALKING_M_PER_S + _SECONDS_PER_STOP)])
    return [int(start_hour + second // 3600) % 24 for second in seconds.tolist()]


def _nearest_photo_m(subject: PhotoArrays, points_m: FloatArray) -> FloatArray | None:
    from scipy.spatial import cKDTree

    if not len(subject):
        return None
    return np.asarray(cKDTree(subject.east_north_m).query(points_m)[0], dtype=np.float64)


def _why(cells: dict[str, Any], cell: int) -> str:
    photos, walks, headings = (int(cells[key][cell]) for key in ("photos", "walks", "headings"))
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
