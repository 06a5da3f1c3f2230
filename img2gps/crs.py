"""Coordinates of other reference systems (a ``crs`` of GeoJSON, a map grid of a table) as degrees of WGS 84."""

import json
import math
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from img2gps.errors import UsageError
from img2gps.geo import FloatArray
from img2gps.text import safe_text

if TYPE_CHECKING:
    from pyproj import CRS, Transformer

__all__ = ["WORST_ACCURACY_M", "declared_crs", "to_wgs84", "utm_crs"]

WORST_ACCURACY_M: Final = 15.0
"""A system is refused where the best known transformation to WGS 84 is less accurate: sites are some 200 m wide."""

_WGS84: Final = ("EPSG:4326", "OGC:CRS84", "CRS84")
_SLACK_DEG: Final = 1.0  # areas of use are rounded boxes
_REMEDY: Final = "export it in EPSG:4326 (WGS 84)"


def declared_crs(member: object, *, where: str) -> str | None:
    """Return the system that a ``crs`` member of GeoJSON before RFC 7946 names, None where it is WGS 84 in degrees.

    Known are names (``urn:ogc:def:crs:EPSG::3857``, ``EPSG:3857``, WKT), bare text and ``{"type": "EPSG"}``.
    Raises UsageError where nobody can tell which system is meant.
    """
    if member is None:
        return None
    name = _name_of(member)
    if not name:
        shown = safe_text(json.dumps(member, default=repr), limit=80)
        raise UsageError(f"{where} declares the coordinates {shown}, which name no system that is known; {_REMEDY}.")
    return None if _parsed(name, where).equals(_degrees(), ignore_axis_order=True) else name


def to_wgs84(crs: str, x: ArrayLike, y: ArrayLike, *, where: str) -> tuple[FloatArray, FloatArray]:
    """Return longitudes and latitudes (degrees, WGS 84) of coordinates in `crs`, east before north; shapes (N,).

    Raises UsageError if the system is unknown, known too coarsely, or none of places on the ground. The same if the
    coordinates lie outside its area of use.
    """
    system = _parsed(crs, where)
    xs, ys = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    label = f"{safe_text(system.name, limit=60)} ({safe_text(crs, limit=60)})"
    if not (np.isfinite(xs).all() and np.isfinite(ys).all()):
        raise UsageError(f"{where} holds coordinates that are no numbers; export it again.")
    if not (system.is_geographic or system.is_projected) or system.is_vertical:
        raise UsageError(f"{where} is in {label}, which has no degrees or metres on the ground; {_REMEDY}.")
    if system.is_projected and (np.abs(xs) <= 180).all() and (np.abs(ys) <= 90).all():
        raise UsageError(f"{where} declares {label}, but its coordinates look like degrees; {_REMEDY}.")
    lon, lat = _transformed(_rough(crs), xs, ys)
    box = _bounds(lon, lat)
    if box is None or not _in_area(system, box):
        raise UsageError(
            f"{where} declares {label}, but its coordinates lie outside the area of that system; "
            f"check which system they are in, and {_REMEDY}."
        )
    west, south, east, north = (math.floor(box[0]), math.floor(box[1]), math.ceil(box[2]), math.ceil(box[3]))
    lon, lat = _transformed(_best(crs, west, south, east, north), xs, ys)
    if _bounds(lon, lat) is None:
        raise UsageError(f"{where} is in {label}, which cannot be turned into WGS 84 precisely; {_REMEDY}.")
    return lon, lat


def utm_crs(zone: int, *, south: bool) -> str:
    """Return the name of a UTM zone (1 to 60) on WGS 84."""
    return f"EPSG:{(32700 if south else 32600) + zone}"


def _name_of(member: object) -> str:
    if isinstance(member, str):
        return member.strip()
    given = member.get("properties") if isinstance(member, dict) else None
    if not isinstance(given, dict):
        return ""
    if isinstance(given.get("name"), str):
        return str(given["name"]).strip()
    code = given.get("code")
    return f"EPSG:{code}" if isinstance(member, dict) and member.get("type") == "EPSG" and code else ""


def _parsed(name: str, where: str) -> "CRS":
    from pyproj.exceptions import CRSError

    try:
        return _system(name)
    except CRSError as error:
        raise UsageError(
            f"{where} declares the coordinates {safe_text(name, limit=80)!r}, which is no known system; {_REMEDY}."
        ) from error


@lru_cache(maxsize=64)
def _system(name: str) -> "CRS":
    from pyproj import CRS

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return CRS.from_user_input(name if name.upper() != "CRS84" else "OGC:CRS84")


@lru_cache(maxsize=1)
def _degrees() -> "CRS":
    return _system(_WGS84[0])


def _transformed(way: "Transformer | None", x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    if way is None:
        nowhere = np.full(np.atleast_1d(x).shape, np.inf)
        return nowhere, nowhere
    lon, lat = way.transform(np.atleast_1d(x), np.atleast_1d(y))
    return np.asarray(lon, dtype=np.float64), np.asarray(lat, dtype=np.float64)


@lru_cache(maxsize=64)
def _rough(crs: str) -> "Transformer":
    """Return any transformation: it tells in which area coordinates lie."""
    from pyproj import Transformer

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return Transformer.from_crs(_system(crs), _degrees(), always_xy=True)


@lru_cache(maxsize=256)  # the rows of a table come one by one, from one area
def _best(crs: str, west: int, south: int, east: int, north: int) -> "Transformer | None":
    """Return the best transformation of an area (whole degrees), None where none is precise enough."""
    from pyproj.transformer import AreaOfInterest, TransformerGroup

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a finer grid is not installed: the accuracy says so, too
        group = TransformerGroup(
            _system(crs),
            _degrees(),
            always_xy=True,
            area_of_interest=AreaOfInterest(west, south, east, north),
            allow_ballpark=False,
        )
    return next((way for way in group.transformers if 0 <= way.accuracy <= WORST_ACCURACY_M), None)


def _bounds(lon: FloatArray, lat: FloatArray) -> tuple[float, float, float, float] | None:
    """Return west, south, east, north; None where a place is none."""
    ok: NDArray[np.bool_] = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lon) <= 180) & (np.abs(lat) <= 90)
    if not len(lon) or not ok.all():
        return None
    return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())


def _in_area(system: "CRS", box: tuple[float, float, float, float]) -> bool:
    area: Any = system.area_of_use
    if area is None:
        return True
    west, south, east, north = box
    inside_lat = area.south - _SLACK_DEG <= south and north <= area.north + _SLACK_DEG
    if area.west > area.east:  # across 180 degrees
        inside_lon = west >= area.west - _SLACK_DEG or east <= area.east + _SLACK_DEG
    else:
        inside_lon = area.west - _SLACK_DEG <= west and east <= area.east + _SLACK_DEG
    return bool(inside_lat and inside_lon)
