"""A thing of a map before it has a class: its shape in degrees and its tags."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from shapely.geometry.base import BaseGeometry

from img2gps.basemap.features import MapClass

__all__ = ["MapSource", "RawFeature"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RawFeature:
    """A geometry in degrees with its tags; `fallback` is its class where the tags name none."""

    geometry: BaseGeometry
    tags: Mapping[str, Any]
    fallback: MapClass | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MapSource:
    """What was read from one place, with what must be said about it; `date` is an ISO date."""

    name: str
    date: str
    features: tuple[RawFeature, ...]
    attribution: str = ""
    licence: str = ""
