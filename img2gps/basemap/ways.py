"""Ways on foot between places: along paths and roads where there are some, across open ground where nothing stands.

Nobody walks through a wall or water. Open ground counts 1.3 times as long as a path when ways are compared, so a way
keeps to paths. The reported metres are the true ones.
"""

import dataclasses
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import LineString, Point
from shapely.geometry.base import BaseGeometry

from img2gps.basemap.features import Basemap, in_metres
from img2gps.geo import FloatArray, LocalFrame

if TYPE_CHECKING:
    import networkx as nx

__all__ = ["WayTable", "Ways"]

_OPEN_GROUND: Final = 1.3
_SIGHT_M: Final = 80.0
"""Open ground is crossed between places no farther apart than this, and from a place to paths within it."""
_LINKS: Final = 4
_MOST_CORNERS: Final = 400
_CORNER_M: Final = 1.0
_SLACK_M: Final = 0.3
_DETOUR: Final = 1.3
"""A way that the map does not know is this much longer than the straight line (the circuity of walking networks is
1.2 to 1.5: Boeing, "Urban spatial order", Applied Network Science 4, 2019, has it for streets)."""

Node = tuple[float, float]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WayTable:
    """The ways between N places: `distances_m` (N, N) on foot, and `known` (N, N), whether the map knows the way.

    Where it does not, the distance is the straight line's, made longer by what ways usually are.
    """

    distances_m: FloatArray
    known: NDArray[np.bool_]
    lines: dict[tuple[int, int], FloatArray]
    """The known ways as points in metres, shape (K, 2), from the smaller number to the larger."""
    places_m: FloatArray

    def line(self, start: int, end: int) -> FloatArray:
        """Return the way between two places in metres, shape (K, 2); the straight line where none is known."""
        found = self.lines.get((min(start, end), max(start, end)))
        if found is None:
            return self.places_m[[start, end]]
        return found if start <= end else found[::-1]


