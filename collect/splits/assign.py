"""Which photos go to val and test: whole walks, cells with a buffer, or groups at random. Pure functions."""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.site import Site
from img2gps.text import format_count
from img2gps.types import Photo, SplitName

__all__ = ["BUFFER_M", "BUFFER_REASON", "Assignment", "Layout", "assign", "fill", "layout_of", "within_m"]

BUFFER_M: Final = 10.0
BUFFER_REASON: Final = "buffer: within 10 m of a val or test photo"

SPLIT_CELL_M: Final = 20.0
_DRAWS: Final = 300
# Worse than any walk, however long; of two walks, one is for training and the other rather for test than for val.
_NO_TEST, _NO_VAL = 2e9, 1e9

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Photos in the order of their ids, as arrays of shape (N,): places in metres, walk and group numbers.

    Numbers follow the sorted names, so that the same photos give the same split whatever their order was.
    """

    photos: list[Photo]
    east_m: FloatArray
    north_m: FloatArray
    walk: Numbers
    group: Numbers
    walk_names: list[str]

    @property
    def points_m(self) -> FloatArray:
        """East and north in metres, shape (N, 2)."""
        return np.stack([self.east_m, self.north_m], axis=1)

    def cells(self, size_m: float) -> Numbers:
        """Return a cell number per photo, shape (N,); all photos of a group are in the cell of its mean place."""
        counts = np.bincount(self.group)
        means = [np.bincount(self.group, weights=axis) / counts for axis in (self.east_m, self.north_m)]
        squares = np.floor(np.stack(means, axis=1)[self.group] / size_m)
        return np.asarray(np.unique(squares, axis=0, return_inverse=True)[1], dtype=np.int64).ravel()


@dataclasses.dataclass(slots=True, kw_only=True)
class Assignment:
    """The split and its reason per photo of a layout, filled step by step, and what has to be said about it."""

    splits: list[SplitName]
    reasons: list[str | None]
    notes: list[str] = dataclasses.field(default_factory=list)

    def put(self, rows: NDArray[np.int64], split: SplitName, reason: str | None = None) -> None:
        """Move rows to a split."""
        for row in rows.tolist():
            self.splits[row], self.reasons[row] = split, reason

    def rows(self, *splits: str) -> Numbers:
        """Return the rows that are in one of the splits."""
        return np.flatnonzero(np.isin(np.array(self.splits, dtype=object), splits))


def layout_of(photos: Sequence[Photo], site: Site) -> Layout:
    """Return the layout of photos that `collect.splits.groups.assign_groups` has named."""
    ordered = sorted(photos, key=lambda photo: photo.id)
    east_m, north_m = site.frame.to_local([photo.lon for photo in ordered], [photo.lat for photo in ordered])
    walk_names, walks = np.unique([photo.walk for photo in ordered], return_inverse=True)
    groups = np.unique([photo.group for photo in ordered], return_inverse=True)[1]
    return Layout(
        photos=ordered,
        east_m=east_m,
        north_m=north_m,
        walk=walks.ravel().astype(np.int64),
        group=groups.ravel().astype(np.int64),
        walk_names=walk_names.tolist(),
    )


def assign(layout: Layout, *, by: str, val: int, test: int, seed: int) -> Assignment:
    """Return the assignment of every photo; `val` and `test` are the counts asked for (0: none)."""
    size = len(layout.photos)
    assignment = Assignment(splits=["train"] * size, reasons=[None] * size)
    if val + test >= size and val + test > 0:
        val, test = min(val, size // 4), min(test, size // 4)
        assignment.notes.append(
            f"{format_count(size, 'photo')} cannot give that many to val and test and still train: "
            f"asked for {val} and {test} instead."
        )
    rng = np.random.default_rng(seed)
    {"walk": _by_walk, "cell": _by_cell, "random": _by_random}[by](layout, assignment, val, test, rng)
    return assignment


def fill(order: Sequence[int], sizes: Numbers, asked: int, *, leave: int = 1) -> list[int]:
    """Return the units that bring the count near `asked`: those that fit in, in `order`, then one that comes closer.

    Where every unit is too large, the smallest is taken. At least `leave` units stay behind.
    """
    chosen: list[int] = []
    total = 0
    for unit in order:
        if total + int(sizes[unit]) <= asked and len(chosen) < len(order) - leave:
            chosen.append(unit)
            total += int(sizes[unit])
    rest = sorted(set(order) - set(chosen), key=lambda unit: (int(sizes[unit]), unit))
    missing = asked - total
    if missing and len(rest) > leave and (not chosen or int(sizes[rest[0]]) < 2 * missing):
        chosen.append(rest[0])
    return chosen


def within_m(points_m: FloatArray, others_m: FloatArray, distance_m: float) -> NDArray[np.bool_]:
    """Return, per point, whether one of the others lies within the distance; shapes (N, D), (M, D) -> (N,)."""
    from scipy.spatial import cKDTree

    if not len(others_m) or not len(points_m):
        return np.zeros(len(points_m), dtype=np.bool_)
    # The search leaves out what lies exactly at the bound.
    found = cKDTree(others_m).query(points_m, distance_upper_bound=np.nextafter(distance_m, np.inf))[0]
    return np.asarray(np.isfinite(found), dtype=np.bool_)


def _by_walk(layout: Layout, assignment: Assignment, val: int, test: int, rng: np.random.Generator) -> None:
    sizes = np.bincount(layout.walk)
    squares = np.floor(layout.points_m / SPLIT_CELL_M)
    numbers = np.unique(squares, axis=0, return_inverse=True)[1].ravel()
    places = [set(numbers[layout.walk == walk].tolist()) for walk in range(len(sizes))]
    in_val, in_test = _best_draw(sizes, places, val, test, rng)
    for split, chosen, asked in (("val", in_val, val), ("test", in_test, test)):
        rows = np.flatnonzero(np.isin(layout.walk, chosen))
        assignment.put(rows, "val" if split == "val" else "test")
        assignment.notes.extend(_walk_note(split, asked, sizes[chosen] if chosen else sizes[:0]))
    _set_aside_spanning(layout, assignment)


def _best_draw(
    sizes: Numbers, places: list[set[int]], val: int, test: int, rng: np.random.Generator
) -> tuple[list[int], list[int]]:
    """Return the walks of val and test: the draw whose counts are nearest and whose walks cover most of the site."""
    everywhere = len(set[int]().union(*places))

    def cost(chosen: list[int], asked: int, empty: float) -> float:
        if not asked or not chosen:
            return empty if asked else 0.0
        covered = len(set[int]().union(*(places[walk] for walk in chosen)))
        return 2 * abs(int(sizes[chosen].sum()) - asked) / asked + 1 - covered / everywhere

    best: tuple[float, list[int], list[int]] | None = None
    for _ in range(_DRAWS):
        order = [int(walk) for walk in rng.permutation(len(sizes))]
        # Test chooses among its share of the walks, or it would take the short ones that val needs.
        offered = [walk for walk in order if rng.random() < test / max(1, val + test)]
        in_test = fill(offered, sizes, test, leave=int(len(offered) == len(order)))
        taken = set(in_test)
        in_val = fill([walk for walk in order if walk not in taken], sizes, val)
        total = cost(in_test, test, _NO_TEST) + cost(in_val, val, _NO_VAL)
        if best is None or total < best[0]:
            best = total, sorted(in_val), sorted(in_test)
    assert best is not None
    return best[1], best[2]


def _walk_note(split: str, asked: int, sizes: Numbers) -> list[str]:
    found = int(sizes.sum())
    if found == asked:
        return []
    if not len(sizes):
        return [f"{split} is empty: no walk can be spared for it; take another walk, or split --by cell."]
    walks = format_count(len(sizes), "walk")
    larger = " (the smallest left)" if len(sizes) == 1 and found >= 2 * asked else ""
    return [
        f"{split} has {format_count(found, 'photo')} in {walks}{larger} instead of {asked:,}: walks are never broken."
    ]


def _set_aside_spanning(layout: Layout, assignment: Assignment) -> None:
    """Exclude the photos of train (then of val) whose near-duplicates of another walk are held out."""
    rank = {"train": 0, "val": 1, "test": 2}
    ranks = np.array([rank[split] for split in assignment.splits])
    highest = np.zeros(int(layout.group.max()) + 1, dtype=np.int64)
    np.maximum.at(highest, layout.group, ranks)
    rows = np.flatnonzero(ranks < highest[layout.group])
    for row in rows.tolist():
        kept = ("train", "val", "test")[int(highest[layout.group[row]])]
        assignment.put(np.array([row]), "excluded", f"joined: a near-duplicate of another walk is in {kept}")
    if len(rows):
        assignment.notes.append(
            f"{format_count(len(rows), 'photo')} set aside: a near-duplicate in another walk is held out."
        )


def _by_cell(layout: Layout, assignment: Assignment, val: int, test: int, rng: np.random.Generator) -> None:
    cells = layout.cells(SPLIT_CELL_M)
    order = [int(cell) for cell in rng.permutation(int(cells.max()) + 1)]
    points_m = layout.points_m
    in_test = fill(order, np.bincount(cells), test, leave=1 + bool(val))
    assignment.put(np.flatnonzero(np.isin(cells, in_test)), "test")
    _set_buffer_aside(assignment, points_m, "test")
    free = np.array(assignment.splits, dtype=object) == "train"
    sizes = np.bincount(cells[free], minlength=len(order))
    rest = [cell for cell in order if cell not in set(in_test) and sizes[cell]]
    in_val = fill(rest, sizes, val)
    assignment.put(np.flatnonzero(np.isin(cells, in_val) & free), "val")
    _set_buffer_aside(assignment, points_m, "val")
    assignment.notes.extend(_count_notes(assignment, val, test, "cells and groups are never broken"))
    set_aside = len(assignment.rows("excluded"))
    if set_aside:
        assignment.notes.append(f"{format_count(set_aside, 'photo')} set aside as a buffer of {BUFFER_M:.0f} m.")
    if not len(assignment.rows("train")):
        assignment.notes.append("train is empty: every other photo lies in the buffer; split --by walk instead.")


def _set_buffer_aside(assignment: Assignment, points_m: FloatArray, held_out: str) -> None:
    rows = assignment.rows("train")
    near = within_m(points_m[rows], points_m[assignment.rows(held_out)], BUFFER_M)
    assignment.put(rows[near], "excluded", BUFFER_REASON)


def _by_random(layout: Layout, assignment: Assignment, val: int, test: int, rng: np.random.Generator) -> None:
    sizes = np.bincount(layout.group)
    order = [int(group) for group in rng.permutation(len(sizes))]
    in_test = fill(order, sizes, test, leave=1 + bool(val))
    taken = set(in_test)
    in_val = fill([group for group in order if group not in taken], sizes, val)
    assignment.put(np.flatnonzero(np.isin(layout.group, in_test)), "test")
    assignment.put(np.flatnonzero(np.isin(layout.group, in_val)), "val")
    assignment.notes.extend(_count_notes(assignment, val, test, "groups are never broken"))
    if val or test:
        assignment.notes.append(
            "random is optimistic: photos of one walk stand on both sides, so errors on another day will be larger."
        )


def _count_notes(assignment: Assignment, val: int, test: int, why: str) -> list[str]:
    found = {split: len(assignment.rows(split)) for split in ("val", "test")}
    return [
        f"{split} has {format_count(found[split], 'photo')} instead of {asked:,}: {why}."
        for split, asked in (("val", val), ("test", test))
        if found[split] != asked
    ]
