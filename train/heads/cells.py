"""The cells of a site: the squares near a training photo, which a distribution gives shares to."""

import dataclasses
import math
from typing import Final

import numpy as np
import torch
from torch import Tensor

from img2gps.geo import FloatArray

__all__ = ["MOST_CELLS", "Cells", "site_cells"]

MOST_CELLS: Final = 20_000
"""Bounds the memory of a model of a large site: its cells grow until there are no more than this."""

_GROWTH: Final = 1.25


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """C square cells of side `size_m`: their centres (C, 2), east and north in metres."""

    centres: Tensor
    size_m: float

    def __len__(self) -> int:
        return len(self.centres)

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
            return Cells(centres=torch.from_numpy(centres).float(), size_m=size_m)
        size_m *= _GROWTH


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
