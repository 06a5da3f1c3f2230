"""Small maps for tests: a hall with a door, two paths, a lawn, a pond; as a basemap, as .osm and as .osm.pbf."""

import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import shapely
from shapely.geometry import LineString, Point, Polygon, box
from shapely.geometry.base import BaseGeometry

from img2gps.basemap import Basemap, MapFeature
from img2gps.basemap.features import MapClass
from img2gps.geo import LocalFrame
from tests.datasets import FRAME

Node = tuple[int, float, float, dict[str, str]]
Way = tuple[int, list[int], dict[str, str]]


def degrees(shape: BaseGeometry, frame: LocalFrame = FRAME) -> BaseGeometry:
    """Return a shape in metres of a frame as one in degrees."""

    def back(metres: Any) -> Any:
        return np.column_stack(frame.to_lonlat(metres[:, 0], metres[:, 1]))

    return shapely.transform(shape, back)


def feature(kind: MapClass, shape: BaseGeometry, name: str | None = None, **more: Any) -> MapFeature:
    return MapFeature(kind=kind, geometry=degrees(shape), name=name, **more)


def small_map(*extra: MapFeature) -> Basemap:
    """Return Towne (40 x 20 m around the origin, its door in the north), walks north and south of it, lawn and pond."""
    features = (
        feature("building", box(-20, -10, 20, 10), "Towne", height_m=14.0),
        feature("door", Point(0, 10)),
        feature("path", LineString([(-80, 25), (80, 25)]), "Locust Walk"),
        feature("path", LineString([(-40, 25), (-40, -40), (80, -40)])),
        feature("green", box(-80, 30, 80, 80), "Hill Lawn"),
        feature("water", Point(60, 0).buffer(8), "Pond"),
        *extra,
    )
    return Basemap(features=features, source="survey", date="2026-01-01", attribution="(c) the surveyors")


def osm_things() -> tuple[list[Node], list[Way]]:
    """Return the nodes and ways of a hall with a door and a tunnel below it, a footway, a road, a tree, far things."""
    nodes: list[Node] = []

    def node(east: float, north: float, **tags: str) -> int:
        lon, lat = (float(value) for value in FRAME.to_lonlat(east, north))
        nodes.append((len(nodes) + 1, lon, lat, tags))
        return len(nodes)

    corners = [node(*spot) for spot in ((-20.0, -10.0), (20.0, -10.0), (20.0, 10.0))]
    corners += [node(0.0, 10.0, entrance="main"), node(-20.0, 10.0)]
    node(5, 40, natural="tree")
    ways: list[Way] = [
        (1, [*corners, corners[0]], {"building": "university", "name": "Towne", "height": "46 ft"}),
        (2, [node(-80, 25), node(80, 25)], {"highway": "footway", "name": "Locust Walk"}),
        (3, [node(-80, -60), node(80, -60)], {"highway": "tertiary", "name": "Spruce Street"}),
        (4, [node(-80, 0), node(80, 0)], {"highway": "footway", "tunnel": "yes"}),
        (5, [node(5000, 0), node(5100, 0)], {"highway": "footway", "name": "Elsewhere"}),
        (6, [node(-80, 28), node(80, 28)], {"power": "line"}),
    ]
    ring = [node(*spot) for spot in ((-80.0, 30.0), (80.0, 30.0), (80.0, 80.0), (-80.0, 80.0))]
    ways.append((7, [*ring, ring[0]], {"landuse": "grass"}))
    return nodes, ways


def osm_xml() -> str:
    nodes, ways = osm_things()

    def tags(given: dict[str, str]) -> str:
        return "".join(f'<tag k="{key}" v="{value}"/>' for key, value in given.items())

    lines = ['<?xml version="1.0" encoding="UTF-8"?><osm version="0.6" generator="test">']
    lines += [f'<node id="{n}" lat="{lat:.7f}" lon="{lon:.7f}">{tags(given)}</node>' for n, lon, lat, given in nodes]
    for number, refs, given in ways:
        members = "".join(f'<nd ref="{ref}"/>' for ref in refs)
        lines.append(f'<way id="{number}">{members}{tags(given)}</way>')
    return "\n".join([*lines, "</osm>"])


