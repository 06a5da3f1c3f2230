"""The walls of the generated campus as arrays, and which of them each image column sees."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from shapely.geometry.polygon import orient

from collect.simulation.arrays import Doubles, Ints, Mask
from collect.simulation.campus.plan import Building
from collect.simulation.drawing.camera import Viewpoint

NEAREST_M = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Walls:
    """All walls, seen from outside with `start` at the left: arrays of length n, positions (n, 2) in metres."""

    start: Doubles
    along: Doubles
    length_m: Doubles
    eaves_m: Doubles
    design: Ints
    on_site: Mask

    @property
    def normals(self) -> Doubles:
        """Unit vectors that point out of the buildings, (n, 2)."""
        return np.column_stack([self.along[:, 1], -self.along[:, 0]])


@dataclass(frozen=True, slots=True, kw_only=True)
class Hits:
    """Where the columns of an image meet walls.

    `wall` (k) are numbers of walls. The others are (k, width): `depth_m` along the heading (infinite where the column
    misses the wall) and `along_m` from the wall's start.
    """

    wall: Ints
    depth_m: Doubles
    along_m: Doubles


def walls_of(buildings: tuple[Building, ...]) -> Walls:
    """The edges of all footprints as walls."""
    starts, ends, eaves, designs, on_site = [], [], [], [], []
    for building in buildings:
        corners = np.array(orient(building.footprint).exterior.coords)
        for start, end in pairwise(corners):
            if np.hypot(*(end - start)) > 0.3:
                starts.append(start)
                ends.append(end)
                eaves.append(building.height_m)
                designs.append(building.design)
                on_site.append(building.on_site)
    start, end = np.array(starts), np.array(ends)
    length = np.hypot(*(end - start).T)
    return Walls(
        start=start,
        along=(end - start) / length[:, None],
        length_m=length,
        eaves_m=np.array(eaves),
        design=np.array(designs, np.intp),
        on_site=np.array(on_site),
    )


def cast(walls: Walls, camera: Viewpoint) -> Hits:
    """Meet every column of `camera` with every wall that faces it."""
    towards = walls.start - (camera.east_m, camera.north_m)
    facing = np.sum(towards * walls.normals, axis=1) < 0
    chosen = np.flatnonzero(facing & _in_view(walls, camera))
    slopes = camera.slopes()
    ray_east = camera.forward[0] + slopes * camera.right[0]
    ray_north = camera.forward[1] + slopes * camera.right[1]
    to_east, to_north = towards[chosen].T
    east, north = walls.along[chosen].T
    with np.errstate(divide="ignore", invalid="ignore"):
        cross = ray_east * north[:, None] - ray_north * east[:, None]
        depth = (to_east * north - to_north * east)[:, None] / cross
        along = (to_east[:, None] * ray_north - to_north[:, None] * ray_east) / cross
    met = (depth > NEAREST_M) & (along >= 0) & (along <= walls.length_m[chosen][:, None])
    seen = met.any(axis=1)
    return Hits(
        wall=chosen[seen],
        depth_m=np.where(met, depth, np.inf)[seen],
        along_m=np.where(met, along, 0.0)[seen],
    )


def _in_view(walls: Walls, camera: Viewpoint) -> Mask:
    """Walls with an end ahead of the camera and not wholly to one side of what it sees."""
    ends = walls.start + walls.along * walls.length_m[:, None]
    ahead0, right0 = camera.ahead_and_right(*walls.start.T)
    ahead1, right1 = camera.ahead_and_right(*ends.T)
    limit = camera.width / 2 / camera.focal_px
    ahead = (ahead0 > 0) | (ahead1 > 0)
    left = (right0 < -limit * ahead0) & (right1 < -limit * ahead1)
    right = (right0 > limit * ahead0) & (right1 > limit * ahead1)
    in_view: Mask = ahead & ~left & ~right
    return in_view
