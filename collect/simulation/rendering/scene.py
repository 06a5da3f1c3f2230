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
PERSON_EACH_M = 32.0
VEHICLE_EACH_M = 130.0


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


def set_scene(world: CampusWorld, light: Light, seed: int, walk: int, passers_by: float = 0.0) -> Scene:
    """The campus on walk number `walk`; `passers_by` times the usual people come on top, and vehicles on the paths."""
    rng = generator(seed, "scene", walk)
    bays = world.plan.parking
    taken = bays[rng.random(len(bays)) < rng.uniform(0.35, 0.75)]
    colours = rng.integers(len(CAR_COLOURS), size=len(taken))
    sky, usual = paint_sky(light, rng), _people(rng, world, PERSON_EACH_M)
    more = generator(seed, "passers-by", walk)
    return Scene(
        world=world,
        light=light,
        sky=sky,
        shadows=cast_shadows(world.plan, world.ground.frame, light.sun_azimuth_deg, light.sun_elevation_deg),
        cars=np.concatenate([np.column_stack([taken, colours]), _vehicles(more, world, passers_by)]),
        people=np.concatenate([usual, _people(more, world, PERSON_EACH_M / passers_by)]) if passers_by else usual,
    )


def _vehicles(rng: np.random.Generator, world: CampusWorld, passers_by: float) -> Doubles:
    """Vehicles that stop on the paths, as deliveries do: rows as of `Scene.cars`."""
    stopped = []
    for path in world.plan.footpaths if passers_by else ():
        for _ in range(rng.poisson(path.line.length * passers_by / VEHICLE_EACH_M)):
            at = rng.uniform(0, path.line.length)
            spot, ahead = path.line.interpolate(at), path.line.interpolate(at + 0.5)
            angle = np.arctan2(ahead.y - spot.y, ahead.x - spot.x)
            stopped.append((spot.x, spot.y, float(angle), float(rng.integers(len(CAR_COLOURS)))))
    return np.array(stopped).reshape(-1, 4)


def _people(rng: np.random.Generator, world: CampusWorld, each_m: float) -> Doubles:
    """People on the paths, about one each `each_m` metres."""
    spots = []
    for path in world.plan.footpaths:
        for _ in range(rng.poisson(path.line.length / each_m)):
            spot = path.line.interpolate(rng.uniform(0, path.line.length))
            aside = rng.normal(0, path.width_m / 4, 2)
            spots.append((spot.x + aside[0], spot.y + aside[1], float(rng.integers(PEOPLE))))
    return np.array(spots).reshape(-1, 3)
