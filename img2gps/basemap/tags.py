"""From the tags of OpenStreetMap (https://wiki.openstreetmap.org/wiki/Map_features) to the classes of a basemap."""

import re
from collections.abc import Mapping
from typing import Any, Final

from img2gps.basemap.features import CLASSES, MapClass
from img2gps.text import safe_text

__all__ = ["QUERY", "class_of", "height_of", "name_of"]

QUERY: Final[dict[str, bool | str | list[str]]] = {
    **dict.fromkeys(("building", "highway", "area:highway", "landuse", "natural", "waterway", "barrier"), True),
    **dict.fromkeys(("entrance", "door"), True),
    "leisure": True,
    "amenity": ["fountain"],
    "place": ["square"],
}
"""What is asked of OpenStreetMap: the keys `class_of` decides by."""

_PATHS: Final = frozenset(
    ["footway", "path", "pedestrian", "steps", "cycleway", "track", "bridleway", "corridor", "platform"]
)
_ROADS: Final = frozenset(
    [
        "motorway",
        "trunk",
        "primary",
        "secondary",
        "tertiary",
        "unclassified",
        "residential",
        "living_street",
        "service",
        "road",
        "busway",
    ]
)
_GREEN: Final[dict[str, frozenset[str]]] = {
    "landuse": frozenset(
        [
            "grass",
            "forest",
            "meadow",
            "recreation_ground",
            "village_green",
            "flowerbed",
            "orchard",
            "vineyard",
            "cemetery",
            "allotments",
            "greenfield",
            "plant_nursery",
        ]
    ),
    "leisure": frozenset(
        ["park", "garden", "pitch", "golf_course", "nature_reserve", "dog_park", "playground", "common"]
    ),
    "natural": frozenset(["wood", "scrub", "grassland", "heath", "shrubbery", "fell", "wetland"]),
}
_WATER: Final[dict[str, frozenset[str]]] = {
    "natural": frozenset(("water", "bay")),
    "waterway": frozenset(["river", "stream", "canal", "riverbank", "dock", "ditch", "drain"]),
    "leisure": frozenset(("swimming_pool",)),
    "landuse": frozenset(("basin", "reservoir")),
    "amenity": frozenset(("fountain",)),
}
_WALLS: Final = frozenset(["wall", "fence", "hedge", "retaining_wall", "city_wall", "guard_rail", "handrail", "block"])
_NO: Final = frozenset(("no", "none", "false", "0", ""))
_FEET_M: Final = 0.3048
_LENGTH: Final = re.compile(r"^\s*([0-9]+(?:\.[0-9]+)?)\s*(m|metres?|meters?|ft|feet|')?\s*$", re.IGNORECASE)


def class_of(tags: Mapping[str, Any], *, shape: str) -> MapClass | None:
    """Return the class of a feature with these tags, None where a basemap leaves it out.

    `shape` is the geometry's kind, such as ``Polygon``. A column ``class`` that names one of ours counts before all
    tags. What lies below the ground is left out.
    """
    own = str(tags.get("class") or "").strip().lower().removesuffix("s")
    if own in CLASSES:
        return next(kind for kind in CLASSES if kind == own)
    if _has(tags, "tunnel") and tags["tunnel"] != "building_passage":
        return None
    if str(tags.get("location", "")) == "underground":
        return None
    area, point = "Polygon" in shape, "Point" in shape
    if point:
        return _of_point(tags)
    if _has(tags, "building"):
        return "building" if area else None
    return _of_ways(tags, area=area) or _of_ground(tags, area=area)


def name_of(tags: Mapping[str, Any]) -> str | None:
    """Return the name of a feature, the house's name or number where it has no other, None where it has none."""
    for key in ("name", "addr:housename", "ref"):
        value = tags.get(key)
        if isinstance(value, str) and value.strip():
            return safe_text(value.strip(), limit=120)
    return None


def height_of(tags: Mapping[str, Any]) -> float | None:
    """Return the height of a feature in metres, None where it is not known.

    Metres unless a unit says feet (https://wiki.openstreetmap.org/wiki/Key:height).
    """
    for key in ("height_m", "height", "building:height"):
        value = tags.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1000:
            return float(value)
        if isinstance(value, str) and (found := _LENGTH.match(value)):
            scale = _FEET_M if (found[2] or "m").lower() in ("ft", "feet", "'") else 1.0
            height_m = float(found[1]) * scale
            return height_m if 0 < height_m < 1000 else None
    return None


def _of_point(tags: Mapping[str, Any]) -> MapClass | None:
    if _has(tags, "entrance") or _has(tags, "door"):
        return "door"
    return "tree" if tags.get("natural") == "tree" else None


def _of_ways(tags: Mapping[str, Any], *, area: bool) -> MapClass | None:
    highway = str(tags.get("highway") or tags.get("area:highway") or "").removesuffix("_link")
    if highway in _PATHS or (area and tags.get("place") == "square"):
        return "path"
    if highway in _ROADS:
        return "road"
    if tags.get("natural") == "tree_row":
        return "tree"
    return "wall" if tags.get("barrier") in _WALLS else None


def _of_ground(tags: Mapping[str, Any], *, area: bool) -> MapClass | None:
    for key, values in _WATER.items():
        if tags.get(key) in values and (area or key == "waterway"):
            return "water"
    return "green" if area and any(tags.get(key) in values for key, values in _GREEN.items()) else None


def _has(tags: Mapping[str, Any], key: str) -> bool:
    value = tags.get(key)
    return isinstance(value, str) and value.strip().lower() not in _NO
