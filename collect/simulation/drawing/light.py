"""Weather, season and sun of a walk."""

import math
from dataclasses import dataclass
from datetime import datetime

from astral import Observer, sun

from collect.simulation.arrays import Colour


@dataclass(frozen=True, slots=True, kw_only=True)
class Weather:
    """A kind of sky: shares of direct sun and cloud in 0..1, tints, and the distance at which haze halves contrast."""

    name: str
    direct: float
    cloud: float
    ambient: tuple[float, float, float]
    zenith: Colour
    horizon: Colour
    haze_m: float
    wet: float


WEATHERS = (
    Weather(name="clear", direct=0.75, cloud=0.12, ambient=(0.56, 0.6, 0.68), zenith=(70, 120, 200),
            horizon=(186, 210, 236), haze_m=900, wet=0),
    Weather(name="fair", direct=0.55, cloud=0.5, ambient=(0.62, 0.64, 0.68), zenith=(96, 142, 204),
            horizon=(206, 218, 232), haze_m=600, wet=0),
    Weather(name="overcast", direct=0.06, cloud=0.97, ambient=(0.86, 0.88, 0.92), zenith=(158, 166, 176),
            horizon=(208, 212, 216), haze_m=400, wet=0.1),
    Weather(name="rain", direct=0.0, cloud=1.0, ambient=(0.74, 0.78, 0.84), zenith=(120, 128, 138),
            horizon=(172, 178, 184), haze_m=200, wet=0.8),
    Weather(name="haze", direct=0.3, cloud=0.6, ambient=(0.78, 0.77, 0.74), zenith=(168, 182, 196),
            horizon=(222, 220, 212), haze_m=130, wet=0),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """Colours of grass and leaves; `leaves` is the share of foliage left on the trees, `litter` of it on the ground."""

    name: str
    grass: Colour
    foliage: tuple[Colour, ...]
    leaves: float
    snow: float


SEASONS = {
    "spring": Season(name="spring", grass=(108, 132, 74), foliage=((132, 172, 74), (226, 178, 196), (150, 180, 96)),
                     leaves=0.75, snow=0),
    "summer": Season(name="summer", grass=(98, 116, 66), foliage=((62, 98, 46), (78, 112, 52), (52, 86, 48)),
                     leaves=1.0, snow=0),
    "autumn": Season(name="autumn", grass=(128, 124, 68), foliage=((196, 122, 40), (172, 66, 40), (150, 140, 56)),
                     leaves=0.85, snow=0),
    "winter": Season(name="winter", grass=(140, 130, 96), foliage=((112, 96, 76), (120, 104, 84), (104, 92, 76)),
                     leaves=0.0, snow=0.25),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """What a walk is lit by; `sun` is a unit vector (east, north, up) towards the sun, colours are factors."""

    weather: Weather
    season: Season
    sun: tuple[float, float, float]
    sun_azimuth_deg: float
    sun_elevation_deg: float
    direct: tuple[float, float, float]
    ambient: tuple[float, float, float]

    def on_wall(self, normal_east: float, normal_north: float) -> tuple[float, float, float]:
        """Colour factors of light on an upright wall that faces (normal_east, normal_north)."""
        facing = max(0.0, normal_east * self.sun[0] + normal_north * self.sun[1])
        # A wall without sun still differs a little with its direction, as the sky is brighter towards the sun.
        side = 0.93 + 0.07 * (normal_east * math.sin(1.0) + normal_north * math.cos(1.0))
        red, green, blue = (a * side + d * facing for a, d in zip(self.ambient, self.direct, strict=True))
        return red, green, blue


def season_of(moment: datetime, latitude: float) -> Season:
    """The season by month, half a year later south of the equator."""
    month = (moment.month + (6 if latitude < 0 else 0) - 1) % 12 + 1
    names = (
        "winter",
        "winter",
        "spring",
        "spring",
        "spring",
        "summer",
        "summer",
        "summer",
        "autumn",
        "autumn",
        "autumn",
        "winter",
    )
    return SEASONS[names[month - 1]]


def light_at(moment: datetime, latitude: float, longitude: float, weather: Weather) -> Light:
    """The light at an aware `moment` under `weather`: warm and weak near the horizon, sun never under 6 degrees."""
    observer = Observer(latitude=latitude, longitude=longitude)
    azimuth = sun.azimuth(observer, moment)
    elevation = max(6.0, sun.elevation(observer, moment))
    flat, high = math.cos(math.radians(elevation)), math.sin(math.radians(elevation))
    warmth = max(0.0, 1 - elevation / 28)
    strength = weather.direct * (1 - 0.35 * warmth)
    dusk = 1 - 0.22 * warmth
    red, green, blue = weather.ambient
    return Light(
        weather=weather,
        season=season_of(moment, latitude),
        sun=(math.sin(math.radians(azimuth)) * flat, math.cos(math.radians(azimuth)) * flat, high),
        sun_azimuth_deg=azimuth,
        sun_elevation_deg=elevation,
        direct=(strength * (1.04 + 0.1 * warmth), strength * (0.98 - 0.12 * warmth), strength * (0.9 - 0.38 * warmth)),
        ambient=(red * dusk, green * dusk, blue * dusk),
    )
