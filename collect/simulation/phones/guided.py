"""A walk that follows a list: from stop to stop in the order given, a photo in each direction that it asks for."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import numpy as np

from collect.simulation.arrays import generator
from collect.simulation.campus.world import CampusWorld
from collect.simulation.drawing.camera import Viewpoint
from collect.simulation.phones.walks import (
    DETOUR,
    HEADING_SPREAD_DEG,
    OF_A_PHOTO,
    PACE_M_PER_S,
    SPOT_SPREAD_M,
    Shot,
    Walk,
    held_phone,
    varied,
)
from img2gps.errors import NotFoundError, UsageError
from img2gps.geo import LocalFrame
from img2gps.text import safe_path

__all__ = ["ListedStop", "guided_shots", "read_stops"]

_ASIDE_M = (0.0, 2.0, 4.0, 6.0, 9.0, 12.0)  # how far from the place one steps where a wall stands


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedStop:
    """A place to go to in metres of the site's frame, and the directions to photograph."""

    east_m: float
    north_m: float
    headings_deg: tuple[float, ...]


def read_stops(path: Path, frame: LocalFrame) -> tuple[ListedStop, ...]:
    """Return the stops of a walk list, as ``img2gps audit`` writes it to walk-list.geojson.

    Raises NotFoundError, or UsageError where the file holds no stops.
    """
    if not path.is_file():
        raise NotFoundError(f"No walk list {safe_path(path)}: `img2gps audit DATASET` writes audit/walk-list.geojson.")
    try:
        features = json.loads(path.read_bytes())["features"]
        points = [one for one in features if one["geometry"]["type"] == "Point"]
        stops = [
            (*(float(value) for value in one["geometry"]["coordinates"][:2]), one["properties"]["headings_deg"])
            for one in points
        ]
        found = []
        for lon, lat, headings in stops:
            east_m, north_m = frame.to_local(np.array([lon]), np.array([lat]))
            directions = tuple(float(heading) % 360 for heading in headings)
            found.append(ListedStop(east_m=float(east_m[0]), north_m=float(north_m[0]), headings_deg=directions))
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise UsageError(f"{safe_path(path)} is no walk list as `img2gps audit` writes it.") from error
    if not found:
        raise UsageError(f"{safe_path(path)} lists no stops: nobody would walk.")
    return tuple(found)


def guided_shots(world: CampusWorld, walk: Walk, stops: tuple[ListedStop, ...], seed: int) -> tuple[Shot, ...]:
    """The shots of a walk from stop to stop; a stop without ground to stand on is left out."""
    rng = generator(seed, "guided", walk.number)
    seconds, last = 0.0, None
    shots: list[Shot] = []
    for stop in stops:
        spot = _standing(rng, world, np.array([stop.east_m, stop.north_m]))
        if spot is None:
            continue
        seconds += 0.0 if last is None else float(np.hypot(*(spot - last))) * DETOUR / PACE_M_PER_S
        last = spot
        for heading in stop.headings_deg:
            seconds += float(rng.uniform(3, 12))
            shots.append(
                Shot(
                    number=len(shots),
                    walk=walk,
                    captured_at=walk.start + timedelta(milliseconds=round(seconds * 1000)),
                    camera=_aimed(rng, spot, heading, walk),
                    exposure=varied(rng.standard_normal(5), walk.exposure, OF_A_PHOTO),
                    burst=None,
                )
            )
    return tuple(shots)


def _standing(rng: np.random.Generator, world: CampusWorld, place: np.ndarray) -> np.ndarray | None:
    """Where somebody stands who goes to `place`: near it, at the side of a wall; None where there is no ground."""
    for aside_m in _ASIDE_M:
        for _ in range(6):
            spot = place + rng.normal(0, SPOT_SPREAD_M, 2) + aside_m * _direction(rng)
            if world.walkable(spot):
                return spot
    return None


def _direction(rng: np.random.Generator) -> np.ndarray:
    angle = rng.uniform(0, 2 * np.pi)
    return np.array([np.cos(angle), np.sin(angle)])


def _aimed(rng: np.random.Generator, spot: np.ndarray, heading_deg: float, walk: Walk) -> Viewpoint:
    return held_phone(rng, spot, heading_deg + float(rng.normal(0, HEADING_SPREAD_DEG)), walk.device)
