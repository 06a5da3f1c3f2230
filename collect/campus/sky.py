"""The sky of a walk: a panorama of gradient, clouds and glow around the sun."""

import numpy as np

from collect.campus.arrays import Floats, Ints, Mask, smooth_noise
from collect.campus.camera import Camera
from collect.campus.light import Light

AROUND, UP = 1440, 360
TOP_DEG = 75.0
RISE_STEPS = 1000


def paint_sky(light: Light, rng: np.random.Generator) -> Floats:
    """A panorama (UP, AROUND, 3) in 0..255: row 0 at `TOP_DEG` above the horizon, columns clockwise from north."""
    height = np.linspace(1, 0, UP, dtype=np.float32)[:, None, None]
    zenith, horizon = (np.array(colour, np.float32) for colour in (light.weather.zenith, light.weather.horizon))
    sky = horizon + (zenith - horizon) * height**0.6
    sky = np.repeat(sky, AROUND, axis=1)
    clouds = smooth_noise(rng, (UP, AROUND), octaves=6, base=5)
    cover = np.clip((clouds - (0.82 - 0.62 * light.weather.cloud)) * 3.2, 0, 1)[..., None]
    lit = 175 + 75 * smooth_noise(rng, (UP, AROUND), octaves=5, base=7)[..., None]
    tint = np.array(light.ambient, np.float32) / max(light.ambient)
    thick = np.float32(0.55 if light.weather.cloud > 0.9 else 0.9)
    sky += (lit * tint * (0.93 if light.weather.cloud > 0.9 else 1.04) - sky) * cover * thick
    sky += _glow(light)[..., None] * np.array([255, 236, 200], np.float32) * light.weather.direct
    return np.clip(sky, 0, 255).astype(np.float32)


def _glow(light: Light) -> Floats:
    azimuths = np.linspace(0, 360, AROUND, endpoint=False)
    elevations = np.linspace(TOP_DEG, 0, UP)[:, None]
    turn = (azimuths - light.sun_azimuth_deg + 180) % 360 - 180
    away = np.hypot(turn * np.cos(np.radians(elevations)), elevations - light.sun_elevation_deg)
    glow: Floats = (0.5 * np.exp(-away / 14) + 0.9 * np.exp(-((away / 3) ** 2))).astype(np.float32)
    return glow


def paint_visible_sky(view: Floats, panorama: Floats, camera: Camera, covered: Mask) -> None:
    """Paint the sky into `view` (height, width, 3) wherever nothing has `covered` it."""
    row, column = np.nonzero(~covered)
    slopes = camera.slopes()
    azimuth = (np.degrees(np.arctan(slopes)) + camera.heading_deg) / 360 * AROUND
    rise = (camera.horizon_rows()[column] - row - 0.5) / (camera.focal_px * np.sqrt(1 + slopes**2))[column]
    up = UP_OF_RISE[np.clip(rise * RISE_STEPS, 0, len(UP_OF_RISE) - 1).astype(np.intp)]
    view[row, column] = panorama[up, (azimuth.astype(np.intp) % AROUND)[column]]


def _up_of_rise() -> Ints:
    """The panorama's row for each step of rise (metres up per metre away): a table instead of arctangents."""
    elevation = np.degrees(np.arctan(np.arange(2 * RISE_STEPS) / RISE_STEPS))
    return np.clip((1 - elevation / TOP_DEG) * (UP - 1), 0, UP - 1).astype(np.intp)


UP_OF_RISE = _up_of_rise()
