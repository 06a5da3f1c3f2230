"""Near-duplicate photos: pairs whose perceptual hashes differ in a few bits, found without comparing all pairs.

Cut two hashes of 64 bits into 6 + W blocks. If they differ in at most 6 bits, they agree in at least W whole blocks
(the pigeonhole principle). So only photos that share W blocks are compared, for each choice of W blocks. More photos
take more blocks: the share that two hashes have by chance then stays small, and the work grows little faster than the
photos. Source: Norouzi et al., "Fast search in Hamming space with multi-index hashing", CVPR 2012.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, count, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray

__all__ = ["MAX_BITS", "NEAR_M", "alike_pairs", "is_informative", "near_duplicate_pairs", "parse_hashes"]

MAX_BITS: Final = 6
"""Hashes that differ in no more bits belong to near-duplicates: beyond, photos of a walk meet by chance."""

NEAR_M: Final = 25.0
"""Photos of different walks are compared within this distance only."""

_HASH_BITS: Final = 64
_MOST_WHOLE: Final = 4  # 210 choices of blocks, of 25 bits each: enough for tens of millions
# A perceptual hash compares coefficients with their median, so about half of its bits are set; far from half
# means a flat or black frame. A hash that very many photos share says nothing about the scene either.
_MIN_BITS_SET, _MAX_BITS_SET, _MAX_SHARING = 16, 48, 200

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]


def parse_hashes(hashes: Sequence[str]) -> Hashes:
    """Return hexadecimal hashes of up to 64 bits as numbers, shape (N,); what is no such hash becomes 0 (flat)."""
    return np.array([_parse(text) for text in hashes], dtype=np.uint64)


def near_duplicate_pairs(
    hashes: Hashes, walks: NDArray[np.int64], points_m: FloatArray, *, max_bits: int = MAX_BITS
) -> Pairs:
    """Return the pairs of near-duplicates within a walk or within 25 m, as row numbers, shape (P, 2), first < second.

    `hashes` and `walks` (walk numbers) have shape (N,), `points_m` (any metric coordinates) shape (N, D). `max_bits`
    of at most 6 are found completely. Photos whose hash carries no information (a black frame) pair with none.
    """
    rows = np.flatnonzero(is_informative(hashes))
    found = [np.empty((0, 2), dtype=np.int64)]
    for alike in alike_pairs(hashes[rows], max_bits=max_bits):
        pairs = rows[alike]
        first, second = pairs[:, 0], pairs[:, 1]
        close = np.linalg.norm(points_m[first] - points_m[second], axis=1) <= NEAR_M
        found.append(pairs[close | (walks[first] == walks[second])])
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def _parse(text: str) -> int:
    try:
        return int(text, 16) if len(text) <= 16 else 0
    except ValueError:
        return 0


def is_informative(hashes: Hashes) -> NDArray[np.bool_]:
    """Return which hashes, shape (N,), tell a scene: those of flat frames, and those that very many share, do not."""
    bits = np.bitwise_count(hashes)
    _, inverse, counts = np.unique(hashes, return_inverse=True, return_counts=True)
    return (bits >= _MIN_BITS_SET) & (bits <= _MAX_BITS_SET) & (counts[inverse] <= _MAX_SHARING)


def alike_pairs(hashes: Hashes, *, max_bits: int = MAX_BITS, whole: int | None = None) -> Iterator[Pairs]:
    """Yield the pairs of rows whose hashes differ in at most `max_bits` (6 or fewer), each once, first < second.

    `whole` is how many blocks must agree, by default as many as the number of hashes asks for.
    """
    whole = whole or next((n for n in range(1, _MOST_WHOLE) if len(hashes) <= 1 << _shared_bits(n)), _MOST_WHOLE)
    masks = _block_masks(MAX_BITS + whole)
    choices = list(combinations(range(len(masks)), whole))
    # by the bits of the blocks that a pair agrees in, the first choice that finds it: later ones leave it out
    first_choice = np.full(1 << len(masks), -1)
    for agreeing in range(len(first_choice)):
        found = (n for n, choice in enumerate(choices) if all(agreeing >> block & 1 for block in choice))
        first_choice[agreeing] = next(found, -1)
    for number, choice in enumerate(choices):
        for pairs in _sharing(hashes, np.bitwise_or.reduce(masks[list(choice)]), max_bits):
            differ = hashes[pairs[:, 0]] ^ hashes[pairs[:, 1]]
            agreeing_blocks = ((differ[:, None] & masks) == 0) @ (1 << np.arange(len(masks)))
            yield pairs[first_choice[agreeing_blocks] == number]


def _shared_bits(whole: int) -> int:
    return _HASH_BITS * whole // (MAX_BITS + whole)


def _block_masks(blocks: int) -> Hashes:
    """Return the bits of each of so many blocks of nearly equal width."""
    ends = [_HASH_BITS * n // blocks for n in range(blocks + 1)]
    return np.array([(1 << end) - (1 << start) for start, end in pairwise(ends)], dtype=np.uint64)


def _sharing(hashes: Hashes, mask: np.uint64, max_bits: int) -> Iterator[Pairs]:
    """Yield the pairs of rows that agree under a mask and differ in few bits besides: neighbours in order of it."""
    order = np.argsort(hashes & mask)
    ordered = hashes[order]
    keys = ordered & mask
    rows = np.arange(len(hashes))
    for step in count(1):
        rows = rows[rows + step < len(hashes)]
        rows = rows[keys[rows] == keys[rows + step]]
        if not len(rows):
            return
        alike = rows[np.bitwise_count(ordered[rows] ^ ordered[rows + step]) <= max_bits]
        if len(alike):
            yield np.sort(np.stack([order[alike], order[alike + step]], axis=1), axis=1)
