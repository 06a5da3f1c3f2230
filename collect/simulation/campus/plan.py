"""What the plan of a generated campus consists of; `layout.lay_out` draws one up."""

from dataclasses import dataclass

from shapely.geometry import LineString, Polygon

from collect.simulation.arrays import Doubles

SIDEWALK_INSET_M = 9.0
KERB_INSET_M = 6.0
FRONT_INSET_M = 17.0
FAR_KERB_M = 7.0
FAR_FRONT_M = 13.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """A footprint in local metres with a height and the number of the design its facades follow."""

    footprint: Polygon
    height_m: float
    design: int
    on_site: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Footpath:
    """A paved line; `paving` names a ground material."""

    line: LineString
    width_m: float
    paving: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CampusPlan:
    """Everything that stands still on the campus.

    `axis_deg` is the direction of the block grid, counter-clockwise from east. `trees` is (n, 4): east, north, height
    in metres and a variant in 0..1. `lamps` is (n, 2); `benches` and `parking` are (n, 3): east, north and direction
    in radians, counter-clockwise from east.
    """

    outline: Polygon
    axis_deg: float
    buildings: tuple[Building, ...]
    footpaths: tuple[Footpath, ...]
    lawns: tuple[Polygon, ...]
    trees: Doubles
    lamps: Doubles
    benches: Doubles
    parking: Doubles
