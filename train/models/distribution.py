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

    Weiszfeld's iteration (Tohoku Mathematical Journal 43, 1937) from the mean; its goal is convex, so the
    start does not matter, and the answer is not bound to cell centres.
    """
    point = mean_point(probs, cells)
    for _ in range(_STEPS):
        pull = probs / torch.cdist(point, cells.centres).clamp(min=_NEAR_M)
        point = (pull @ cells.centres) / pull.sum(dim=1, keepdim=True)
    return point


def mode_point(probs: Tensor, cells: Cells, *, bandwidth_m: float) -> Tensor:
    """Return the modes (N, 2) of probabilities (N, C) under a Gaussian kernel of `bandwidth_m`.

    Mean shift from the largest cell (Comaniciu and Meer, PAMI 24, 2002).
    """
    point = cells.centres[probs.argmax(dim=1)]
    for _ in range(_STEPS // 3):
        near = torch.softmax(-torch.cdist(point, cells.centres).square() / (2 * bandwidth_m**2), dim=1)
        pull = probs * near
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
