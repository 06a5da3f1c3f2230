"""The generated campus as a basemap: what its plan has, with names, and the doors of its facades."""

from typing import Any

import numpy as np
import shapely
from shapely.geometry import Point
from shapely.geometry.base import BaseGeometry

from collect.simulation.arrays import generator
from collect.simulation.campus.plan import FAR_KERB_M, KERB_INSET_M
from collect.simulation.campus.world import CampusWorld
from img2gps.basemap.features import Basemap, MapClass, MapFeature
from img2gps.geo import LocalFrame

__all__ = ["campus_basemap"]

_HALLS = (
    *("Alder", "Birch", "Cedar", "Dogwood", "Elm", "Fir", "Ginkgo", "Hazel", "Ivy", "Juniper", "Katsura", "Linden"),
    *("Maple", "Nutmeg", "Oak", "Poplar", "Quince", "Rowan", "Spruce", "Tulip", "Viburnum", "Willow", "Yew", "Zelkova"),
)
_WALKS = ("North Walk", "Long Walk", "Clock Walk", "College Walk", "Garden Walk", "Mill Walk", "East Walk", "Hill Walk")
_REACH_M = 100.0

Row = tuple[MapClass, BaseGeometry, str | None, float | None]


def campus_basemap(world: CampusWorld, frame: LocalFrame, *, date: str) -> Basemap:
    """Return the map of a generated campus around its walks; the campus's seed draws the names."""

    def back(metres: Any) -> Any:
        return np.column_stack(frame.to_lonlat(metres[:, 0], metres[:, 1]))

    reach = world.plan.outline.buffer(_REACH_M)
    rows = [row for row in _rows(world) if row[1].intersects(reach)]
    shapes = shapely.transform(np.array([row[1] for row in rows], dtype=object), back)
    features = tuple(
        MapFeature(kind=kind, geometry=shape, name=name, height_m=height_m)
        for (kind, _, name, height_m), shape in zip(rows, shapes, strict=True)
    )
    return Basemap(
        features=features,
        source="generated campus",
        date=date,
        attribution="Map of a generated campus: no real place",
        margin_m=_REACH_M,
    )


def _rows(world: CampusWorld) -> list[Row]:
    plan = world.plan
    rng = generator(world.seed, "names")
    halls, walks = [[str(name) for name in rng.permutation(names)] for names in (_HALLS, _WALKS)]
    street = plan.outline.buffer(FAR_KERB_M, join_style="mitre").difference(
        plan.outline.buffer(-KERB_INSET_M, join_style="mitre")
    )
    rows: list[Row] = [("road", street, "Ring Street", None)]
    rows += [("green", lawn, f"{halls[-1 - number % 4]} Lawn", None) for number, lawn in enumerate(plan.lawns)]
    rows += [
        ("path", path.line, walks[(number - 1) % len(walks)] if number else None, None)
        for number, path in enumerate(plan.footpaths)
    ]
    for building in plan.buildings:
        name = _hall(halls, building.design) if building.on_site else None
        rows.append(("building", building.footprint, name, round(building.height_m, 1)))
    rows += [("tree", Point(east, north), None, float(height)) for east, north, height, _ in plan.trees]
    rows += [("door", Point(east, north), None, None) for east, north in world.doors_m()]
    return rows


def _hall(halls: list[str], number: int) -> str:
    """Return the name of a block's building; a large campus has a second hall of a name."""
    again = number // len(halls)
    return f"{halls[number % len(halls)]} Hall" + (f" {again + 1}" if again else "")
