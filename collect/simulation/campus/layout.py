"""Draws up the plan of a generated campus inside a site.

A grid of blocks is laid into the site along its longer axis. Most blocks carry a building, a few are lawns. The lines
between the blocks are footpaths. A sidewalk follows the outline, a street's centre line. The far side of that street is
built up as well, so that no view ends in nothing.
"""

import math
from itertools import pairwise
from typing import TypeVar

from shapely import affinity
from shapely.geometry import MultiPolygon, Polygon, box
from shapely.geometry.base import BaseGeometry

from collect.simulation.arrays import generator
from collect.simulation.campus import planting
from collect.simulation.campus.blocks import (
    blocks_of,
    choose_lawns,
    footpaths_of,
    grid_lines,
    place_buildings,
    skyline,
    street_front,
)
from collect.simulation.campus.plan import Building, CampusPlan

LARGEST_CAMPUS_M = 330.0

Shape = TypeVar("Shape", bound=BaseGeometry)


def lay_out(site: BaseGeometry, seed: int) -> CampusPlan:
    """Plan a campus inside `site` (a polygon in local metres).

    A site larger than `LARGEST_CAMPUS_M` gets a campus in its middle. Raises ValueError where the site leaves no room
    for a building between its paths.
    """
    outline = campus_outline(site)
    axis_deg = _long_axis_deg(outline)
    rng = generator(seed, "plan")
    upright = _turned(outline, -axis_deg)
    columns, rows = grid_lines(rng, upright)
    lawns, built = choose_lawns(rng, blocks_of(upright, columns, rows))
    if not built:
        raise ValueError("the site leaves no room for a building between its paths")
    inner = [
        Building(footprint=_turned(part, axis_deg), height_m=height_m, design=design, on_site=True)
        for part, height_m, design in place_buildings(rng, built)
    ]
    buildings = (*inner, *street_front(rng, outline, len(built)), *skyline(rng, outline, len(built)))
    footpaths = footpaths_of(rng, outline, [_turned(line, axis_deg) for line in (*columns, *rows)])
    green = tuple(_turned(lawn, axis_deg) for lawn in lawns)
    trees = planting.trees(rng, outline, buildings, footpaths, green)
    return CampusPlan(
        outline=outline,
        axis_deg=axis_deg,
        buildings=buildings,
        footpaths=footpaths,
        lawns=green,
        trees=trees,
        lamps=planting.lamps(footpaths, buildings, trees),
        benches=planting.benches(rng, footpaths, buildings, trees),
        parking=planting.parking(rng, outline),
    )


def campus_outline(site: BaseGeometry) -> Polygon:
    """The part of `site` that the campus fills: its largest piece, cut to `LARGEST_CAMPUS_M` around a point inside."""
    piece = largest(site)
    west, south, east, north = piece.bounds
    if max(east - west, north - south) > LARGEST_CAMPUS_M:
        middle = piece.representative_point()
        half = LARGEST_CAMPUS_M / 2
        piece = largest(piece.intersection(box(middle.x - half, middle.y - half, middle.x + half, middle.y + half)))
    return Polygon(piece.exterior)


def largest(shape: BaseGeometry) -> Polygon:
    """The polygon with the largest area in `shape`; an empty polygon where it has none."""
    if isinstance(shape, Polygon):
        return shape
    parts = [part for part in getattr(shape, "geoms", ()) if isinstance(part, Polygon | MultiPolygon)]
    return max((largest(part) for part in parts), key=lambda part: part.area, default=Polygon())


def _long_axis_deg(outline: Polygon) -> float:
    """Direction of the longer side of the smallest rectangle around `outline`, counter-clockwise from east."""
    corners = largest(outline.minimum_rotated_rectangle).exterior.coords
    sides = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(corners)]
    east, north = max(sides, key=lambda side: math.hypot(*side))
    return math.degrees(math.atan2(north, east)) % 180


def _turned(shape: Shape, angle_deg: float) -> Shape:
    turned: Shape = affinity.rotate(shape, angle_deg, origin=(0, 0))
    return turned
