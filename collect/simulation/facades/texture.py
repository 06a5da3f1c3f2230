"""Textures of facades as pyramids of packed texels, and how columns of an image read them."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from collect.simulation.arrays import Bytes, Floats, Ints

Packed: TypeAlias = NDArray[np.uint32]

LEVELS = 6
SMALLEST_PX = 8
# Rounding and halving move the ends of a column by less than this many texels.
PAD = 4
_EVEN, _ODD, _BYTE, _WHOLE = np.uint32(0x00FF00FF), np.uint32(0xFF00FF00), np.uint32(8), np.uint32(256)


@dataclass(frozen=True, slots=True, kw_only=True)
class Texture:
    """A picture and its halvings, column after column from the top down, a texel of four bytes packed into 32 bits.

    `start`, `columns` and `stride` have an entry for each level: where it begins, how many columns it has and how
    far apart they lie. Each column has `PAD` more texels at both ends, copies of its first and last.
    """

    texels: Packed
    start: Ints
    columns: Ints
    stride: Ints


def texture_of(pixels: Bytes) -> Texture:
    """The texture of `pixels` (rows, columns, 4), row 0 at the top."""
    levels = [pixels]
    while min(levels[-1].shape[:2]) >= SMALLEST_PX and len(levels) < LEVELS:
        last = levels[-1]
        even = last[: last.shape[0] // 2 * 2, : last.shape[1] // 2 * 2].astype(np.uint16)
        halved = (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2] + 2) >> 2
        levels.append(halved.astype(np.uint8))
    padded = [_padded_columns(level) for level in levels]
    sizes = np.cumsum([0, *(level.size for level in padded)])
    return Texture(
        texels=np.concatenate([level.ravel() for level in padded]),
        start=sizes[:-1].astype(np.intp),
        columns=np.array([level.shape[0] for level in padded], np.intp),
        stride=np.array([level.shape[1] for level in padded], np.intp),
    )


def _padded_columns(pixels: Bytes) -> Packed:
    """The columns of `pixels` as rows of packed texels, with `PAD` more at both ends."""
    packed = np.ascontiguousarray(pixels).view(np.uint32)[..., 0]
    rows = np.clip(np.arange(-PAD, len(packed) + PAD), 0, len(packed) - 1)
    return packed.T[:, rows]


def blend(first: Packed, second: Packed, weight: Packed) -> Packed:
    """Each byte of `first` moved towards that of `second` by `weight` / 256."""
    keep = np.subtract(_WHOLE, weight, dtype=np.uint32)
    even = ((first & _EVEN) * keep + (second & _EVEN) * weight) >> _BYTE & _EVEN
    odd = ((first >> _BYTE & _EVEN) * keep + (second >> _BYTE & _EVEN) * weight) & _ODD
    return np.asarray(even | odd, np.uint32)


def unpacked(texels: Packed) -> Bytes:
    """The four bytes of each texel, (n, 4)."""
    return texels.view(np.uint8).reshape(-1, 4)


def weight_of(part: Floats) -> Packed:
    """A share in 0..1 as a weight for `blend`."""
    return (part * np.float32(256)).astype(np.uint32)
