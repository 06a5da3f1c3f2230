"""How high the sun stood: what makes a photo a day, dusk or night photo."""

from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import ArrayLike

from img2gps.geo import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CIVIL_TWILIGHT_DEG", "LIGHTS", "LIGHT_ELEVATIONS_DEG", "light_of", "sun_elevation_deg"]

CIVIL_TWILIGHT_DEG: Final = -6.0
"""Civil twilight ends where the sun's centre is 6 degrees below the horizon (U.S. Naval Observatory)."""

LIGHTS: Final = ("day", "dusk", "night", "time unknown")

LIGHT_ELEVATIONS_DEG: Final = {
    "day": (0.0, 90.0),
    "dusk": (CIVIL_TWILIGHT_DEG, 0.0),
    "night": (-90.0, CIVIL_TWILIGHT_DEG),
}
"""The lowest and the highest elevation of the sun's centre, in degrees, of each light that is known."""


def sun_elevation_deg(captured_at: "pd.Series[pd.Timestamp]", lon: ArrayLike, lat: ArrayLike) -> FloatArray:
    """Return the elevation of the sun's centre above the horizon in degrees, refraction included, NaN without a time.

    `captured_at` (N,) is in UTC, `lon` and `lat` in degrees, one or N. Photos of one minute and a tenth of a degree
    share a computation, which is exact to a third of a degree. The equations are NOAA's, after Meeus, "Astronomical
    Algorithms", as implemented by astral.
    """
    from astral import Observer
    from astral.sun import elevation

    degrees = np.broadcast_arrays(lon, lat, np.zeros(len(captured_at)))[:2]
    places = np.round(np.stack(degrees, axis=1), 1).tolist()
    minutes = captured_at.dt.floor("min").tolist()
    moments = {(minute, *place) for minute, place in zip(minutes, places, strict=True) if minute == minute}  # not NaT
    found = {
        (minute, lon_deg, lat_deg): elevation(Observer(latitude=lat_deg, longitude=lon_deg), minute.to_pydatetime())
        for minute, lon_deg, lat_deg in moments
    }
    return np.array([found.get((minute, *place), np.nan) for minute, place in zip(minutes, places, strict=True)])


def light_of(elevation_deg: FloatArray) -> list[str]:
    """Return one of `LIGHTS` for each elevation: day above the horizon, dusk down to -6 degrees, then night."""
    day, dusk, night, unknown = LIGHTS
    return [
        unknown if np.isnan(degrees) else day if degrees > 0 else dusk if degrees >= CIVIL_TWILIGHT_DEG else night
        for degrees in elevation_deg
    ]