def overpass_json() -> dict[str, Any]:
    """Return what an Overpass server answers."""
    nodes, ways = osm_things()
    elements: list[dict[str, Any]] = [
        {"type": "node", "id": number, "lon": lon, "lat": lat, "tags": tags} for number, lon, lat, tags in nodes
    ]
    elements += [{"type": "way", "id": number, "nodes": refs, "tags": tags} for number, refs, tags in ways]
    return {"version": 0.6, "osm3s": {"copyright": "test"}, "elements": elements}


def osm_pbf() -> bytes:
    """Return the same in the binary format (https://wiki.openstreetmap.org/wiki/PBF_Format), nodes one by one."""
    nodes, ways = osm_things()
    words = [""]

    def word(text: str) -> int:
        if text not in words:
            words.append(text)
        return words.index(text)

    def tags(given: dict[str, str]) -> bytes:
        keys, values = [word(key) for key in given], [word(value) for value in given.values()]
        return _packed(2, keys) + _packed(3, values) if given else b""

    def signed(value: int) -> int:
        return value << 1 if value >= 0 else (-value << 1) - 1

    def units(value: float) -> int:
        return signed(round(value * 1e7))

    group = b"".join(
        _bytes(1, _number(1, signed(number)) + tags(given) + _number(8, units(lat)) + _number(9, units(lon)))
        for number, lon, lat, given in nodes
    )
    second = b"".join(
        _bytes(3, _number(1, number) + tags(given) + _packed(8, [signed(step) for step in _steps(refs)]))
        for number, refs, given in ways
    )
    table = b"".join(_bytes(1, text.encode()) for text in words)
    block = _bytes(1, table) + _bytes(2, group) + _bytes(2, second)
    header = _bytes(4, b"OsmSchema-V0.6")
    return _blob(b"OSMHeader", header) + _blob(b"OSMData", block)


def _steps(values: Sequence[int]) -> list[int]:
    return [value - before for value, before in zip(values, [0, *values], strict=False)]


def _blob(kind: bytes, content: bytes) -> bytes:
    blob = _number(2, len(content)) + _bytes(3, zlib.compress(content))
    header = _bytes(1, kind) + _number(3, len(blob))
    return struct.pack(">I", len(header)) + header + blob


def _varint(value: int) -> bytes:
    found = bytearray()
    while True:
        value, low = value >> 7, value & 127
        found.append(low | (128 if value else 0))
        if not value:
            return bytes(found)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _packed(field: int, values: Iterable[int]) -> bytes:
    return _bytes(field, b"".join(_varint(value) for value in values))


def many_features(count: int, *, side_m: float = 900.0, seed: int = 0) -> Basemap:
    """Return a map of `count` features on a square of a city: houses of eight corners, paths, trees, lawns."""
    rng = np.random.default_rng(seed)
    spots = rng.uniform(-side_m / 2, side_m / 2, (count, 2))
    angles = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    features = []
    for number, (east, north) in enumerate(spots.tolist()):
        radii = rng.uniform(3, 8, 8)
        ring = np.column_stack([east + radii * np.cos(angles), north + radii * np.sin(angles)])
        kind: MapClass = ("building", "building", "path", "tree", "green", "wall")[number % 6]  # type: ignore[assignment]
        shape: BaseGeometry = Polygon(ring) if kind in ("building", "green") else LineString(ring)
        name = f"House {number}" if number % 60 == 0 else None
        features.append(feature(kind, Point(east, north) if kind == "tree" else shape, name))
    return Basemap(features=tuple(features), source="made up", date="2026-01-01", attribution="(c) nobody")
