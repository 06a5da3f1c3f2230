"""Near-duplicate photos: pairs whose perceptual hashes differ in a few bits, found without comparing all pairs.

Cut two hashes of 64 bits into 6 + W blocks. If they differ in at most 6 bits, they agree in at least W whole blocks
(the pigeonhole principle). So only photos that share W blocks are compared, for each choice of W blocks. More photos
take more blocks: the share that two hashes have by chance then stays small, and the work grows little faster than the
photos. Source: Norouzi et al., "Fast search in Hamming space with multi-index hashing", CVPR 2012.

Photos of one kind of scene share blocks far more often than by chance. Where very many do, only photos of one walk or
of one place are compared. And what is connected already is not compared again: groups need no more.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations, count, pairwise, product
from math import comb
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "MAX_BITS",
    "NEAR_M",
    "alike_pairs",
    "hashes_of",
    "is_informative",
    "near_duplicate_links",
    "near_duplicate_pairs",
    "parse_hashes",
]

MAX_BITS: Final = 6
"""Hashes that differ in no more bits belong to near-duplicates: beyond, photos of a walk meet by chance."""

NEAR_M: Final = 25.0
"""Photos of different walks are compared within this distance only."""

_HASH_BITS: Final = 64
_MOST_WHOLE: Final = 4  # 210 choices of blocks, of 25 bits each: enough for tens of millions
# A perceptual hash compares coefficients with their median, so about half of its bits are set; far from half
# means a flat or black frame. A hash that very many photos share says nothing about the scene either.
_MIN_BITS_SET, _MAX_BITS_SET, _MAX_SHARING = 16, 48, 200
_LONG_RUN: Final = 64
_PENDING: Final = 1 << 16
_SORTING: Final = 8.0  # what sorting a photo costs, in comparisons of two

Hashes = NDArray[np.uint64]
Pairs = NDArray[np.int64]


def parse_hashes(hashes: Sequence[str]) -> Hashes:
    """Return hexadecimal hashes of up to 64 bits as numbers, shape (N,); what is no such hash becomes 0 (flat)."""
    return np.array([_parse(text) for text in hashes], dtype=np.uint64)


def hashes_of(column: "pa.ChunkedArray") -> Hashes:
    """Return the hashes of a column of texts as `parse_hashes` does, a piece at a time."""
    pieces = [column.slice(start, _PENDING) for start in range(0, len(column), _PENDING)]
    return np.concatenate([np.empty(0, dtype=np.uint64), *(parse_hashes(piece.to_pylist()) for piece in pieces)])


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
        found.append(pairs[_is_close(pairs, walks, points_m)])
    pairs = np.concatenate(found)
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


def near_duplicate_links(hashes: Hashes, walks: NDArray[np.int64], points_m: FloatArray) -> Pairs:
    """Return pairs that connect all that `near_duplicate_pairs` connects, without most of its pairs, shape (P, 2).

    A place where ten thousand photos look alike has fifty million pairs, and ten thousand connect it.
    """
    rows = np.flatnonzero(is_informative(hashes))
    links = _Links(hashes[rows], walks[rows], points_m[rows])
    crowded = np.zeros(len(rows), dtype=np.bool_)
    for mask in _masks(_whole_blocks(len(rows))):
        keys = links.hashes & mask
        order = np.argsort(keys)
        runs, lengths = _runs(keys[order])
        is_long = (lengths > _LONG_RUN)[runs]
        crowded[order[is_long]] = True
        links.compare(order[~is_long], runs[~is_long])
    some = np.flatnonzero(crowded)
    for places in (links.walks[some], *_cells(links.points_m[some])) if len(some) else ():
        for mask in _masks(_cheapest_blocks(np.unique(places, return_counts=True)[1])):
            keys = links.hashes[some] & mask
            order = np.lexsort((keys, places))
            links.compare(some[order], _runs(keys[order], places[order])[0])
    return rows[links.pairs()]


class _Links:
    """Photos, and which of them are connected: `labels` has one number for all that are, shape (N,)."""

    def __init__(self, hashes: Hashes, walks: NDArray[np.int64], points_m: FloatArray) -> None:
        self.hashes, self.walks, self.points_m = hashes, walks, points_m
        self._labels = np.arange(len(hashes))
        self._found: list[Pairs] = []
        self._pending: list[Pairs] = []

    def pairs(self) -> Pairs:
        """Return the pairs that connect."""
        self._connect()
        return np.concatenate([np.empty((0, 2), dtype=np.int64), *self._found])

    def compare(self, rows: NDArray[np.int64], runs: NDArray[np.int64]) -> None:
        """Connect near-duplicates among the rows of each run; `runs` numbers them, rising."""
        self._connect()
        firsts = np.arange(len(rows))
        for step in count(1):
            firsts = firsts[firsts + step < len(rows)]
            firsts = firsts[runs[firsts] == runs[firsts + step]]
            if step & (step - 1) == 0 or sum(map(len, self._pending)) > _PENDING:
                self._connect()
                firsts = firsts[~self._is_one(rows, runs)[runs[firsts]]] if len(firsts) else firsts
            if not len(firsts):
                return
            pairs = np.stack([rows[firsts], rows[firsts + step]], axis=1)
            pairs = pairs[self._labels[pairs[:, 0]] != self._labels[pairs[:, 1]]]
            pairs = pairs[np.bitwise_count(self.hashes[pairs[:, 0]] ^ self.hashes[pairs[:, 1]]) <= MAX_BITS]
            pairs = pairs[_is_close(pairs, self.walks, self.points_m)]
            if len(pairs):
                self._pending.append(pairs)

    def _is_one(self, rows: NDArray[np.int64], runs: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return for each run, by its number, whether all of its rows are connected already."""
        starts = np.flatnonzero(np.concatenate([[True], runs[1:] != runs[:-1]]))
        labels = self._labels[rows]
        is_one = np.zeros(runs[-1] + 1, dtype=np.bool_)
        is_one[runs[starts]] = np.minimum.reduceat(labels, starts) == np.maximum.reduceat(labels, starts)
        return is_one

    def _connect(self) -> None:
        """Give what was found to be alike one label; of the pairs found, keep those that it takes."""
        from scipy.sparse import coo_matrix
        from scipy.sparse.csgraph import connected_components, minimum_spanning_tree

        if not self._pending:
            return
        pairs = np.concatenate(self._pending)
        self._pending.clear()
        known, places = np.unique(self._labels[pairs], return_inverse=True)
        places = places.reshape(-1, 2)
        numbers = np.arange(1, len(pairs) + 1)  # as weights: they tell the pairs that the tree keeps
        _, last = np.unique(places[:, 0] * len(known) + places[:, 1], return_index=True)
        shape = (len(known), len(known))
        graph = coo_matrix((numbers[last], (places[last, 0], places[last, 1])), shape=shape)
        tree = minimum_spanning_tree(graph)
        self._found.append(pairs[tree.data.astype(np.int64) - 1])
        count_, parts = connected_components(tree, directed=False)
        least = np.full(count_, len(self._labels))
        np.minimum.at(least, parts, known)
        names = np.arange(len(self._labels))
        names[known] = least[parts]
        self._labels = names[self._labels]


