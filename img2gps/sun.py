"""How high the sun stood: what makes a photo a day, dusk or night photo."""

from typing import TYPE_CHECKING, Final

import numpy as np

from img2gps.geo import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CIVIL_TWILIGHT_DEG", "LIGHTS", "light_of", "sun_elevation_deg"]

CIVIL_TWILIGHT_DEG: Final = -6.0
"""Civil twilight ends where the sun's centre is 6 degrees below the horizon (U.S. Naval Observatory)."""

LIGHTS: Final = ("day", "dusk", "night", "time unknown")


def sun_elevation_deg(captured_at: "pd.Series[pd.Timestamp]", lon: float, lat: float) -> FloatArray:
    """Return the elevation of the sun's centre above the horizon in degrees, refraction included, NaN without a time.

    `captured_at` (N,) is in UTC; one position in degrees serves a whole site. The equations are NOAA's, after
    Meeus, "Astronomical Algorithms", as implemented by astral.
    """
    from astral import Observer
    from astral.sun import elevation

    observer = Observer(latitude=lat, longitude=lon)
    known = captured_at.notna().to_numpy()
    result = np.full(len(captured_at), np.nan)
    result[known] = [elevation(observer, time.to_pydatetime()) for time in captured_at[known]]
    return result


def light_of(elevation_deg: FloatArray) -> list[str]:
    """Return one of `LIGHTS` for each elevation: day above the horizon, dusk down to -6 degrees, then night."""
    day, dusk, night, unknown = LIGHTS
    return [
        unknown if np.isnan(degrees) else day if degrees > 0 else dusk if degrees >= CIVIL_TWILIGHT_DEG else night
        for degrees in elevation_deg
    ]
