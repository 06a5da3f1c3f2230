"""The built campus: its plan with ground, walls and facades, each painted when it is first seen."""

from dataclasses import dataclass, field

import numpy as np
from shapely import wkb
from shapely.geometry import Point

from collect.simulation.arrays import Bytes, Doubles, generator
from collect.simulation.campus.ground import Ground, lay_ground
from collect.simulation.campus.layout import lay_out
from collect.simulation.campus.plan import CampusPlan
from collect.simulation.campus.walls import Walls, walls_of
from collect.simulation.facades.designs import Design, design_of
from collect.simulation.facades.facade import Facade, doors_of, mark_raster, paint

ARM_M = 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class CampusWorld:
    """What stands on the campus whoever walks there and whenever."""

    seed: int
    plan: CampusPlan
    ground: Ground
    walls: Walls
    _painted: dict[int, Facade] = field(default_factory=dict)
    _marked: dict[int, Bytes] = field(default_factory=dict)

    def facade(self, wall: int) -> Facade:
        """The facade of wall number `wall`."""
        if wall not in self._painted:
            number = int(self.walls.design[wall])
            side = wall - int(np.argmax(self.walls.design == number))
            self._painted[wall] = paint(*self._wall(wall), side)
        return self._painted[wall]

    def marks(self, wall: int) -> Bytes:
        """The classes of the parts of wall number `wall` (`mark_raster`)."""
        if wall not in self._marked:
            self._marked[wall] = mark_raster(self.facade(wall))
        return self._marked[wall]

    def doors_m(self) -> Doubles:
        """The doors of the buildings on the site, (n, 2) in metres."""
        spots = [
            self.walls.start[wall] + at_m * self.walls.along[wall]
            for wall in np.flatnonzero(self.walls.on_site).tolist()
            for at_m in doors_of(*self._wall(wall))
        ]
        return np.array(spots).reshape(-1, 2)

    def _wall(self, wall: int) -> tuple[Design, float, float, np.random.Generator]:
        """What a wall is painted by: design, length and height of the eaves in metres, and its own chance."""
        length, eaves = float(self.walls.length_m[wall]), float(self.walls.eaves_m[wall])
        design = design_of(self.seed, int(self.walls.design[wall]))
        return design, length, eaves, generator(self.seed, "facade", wall)

    def walkable(self, spot: Doubles) -> bool:
        """Whether one can stand at `spot` (east, north): on the site and an arm's length away from walls."""
        point = Point(spot[0], spot[1])
        clear = all(building.footprint.distance(point) > ARM_M for building in self.plan.buildings)
        return clear and self.plan.outline.contains(point)


def build_world(site_wkb: bytes, seed: int) -> CampusWorld:
    """Build the campus inside the polygon `site_wkb` (local metres). Raises ValueError where it has no room for one."""
    plan = lay_out(wkb.loads(site_wkb), seed)
    return CampusWorld(seed=seed, plan=plan, ground=lay_ground(plan, seed), walls=walls_of(plan.buildings))