def _is_close(pairs: Pairs, walks: NDArray[np.int64], points_m: FloatArray) -> NDArray[np.bool_]:
    """Return which pairs are of one walk or within 25 m, shape (P,)."""
    first, second = pairs[:, 0], pairs[:, 1]
    close = np.linalg.norm(points_m[first] - points_m[second], axis=1) <= NEAR_M
    return np.asarray(close | (walks[first] == walks[second]))


def _runs(*keys: NDArray[np.generic]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return a rising number for each row of sorted keys, equal where these are, (N,), and how often each number is."""
    changes = np.any([key[1:] != key[:-1] for key in keys], axis=0)
    runs = np.concatenate([np.zeros(min(1, len(keys[0])), dtype=np.int64), np.cumsum(changes)]).astype(np.int64)
    return runs, np.bincount(runs)


def _cells(points_m: FloatArray) -> "Iterator[NDArray[np.int64]]":
    """Yield numbers of cells, (N,): two points within 25 m share one of them, at least once."""
    for shifts in product((0.0, 0.5), repeat=points_m.shape[1]):
        cells = np.floor(points_m / (2 * NEAR_M) + np.array(shifts)).astype(np.int64)
        numbers = np.zeros(len(points_m), dtype=np.int64)
        for axis in cells.T:
            numbers = numbers * 1_000_003 + axis  # two cells that share a number cost time and nothing else
        yield numbers


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
    whole = whole or _whole_blocks(len(hashes))
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


def _whole_blocks(photos: int) -> int:
    """Return how many blocks must agree, for so many photos."""
    return next((n for n in range(1, _MOST_WHOLE) if photos <= 1 << _shared_bits(n)), _MOST_WHOLE)


def _shared_bits(whole: int) -> int:
    return _HASH_BITS * whole // (MAX_BITS + whole)


def _cheapest_blocks(counts: NDArray[np.int64]) -> int:
    """Return how many blocks must agree, for so many photos in each place, by what sorting and comparing then cost."""

    def cost(whole: int) -> float:
        compared = float(np.sum(counts.astype(np.float64) ** 2)) / (1 << _shared_bits(whole))
        return comb(MAX_BITS + whole, whole) * (_SORTING * float(np.sum(counts)) + compared)

    return min(range(1, _MOST_WHOLE + 1), key=cost)


def _masks(whole: int) -> list[np.uint64]:
    """Return the bits of each choice of so many blocks."""
    blocks = _block_masks(MAX_BITS + whole)
    return [np.bitwise_or.reduce(blocks[list(choice)]) for choice in combinations(range(len(blocks)), whole)]


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
