"""What the map of a site says of walking on it: where one can stand, and how far it is from stop to stop."""

import dataclasses
from typing import TYPE_CHECKING, Final

import shapely
from shapely.geometry import Point, box
from shapely.ops import nearest_points

from collect.auditing.grid import Grid
from img2gps.basemap.features import Basemap, in_metres
from img2gps.basemap.standing import blocked_ground
from img2gps.geo import FloatArray, LocalFrame

if TYPE_CHECKING:
    from img2gps.basemap.ways import WayTable

__all__ = ["Walking"]

_ROAD_M: Final = 4.5
_CLEAR_M: Final = 0.5


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Walking:
    """A basemap as the walk list asks it; positions are metres of `frame`."""

    basemap: Basemap
    frame: LocalFrame

    def spots_m(self, grid: Grid, cells: list[int]) -> FloatArray:
        """Return a place to stand in each of some cells, shape (len(cells), 2): off roads, roofs and water.

        It is the cell's own spot, or the nearest free place of the cell. A cell that is all road keeps its spot.
        """
        roads = in_metres([feature.geometry for feature in self.basemap.of("road")], self.frame)
        lanes = [road if "Polygon" in road.geom_type else road.buffer(_ROAD_M) for road in roads]
        blocked = blocked_ground(self.basemap, self.frame)
        taken = shapely.union_all([*lanes, *([] if blocked is None else [blocked.buffer(_CLEAR_M)])])
        found = grid.spots_m[cells].copy()
        for row, cell in enumerate(cells):
            spot = Point(found[row])
            if not taken.intersects(spot):
                continue
            west, south = grid.corners_m[cell]
            free = box(west, south, west + grid.size_m, south + grid.size_m).difference(taken)
            if not free.is_empty:
                near = nearest_points(free, spot)[0]
                found[row] = near.x, near.y
        return found

    def between(self, points_m: FloatArray) -> "WayTable":
        """Return the ways on foot between places, shape (N, 2)."""
        from img2gps.basemap.ways import Ways

        return Ways(self.basemap, self.frame).between(points_m)
