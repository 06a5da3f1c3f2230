"""Who walks on the generated campus, when, in what weather, along which way, and where photos are taken."""

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from statistics import NormalDist

import numpy as np

from collect.simulation.arrays import Doubles, Ints, generator
from collect.simulation.campus.world import CampusWorld
from collect.simulation.drawing.camera import Viewpoint
from collect.simulation.drawing.light import WEATHERS, Light, light_at
from collect.simulation.phones.develop import Exposure
from collect.simulation.phones.devices import DEVICES, Device
from collect.simulation.phones.sights import appeal, team_sights

PHOTOS_PER_WALK = 30
PACE_M_PER_S = 1.25
# Paths are longer than the straight line.
DETOUR = 1.3
BURST_SHARE = 0.14
SPOT_SPREAD_M = 1.4
# Nobody steps so close to a wall that this share of what is to be seen from the sight is lost.
LEAST_WORTH = 0.7
HEADING_SPREAD_DEG = 6.0
PITCH_DEG, PITCH_SPREAD_DEG = 5.0, 3.0
STRAY_LOOK_SHARE = 0.03
FIRST_DAY = datetime(2025, 4, 5, tzinfo=UTC)
YEAR_SPAN_DAYS = 310


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How far exposures differ: standard deviations of logarithms; `warmth` trades red for blue."""

    warmth: float
    tint: float
    brightness: float
    contrast: float
    saturation: float


# Over a year of walks weather and the phone's mood differ more than from one view of a walk to the next; but within
# a walk, too, a phone meters and balances each view anew.
OF_A_WALK = Spread(warmth=0.09, tint=0.03, brightness=0.14, contrast=0.15, saturation=0.2)
OF_A_PHOTO = Spread(warmth=0.06, tint=0.025, brightness=0.16, contrast=0.11, saturation=0.14)


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
    camera: Viewpoint
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
    """The walks, on three days or more where there are six of them, each day with the two devices by turns.

    No two walks of a day have the same weather.
    """
    count = walks_for(photos)
    days = min(count, max(3, math.ceil(count / 3)))
    weathers = generator(seed, "weather").permutation(len(WEATHERS))
    moods = _moods(generator(seed, "moods"), count)
    walks = []
    for number in range(count):
        day, slot = number % days, number // days
        rng = generator(seed, "walk", number)
        start = _start(rng, place, day, slot, days)
        device = DEVICES[number % len(DEVICES)]
        weather = WEATHERS[weathers[(slot + 2 * day) % len(WEATHERS)]]
        walks.append(
            Walk(
                number=number,
                device=device,
                start=start,
                light=light_at(start, place.latitude, place.longitude, weather),
                exposure=_exposure(device, moods[number], float(rng.uniform(1.5, 4))),
            )
        )
    return tuple(walks)


def _start(rng: np.random.Generator, place: Place, day: int, slot: int, days: int) -> datetime:
    date = FIRST_DAY + timedelta(days=round(day * YEAR_SPAN_DAYS / max(days - 1, 1)))
    minutes = 8 * 60 + 40 + slot * 160 + rng.uniform(0, 90)
    start = date.replace(tzinfo=place.zone) + timedelta(minutes=float(minutes))
    return start.replace(microsecond=0).astimezone(UTC)


def _moods(rng: np.random.Generator, count: int) -> list[Doubles]:
    """What sets the exposures of `count` walks apart: five standard normal numbers for each.

    Each of the five is spread evenly over the walks, so that no two walks come out alike by chance.
    """
    quantiles = [NormalDist().inv_cdf((k + 0.5) / count) for k in range(count)]
    return list(np.column_stack([rng.permutation(quantiles) for _ in range(5)]))


def _exposure(device: Device, mood: Doubles, noise: float) -> Exposure:
    """How the phone develops on a walk: its own colours, and a white balance and brightness of the day."""
    plain = Exposure(gains=device.gains, contrast=device.contrast, saturation=device.saturation, noise=noise)
    return varied(mood, plain, OF_A_WALK)


def varied(normal: Doubles, exposure: Exposure, spread: Spread) -> Exposure:
    """`exposure` moved by five standard `normal` numbers, as far as `spread` says."""
    warmth, tint, brightness, contrast, saturation = normal.tolist()
    common = brightness * spread.brightness
    shifts = (warmth * spread.warmth, tint * spread.tint, -warmth * spread.warmth)
    red, green, blue = (gain * math.exp(common + shift) for gain, shift in zip(exposure.gains, shifts, strict=True))
    return replace(
        exposure,
        gains=(red, green, blue),
        contrast=exposure.contrast * math.exp(contrast * spread.contrast),
        saturation=exposure.saturation * math.exp(saturation * spread.saturation),
    )


def take_photos(world: CampusWorld, walks: tuple[Walk, ...], photos: int, seed: int) -> tuple[Shot, ...]:
    """`photos` shots in all, spread evenly over `walks`; the walks share the work of visiting the team's sights."""
    sights = team_sights(world, photos)
    visits = np.zeros(len(sights))
    shots: list[Shot] = []
    for walk in walks:
        count = (walk.number + 1) * photos // len(walks) - walk.number * photos // len(walks)
        rng = generator(seed, "shots", walk.number)
        bursts = _burst_sizes(rng, count)
        visited = _itinerary(rng, sights, visits, len(bursts))
        np.add.at(visits, visited, 1)
        shots += _shots_of(rng, world, sights[visited], walk, bursts, len(shots))
    return tuple(shots)


