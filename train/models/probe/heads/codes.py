"""Local vectors at four bits a component: a quarter of their size, for galleries of very many photos."""

import math
from typing import Final

import torch
from torch import Tensor

from train.models.probe.features.descriptors import DescriptorModel, Descriptors
from train.models.probe.features.stored_features import AnyFeatures, blocks

__all__ = ["packed", "packed_descriptors", "products_of", "unpacked"]

_STEP: Final = 0.3352
"""Of the standard deviation of a component: of 16 even steps those of least error for a normal distribution
(Max, "Quantizing for Minimum Distortion", IRE Transactions on Information Theory 6, 1960, table II)."""

_LEVELS: Final = 16
_MIDDLE: Final = (_LEVELS - 1) / 2


def packed(vectors: Tensor) -> Tensor:
    """Return unit vectors (..., k) as codes (..., ceil(k / 2)) uint8: components of the first half in the low bits."""
    width = vectors.shape[-1]
    step = _STEP / math.sqrt(width)
    levels = (vectors.float() / step + _MIDDLE).round().clamp(0, _LEVELS - 1).to(torch.uint8)
    if width % 2:
        levels = torch.cat([levels, levels.new_zeros(*levels.shape[:-1], 1)], dim=-1)
    low, high = levels.chunk(2, dim=-1)
    return low | (high << 4)


def unpacked(codes: Tensor, width: int) -> Tensor:
    """Return the vectors (..., `width`) float32 that `packed` made codes (..., ceil(width / 2)) of, about."""
    levels = torch.cat([codes & 15, codes >> 4], dim=-1)[..., :width]
    return (levels.float() - _MIDDLE) * (_STEP / math.sqrt(width))


def products_of(codes: Tensor, vectors: Tensor) -> Tensor:
    """Return the products (N, M) of the vectors in codes (N, ceil(k / 2)) with `vectors` (M, k) float32.

    What `unpacked(codes, k) @ vectors.T` says, without the vectors themselves.
    """
    step = _STEP / math.sqrt(vectors.shape[1])
    half = codes.shape[1]
    low, high = vectors[:, :half] * step, vectors[:, half:] * step
    constant = -_MIDDLE * step * vectors.sum(dim=1)
    first = torch.addmm(constant, (codes & 15).float(), low.T)
    return first.addmm_((codes >> 4).float()[:, : high.shape[1]], high.T)


def packed_descriptors(model: DescriptorModel, features: AnyFeatures) -> Descriptors:
    """Return what `model` makes of very many photos, block by block, with local vectors packed."""
    pooled: Tensor | None = None
    local: list[list[Tensor]] = []
    start = 0
    for block in blocks(features):
        found = model(block)
        grids = [[packed(grid) for grid in network] for network in found.local]
        if pooled is None:
            pooled = _room(found.pooled, len(features))
            local = [[_room(grid, len(features)) for grid in network] for network in grids]
        pooled[start : start + len(block)] = found.pooled
        for rooms, network in zip(local, grids, strict=True):
            for room, grid in zip(rooms, network, strict=True):
                room[start : start + len(block)] = grid
        start += len(block)
    assert pooled is not None
    return Descriptors(pooled=pooled, local=tuple(map(tuple, local)))


def _room(part: Tensor, count: int) -> Tensor:
    return part.new_empty(count, *part.shape[1:])
