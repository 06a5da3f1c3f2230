"""The cells of a site: the squares near a training photo, over which a distribution lies."""

import dataclasses
import math
from typing import Final

import numpy as np
import torch
from torch import Tensor

from img2gps.geo import FloatArray

__all__ = ["MOST_CELLS", "Cells", "site_cells", "soft_labels"]

MOST_CELLS: Final = 20_000
"""Bounds the memory of a model of a large site: its cells grow until there are no more than this."""

_GROWTH: Final = 1.25


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """C square cells of side `size_m` and the points they stand for, `centres` (C, 2), east and north in metres.

    A cell with training photos stands for the mean of their positions, not for its middle. Otherwise a coarse cell
    would add the offset between the two to every error.
    """

    centres: Tensor
    size_m: float

    def __len__(self) -> int:
        return len(self.centres)

    @property
    def middles(self) -> "Cells":
        """The cells standing for their middles: what photos are judged by that must not have moved the cells."""
        squares = torch.floor(self.centres.double() / self.size_m)
        return Cells(centres=((squares + 0.5) * self.size_m).to(self.centres), size_m=self.size_m)

    def to(self, device: torch.device) -> "Cells":
        """Return the cells on a device."""
        return Cells(centres=self.centres.to(device), size_m=self.size_m)


def site_cells(xy: FloatArray, *, size_m: float, reach_m: float) -> Cells:
    """Return the cells whose centres lie within `reach_m` of one of the positions `xy` (N, 2).

    The cell of each position is always among them, and their order is that of their rows and columns.
    Where there would be more than `MOST_CELLS`, the cells are larger than `size_m`.
    """
    while True:
        centres = _near(xy, size_m, max(reach_m, size_m / math.sqrt(2)))
        if len(centres) <= MOST_CELLS:
            return Cells(centres=torch.from_numpy(_with_offsets(centres, xy, size_m)).float(), size_m=size_m)
        size_m *= _GROWTH


def soft_labels(xy: Tensor, cells: Cells, sigma_m: float) -> Tensor:
    """Return a Gaussian around each position (N, 2) as probabilities of the cells, (N, C)."""
    # the faster way to distances is metres off where a site is kilometres wide
    distance = torch.cdist(xy, cells.centres, compute_mode="donot_use_mm_for_euclid_dist")
    return torch.softmax(-distance.square() / (2 * sigma_m**2), dim=1)


def _with_offsets(centres: FloatArray, xy: FloatArray, size_m: float) -> FloatArray:
    """Return the centres, those of cells with positions moved to the mean of these."""
    squares = np.floor(np.concatenate([centres, xy]) / size_m).astype(np.int64)
    number = np.unique(squares, axis=0, return_inverse=True)[1].reshape(-1)
    own, cell = number[: len(centres)], number[len(centres) :]
    count = np.bincount(cell, minlength=number.max() + 1)[own, None]
    total = np.stack([np.bincount(cell, axis, minlength=number.max() + 1)[own] for axis in xy.T], axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), centres)


def _near(xy: FloatArray, size_m: float, reach_m: float) -> FloatArray:
    """Return the centres near the positions; built around each, so that far-flung sites need no bounding box."""
    own = np.unique(np.floor(xy / size_m).astype(np.int64), axis=0)
    span = math.ceil(reach_m / size_m)
    steps = np.stack(np.meshgrid(*[np.arange(-span, span + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    candidates = np.unique((own[:, None] + steps[None]).reshape(-1, 2), axis=0)
    centres = (candidates + 0.5) * size_m
    from scipy.spatial import KDTree

    near = KDTree(xy).query(centres, distance_upper_bound=reach_m * (1 + 1e-9))[0] <= reach_m
    return np.asarray(centres[near], dtype=np.float64)
