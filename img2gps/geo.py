"""Positions: geodesic metres on WGS 84 and a local east/north frame. Everything in float64."""

import dataclasses
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from pyproj import Geod, Transformer

__all__ = ["FloatArray", "LocalFrame", "azimuth_deg", "geocentric_m", "geodesic_m", "turned_deg"]

FloatArray = NDArray[np.float64]


@lru_cache(maxsize=1)
def _geod() -> "Geod":
    from pyproj import Geod

    return Geod(ellps="WGS84")


def geodesic_m(lon_a: ArrayLike, lat_a: ArrayLike, lon_b: ArrayLike, lat_b: ArrayLike) -> FloatArray:
    """Return the geodesic distance in metres between points in degrees, element by element (broadcast).

    Karney, "Algorithms for geodesics", J. Geodesy 87 (2013), as implemented by PROJ.
    """
    arrays = np.broadcast_arrays(*(np.asarray(value, dtype=np.float64) for value in (lon_a, lat_a, lon_b, lat_b)))
    lons_a, lats_a, lons_b, lats_b = (np.ascontiguousarray(array).ravel() for array in arrays)
    distance: Any = _geod().inv(lons_a, lats_a, lons_b, lats_b)[2]
    return np.asarray(distance, dtype=np.float64).reshape(arrays[0].shape)


def azimuth_deg(lon_a: float, lat_a: float, lon_b: float, lat_b: float) -> float:
    """Return the direction of the geodesic from the first point to the second, 0 to 360 degrees east of north."""
    direction: float = _geod().inv(lon_a, lat_a, lon_b, lat_b)[0]
    return direction % 360.0


def turned_deg(first_deg: ArrayLike, second_deg: ArrayLike) -> FloatArray:
    """Return by how much two directions in degrees differ, 0 to 180 (broadcast); NaN where one is unknown."""
    difference = np.asarray(first_deg, dtype=np.float64) - np.asarray(second_deg, dtype=np.float64)
    return np.asarray(np.abs((difference + 180.0) % 360.0 - 180.0))


def geocentric_m(lon: ArrayLike, lat: ArrayLike) -> FloatArray:
    """Return earth-centred x, y, z in metres on the WGS 84 ellipsoid, shape (N, 3), of positions in degrees.

    Straight lines between them differ from geodesics by under a micrometre up to 100 m, anywhere on the globe. So they
    are the coordinates for neighbour searches (NIMA TR8350.2, WGS 84, 4.3.1).
    """
    lons, lats = (np.radians(np.asarray(value, dtype=np.float64).ravel()) for value in (lon, lat))
    axis_m, eccentricity_squared = 6_378_137.0, 6.69437999014e-3
    curvature_m = axis_m / np.sqrt(1.0 - eccentricity_squared * np.sin(lats) ** 2)
    across_m = curvature_m * np.cos(lats)
    up_m = curvature_m * (1.0 - eccentricity_squared) * np.sin(lats)
    return np.stack([across_m * np.cos(lons), across_m * np.sin(lons), up_m], axis=1)


@lru_cache(maxsize=64)
def _transformer(lon: float, lat: float) -> "Transformer":
    from pyproj import Transformer

    local = f"+proj=aeqd +lat_0={lat!r} +lon_0={lon!r} +datum=WGS84 +units=m +no_defs"
    return Transformer.from_crs("EPSG:4326", local, always_xy=True)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LocalFrame:
    """East/north metres around an origin: the azimuthal equidistant projection.

    Distances from the origin are exact everywhere. Distances between two points of a site one kilometre across are
    exact to a few micrometres (Snyder, "Map Projections", USGS PP 1395, ch. 25).
    """

    origin_lon: float
    origin_lat: float

    def to_local(self, lon: ArrayLike, lat: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return (east_m, north_m), each of the shape of `lon` and `lat` (degrees)."""
        return self._transform(lon, lat, "FORWARD")

    def to_lonlat(self, east_m: ArrayLike, north_m: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Return (lon, lat) in degrees, each of the shape of `east_m` and `north_m`."""
        return self._transform(east_m, north_m, "INVERSE")

    def _transform(self, x: ArrayLike, y: ArrayLike, direction: str) -> tuple[FloatArray, FloatArray]:
        xs, ys = (np.asarray(value, dtype=np.float64) for value in (x, y))
        first, second = _transformer(float(self.origin_lon), float(self.origin_lat)).transform(
            np.atleast_1d(xs), np.atleast_1d(ys), direction=direction
        )
        shape = np.broadcast_shapes(xs.shape, ys.shape)
        return np.asarray(first, dtype=np.float64).reshape(shape), np.asarray(second, dtype=np.float64).reshape(shape)