def _itinerary(rng: np.random.Generator, sights: Doubles, visits: Doubles, stops: int) -> Ints:
    """Which sights a walk goes to: those visited least so far, in an order that always goes to the nearest next."""
    wanted = np.resize(np.argsort(visits + rng.random(len(sights))), stops)
    order = [int(rng.integers(stops))]
    while len(order) < stops:
        gaps = np.hypot(*(sights[wanted, :2] - sights[wanted[order[-1]], :2]).T)
        gaps[order] = np.inf
        order.append(int(np.argmin(gaps)))
    return wanted[order]


def _shots_of(
    rng: np.random.Generator, world: CampusWorld, sights: Doubles, walk: Walk, bursts: list[int], first: int
) -> list[Shot]:
    """The shots of a walk from sight to sight, a burst at each; their numbers begin at `first`."""
    ways = np.hypot(*np.diff(sights[:, :2], axis=0, prepend=sights[:1, :2]).T) * DETOUR
    seconds = 0.0
    shots: list[Shot] = []
    for burst, (size, sight, way_m) in enumerate(zip(bursts, sights, ways, strict=True)):
        seconds += way_m / PACE_M_PER_S + rng.uniform(3, 12)
        camera = _aim(rng, world, sight, walk.device)
        for _ in range(size):
            shots.append(
                Shot(
                    number=first + len(shots),
                    walk=walk,
                    captured_at=walk.start + timedelta(milliseconds=round(seconds * 1000)),
                    camera=camera,
                    exposure=varied(rng.standard_normal(5), walk.exposure, OF_A_PHOTO),
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


def _aim(rng: np.random.Generator, world: CampusWorld, sight: Doubles, device: Device) -> Viewpoint:
    """Stand near the sight and look at it, or now and then somewhere else where something can be seen."""
    portrait = bool(rng.random() < device.portrait_share)
    spot = sight[:2] + rng.normal(0, SPOT_SPREAD_M, 2)
    if not world.walkable(spot) or _worth(world, spot, sight[2]) < LEAST_WORTH * _worth(world, sight[:2], sight[2]):
        spot = sight[:2]
    heading = sight[2]
    if rng.random() < STRAY_LOOK_SHARE:
        others = rng.uniform(0, 360, 8)
        heading = max(others, key=lambda other: _worth(world, spot, other))
    return _held(rng, spot, float(heading + rng.normal(0, HEADING_SPREAD_DEG)), device, portrait=portrait)


def held_phone(rng: np.random.Generator, spot: Doubles, heading_deg: float, device: Device) -> Viewpoint:
    """How somebody at `spot` (east, north in metres) holds the phone who looks in a direction."""
    return _held(rng, spot, heading_deg, device, portrait=bool(rng.random() < device.portrait_share))


def _held(rng: np.random.Generator, spot: Doubles, heading_deg: float, device: Device, *, portrait: bool) -> Viewpoint:
    return Viewpoint(
        east_m=float(spot[0]),
        north_m=float(spot[1]),
        heading_deg=heading_deg % 360,
        eye_m=float(rng.normal(1.58, 0.05)),
        view_deg=device.view_deg,
        pitch_deg=float(rng.normal(PITCH_DEG, PITCH_SPREAD_DEG)),
        roll_deg=float(rng.normal(0, 1.0)),
        width=480 if portrait else 640,
        height=640 if portrait else 480,
    )


def _worth(world: CampusWorld, spot: Doubles, heading_deg: float) -> float:
    return appeal(world.walls, float(spot[0]), float(spot[1]), heading_deg)


def _shaken(rng: np.random.Generator, camera: Viewpoint) -> Viewpoint:
    """Nearly the same pose, a moment later."""
    return replace(
        camera,
        east_m=camera.east_m + float(rng.normal(0, 0.15)),
        north_m=camera.north_m + float(rng.normal(0, 0.15)),
        heading_deg=(camera.heading_deg + float(rng.normal(0, 2))) % 360,
        pitch_deg=camera.pitch_deg + float(rng.normal(0, 0.7)),
    )
