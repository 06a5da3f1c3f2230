"""The photos of one walk located together: what each of them shows, and how far a person gets between two.

A hidden Markov model over the cells of the site, smoothed forward and backward (Rabiner, "A Tutorial on Hidden Markov
Models", Proceedings of the IEEE 77, 1989). Only capture times are used beside the photos, never a position.
"""

import functools
import math
from typing import Final

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from img2gps.geo import FloatArray
from train.heads.cells import Cells

__all__ = ["walk_log_shares"]

_PACE_M_PER_S: Final = 0.7  # of somebody who stops for photos; half or twice as much makes no difference
_STANDING_M: Final = 3.0  # what the labels of one spot differ by
_ALIKE_S: Final = 15.0  # photos taken within this show much the same, and err alike
_ASTRAY: Final = 1e-3  # share of steps that go anywhere: a wrong clock, a photo of something else
_STEP: Final = 1.3  # between the widths of step that are told apart
_MOST_STATES: Final = 2048  # bounds memory: a matrix of a step is this squared
_KEPT_STEPS: Final = 8  # matrices at a time


def walk_log_shares(log_shares: Tensor, seconds: FloatArray, cells: Cells) -> Tensor:
    """Return the log shares (N, C) of the photos of one walk, each with what all the others show.

    `log_shares` (N, C) are those of each photo alone, `seconds` (N,) when they were taken, in order of time.
    """
    states = _states(cells).to(log_shares.device)
    evidence = log_shares * _weights(seconds).to(log_shares)[:, None]
    evidence = torch.exp(evidence - evidence.max(dim=1, keepdim=True).values)
    seen = evidence.new_zeros(len(evidence), int(states.max()) + 1).index_add_(1, states, evidence)
    places = _means(cells.centres, states)

    @functools.lru_cache(maxsize=_KEPT_STEPS)
    def step(level: int) -> Tensor:
        return _step(places, _STEP**level)

    widths_m = _STANDING_M + _PACE_M_PER_S * np.diff(seconds)
    levels = [round(math.log(width, _STEP)) for width in widths_m.tolist()]
    forward, backward = torch.empty_like(seen), torch.ones_like(seen)
    forward[0] = _normalised(seen[0])
    for row, level in enumerate(levels, start=1):
        forward[row] = _normalised((forward[row - 1] @ step(level)) * seen[row])
    for row, level in reversed(list(enumerate(levels, start=1))):
        backward[row - 1] = _normalised(step(level) @ (backward[row] * seen[row]))
    both = forward * backward
    # a state of several cells is parted as the photo itself parts it
    own = evidence / seen[:, states].clamp(min=torch.finfo(seen.dtype).tiny)
    return F.log_softmax(torch.log((both[:, states] * own).clamp(min=torch.finfo(seen.dtype).tiny)), dim=1)


def _weights(seconds: FloatArray) -> Tensor:
    """Return the exponent (N,) of each photo's evidence: what was taken within `_ALIKE_S` of each other counts as one.

    One over the number of such photos, where one that is t seconds away counts exp(-t / `_ALIKE_S`).
    """
    kept = np.exp(-np.diff(seconds) / _ALIKE_S)
    before, after = np.zeros(len(seconds)), np.zeros(len(seconds))
    for row, share in enumerate(kept, start=1):
        before[row] = share * (1 + before[row - 1])
    for row, share in reversed(list(enumerate(kept, start=1))):
        after[row - 1] = share * (1 + after[row])
    return torch.from_numpy(1 / (1 + before + after))


def _states(cells: Cells) -> Tensor:
    """Return the state (C,) that each cell belongs to: itself, or a square of several where there are too many."""
    squares = torch.floor(cells.centres.double() / cells.size_m).long().cpu()
    if len(cells) <= _MOST_STATES:
        return torch.arange(len(cells))
    side = 2
    while True:
        states: Tensor = torch.unique(squares // side, dim=0, return_inverse=True)[1]
        if int(states.max()) < _MOST_STATES:
            return states
        side += 1


def _means(centres: Tensor, states: Tensor) -> Tensor:
    """Return the mean place (S, 2) of the cells of each state."""
    count = torch.bincount(states).to(centres)
    total: Tensor = centres.new_zeros(len(count), 2).index_add_(0, states, centres)
    return total / count[:, None]


def _step(places: Tensor, width_m: float) -> Tensor:
    """Return the share (S, S) of walkers at each place that stand at each other one photo later."""
    near = torch.softmax(-torch.cdist(places, places).square() / (2 * width_m**2), dim=1)
    return (1 - _ASTRAY) * near + _ASTRAY / len(places)


def _normalised(shares: Tensor) -> Tensor:
    return shares / shares.sum()
