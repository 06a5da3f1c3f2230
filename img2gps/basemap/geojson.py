"""A basemap as GeoJSON: for exported models, whose readers need neither pyarrow nor pandas."""

import json
import math
from typing import Any, Final

import shapely
from shapely.geometry import mapping

from img2gps.basemap.features import CLASSES, Basemap, MapFeature
from img2gps.errors import InvalidDatasetError
from img2gps.text import safe_text

__all__ = ["basemap_from_geojson", "basemap_to_geojson"]

_DIGITS: Final = 7  # of a degree: about a centimetre
_ABOUT: Final = ("source", "date", "attribution", "licence")


def basemap_to_geojson(basemap: Basemap) -> str:
    """Return a basemap as a FeatureCollection (RFC 7946), where it is from beside its features.

    Positions are rounded to 7 digits of a degree. Properties: ``class``, ``name``, ``height_m``.
    """
    values: dict[str, Any] = {"type": "FeatureCollection", **{name: getattr(basemap, name) for name in _ABOUT}}
    values["margin_m"] = basemap.margin_m
    values["features"] = [_written(feature) for feature in basemap.features]
    return json.dumps(values, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def basemap_from_geojson(text: str, *, where: str) -> Basemap:
    """Return what `basemap_to_geojson` wrote. Raises InvalidDatasetError for anything else, naming `where`."""
    try:
        values = json.loads(text)
        features = tuple(_feature(one) for one in values["features"])
        about = {name: safe_text(str(values[name]), limit=300) for name in _ABOUT}
        return Basemap(features=features, margin_m=float(values["margin_m"]), **about)
    except (ValueError, TypeError, KeyError, StopIteration, RecursionError, shapely.errors.ShapelyError) as error:
        raise InvalidDatasetError(f"{where} is no map that img2gps wrote: export the model again.") from error


def _written(feature: MapFeature) -> dict[str, Any]:
    properties = {"class": feature.kind, "name": feature.name, "height_m": feature.height_m}
    return {"type": "Feature", "properties": properties, "geometry": _rounded(mapping(feature.geometry))}


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, _DIGITS)
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return [_rounded(one) for one in value] if isinstance(value, list | tuple) else value


def _feature(values: dict[str, Any]) -> MapFeature:
    given = values["properties"]
    height_m = None if given["height_m"] is None else float(given["height_m"])
    return MapFeature(
        kind=next(known for known in CLASSES if known == given["class"]),
        geometry=shapely.from_geojson(json.dumps(values["geometry"])),
        name=None if given["name"] is None else safe_text(str(given["name"]), limit=120),
        height_m=height_m if height_m is None or math.isfinite(height_m) else None,
    )
