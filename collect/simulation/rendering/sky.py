"""The sky of a walk: a panorama of gradient, clouds and glow around the sun."""

import numpy as np

from collect.simulation.arrays import Floats, Ints, smooth_noise
from collect.simulation.drawing.camera import Viewpoint
from collect.simulation.drawing.light import Light
from collect.simulation.drawing.spans import Spans

AROUND, UP = 1440, 360
TOP_DEG = 75.0
RISE_STEPS = 1000


def paint_sky(light: Light, rng: np.random.Generator) -> Floats:
    """A panorama (3, UP, AROUND) in 0..255: row 0 at `TOP_DEG` above the horizon, columns clockwise from north."""
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
    return np.ascontiguousarray(np.clip(sky, 0, 255).astype(np.float32).transpose(2, 0, 1))


def _glow(light: Light) -> Floats:
    azimuths = np.linspace(0, 360, AROUND, endpoint=False, dtype=np.float32)
    elevations = np.linspace(TOP_DEG, 0, UP, dtype=np.float32)[:, None]
    turn = (azimuths - light.sun_azimuth_deg + 180) % 360 - 180
    away = np.hypot(turn * np.cos(np.radians(elevations)), elevations - light.sun_elevation_deg)
    return np.asarray(0.5 * np.exp(-away / 14) + 0.9 * np.exp(-((away / 3) ** 2)), np.float32)


def paint_visible_sky(view: Floats, panorama: Floats, camera: Viewpoint, below: Ints) -> None:
    """Paint the sky into `view` (3, height, width) above the rows `below` of each column."""
    slopes, columns = camera.slopes(), np.arange(camera.width)
    spans = Spans(column=columns, first=np.zeros_like(columns), last=below)
    azimuth = (np.degrees(np.arctan(slopes)) + camera.heading_deg) / 360 * AROUND
    steps_per_row = RISE_STEPS / (camera.focal_px * np.sqrt(1 + slopes**2))
    rows = spans.rows()
    rise = spans.each((camera.horizon_rows() - 0.5) * steps_per_row)
    rise -= spans.each(steps_per_row) * rows.astype(np.float32)
    np.clip(rise, 0, len(UP_OF_RISE) - 1, out=rise)
    place = UP_OF_RISE.take(rise.astype(np.intp)) * AROUND + spans.repeated(azimuth.astype(np.intp) % AROUND)
    at = rows * camera.width + spans.repeated(columns)
    for channel in range(3):
        view[channel].reshape(-1)[at] = panorama[channel].reshape(-1).take(place)


def _up_of_rise() -> Ints:
    """The panorama's row for each step of rise (metres up per metre away): a table instead of arctangents."""
    elevation = np.degrees(np.arctan(np.arange(2 * RISE_STEPS) / RISE_STEPS))
    return np.clip((1 - elevation / TOP_DEG) * (UP - 1), 0, UP - 1).astype(np.intp)


UP_OF_RISE = _up_of_rise()
