"""Where the generated campus has its trees, lamps, benches and parking bays."""

import math

import numpy as np
import shapely
from shapely.geometry import LineString, Polygon
from shapely.ops import unary_union

from collect.simulation.arrays import Doubles, Mask
from collect.simulation.campus.plan import FAR_KERB_M, KERB_INSET_M, Building, Footpath


def trees(
    rng: np.random.Generator,
    outline: Polygon,
    buildings: tuple[Building, ...],
    footpaths: tuple[Footpath, ...],
    lawns: tuple[Polygon, ...],
) -> Doubles:
    """Trees beside the paths, on the lawns and along the kerb: (n, 4) of east, north, height in metres and variant."""
    candidates = [*_beside_paths(rng, footpaths), *_on_lawns(rng, lawns), *_along_kerb(rng, outline)]
    points = np.array(candidates).reshape(-1, 2)
    points = points[_clear_of(points, buildings, 3.0) & _off_paths(points, footpaths, 0.7)]
    points = _thinned(points, 6.5)
    heights = rng.uniform(5.5, 11, len(points))
    return np.column_stack([points, heights, rng.random(len(points))])


def lamps(footpaths: tuple[Footpath, ...], buildings: tuple[Building, ...], trees: Doubles) -> Doubles:
    """A lamp each 26 m at the edge of every path: (n, 2) in metres."""
    spots = [spot[:2] for path in footpaths for spot in _beside(path.line, 13.0, 26.0, path.width_m / 2 + 0.5)]
    return _unobstructed(np.array(spots).reshape(-1, 2), buildings, trees)


def benches(
    rng: np.random.Generator, footpaths: tuple[Footpath, ...], buildings: tuple[Building, ...], trees: Doubles
) -> Doubles:
    """Benches at the edge of some paths: (n, 3) of east, north and the direction of the path in radians."""
    spots = [spot for path in footpaths for spot in _beside(path.line, 8.0, 21.0, path.width_m / 2 + 0.7)]
    kept = np.array([spot for spot in spots if rng.random() < 0.6]).reshape(-1, 3)
    free = _clear_of(kept[:, :2], buildings, 1.0) & _apart_from(kept[:, :2], trees[:, :2], 1.6)
    return kept[free]


def parking(rng: np.random.Generator, outline: Polygon) -> Doubles:
    """Parking bays on both sides of the streets: (n, 3) of east, north and direction in radians."""
    bays = []
    for offset in (-(KERB_INSET_M - 1.2), FAR_KERB_M - 1.2):
        ring = LineString(outline.buffer(offset, join_style="mitre").exterior.coords)
        bays += [bay for bay in _beside(ring, 4.0, 6.4, 0.0) if rng.random() < 0.8]
    return np.array(bays).reshape(-1, 3)


def _beside(line: LineString, start: float, step: float, offset: float) -> list[tuple[float, float, float]]:
    """Spots each `step` metres along `line`, alternately `offset` metres to its left and right."""
    spots = []
    for number, at in enumerate(np.arange(start, line.length - 3, step)):
        here, ahead = line.interpolate(at), line.interpolate(at + 0.5)
        angle = math.atan2(ahead.y - here.y, ahead.x - here.x)
        side = offset if number % 2 == 0 else -offset
        spots.append((here.x - side * math.sin(angle), here.y + side * math.cos(angle), angle))
    return spots


def _beside_paths(rng: np.random.Generator, footpaths: tuple[Footpath, ...]) -> list[tuple[float, float]]:
    spots: list[tuple[float, float]] = []
    for path in footpaths[1:]:
        beside = _beside(path.line, rng.uniform(4, 9), rng.uniform(15, 23), path.width_m / 2 + 1.2)
        spots += [(east + rng.uniform(-0.6, 0.6), north + rng.uniform(-0.6, 0.6)) for east, north, _ in beside]
    return spots


def _on_lawns(rng: np.random.Generator, lawns: tuple[Polygon, ...]) -> list[tuple[float, float]]:
    spots: list[tuple[float, float]] = []
    for lawn in lawns:
        west, south, east, north = lawn.bounds
        count = int(lawn.area / 190)
        spots += zip(rng.uniform(west, east, count).tolist(), rng.uniform(south, north, count).tolist(), strict=True)
    return spots


def _along_kerb(rng: np.random.Generator, outline: Polygon) -> list[tuple[float, float]]:
    ring = LineString(outline.buffer(-(KERB_INSET_M + 0.3), join_style="mitre").exterior.coords)
    return [spot[:2] for spot in _beside(ring, 6.0, float(rng.uniform(14, 19)), 0.0)]


def _unobstructed(points: Doubles, buildings: tuple[Building, ...], trees: Doubles) -> Doubles:
    return points[_clear_of(points, buildings, 0.6) & _apart_from(points, trees[:, :2], 1.2)]


def _clear_of(points: Doubles, buildings: tuple[Building, ...], margin_m: float) -> Mask:
    built = unary_union([building.footprint for building in buildings])
    return np.asarray(shapely.distance(shapely.points(points), built) > margin_m)


def _off_paths(points: Doubles, footpaths: tuple[Footpath, ...], margin_m: float) -> Mask:
    paved = unary_union([path.line.buffer(path.width_m / 2) for path in footpaths[1:]])
    return np.asarray(shapely.distance(shapely.points(points), paved) > margin_m)


def _apart_from(points: Doubles, others: Doubles, margin_m: float) -> Mask:
    gaps = np.hypot(*(points[:, None, :] - others[None, :, :]).transpose(2, 0, 1))
    return np.asarray(np.all(gaps > margin_m, axis=1))


def _thinned(points: Doubles, gap_m: float) -> Doubles:
    """`points` without those nearer than `gap_m` to one kept before."""
    kept: list[int] = []
    for number, point in enumerate(points):
        if not kept or np.hypot(*(points[kept] - point).T).min() >= gap_m:
            kept.append(number)
    return points[kept]
