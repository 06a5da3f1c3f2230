"""Where a place is, in words: "by the north door of Towne, 12 m", "14 m from Towne, on the path".

The nearest building counts, one with a name before one without. A door stands for its building where it is near. What
is underfoot follows: a path, a road, grass, water.
"""

import dataclasses
from typing import Final, Literal

import numpy as np
import shapely
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry
from shapely.ops import nearest_points

from img2gps.basemap.features import Basemap, MapClass, in_metres
from img2gps.geo import LocalFrame

__all__ = ["NearestGround", "Surroundings", "Whereabouts", "describe_place"]

Underfoot = Literal["building", "water", "road", "path", "green"]

_ASKED: Final[tuple[MapClass, ...]] = ("building", "door", "path", "road", "green", "water")
_FAR_M: Final = 80.0
"""A building farther away says nothing about a place."""
_NAMED_M: Final = 25.0
"""A building with a name is told rather than one without that is up to this much nearer."""
_DOOR_M: Final = 30.0
_DOOR_OF_M: Final = 3.0
_BESIDE_M: Final = 3.0
# How far from its centre line a path or a road reaches where the map has only the line.
_HALF_M: Final[dict[MapClass, float]] = {"path": 2.0, "road": 4.5}
_CLEAR_M: Final = 0.5
_SIDES: Final = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
_GROUND: Final[dict[Underfoot, str]] = {
    "water": "in the water",
    "road": "on the road",
    "path": "on the path",
    "green": "on the grass",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NearestGround:
    """A place in degrees and how far it is from the one asked about, in metres."""

    lon: float
    lat: float
    distance_m: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where a place is. `text` is the sentence's part that a person reads, "" where the map says nothing.

    `building` is the nearest building's name (None: it has none, or there is none). `distance_m` is the metres to it,
    or to its door if `door` names one. Inside a building it is the metres to its edge. `underfoot` is what one stands
    on, None where the map shows nothing. `ground` is the nearest place outside of buildings and water, None where the
    place is outside.
    """

    text: str
    building: str | None = None
    distance_m: float | None = None
    door: str | None = None
    underfoot: Underfoot | None = None
    ground: NearestGround | None = None

    @property
    def on_roof(self) -> bool:
        """Whether the place lies within a building."""
        return self.underfoot == "building"


class _Layer:
    """The shapes of one class in metres, with an index."""

    def __init__(self, basemap: Basemap, kind: MapClass, frame: LocalFrame) -> None:
        self.features = basemap.of(kind)
        self.shapes = in_metres([feature.geometry for feature in self.features], frame)
        self.tree = shapely.STRtree(self.shapes)

    def within(self, point: BaseGeometry, distance_m: float) -> list[int]:
        """Return the rows within a distance of a point, the nearest first."""
        found = self.tree.query(point, predicate="dwithin", distance=distance_m).tolist()
        return sorted(found, key=lambda row: (self.shapes[row].distance(point), row))


class Surroundings:
    """A basemap ready to be asked: positions are in degrees, answers in words."""

    def __init__(self, basemap: Basemap, *, frame: LocalFrame | None = None) -> None:
        self._frame = frame or _frame_of(basemap)
        self._layers: dict[MapClass, _Layer] = {kind: _Layer(basemap, kind, self._frame) for kind in _ASKED}

    def at(self, lon: float, lat: float) -> Whereabouts:
        """Return where a position (degrees) is."""
        east_m, north_m = (float(value) for value in self._frame.to_local(lon, lat))
        point = Point(east_m, north_m)
        underfoot, row = self._underfoot(point)
        if underfoot == "building":
            return self._inside(point, row)
        ground = self._dry_ground(point) if underfoot == "water" else None
        footing = self._footing(underfoot, row)
        near = self._building(point)
        if near is None:
            return Whereabouts(text=footing, underfoot=underfoot, ground=ground)
        name = self._layers["building"].features[near].name
        door = self._door(point, near)
        if door is not None:
            side, distance_m = door
            text = f"by the {side} door of {name or 'a building'}, {_metres(distance_m)}"
            return Whereabouts(
                text=text, building=name, distance_m=distance_m, door=side, underfoot=underfoot, ground=ground
            )
        distance_m, side = self._from_building(point, near)
        beside = distance_m < _BESIDE_M
        text = f"by the {side} wall of {name or 'a building'}" if beside else f"{_metres(distance_m)} {side} of "
        text = text if beside else text + (name or "a building")
        text = f"{text}, {footing}" if footing else text
        return Whereabouts(text=text, building=name, distance_m=distance_m, underfoot=underfoot, ground=ground)

    def off_roof(self, lon: float, lat: float) -> NearestGround | None:
        """Return the nearest place outside of buildings and water, None where the position is outside of them."""
        return self.at(lon, lat).ground

    def _underfoot(self, point: Point) -> tuple[Underfoot | None, int]:
        for kind in ("building", "water", "path", "road", "green"):
            layer = self._layers[kind]
            reach_m = _HALF_M.get(kind, 0.0)
            for row in layer.within(point, max(reach_m, 1e-9)):
                area = "Polygon" in layer.shapes[row].geom_type
                if layer.shapes[row].covers(point) if area else reach_m > 0 or kind == "water":
                    return kind, row
        return None, -1

    def _footing(self, underfoot: Underfoot | None, row: int) -> str:
        if underfoot is None or underfoot == "building":
            return ""
        name = self._layers[underfoot].features[row].name
        return f"{_GROUND[underfoot].split()[0]} {name}" if name else _GROUND[underfoot]

    def _inside(self, point: Point, row: int) -> Whereabouts:
        layer = self._layers["building"]
        name = layer.features[row].name
        depth_m = float(layer.shapes[row].boundary.distance(point))
        text = f"in {name or 'a building'}, {_metres(depth_m)} from its edge"
        return Whereabouts(
            text=text, building=name, distance_m=depth_m, underfoot="building", ground=self._dry_ground(point)
        )

    def _dry_ground(self, point: Point) -> NearestGround | None:
        """Return the nearest place that no building and no water covers, a step off their edge."""
        reach_m = 60.0
        while reach_m < 2000.0:
            near = [
                shape
                for kind in ("building", "water")
                for shape in (self._layers[kind].shapes[row] for row in self._layers[kind].within(point, reach_m))
                if "Polygon" in shape.geom_type
            ]
            blocked = shapely.union_all([shape.buffer(_CLEAR_M, join_style="mitre") for shape in near])
            free = point.buffer(reach_m).difference(blocked)
            if not free.is_empty:
                spot = nearest_points(free, point)[0]
                lon, lat = (float(value) for value in self._frame.to_lonlat(spot.x, spot.y))
                return NearestGround(lon=round(lon, 8), lat=round(lat, 8), distance_m=float(spot.distance(point)))
            reach_m *= 2
        return None

    def _building(self, point: Point) -> int | None:
        """Return the building to name: the nearest, or one with a name that is not much farther."""
        layer = self._layers["building"]
        rows = layer.within(point, _FAR_M)
        if not rows:
            return None
        nearest_m = layer.shapes[rows[0]].distance(point)
        named = [row for row in rows if layer.features[row].name]
        if named and layer.shapes[named[0]].distance(point) <= nearest_m + _NAMED_M:
            return named[0]
        return rows[0]

    def _door(self, point: Point, row: int) -> tuple[str, float] | None:
        """Return the side and the distance of the nearest door of a building, None where none is near."""
        building = self._layers["building"].shapes[row]
        doors = self._layers["door"]
        for number in doors.within(point, _DOOR_M):
            way = shapely.shortest_line(point, doors.shapes[number])
            hidden = way.intersection(building).length > _DOOR_OF_M
            if building.distance(doors.shapes[number]) <= _DOOR_OF_M and not hidden:
                middle, door = building.centroid, doors.shapes[number].centroid
                return _side(door.x - middle.x, door.y - middle.y), float(doors.shapes[number].distance(point))
        return None

    def _from_building(self, point: Point, row: int) -> tuple[float, str]:
        edge = nearest_points(self._layers["building"].shapes[row], point)[0]
        return float(edge.distance(point)), _side(point.x - edge.x, point.y - edge.y)


def describe_place(basemap: Basemap, lon: float, lat: float) -> Whereabouts:
    """Return where one position (degrees) is by a basemap; `Surroundings` answers many without reading it each time.

    >>> describe_place(basemap, -75.1913, 39.9517).text
    'by the north door of Towne, 12 m'
    """
    return Surroundings(basemap).at(lon, lat)


def _frame_of(basemap: Basemap) -> LocalFrame:
    geometries = [feature.geometry for feature in basemap.features]
    west, south, east, north = shapely.total_bounds(geometries) if geometries else (0.0, 0.0, 0.0, 0.0)
    return LocalFrame(origin_lon=round(float(west + east) / 2, 6), origin_lat=round(float(south + north) / 2, 6))


def _side(east: float, north: float) -> str:
    return _SIDES[round(float(np.degrees(np.arctan2(east, north))) / 45.0) % 8]


def _metres(distance_m: float) -> str:
    return f"{distance_m:.1f} m" if distance_m < 1 else f"{distance_m:.0f} m"
