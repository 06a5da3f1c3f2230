"""Ways along the paths of the generated campus."""

import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from shapely.geometry import LineString
from shapely.ops import unary_union

from collect.campus.plan import Footpath

Node: TypeAlias = tuple[float, float]
Route: TypeAlias = dict[Node, dict[Node, LineString]]


def path_graph(footpaths: tuple[Footpath, ...]) -> Route:
    """Which crossings are joined by which piece of path, both ways."""
    joined = unary_union([path.line for path in footpaths])
    graph: Route = defaultdict(dict)
    for piece in getattr(joined, "geoms", [joined]):
        start, end = _node(piece.coords[0]), _node(piece.coords[-1])
        graph[start][end] = piece
        graph[end][start] = piece.reverse()
    return dict(graph)


def stroll(rng: np.random.Generator, graph: Route, length_m: float) -> LineString:
    """A way of at least `length_m` that takes the least trodden piece at each crossing and rarely turns back."""
    nodes = sorted(graph)
    here = nodes[int(rng.integers(len(nodes)))]
    came_from: Node | None = None
    trodden: Counter[frozenset[Node]] = Counter()
    coords: list[Node] = [here]
    walked = 0.0
    while walked < length_m:
        options = [node for node in sorted(graph[here]) if node != came_from] or sorted(graph[here])
        costs = [trodden[frozenset((here, node))] + 0.5 * rng.random() for node in options]
        ahead = options[int(np.argmin(costs))]
        piece = graph[here][ahead]
        trodden[frozenset((here, ahead))] += 1
        coords += [(x, y) for x, y in piece.coords[1:]]
        walked += piece.length
        here, came_from = ahead, here
    distinct = [coords[0], *(b for a, b in pairwise(coords) if math.dist(a, b) > 1e-6)]
    return LineString(distinct)


def _node(point: tuple[float, ...]) -> Node:
    """Ends of pieces meet within a centimetre."""
    return round(point[0], 2), round(point[1], 2)
