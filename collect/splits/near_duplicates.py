"""Near-duplicate photos: pairs whose perceptual hashes differ in a few bits, found without comparing all pairs.

Two hashes of 64 bits that differ in at most 6 agree entirely in at least one of seven bands (the pigeonhole principle).
So only photos that share a band are compared. Source: Norouzi et al., "Fast search in Hamming space with multi-index
hashing", CVPR 2012.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray

__all__ = ["MAX_BITS", "NEAR_M", "is_informative", "near_duplicate_pairs", "parse_hashes"]

MAX_BITS: Final = 6
"""Hashes that differ in no more bits belong to near-duplicates: beyond, photos of a walk meet by chance."""

NEAR_M: Final = 25.0
"""Photos of different walks are compared within this distance only."""

_BANDS: Final = ((0, 9), (9, 9), (18, 9), (27, 9), (36, 9), (45, 9), (54, 10))
# A perceptual hash compares coefficients with their median, so about half of its bits are set; far from half
# means a flat or black frame. A hash that very many photos share says nothing about the scene either.
_MIN_BITS_SET, _MAX_BITS_SET, _MAX_SHARING = 16, 48, 200
_MAX_COMPARISONS: Final = 1 << 22

Pairs = NDArray[np.int64]


def parse_hashes(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """Return hexadecimal hashes of up to 64 bits as numbers, shape (N,); what is no such hash becomes 0 (flat)."""
    return np.array([_parse(text) for text in hashes], dtype=np.uint64)


def near_duplicate_pairs(
    hashes: NDArray[np.uint64], walks: NDArray[np.int64], points_m: FloatArray, *, max_bits: int = MAX_BITS
) -> Pairs:
    """Return the pairs of near-duplicates within a walk or within 25 m, as row numbers, shape (P, 2), first < second.

    `hashes` and `walks` (walk numbers) have shape (N,), `points_m` (any metric coordinates) shape (N, D). `max_bits`
    of at most 6 are found completely. Photos whose hash carries no information (a black frame) pair with none.
    """
    rows = np.flatnonzero(is_informative(hashes))
    found = [np.empty((0, 2), dtype=np.int64)]
    for candidates in _candidates(hashes, rows):
        first, second = candidates[:, 0], candidates[:, 1]
        close = np.linalg.norm(points_m[first] - points_m[second], axis=1) <= NEAR_M
        alike = np.bitwise_count(hashes[first] ^ hashes[second]) <= max_bits
        found.append(candidates[alike & (close | (walks[first] == walks[second]))])
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _parse(text: str) -> int:
    try:
        return int(text, 16) if len(text) <= 16 else 0
    except ValueError:
        return 0


def is_informative(hashes: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Return which hashes, shape (N,), tell a scene: those of flat frames, and those that very many share, do not."""
    bits = np.bitwise_count(hashes)
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return (bits >= _MIN_BITS_SET) & (bits <= _MAX_BITS_SET) & (counts[inverse] <= _MAX_SHARING)


def _candidates(hashes: NDArray[np.uint64], rows: NDArray[np.int64]) -> Iterator[Pairs]:
    """Yield pairs of rows that share a band and differ in few bits, each once, in pieces that fit into memory."""
    masks = [np.uint64(((1 << width) - 1) << shift) for shift, width in _BANDS]
    for number, mask in enumerate(masks):
        keys = hashes[rows] & mask
        order = rows[np.argsort(keys, kind="stable")]
        for bucket in np.split(order, np.flatnonzero(np.diff(np.sort(keys))) + 1):
            for pairs in _within_bucket(hashes, np.sort(bucket)):
                differ = hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]
                yield pairs[np.all([differ & earlier != 0 for earlier in masks[:number]], axis=0)] if number else pairs


def _within_bucket(hashes: NDArray[np.uint64], bucket: NDArray[np.int64]) -> Iterator[Pairs]:
    step = max(1, _MAX_COMPARISONS // max(1, len(bucket)))
    for start in range(0, len(bucket), step):
        piece = bucket[start : start + step]
        bits = np.bitwise_count(hashes[piece][:, None] ^ hashes[bucket][None, :])
        left, right = np.nonzero(bits <= MAX_BITS)
        first, second = piece[left], bucket[right]
        kept = first < second
        if kept.any():
            yield np.stack([first[kept], second[kept]], axis=1)