class Ways:
    """The paths and roads of a basemap as a network, and what stands in the way; all in metres of `frame`."""

    def __init__(self, basemap: Basemap, frame: LocalFrame) -> None:
        def shapes(*kinds: Any) -> list[BaseGeometry]:
            return in_metres([feature.geometry for feature in basemap.of(*kinds)], frame)

        solid = [shape.buffer(-_SLACK_M) for shape in shapes("building", "water") if "Polygon" in shape.geom_type]
        walls = [shape for shape in shapes("wall") if "LineString" in shape.geom_type]
        self._blocked = shapely.STRtree([shape for shape in (*solid, *walls) if not shape.is_empty])
        self._corners_m = _corners(shapes("building"))
        walked = [shape.boundary if "Polygon" in shape.geom_type else shape for shape in shapes("path", "road")]
        noded = shapely.get_parts(shapely.union_all(walked)).tolist() if walked else []
        self._edges: list[Any] = [part for part in noded if part.length > 0]
        self._tree = shapely.STRtree(self._edges)

    def between(self, places_m: FloatArray) -> WayTable:
        """Return the ways between places in metres, shape (N, 2)."""
        import networkx as nx

        places_m = np.asarray(places_m, dtype=np.float64).reshape(-1, 2)
        graph, names = self._graph(places_m)
        straight_m = np.linalg.norm(places_m[:, None] - places_m[None, :], axis=2)
        distances_m, known = straight_m * _DETOUR, np.eye(len(places_m), dtype=np.bool_)
        lines: dict[tuple[int, int], FloatArray] = {}
        for start, name in enumerate(names):
            found = nx.single_source_dijkstra_path(graph, name, weight="cost")
            for end in range(start + 1, len(names)):
                if names[end] not in found:
                    continue
                line = np.array(found[names[end]]) if names[end] != name else places_m[[start, end]]
                lines[start, end] = line
                length_m = float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())
                distances_m[start, end] = distances_m[end, start] = length_m
                known[start, end] = known[end, start] = True
        return WayTable(distances_m=distances_m, known=known, lines=lines, places_m=places_m)

    def is_free(self, lines: Sequence[BaseGeometry] | NDArray[Any]) -> NDArray[np.bool_]:
        """Return which straight lines meet neither a building nor water nor a wall, shape (N,)."""
        free = np.ones(len(lines), dtype=np.bool_)
        if len(lines) and len(self._blocked.geometries):
            free[self._blocked.query(np.asarray(lines, dtype=object), predicate="intersects")[0]] = False
        return free

    def _graph(self, places_m: FloatArray) -> "tuple[nx.Graph, list[Node]]":
        """Return the network with the places in it, and the node of each place; nodes are points in metres."""
        import networkx as nx

        graph = nx.Graph()
        names = [_node(place) for place in places_m]
        graph.add_nodes_from(names)
        cuts: dict[int, list[float]] = {}
        for row, place in enumerate(map(Point, places_m)):
            for edge, at_m in self._links(place):
                cuts.setdefault(edge, []).append(at_m)
                spot = shapely.get_coordinates(shapely.line_interpolate_point(self._edges[edge], at_m))[0]
                _join(graph, [names[row], _node(spot)], _OPEN_GROUND)
        for number, edge_line in enumerate(self._edges):
            _join(graph, _with_cuts(edge_line, cuts.get(number, [])), 1.0)
        around_m = self._corners_near(places_m)
        self._add_sights(graph, np.concatenate([places_m, around_m]), [*names, *map(_node, around_m)])
        return graph, names

    def _corners_near(self, places_m: FloatArray) -> FloatArray:
        """Return the corners of buildings that a way between the places may turn around, shape (K, 2); few enough."""
        if not len(self._corners_m) or not len(places_m):
            return np.zeros((0, 2))
        gap_m = np.linalg.norm(self._corners_m[:, None] - places_m[None, :], axis=2).min(axis=1)
        return self._corners_m[np.argsort(gap_m, kind="stable")[:_MOST_CORNERS]]

    def _links(self, place: BaseGeometry) -> list[tuple[int, float]]:
        """Return the edges that can be reached from a place straight, the nearest few, and where on each (metres)."""
        near = self._tree.query(place, predicate="dwithin", distance=_SIGHT_M).tolist() if self._edges else []
        near.sort(key=lambda edge: (self._edges[edge].distance(place), edge))
        near = near[: 4 * _LINKS]
        lines = [shapely.shortest_line(place, self._edges[edge]) for edge in near]
        free = self.is_free(lines)
        open_edges = [edge for edge, is_open in zip(near, free, strict=True) if is_open][:_LINKS]
        return [(edge, float(shapely.line_locate_point(self._edges[edge], place))) for edge in open_edges]

    def _add_sights(self, graph: "nx.Graph", places_m: FloatArray, names: list[Node]) -> None:
        """Join places and corners that see each other across open ground."""
        starts, ends = np.triu_indices(len(places_m), k=1)
        near = np.linalg.norm(places_m[starts] - places_m[ends], axis=1) <= _SIGHT_M
        starts, ends = starts[near], ends[near]
        lines = [LineString(ends_m) for ends_m in np.stack([places_m[starts], places_m[ends]], axis=1)]
        for start, end in zip(starts[free := self.is_free(lines)], ends[free], strict=True):
            _join(graph, [names[start], names[end]], _OPEN_GROUND)


def _corners(buildings: Sequence[BaseGeometry]) -> FloatArray:
    """Return the corners of buildings, a step outside of them, shape (K, 2)."""
    around = [shape.simplify(0.5).buffer(_CORNER_M, join_style="mitre", mitre_limit=2) for shape in buildings]
    built = shapely.union_all(around) if around else None
    if built is None:
        return np.zeros((0, 2))
    return np.unique(shapely.get_coordinates(built).round(2), axis=0)


def _join(graph: "nx.Graph", nodes: list[Node], factor: float) -> None:
    """Add the steps of a line, unless a cheaper one joins the same nodes."""
    for start, end in pairwise(nodes):
        cost = factor * float(np.hypot(start[0] - end[0], start[1] - end[1]))
        if not graph.has_edge(start, end) or graph.edges[start, end]["cost"] > cost:
            graph.add_edge(start, end, cost=cost)


def _with_cuts(line: Any, cuts_m: list[float]) -> list[Node]:
    """Return the points of a line with those at `cuts_m` among them, in order."""
    points = shapely.get_coordinates(line)
    if not cuts_m:
        return [_node(point) for point in points]
    reached = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    extra = shapely.get_coordinates(shapely.line_interpolate_point(line, cuts_m))
    order = np.argsort(np.concatenate([reached, cuts_m]), kind="stable")
    return list(dict.fromkeys(map(_node, np.concatenate([points, extra])[order]))) + (
        [_node(points[0])] if np.array_equal(points[0], points[-1]) else []
    )


def _node(point: FloatArray) -> Node:
    """Return a point as the name of a node: to the centimetre, so that lines that meet share it."""
    return round(float(point[0]), 2) + 0.0, round(float(point[1]), 2) + 0.0
