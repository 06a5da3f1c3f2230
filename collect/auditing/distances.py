"""How far the cells of a site are from one of them: straight, or on foot around what stands in the way."""

from collections.abc import Callable
from typing import Final

import numpy as np

from collect.auditing.grid import Grid
from img2gps.geo import FloatArray

__all__ = ["FromCell", "on_foot", "straight"]

FromCell = Callable[[int], FloatArray]
"""Takes the number of a cell and returns the metres from it to every cell, shape (C,)."""

_STEPS: Final = ((0, 1), (1, 0), (1, 1), (1, -1))
_DETOUR: Final = 1.3
"""A cell that no steps reach is this much farther than the straight line, as ways that a map does not know."""


def straight(grid: Grid) -> FromCell:
    """Return the straight distances."""
    return lambda cell: np.asarray(np.linalg.norm(grid.spots_m - grid.spots_m[cell], axis=1), dtype=np.float64)


def on_foot(grid: Grid) -> FromCell:
    """Return the distances of steps from cell to neighbouring cell, of eight.

    The grid holds no cell of buildings and water, so ways lead around them. On open ground they are at most 8 % longer
    than the straight line.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import dijkstra

    number = {place: cell for cell, place in enumerate(zip(grid.rows.tolist(), grid.columns.tolist(), strict=True))}
    pairs = [
        (cell, number[row + up, column + right])
        for (row, column), cell in number.items()
        for up, right in _STEPS
        if (row + up, column + right) in number
    ]
    starts, ends = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    lengths_m = np.linalg.norm(grid.spots_m[starts] - grid.spots_m[ends], axis=1)
    steps = coo_array((lengths_m, (starts, ends)), shape=(len(grid), len(grid))).tocsr()
    direct = straight(grid)

    def distances_m(cell: int) -> FloatArray:
        found = dijkstra(steps, directed=False, indices=cell)
        return np.where(np.isfinite(found), found, _DETOUR * direct(cell))

    return distances_m
