"""What a walk adds to the campus: light, sky, shadows, and the cars and people about that day."""

from dataclasses import dataclass

import numpy as np

from collect.simulation.arrays import Bytes, Doubles, Floats, generator
from collect.simulation.campus.ground import cast_shadows
from collect.simulation.campus.world import CampusWorld
from collect.simulation.drawing.light import Light
from collect.simulation.rendering.sky import paint_sky
from collect.simulation.rendering.solids import CAR_COLOURS
from collect.simulation.rendering.sprites import PEOPLE

PERSON_M = 1.74


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A campus during one walk.

    `cars` is (n, 4): east, north, direction in radians and the number of a colour. `people` is (n, 3): east, north
    and a variant; they wander from photo to photo.
    """

    world: CampusWorld
    light: Light
    sky: Floats
    shadows: Bytes
    cars: Doubles
    people: Doubles


def set_scene(world: CampusWorld, light: Light, seed: int, walk: int) -> Scene:
    """The campus on walk number `walk`."""
    rng = generator(seed, "scene", walk)
    bays = world.plan.parking
    taken = bays[rng.random(len(bays)) < rng.uniform(0.35, 0.75)]
    colours = rng.integers(len(CAR_COLOURS), size=len(taken))
    return Scene(
        world=world,
        light=light,
        sky=paint_sky(light, rng),
        shadows=cast_shadows(world.plan, world.ground.frame, light.sun_azimuth_deg, light.sun_elevation_deg),
        cars=np.column_stack([taken, colours]),
        people=_people(rng, world),
    )


def _people(rng: np.random.Generator, world: CampusWorld) -> Doubles:
    """People on the paths, about one each 32 m."""
    spots = []
    for path in world.plan.footpaths:
        for _ in range(rng.poisson(path.line.length / 32)):
            spot = path.line.interpolate(rng.uniform(0, path.line.length))
            aside = rng.normal(0, path.width_m / 4, 2)
            spots.append((spot.x + aside[0], spot.y + aside[1], float(rng.integers(PEOPLE))))
    return np.array(spots).reshape(-1, 3)
