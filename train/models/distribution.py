"""Answers and regions of distributions over the cells of a site."""

from typing import Final

import torch
from torch import Tensor

from train.models.grid import Cells

__all__ = ["mean_point", "median_point", "mode_point", "region_radii"]

_STEPS: Final = 60
_NEAR_M: Final = 0.5  # the median stops here short of dividing by a distance of zero


def mean_point(probs: Tensor, cells: Cells) -> Tensor:
    """Return the means (N, 2) of probabilities (N, C): the answer of least expected squared error."""
    return probs @ cells.centres


def median_point(probs: Tensor, cells: Cells) -> Tensor:
    """Return the geometric medians (N, 2) of probabilities (N, C): the answer of least expected distance.

    This is Weiszfeld's iteration (Tohoku Mathematical Journal 43, 1937) from the mean. Its goal is convex, so the start
    does not matter. The answer is not bound to cell centres.
    """
    point, centres = mean_point(probs, cells), _extended(cells.centres)
    for _ in range(_STEPS):
        distance = _squared_distances(point, centres).clamp_(min=_NEAR_M**2).sqrt_()
        pull = torch.div(probs, distance, out=distance)
        point = (pull @ cells.centres) / pull.sum(dim=1, keepdim=True)
    return point


def mode_point(probs: Tensor, cells: Cells, *, bandwidth_m: float) -> Tensor:
    """Return the modes (N, 2) of probabilities (N, C) under a Gaussian kernel of `bandwidth_m`.

    Mean shift from the largest cell (Comaniciu and Meer, PAMI 24, 2002).
    """
    point, centres = cells.centres[probs.argmax(dim=1)], _extended(cells.centres)
    for _ in range(_STEPS // 3):
        squared = _squared_distances(point, centres).clamp_(min=0.0).sqrt_().square_()
        pull = torch.softmax(squared.neg_().div_(2 * bandwidth_m**2), dim=1).mul_(probs)
        point = (pull @ cells.centres) / pull.sum(dim=1, keepdim=True)
    return point


def region_radii(probs: Tensor, cells: Cells, point: Tensor, levels: tuple[float, ...]) -> Tensor:
    """Return the radii (N, levels) of the smallest discs around `point` (N, 2) that hold each probability of `levels`.

    No radius is smaller than that of a disc as large as one cell: a distribution over cells knows no better.
    """
    distance, order = torch.cdist(point, cells.centres).sort(dim=1)
    held = probs.gather(1, order).cumsum(dim=1)
    columns = [(held < level * held[:, -1:]).sum(dim=1, keepdim=True) for level in levels]
    radii = [distance.gather(1, column.clamp(max=distance.shape[1] - 1)) for column in columns]
    return torch.cat(radii, dim=1).clamp(min=cells.size_m / torch.pi**0.5)


def _extended(centres: Tensor) -> Tensor:
    """Return centres (C, 2) with what `_squared_distances` needs of them, (C, 4): the same in all steps."""
    return torch.cat([centres, torch.ones_like(centres[:, :1]), centres.square().sum(dim=1, keepdim=True)], dim=1)


def _squared_distances(point: Tensor, extended: Tensor) -> Tensor:
    """Return about the squared distances (N, C) of points (N, 2) to centres; rounding may make them negative.

    One product, as `torch.cdist` has it for many centres, to the bit: it would prepare the centres in every step.
    """
    own = torch.cat([-2 * point, point.square().sum(dim=1, keepdim=True), torch.ones_like(point[:, :1])], dim=1)
    return own @ extended.T
