"""From metres around the site to degrees, without PROJ."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

from img2gps.geo import FloatArray, LocalFrame

__all__ = ["lonlat_of"]

_AXIS_M: Final = 6_378_137.0
_FLATTENING: Final = 1 / 298.257223563
_STEPS: Final = 12  # each adds over two digits


def lonlat_of(frame: LocalFrame, east_m: ArrayLike, north_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Return (lon, lat) in degrees of points in metres of `frame`: what `LocalFrame.to_lonlat` returns.

    In the azimuthal equidistant projection a point lies at its geodesic's length and direction from the origin. The end
    of that geodesic on WGS 84 is good to a tenth of a millimetre. Source: Vincenty, "Direct and inverse solutions of
    geodesics on the ellipsoid", Survey Review 23, 1975.
    """
    east, north = np.broadcast_arrays(np.asarray(east_m, np.float64), np.asarray(north_m, np.float64))
    length, azimuth = np.hypot(east, north), np.arctan2(east, north)
    polar_m = _AXIS_M * (1 - _FLATTENING)
    reduced = np.arctan((1 - _FLATTENING) * np.tan(np.radians(frame.origin_lat)))
    sin_u, cos_u = np.sin(reduced), np.cos(reduced)
    sin_a, cos_a = np.sin(azimuth), np.cos(azimuth)
    start = np.arctan2(np.tan(reduced), cos_a)
    sin_alpha = cos_u * sin_a
    cos2_alpha = 1 - sin_alpha**2
    u2 = cos2_alpha * (_AXIS_M**2 - polar_m**2) / polar_m**2
    a = 1 + u2 / 16384 * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)))
    b = u2 / 1024 * (256 + u2 * (-128 + u2 * (74 - 47 * u2)))
    arc = length / (polar_m * a)
    for _ in range(_STEPS):
        middle = np.cos(2 * start + arc)
        bracket = np.cos(arc) * (2 * middle**2 - 1)
        bracket -= b / 6 * middle * (4 * np.sin(arc) ** 2 - 3) * (4 * middle**2 - 3)
        arc = length / (polar_m * a) + b * np.sin(arc) * (middle + b / 4 * bracket)
    middle, sin_arc, cos_arc = np.cos(2 * start + arc), np.sin(arc), np.cos(arc)
    across = np.hypot(sin_alpha, sin_u * sin_arc - cos_u * cos_arc * cos_a)
    lat = np.arctan2(sin_u * cos_arc + cos_u * sin_arc * cos_a, (1 - _FLATTENING) * across)
    turned = np.arctan2(sin_arc * sin_a, cos_u * cos_arc - sin_u * sin_arc * cos_a)
    c = _FLATTENING / 16 * cos2_alpha * (4 + _FLATTENING * (4 - 3 * cos2_alpha))
    bent = middle + c * cos_arc * (2 * middle**2 - 1)
    lon = turned - (1 - c) * _FLATTENING * sin_alpha * (arc + c * sin_arc * bent)
    degrees = frame.origin_lon + np.degrees(lon)
    return (degrees + 180.0) % 360.0 - 180.0, np.degrees(lat)
