"""The sights of a generated campus: spots on its paths and where people who stand there point their phones.

People photograph the same things. A field team's walks share most of their views, and differ in light, season, distance
and passers-by. A model must recognise a place, not guess what lies behind an unseen corner. A team that takes few
photos keeps to few sights, spread over the site, so that each is photographed on several walks.
"""

import numpy as np

from collect.simulation.arrays import Doubles
from collect.simulation.campus.walls import Walls, cast
from collect.simulation.campus.world import CampusWorld
from collect.simulation.drawing.camera import Viewpoint

SIGHT_GAP_M = 24.0
DIRECTIONS = 16
PHOTOS_PER_SIGHT = 8
FEWEST_SIGHTS = 10
BEST_DISTANCE_M = 13.0


def find_sights(world: CampusWorld) -> Doubles:
    """(n, 3): east, north in metres and heading in degrees, about each `SIGHT_GAP_M` along every path."""
    sights = []
    for path in world.plan.footpaths:
        count = max(1, round(path.line.length / SIGHT_GAP_M))
        for k in range(count):
            spot = path.line.interpolate((k + 0.5) / count, normalized=True)
            headings = world.plan.axis_deg + np.arange(DIRECTIONS) * 360 / DIRECTIONS
            worth = [appeal(world.walls, spot.x, spot.y, float(heading)) for heading in headings]
            sights.append((spot.x, spot.y, float(headings[int(np.argmax(worth))]) % 360))
    return np.array(sights)


def team_sights(world: CampusWorld, photos: int) -> Doubles:
    """The sights that a team visits to take `photos` photos, (n, 3) as of `find_sights`.

    One in the middle, then always the farthest from those chosen: fewer photos visit the first of the same sights.
    """
    sights = find_sights(world)
    count = min(len(sights), max(FEWEST_SIGHTS, photos // PHOTOS_PER_SIGHT))
    middle = sights[:, :2].mean(axis=0)
    chosen = [int(np.argmin(np.hypot(*(sights[:, :2] - middle).T)))]
    apart = np.full(len(sights), np.inf)
    while len(chosen) < count:
        apart = np.minimum(apart, np.hypot(*(sights[:, :2] - sights[chosen[-1], :2]).T))
        chosen.append(int(np.argmax(apart)))
    return sights[chosen]


def appeal(walls: Walls, east_m: float, north_m: float, heading_deg: float) -> float:
    """How much there is to see: the share of a view filled by walls at a good distance, facing the viewer.

    The campus counts for more than the street fronts around it.
    """
    camera = Viewpoint(east_m=east_m, north_m=north_m, heading_deg=heading_deg, view_deg=56, width=24, height=18)
    hits = cast(walls, camera)
    if len(hits.wall) == 0:
        return 0.0
    nearest = np.argmin(hits.depth_m, axis=0)
    depth = np.take_along_axis(hits.depth_m, nearest[None], axis=0)[0]
    facing = -(walls.normals[hits.wall[nearest]] @ camera.forward)
    good = np.exp(-(np.log(np.maximum(depth, 0.5) / BEST_DISTANCE_M) ** 2) / 0.5)
    own = np.where(walls.on_site[hits.wall[nearest]], 1.0, 0.15)
    return float(np.mean(own * good * (0.2 + 0.8 * np.clip(facing, 0, 1))))
