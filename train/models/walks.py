"""The photos of one walk located together: what each of them shows, and how far a person gets between two.

A chain of positions over the squares of the site, with the photos as its evidence, is smoothed forward and backward.
Source: Rabiner, "A Tutorial on Hidden Markov Models", Proceedings of the IEEE 77, 1989, sec. III. Only capture times
are used beside the photos, never a position.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from img2gps.geo import FloatArray
from img2gps.walks import evidence_weights
from train.models.grid import Cells

__all__ = ["WalkSmoother"]

_PACE_M_PER_S: Final = 0.7  # of somebody who stops for photos; half or twice as much makes no difference
_STANDING_M: Final = 3.0  # what the labels of one spot differ by
_ASTRAY: Final = 1e-3  # share of steps that go anywhere: a wrong clock, a photo of something else
_MISLED: Final = 0.03  # share of photos that a model is sure of, and wrong: of what no training photo shows
_LEVEL: Final = 1.3  # between the widths of step that are told apart
_MOST_SQUARES: Final = 1 << 18  # of the grid around the cells: bounds the time of a step
_MOST_LINES: Final = 2048  # columns or rows of it: bounds the memory of a step
_GROWTH: Final = 1.2  # of squares while there are too many
_BALANCING: Final = 40


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WalkSmoother:
    """S squares of side `side_m` that hold the C cells of a site, in columns and rows: a Gaussian step is two products.

    `square` (C,) is that of each cell; `column` and `row` (S,) count the columns and rows that hold anything,
    which lie at `east_m` and `north_m`. Steps are kept by their width.
    """

    square: Tensor
    column: Tensor
    row: Tensor
    east_m: Tensor
    north_m: Tensor
    side_m: float
    kept: dict[int, tuple[Tensor, Tensor, Tensor]] = dataclasses.field(default_factory=dict)

    @classmethod
    def around(cls, cells: Cells) -> Self:
        """Return the grid of the cells themselves, or of squares of several where it would be too large."""
        places = torch.floor(cells.centres.double().cpu() / cells.size_m).long()
        side = 1
        while True:
            squares, square = torch.unique(torch.floor_divide(places, side), dim=0, return_inverse=True)
            columns, column = torch.unique(squares[:, 0], return_inverse=True)
            rows, row = torch.unique(squares[:, 1], return_inverse=True)
            if len(columns) * len(rows) <= _MOST_SQUARES and max(len(columns), len(rows)) <= _MOST_LINES:
                side_m = side * cells.size_m
                # from the first on: float32 has no digits to spare for how far away the origin is
                east_m, north_m = ((lines - lines[0]) * side_m for lines in (columns, rows))
                parts = (square, column, row, east_m.float(), north_m.float())
                square, column, row, east_m, north_m = (part.to(cells.centres.device) for part in parts)
                return cls(square=square, column=column, row=row, east_m=east_m, north_m=north_m, side_m=side_m)
            side = max(side + 1, int(_GROWTH * side))

    def log_probs(self, log_probs: Tensor, seconds: FloatArray) -> Tensor:
        """Return the log-probabilities (N, C) of the photos of one walk, each given all the others.

        `log_probs` (N, C) are those of each photo alone, `seconds` (N,) when they were taken, in order of time. Photos
        of one moment are taken to be of one spot, whatever their order.
        """
        moments, of_photo = np.unique(seconds, return_inverse=True)
        of_moment = torch.from_numpy(of_photo.reshape(-1)).to(log_probs.device)
        # no photo is so sure of its place that it outweighs how far a person gets
        doubted = torch.log((1 - _MISLED) * log_probs.exp() + _MISLED / log_probs.shape[1])
        weighted = doubted * torch.from_numpy(evidence_weights(seconds)).to(log_probs)[:, None]
        evidence = weighted.new_zeros(len(moments), weighted.shape[1]).index_add_(0, of_moment, weighted)
        evidence = torch.exp(evidence - evidence.max(dim=1, keepdim=True).values)
        likelihood = evidence.new_zeros(len(moments), len(self.column)).index_add_(1, self.square, evidence)
        both = _smoothed(likelihood, [self._step(gap_s) for gap_s in np.diff(moments).tolist()])
        # a square of several cells is parted as the photos themselves part it
        smallest = torch.finfo(likelihood.dtype).tiny
        probs = both[:, self.square] * (evidence / likelihood[:, self.square].clamp(min=smallest))
        return F.log_softmax(torch.log(probs.clamp(min=smallest)), dim=1)[of_moment]

    def _step(self, gap_s: float) -> "Callable[[Tensor], Tensor]":
        """Return what spreads probabilities (S,) over where a person may be `gap_s` seconds later: a Gaussian."""
        # two places in squares differ by a sixth of their area more than the squares do (per axis, mean square)
        width_m = math.hypot(_STANDING_M + _PACE_M_PER_S * gap_s, self.side_m / math.sqrt(6))
        level = round(math.log(width_m, _LEVEL))
        if level not in self.kept:
            self.kept[level] = self._matrices(_LEVEL**level)
        along_east, along_north, balance = self.kept[level]

        def spread(probs: Tensor) -> Tensor:
            near = balance * self._blurred(balance * probs, along_east, along_north)
            return (1 - _ASTRAY) * near + _ASTRAY / len(probs) * probs.sum()

        return spread

    def _matrices(self, width_m: float) -> tuple[Tensor, Tensor, Tensor]:
        """Return the Gaussian along the columns and the rows, and the weights (S,) of both ends of a step.

        With these, the probabilities that lead from and to every square add up to one. So photos that show nothing
        prefer no place, be it a plaza or a lane. Source: Knight, Ruiz and Uçar, "A Symmetry Preserving Algorithm for
        Matrix Scaling" (SIAM Journal on Matrix Analysis and Applications 35, 2014).
        """
        along = [
            torch.exp(-(lines[:, None] - lines[None]).square() / (2 * width_m**2))
            for lines in (self.east_m, self.north_m)
        ]
        balance = torch.ones_like(self.column, dtype=along[0].dtype)
        for _ in range(_BALANCING):
            balance = (balance / self._blurred(balance, *along)).sqrt()
        return along[0], along[1], balance

    def _blurred(self, probs: Tensor, along_east: Tensor, along_north: Tensor) -> Tensor:
        plane = probs.new_zeros(len(self.east_m), len(self.north_m))
        plane[self.column, self.row] = probs
        blurred: Tensor = (along_east @ plane @ along_north)[self.column, self.row]
        return blurred


def _smoothed(likelihood: Tensor, steps: "list[Callable[[Tensor], Tensor]]") -> Tensor:
    """Return, up to a factor per row, how likely each of S squares is given all evidence `likelihood` (M, S).

    The M - 1 `steps` spread probabilities (S,) from one moment to the next. They are symmetric: each leads back, too.
    """
    both = torch.empty_like(likelihood)
    both[0] = _normalised(likelihood[0])
    for row, step in enumerate(steps, start=1):
        both[row] = _normalised(step(both[row - 1]) * likelihood[row])
    later = torch.ones_like(likelihood[0])
    for row, step in reversed(list(enumerate(steps, start=1))):
        later = _normalised(step(later * likelihood[row]))
        both[row - 1] *= later
    return both


def _normalised(probs: Tensor) -> Tensor:
    return probs / probs.sum()
