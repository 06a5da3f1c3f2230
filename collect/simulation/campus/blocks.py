"""The blocks of a generated campus: the grid, the buildings on it, the street fronts and the paths between."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from shapely.geometry import LineString, Polygon, box
from shapely.geometry.base import BaseGeometry
from shapely.ops import unary_union

from collect.simulation.campus.plan import FAR_FRONT_M, FRONT_INSET_M, SIDEWALK_INSET_M, Building, Footpath

BLOCK_M = 62.0
PATH_HALF_M = 7.5
SMALLEST_BLOCK_M2 = 160.0
PAVINGS = ("brick", "slabs", "pavers", "cobbles", "gravel")

Placed: TypeAlias = tuple[Polygon, float, int]
Parts: TypeAlias = list[tuple[BaseGeometry, float]]
Shape: TypeAlias = Callable[[np.random.Generator, Polygon], Parts]


def grid_lines(rng: np.random.Generator, upright: Polygon) -> tuple[list[LineString], list[LineString]]:
    """The lines between columns and between rows of blocks, in the frame turned to the campus axis."""
    west, south, east, north = upright.bounds
    across = [LineString([(x, south), (x, north)]) for x in _cuts(rng, west, east)]
    along = [LineString([(west, y), (east, y)]) for y in _cuts(rng, south, north)]
    return across, along


def _cuts(rng: np.random.Generator, low: float, high: float) -> list[float]:
    count = max(2, round((high - low) / BLOCK_M))
    step = (high - low) / count
    return [low + step * (k + rng.uniform(-0.11, 0.11)) for k in range(1, count)]


def blocks_of(upright: Polygon, across: list[LineString], along: list[LineString]) -> list[Polygon]:
    """What the grid leaves of the outline behind the sidewalk, largest first within its place in the grid."""
    west, south, east, north = upright.bounds
    xs = [west, *(line.coords[0][0] for line in across), east]
    ys = [south, *(line.coords[0][1] for line in along), north]
    inner = upright.buffer(-FRONT_INSET_M, join_style="mitre")
    blocks = []
    for (x0, x1), (y0, y1) in ((x, y) for y in pairwise(ys) for x in pairwise(xs)):
        cell = box(x0 + PATH_HALF_M, y0 + PATH_HALF_M, x1 - PATH_HALF_M, y1 - PATH_HALF_M).intersection(inner)
        block = _widest_piece(cell)
        if block.area >= SMALLEST_BLOCK_M2:
            blocks.append(block)
    return blocks


def _widest_piece(shape: BaseGeometry) -> Polygon:
    """The largest polygon of `shape` without its spikes: parts narrower than 7 m hold no building."""
    opened = shape.buffer(-3.5, join_style="mitre").buffer(3.5, join_style="mitre").intersection(shape)
    parts = [part for part in getattr(opened, "geoms", [opened]) if isinstance(part, Polygon)]
    return max(parts, key=lambda part: part.area, default=Polygon())


def choose_lawns(rng: np.random.Generator, blocks: list[Polygon]) -> tuple[list[Polygon], list[Polygon]]:
    """Split blocks into lawns (one near the middle, one more from nine blocks on) and blocks to build on."""
    if len(blocks) < 4:
        return [], blocks
    middle = unary_union(blocks).centroid
    nearest = min(range(len(blocks)), key=lambda k: blocks[k].centroid.distance(middle))
    chosen = {nearest}
    if len(blocks) >= 9:
        chosen.add(int(rng.choice([k for k in range(len(blocks)) if k != nearest])))
    return [blocks[k] for k in sorted(chosen)], [block for k, block in enumerate(blocks) if k not in chosen]


def place_buildings(rng: np.random.Generator, blocks: list[Polygon]) -> list[Placed]:
    """One building per block, of one or two parts: footprint, height and design (the block's number)."""
    placed: list[Placed] = []
    shapes: tuple[Shape, ...] = (lambda _, block: _bar(block), _ell, _horseshoe, _twins, _with_tower)
    start = int(rng.integers(len(shapes)))
    for number, block in enumerate(blocks):
        height_m = float(rng.uniform(9, 19))
        for part, factor in shapes[(start + number) % len(shapes)](rng, block):
            cut = _widest_piece(_widest_piece(part.intersection(block)).simplify(0.2))
            if cut.area > 60:
                placed.append((cut, height_m * factor, number))
    return placed


def _fractions(block: Polygon, x0: float, y0: float, x1: float, y1: float) -> Polygon:
    """The rectangle at the given fractions of the block's bounding box."""
    west, south, east, north = block.bounds
    width, depth = east - west, north - south
    return box(west + x0 * width, south + y0 * depth, west + x1 * width, south + y1 * depth)


def _bar(block: Polygon) -> Parts:
    return [(_fractions(block, 0.0, 0.06, 1.0, 0.94), 1.0)]


def _ell(rng: np.random.Generator, block: Polygon) -> Parts:
    arm = rng.uniform(0.45, 0.6)
    if rng.random() < 0.5:
        return [(_fractions(block, 0, 0, 1, arm).union(_fractions(block, 0, 0, arm, 1)), 1.0)]
    return [(_fractions(block, 0, 1 - arm, 1, 1).union(_fractions(block, 1 - arm, 0, 1, 1)), 1.0)]


def _horseshoe(rng: np.random.Generator, block: Polygon) -> Parts:
    arm = rng.uniform(0.3, 0.36)
    court = _fractions(block, arm, 0, 1 - arm, 0.55) if rng.random() < 0.5 else _fractions(block, arm, 0.45, 1 - arm, 1)
    return [(_fractions(block, 0, 0, 1, 1).difference(court), 1.0)]


def _twins(rng: np.random.Generator, block: Polygon) -> Parts:
    cut = rng.uniform(0.42, 0.58)
    return [(_fractions(block, 0, 0, cut - 0.09, 1), 1.0), (_fractions(block, cut + 0.09, 0, 1, 1), 0.7)]


def _with_tower(rng: np.random.Generator, block: Polygon) -> Parts:
    x, y = rng.choice([0.0, 0.72]), rng.choice([0.0, 0.72])
    return [
        (_fractions(block, 0.04, 0.04, 0.96, 0.96), 0.85),
        (_fractions(block, x, y, x + 0.28, y + 0.28), 1.7),
    ]


def street_front(rng: np.random.Generator, outline: Polygon, first_design: int) -> list[Building]:
    """Buildings along the far side of the streets around the site."""
    ring = outline.buffer(FAR_FRONT_M, join_style="mitre").exterior
    street = outline.buffer(FAR_FRONT_M - 0.5, join_style="mitre")
    fronts: list[Building] = []
    at = 0.0
    while at < ring.length - 10:
        width = float(rng.uniform(20, 38))
        a, b = ring.interpolate(at), ring.interpolate(min(at + width, ring.length))
        at += width + float(rng.choice([1.0, 5.0]))
        footprint = LineString([a, b]).buffer(rng.uniform(10, 14), single_sided=True)
        footprint = Polygon(footprint.exterior) if isinstance(footprint, Polygon) else Polygon()
        if footprint.intersection(street).area > 0.5 * footprint.area:
            footprint = LineString([b, a]).buffer(rng.uniform(10, 14), single_sided=True)
        footprint = _widest_piece(footprint.difference(street))
        if footprint.area > 80:
            fronts.append(
                Building(
                    footprint=footprint,
                    height_m=float(rng.uniform(7, 17)),
                    design=first_design + len(fronts),
                    on_site=False,
                )
            )
    return fronts


def skyline(rng: np.random.Generator, outline: Polygon, first_design: int) -> list[Building]:
    """A few towers of the city beyond."""
    middle = outline.centroid
    reach = math.hypot(outline.bounds[2] - outline.bounds[0], outline.bounds[3] - outline.bounds[1]) / 2
    towers = []
    for k in range(6):
        bearing = (k + rng.uniform(-0.3, 0.3)) * math.pi / 3
        distance = reach + rng.uniform(50, 110)
        x, y = middle.x + distance * math.cos(bearing), middle.y + distance * math.sin(bearing)
        half = rng.uniform(9, 15)
        towers.append(
            Building(
                footprint=box(x - half, y - half, x + half, y + half),
                height_m=float(rng.uniform(38, 75)),
                design=first_design + 100 + k,
                on_site=False,
            )
        )
    return towers


def footpaths_of(rng: np.random.Generator, outline: Polygon, lines: list[LineString]) -> tuple[Footpath, ...]:
    """The sidewalk around the site and a path along each grid line, cut to where one may walk."""
    walkable = outline.buffer(-SIDEWALK_INSET_M, join_style="mitre")
    sidewalk = LineString(_widest_piece(walkable).exterior.coords)
    paths = [Footpath(line=sidewalk, width_m=5.0, paving="slabs")]
    start = int(rng.integers(len(PAVINGS)))
    for number, line in enumerate(lines):
        inside = line.intersection(walkable)
        for piece in getattr(inside, "geoms", [inside]):
            if isinstance(piece, LineString) and piece.length > 12:
                paving = PAVINGS[(start + number) % len(PAVINGS)]
                paths.append(Footpath(line=piece, width_m=float(rng.uniform(2.8, 4.5)), paving=paving))
    return tuple(paths)
