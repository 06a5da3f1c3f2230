"""What a basemap holds: features of a few classes in degrees, and where they are from."""

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Final, Literal, get_args

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from img2gps.geo import FloatArray, LocalFrame

__all__ = ["CLASSES", "Basemap", "MapClass", "MapFeature", "in_metres"]

MapClass = Literal["green", "water", "road", "path", "wall", "building", "tree", "door"]

CLASSES: Final[tuple[MapClass, ...]] = get_args(MapClass)
"""The classes in the order in which they are drawn, the lowest first."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MapFeature:
    """One thing on the map: its class, its shape in degrees (EPSG:4326), its name and its height where known."""

    kind: MapClass
    geometry: BaseGeometry
    name: str | None = None
    height_m: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basemap:
    """The features of a site and its surroundings, with what must be said about them.

    `source` names where they are from, and `date` (ISO 8601) how old they are. `attribution` is what every page with
    them has to show, and `licence` their terms ("" if they need none). `margin_m` is how far around the site they
    reach.
    """

    features: tuple[MapFeature, ...]
    source: str
    date: str
    attribution: str = ""
    licence: str = ""
    margin_m: float = 100.0

    def __len__(self) -> int:
        return len(self.features)

    def counts(self) -> dict[str, int]:
        """Return how many features each class has, in the order of `CLASSES`; classes without any are left out."""
        found = {kind: len(self.of(kind)) for kind in CLASSES}
        return {kind: count for kind, count in found.items() if count}

    def of(self, *kinds: MapClass) -> list[MapFeature]:
        """Return the features of these classes."""
        return [feature for feature in self.features if feature.kind in kinds]

    @property
    def credit(self) -> str:
        """What a page says below its map: the attribution, else the source."""
        return self.attribution or f"Map: {self.source}"


def in_metres(geometries: Sequence[BaseGeometry] | Iterable[BaseGeometry], frame: LocalFrame) -> list[BaseGeometry]:
    """Return geometries in degrees as geometries in metres of `frame`, in one step."""
    given = list(geometries)
    if not given:
        return []

    def project(coordinates: FloatArray) -> FloatArray:
        return np.column_stack(frame.to_local(coordinates[:, 0], coordinates[:, 1]))

    return list(shapely.transform(np.array(given, dtype=object), project))
