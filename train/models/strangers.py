"""Views that are nowhere on the site, to learn how many of such a model finds out: pieces of its own photos, mixed."""

import itertools
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["STRANGERS", "mixed_views"]

STRANGERS: Final = 48
"""Made-up views per model: their share is known to some 7 %, for some seconds of a training."""

_ROWS, _COLUMNS = 3, 2


class _Rows(Protocol):
    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, row: int, /) -> NDArray[np.uint8]: ...


def mixed_views(pixels: _Rows, rows: NDArray[np.int64], *, count: int, seed: int) -> torch.Tensor:
    """Return `count` views that no place shows, (count, 3, height, width) uint8, of the photos `pixels[rows]`.

    Each is a patchwork of three rows of two pieces, every piece from another photo drawn at random. It keeps its band
    of rows, so that sky stays above and ground below, and is mirrored half of the time. Light, camera, materials and
    plants are those of the site; their arrangement is not. Such views were about as hard to tell from the site as
    photos of another campus (docs/experiments/results.md).
    """
    draws = np.random.default_rng([seed, count])
    height, width = pixels.shape[2:]
    tops = np.linspace(0, height, _ROWS + 1).astype(int)
    lefts = np.linspace(0, width, _COLUMNS + 1).astype(int)
    views = np.empty((count, *pixels.shape[1:]), dtype=np.uint8)
    for view in views:
        for top, bottom in itertools.pairwise(tops):
            for left, right in itertools.pairwise(lefts):
                start = int(draws.choice(lefts[:-1]))
                start = min(start, width - (right - left))
                piece = pixels[int(draws.choice(rows))][:, top:bottom, start : start + right - left]
                view[:, top:bottom, left:right] = piece[:, :, ::-1] if draws.random() < 0.5 else piece
    return torch.from_numpy(views)
