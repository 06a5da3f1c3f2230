"""Who walks on the generated campus, when, in what weather, along which way, and where photos are taken."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo

import numpy as np

from collect.campus.arrays import Doubles, generator
from collect.campus.camera import Camera
from collect.campus.develop import Exposure
from collect.campus.devices import DEVICES, Device
from collect.campus.light import WEATHERS, Light, light_at
from collect.campus.routes import Route, path_graph, stroll
from collect.campus.sights import appeal, find_sights
from collect.campus.world import World

PHOTOS_PER_WALK = 30
STOP_GAP_M = 40.0
PACE_M_PER_S = 1.25
BURST_SHARE = 0.14
SPOT_SPREAD_M = 1.2
HEADING_SPREAD_DEG = 5.0
STRAY_LOOK_SHARE = 0.03
FIRST_DAY = datetime(2025, 4, 5, tzinfo=UTC)
YEAR_SPAN_DAYS = 310


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """One person's way with one phone: `start` is the moment of the first step (UTC)."""

    number: int
    device: Device
    start: datetime
    light: Light
    exposure: Exposure


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """One photo of a walk, `captured_at` in UTC; photos of one burst share its number within the walk."""

    number: int
    walk: Walk
    captured_at: datetime
    camera: Camera
    exposure: Exposure
    burst: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where on earth the campus lies: for the sun and the clock."""

    latitude: float
    longitude: float
    zone: tzinfo


def walks_for(photos: int) -> int:
    """How many walks take `photos` photos: six or more from 60 photos on."""
    return max(6, round(photos / PHOTOS_PER_WALK)) if photos >= 60 else max(1, photos // 10)


def plan_walks(place: Place, photos: int, seed: int) -> tuple[Walk, ...]:
    """The walks, on three days or more where there are six of them, each day with the two devices by turns."""
    count = walks_for(photos)
    days = min(count, max(3, math.ceil(count / 3)))
    weathers = generator(seed, "weather").permutation(np.arange(count) % len(WEATHERS))
    return tuple(_walk(place, number, days, int(weathers[number]), seed) for number in range(count))


def _walk(place: Place, number: int, days: int, weather: int, seed: int) -> Walk:
    rng = generator(seed, "walk", number)
    day, slot = number % days, number // days
    date = FIRST_DAY + timedelta(days=round(day * YEAR_SPAN_DAYS / max(days - 1, 1)))
    minutes = 8 * 60 + 40 + slot * 160 + rng.uniform(0, 90)
    start = date.replace(tzinfo=place.zone) + timedelta(minutes=float(minutes))
    start = start.replace(microsecond=0).astimezone(UTC)
    device = DEVICES[number % len(DEVICES)]
    return Walk(
        number=number,
        device=device,
        start=start,
        light=light_at(start, place.latitude, place.longitude, WEATHERS[weather]),
        exposure=_exposure(rng, device),
    )


def _exposure(rng: np.random.Generator, device: Device) -> Exposure:
    """How the phone develops on this walk: its own colours, and a white balance and brightness of the day."""
    warmth, tint, brightness = rng.normal(0, 0.05), rng.normal(0, 0.02), np.exp(rng.normal(0, 0.11))
    red, green, blue = device.gains
    return Exposure(
        gains=(
            float(red * brightness * (1 + warmth)),
            float(green * brightness * (1 + tint)),
            float(blue * brightness * (1 - warmth)),
        ),
        contrast=float(device.contrast * np.exp(rng.normal(0, 0.1))),
        saturation=float(device.saturation * np.exp(rng.normal(0, 0.12))),
        noise=float(rng.uniform(1.5, 4)),
    )


def take_photos(world: World, walks: tuple[Walk, ...], photos: int, seed: int) -> tuple[Shot, ...]:
    """`photos` shots in all, spread evenly over `walks`."""
    graph, sights = path_graph(world.plan.footpaths), find_sights(world)
    shots: list[Shot] = []
    for walk in walks:
        share = (walk.number + 1) * photos // len(walks) - walk.number * photos // len(walks)
        shots += _shots_of(world, graph, sights, walk, share, len(shots), seed)
    return tuple(shots)


def _shots_of(world: World, graph: Route, sights: Doubles, walk: Walk, count: int, first: int, seed: int) -> list[Shot]:
    rng = generator(seed, "shots", walk.number)
    bursts = _burst_sizes(rng, count)
    route = stroll(rng, graph, STOP_GAP_M * (len(bursts) + 1))
    at = np.cumsum(rng.uniform(0.5, 1.5, len(bursts)))
    at *= route.length / (at[-1] + 1)
    seconds = before = 0.0
    unseen = np.arange(len(sights))
    shots: list[Shot] = []
    for burst, (size, along) in enumerate(zip(bursts, at, strict=True)):
        seconds += (along - before) / PACE_M_PER_S + rng.uniform(3, 12)
        before = float(along)
        here = route.interpolate(along)
        left = sights[unseen]
        nearest = int(np.argmin(np.hypot(left[:, 0] - here.x, left[:, 1] - here.y)))
        camera = _aim(rng, world, left[nearest], walk.device)
        unseen = np.delete(unseen, nearest) if len(unseen) > 1 else np.arange(len(sights))
        for _ in range(size):
            shots.append(
                Shot(
                    number=first + len(shots),
                    walk=walk,
                    captured_at=walk.start + timedelta(milliseconds=round(seconds * 1000)),
                    camera=camera,
                    exposure=_metered(rng, walk.exposure),
                    burst=burst if size > 1 else None,
                )
            )
            seconds += rng.uniform(0.5, 0.95)
            camera = _shaken(rng, camera)
    return shots


def _burst_sizes(rng: np.random.Generator, count: int) -> list[int]:
    """How many photos are taken at each stop: mostly one, now and then a burst of two to four."""
    sizes: list[int] = []
    while sum(sizes) < count:
        size = int(rng.integers(2, 5)) if rng.random() < BURST_SHARE else 1
        sizes.append(min(size, count - sum(sizes)))
    return sizes


def _aim(rng: np.random.Generator, world: World, sight: Doubles, device: Device) -> Camera:
    """Stand near the sight and look at it, or now and then somewhere else where something can be seen."""
    portrait = bool(rng.random() < device.portrait_share)
    spot = sight[:2] + rng.normal(0, SPOT_SPREAD_M, 2)
    if not world.walkable(spot):
        spot = sight[:2]
    heading = sight[2]
    if rng.random() < STRAY_LOOK_SHARE:
        others = rng.uniform(0, 360, 8)
        heading = max(others, key=lambda other: appeal(world.walls, float(spot[0]), float(spot[1]), other))
    return Camera(
        east_m=float(spot[0]),
        north_m=float(spot[1]),
        heading_deg=float((heading + rng.normal(0, HEADING_SPREAD_DEG)) % 360),
        eye_m=float(rng.normal(1.58, 0.05)),
        view_deg=device.view_deg,
        pitch_deg=float(rng.normal(5, 2.2)),
        roll_deg=float(rng.normal(0, 1.0)),
        width=480 if portrait else 640,
        height=640 if portrait else 480,
    )


def _shaken(rng: np.random.Generator, camera: Camera) -> Camera:
    """Nearly the same pose, a moment later."""
    return replace(
        camera,
        east_m=camera.east_m + float(rng.normal(0, 0.15)),
        north_m=camera.north_m + float(rng.normal(0, 0.15)),
        heading_deg=(camera.heading_deg + float(rng.normal(0, 2))) % 360,
        pitch_deg=camera.pitch_deg + float(rng.normal(0, 0.7)),
    )


def _metered(rng: np.random.Generator, exposure: Exposure) -> Exposure:
    factor = float(np.exp(rng.normal(0, 0.08)))
    red, green, blue = exposure.gains
    return replace(exposure, gains=(red * factor, green * factor, blue * factor))
