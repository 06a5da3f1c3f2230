"""Where a model will be lost, cell by cell, and which places of a next walk lower that most per minute on foot."""

import dataclasses
from typing import Final

import numpy as np

from collect.auditing.distances import FromCell, straight
from collect.auditing.grid import Grid
from collect.auditing.photo_arrays import PhotoArrays
from collect.auditing.walk_choice import SECONDS_PER_STOP, WALKING_M_PER_S
from img2gps.estimation.error_law import ErrorLaw
from img2gps.estimation.error_shape import REACH_M, TrainingNear, training_near
from img2gps.geo import FloatArray

__all__ = ["ExpectedErrors", "choose_by_error", "expected_errors"]

_NO_PHOTO_M: Final = 1000.0
_MOST: Final = 1500  # cells that are looked at as stops and as ground: more cost time and change nothing


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedErrors:
    """The RMSE that a run is to expect in each cell, `error_m` (C,), and what it follows from."""

    run: str
    law: ErrorLaw
    near: TrainingNear
    error_m: FloatArray


def expected_errors(run: str, law: ErrorLaw, arrays: PhotoArrays, grid: Grid) -> ExpectedErrors:
    """Return what to expect in each cell with the photos there are."""
    day = np.zeros(len(grid), dtype=np.int64)
    if len(arrays):
        near = training_near(grid.spots_m, arrays.east_north_m, arrays.walks.astype(str), day)
    else:
        near = TrainingNear(distance_m=np.full(len(grid), _NO_PHOTO_M), walks_near=np.zeros(len(grid)), light=day)
    return ExpectedErrors(run=run, law=law, near=near, error_m=law.expected_m(near))


def choose_by_error(grid: Grid, expected: ExpectedErrors, stops: int, walked_m: FromCell | None = None) -> list[int]:
    """Return up to `stops` cells in the order of choice: each lowers the mean square of the errors most per minute.

    A visit brings photos to the place, and one walk more to the ground around it. The minutes are those from the
    nearest place chosen before and at the place. Ground counts by its share of the walkable area. `walked_m` gives the
    metres on foot from a cell to all, straight ones where None.
    """
    walked_m = walked_m or straight(grid)
    looked = np.unique(np.linspace(0, len(grid) - 1, min(len(grid), _MOST)).astype(np.int64))
    spots_m, shares = grid.spots_m[looked], grid.shares[looked]
    distance_m, passed = expected.near.distance_m[looked], np.zeros(len(looked))
    walks = expected.near.walks_near[looked]
    between_m = np.linalg.norm(spots_m[:, None] - spots_m[None], axis=2)
    chosen: list[int] = []
    away_m = np.zeros(len(looked))
    open_cells = np.ones(len(looked), dtype=bool)
    while len(chosen) < stops and open_cells.any():
        now = _square(expected.law, distance_m, walks + passed)
        gain = np.array(
            [shares @ (now - _square(expected.law, *_visited(distance_m, walks, passed, row_m))) for row_m in between_m]
        )
        gain = np.where(open_cells, gain / (away_m / WALKING_M_PER_S + SECONDS_PER_STOP), -np.inf)
        best = int(gain.argmax())
        if gain[best] <= 0:
            break
        on_foot_m = walked_m(int(looked[best]))[looked]
        away_m = np.minimum(away_m, on_foot_m) if chosen else on_foot_m
        chosen.append(best)
        distance_m = np.minimum(distance_m, between_m[best])
        passed = np.maximum(passed, _passing(between_m[best]))
        open_cells &= between_m[best] >= 1.5 * grid.size_m
    return [int(looked[one]) for one in chosen]


def _visited(
    distance_m: FloatArray, walks: FloatArray, passed: FloatArray, away_m: FloatArray
) -> tuple[FloatArray, FloatArray]:
    return np.minimum(distance_m, away_m), walks + np.maximum(passed, _passing(away_m))


def _passing(away_m: FloatArray) -> FloatArray:
    """Return what the next walk counts so far from one of its stops: it is one walk, however many stops it has."""
    return np.asarray(np.exp(-0.5 * (away_m / REACH_M) ** 2))


def _square(law: ErrorLaw, distance_m: FloatArray, walks_near: FloatArray) -> FloatArray:
    light = np.zeros(len(distance_m), dtype=np.int64)
    return law.expected_m(TrainingNear(distance_m=distance_m, walks_near=walks_near, light=light)) ** 2
