"""Which places a next walk leads to: those that give most per minute on foot."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from collect.auditing.coverage import ENOUGH_HEADINGS, ENOUGH_PHOTOS, ENOUGH_WALKS, CellTable
from collect.auditing.distances import FromCell, straight
from collect.auditing.grid import Grid
from img2gps.geo import FloatArray

__all__ = ["SECONDS_PER_STOP", "WALKING_M_PER_S", "choose", "lacking"]

WALKING_M_PER_S: Final = 1.2
SECONDS_PER_STOP: Final = 40.0

# A place is known as far as its photos look: what they give to the ground around fades with this distance.
_REACH_M: Final = 20.0
# The first place is worth up to 2 more in the middle of a hole, for places without any photo lack all alike.
_HOLE_M: Final = 50.0
_DEEPEST: Final = 2.0
_TIE: Final = 1e-6


def lacking(cells: CellTable) -> FloatArray:
    """Return what each cell lacks of 3 photos, 2 walks and 4 headings, each 0..1, together 0..3; shape (C,)."""
    return np.asarray(_lack(cells.photos, ENOUGH_PHOTOS) + _lack(cells.walks, ENOUGH_WALKS)
                      + _lack(cells.headings, ENOUGH_HEADINGS), dtype=np.float64)  # fmt: skip


def choose(
    grid: Grid, cells: CellTable, nearest_m: FloatArray | None, stops: int, walked_m: FromCell | None = None
) -> list[int]:
    """Return up to `stops` cells in the order of choice; none where every cell has all it needs.

    The first lies in the largest hole. Each further one gives most per minute. The gain is what one more visit would
    mend, there and around, less what the stops before it mend. The time is the minutes from the nearest of them and at
    the place. A cell counts by its share of the walkable area, and ground outside that for nothing, so that margins
    count for less. `nearest_m` is the distance of each cell from the nearest photo, None without photos. `walked_m`
    gives the metres on foot from a cell to all, straight ones where None.
    """
    walked_m = walked_m or straight(grid)
    need, open_need = lacking(cells), _mended_by_a_visit(cells) * grid.shares
    wanted = need > 0
    chosen: list[int] = []
    away_m = np.zeros(len(grid))
    while len(chosen) < stops and wanted.any():
        if chosen:
            minutes = (away_m / WALKING_M_PER_S + SECONDS_PER_STOP) / 60.0
            gain = _around(grid, open_need) / minutes
        else:
            gain = _first(grid, need, nearest_m)
        best = int(np.where(wanted, gain, -np.inf).argmax())
        distance_m = np.linalg.norm(grid.spots_m - grid.spots_m[best], axis=1)
        away_m = walked_m(best) if not chosen else np.minimum(away_m, walked_m(best))
        chosen.append(best)
        open_need = open_need * (1.0 - np.exp(-0.5 * (distance_m / _reach_m(grid)) ** 2))
        # on the way through a stop its neighbours are passed: they need no stop of their own
        wanted &= distance_m >= 1.5 * grid.size_m
    return chosen


def _lack(counts: NDArray[np.int64], enough: int) -> FloatArray:
    lack = np.maximum(0, enough - counts.astype(np.float64)) / enough
    return np.asarray(lack, dtype=np.float64)


def _mended_by_a_visit(cells: CellTable) -> FloatArray:
    """Return what one visit mends, 0..3: photos and headings, and one walk, be it the first or the second."""
    another_walk = cells.walks < ENOUGH_WALKS
    return _lack(cells.photos, ENOUGH_PHOTOS) + _lack(cells.headings, ENOUGH_HEADINGS) + another_walk


def _first(grid: Grid, need: FloatArray, nearest_m: FloatArray | None) -> FloatArray:
    """Return what each cell is worth as the first place: its need, and how deep in a hole it lies."""
    if nearest_m is None:
        return _around(grid, need * grid.shares)
    depth = np.minimum(nearest_m / _HOLE_M, _DEEPEST) + nearest_m * _TIE  # of two deep ones, the deeper
    return np.asarray((need + depth) * grid.shares, dtype=np.float64)


def _reach_m(grid: Grid) -> float:
    return max(_REACH_M, grid.size_m)


def _around(grid: Grid, values: FloatArray) -> FloatArray:
    """Return the mean of values around each cell, near ones counting most; ground outside the area counts as 0."""
    from scipy.ndimage import gaussian_filter

    row, column = grid.rows - grid.rows.min(), grid.columns - grid.columns.min()
    board: NDArray[np.float64] = np.zeros((int(row.max()) + 1, int(column.max()) + 1))
    board[row, column] = values
    smooth = gaussian_filter(board, _reach_m(grid) / grid.size_m, mode="constant", truncate=3.0)
    return np.asarray(smooth[row, column], dtype=np.float64)
