"""The photos of one walk located together: `train.models.walks`, whose comments say why, in numpy."""

import dataclasses
import math
from collections.abc import Callable
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.walks import evidence_weights

__all__ = ["SiteSquares"]

_PACE_M_PER_S: Final = 0.7
_STANDING_M: Final = 3.0
_ASTRAY: Final = 1e-3
_MISLED: Final = 0.03
_LEVEL: Final = 1.3
_MOST_SQUARES: Final = 1 << 18
_MOST_LINES: Final = 2048
_GROWTH: Final = 1.2
_BALANCING: Final = 40
_SMALLEST: Final = float(np.finfo(np.float32).tiny)

Step = Callable[[FloatArray], FloatArray]
Matrices = tuple[FloatArray, FloatArray, FloatArray]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SiteSquares:
    """S squares of side `side_m` that hold the C cells of a site, in columns and rows (`train.models.walks`).

    `square` (C,) is that of each cell. `column` and `row` (S,) count the columns and rows that hold anything. These lie
    at `east_m` and `north_m`.
    """

    square: NDArray[np.int64]
    column: NDArray[np.int64]
    row: NDArray[np.int64]
    east_m: FloatArray
    north_m: FloatArray
    side_m: float
    kept: dict[int, Matrices] = dataclasses.field(default_factory=dict)

    @classmethod
    def around(cls, centres: FloatArray, size_m: float) -> Self:
        """Return the grid of cells of side `size_m` with `centres` (C, 2), or of squares of several of them."""
        places = np.floor(centres / size_m).astype(np.int64)
        side = 1
        while True:
            squares, square = np.unique(places // side, axis=0, return_inverse=True)
            columns, column = np.unique(squares[:, 0], return_inverse=True)
            rows, row = np.unique(squares[:, 1], return_inverse=True)
            if len(columns) * len(rows) <= _MOST_SQUARES and max(len(columns), len(rows)) <= _MOST_LINES:
                side_m = side * size_m
                east_m, north_m = ((lines - lines[0]) * side_m for lines in (columns, rows))
                numbers = (square.reshape(-1), column.reshape(-1), row.reshape(-1))
                square, column, row = (part.astype(np.int64) for part in numbers)
                return cls(square=square, column=column, row=row, east_m=east_m, north_m=north_m, side_m=side_m)
            side = max(side + 1, int(_GROWTH * side))

    def log_probs(self, log_probs: FloatArray, seconds: FloatArray) -> FloatArray:
        """Return the log-probabilities (N, C) of the photos of one walk, each given all the others.

        `log_probs` (N, C) are those of each photo alone, `seconds` (N,) when they were taken, in order of time.
        """
        moments, of_moment = np.unique(seconds, return_inverse=True)
        of_moment = of_moment.reshape(-1)
        evidence = np.zeros((len(moments), log_probs.shape[1]))
        doubted = np.log((1 - _MISLED) * np.exp(log_probs) + _MISLED / log_probs.shape[1])
        np.add.at(evidence, of_moment, doubted * evidence_weights(seconds)[:, None])
        evidence = np.exp(evidence - evidence.max(axis=1, keepdims=True))
        likelihood = np.zeros((len(moments), len(self.column)))
        np.add.at(likelihood.T, self.square, evidence.T)
        both = _smoothed(likelihood, [self._step(gap_s) for gap_s in np.diff(moments).tolist()])
        probs: FloatArray = both[:, self.square] * (evidence / np.maximum(likelihood[:, self.square], _SMALLEST))
        of_moments: FloatArray = np.log(np.maximum(probs / probs.sum(axis=1, keepdims=True), _SMALLEST))
        return of_moments[of_moment]

    def _step(self, gap_s: float) -> Step:
        """Return what spreads probabilities (S,) over where a person may be `gap_s` seconds later: a Gaussian."""
        width_m = math.hypot(_STANDING_M + _PACE_M_PER_S * gap_s, self.side_m / math.sqrt(6))
        level = round(math.log(width_m, _LEVEL))
        if level not in self.kept:
            self.kept[level] = self._matrices(_LEVEL**level)
        along_east, along_north, balance = self.kept[level]

        def spread(probs: FloatArray) -> FloatArray:
            near = balance * self._blurred(balance * probs, along_east, along_north)
            spread_out: FloatArray = (1 - _ASTRAY) * near + _ASTRAY / len(probs) * probs.sum()
            return spread_out

        return spread

    def _matrices(self, width_m: float) -> Matrices:
        """Return the Gaussian along the columns and the rows, and the weights (S,) of both ends of a step."""
        along_east, along_north = (
            np.exp(-np.square(lines[:, None] - lines[None]) / (2 * width_m**2)) for lines in (self.east_m, self.north_m)
        )
        balance = np.ones(len(self.column))
        for _ in range(_BALANCING):
            balance = np.sqrt(balance / self._blurred(balance, along_east, along_north))
        return along_east, along_north, balance

    def _blurred(self, probs: FloatArray, along_east: FloatArray, along_north: FloatArray) -> FloatArray:
        plane = np.zeros((len(self.east_m), len(self.north_m)))
        plane[self.column, self.row] = probs
        blurred: FloatArray = (along_east @ plane @ along_north)[self.column, self.row]
        return blurred


def _smoothed(likelihood: FloatArray, steps: list[Step]) -> FloatArray:
    """Return, up to a factor per row, how likely each of S squares is given all evidence `likelihood` (M, S)."""
    both = np.empty_like(likelihood)
    both[0] = _normalised(likelihood[0])
    for row, step in enumerate(steps, start=1):
        both[row] = _normalised(step(both[row - 1]) * likelihood[row])
    later = np.ones(likelihood.shape[1])
    for row, step in reversed(list(enumerate(steps, start=1))):
        later = _normalised(step(later * likelihood[row]))
        both[row - 1] *= later
    return both


def _normalised(probs: FloatArray) -> FloatArray:
    normalised: FloatArray = probs / probs.sum()
    return normalised
