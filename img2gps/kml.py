"""Places of a KML document as GeoJSON geometries: points, lines and polygons with their holes."""

from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from img2gps.errors import UsageError
from img2gps.text import safe_text
from img2gps.xml import child, children, local_name, parse_xml, text_in

__all__ = ["kml_features"]

_GEOMETRIES = ("Point", "LineString", "LinearRing", "Polygon", "MultiGeometry")


def kml_features(text: str, *, where: str) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Return (properties, GeoJSON geometry) of each placemark; properties are its name and its extended data.

    KML is always in degrees of WGS 84, lon before lat (OGC 12-007r2). Raises UsageError where it is no such document.
    """
    root = parse_xml(text, where=where, kind="KML")
    if local_name(root) != "kml":
        raise UsageError(
            f"{where} is {safe_text(local_name(root), limit=40)} XML, not KML or GeoJSON; export it as GeoJSON."
        )
    return [(_properties(place), _geometry(place, where)) for place in root.iter() if local_name(place) == "Placemark"]


def _properties(place: Element) -> dict[str, Any]:
    found = {"name": text_in(place, "name")} if text_in(place, "name") else {}
    for data in place.iter():
        key = data.get("name")
        if key and local_name(data) == "Data":
            found[key] = text_in(data, "value")
        elif key and local_name(data) == "SimpleData":
            found[key] = (data.text or "").strip()
    return found


def _geometry(place: Element, where: str) -> dict[str, Any] | None:
    inner = [shape for element in children(place, *_GEOMETRIES) for shape in _shapes(element, where)]
    if len(inner) < 2:
        return inner[0] if inner else None
    return {"type": "GeometryCollection", "geometries": inner}


def _shapes(element: Element, where: str) -> Iterator[dict[str, Any]]:
    kind = local_name(element)
    if kind == "MultiGeometry":
        for inner in children(element, *_GEOMETRIES):
            yield from _shapes(inner, where)
    elif kind == "Polygon":
        outer = child(element, "outerBoundaryIs")
        if outer is not None:
            holes = [_ring(hole, where) for hole in children(element, "innerBoundaryIs")]
            yield {"type": "Polygon", "coordinates": [_ring(outer, where), *holes]}
    else:
        spots = _coordinates(element, where)
        if kind == "Point":
            yield {"type": "Point", "coordinates": spots[0] if spots else []}
        else:
            yield {"type": "LineString", "coordinates": spots}


def _ring(boundary: Element, where: str) -> list[list[float]]:
    ring = child(boundary, "LinearRing")
    return _coordinates(ring, where) if ring is not None else []


def _coordinates(element: Element, where: str) -> list[list[float]]:
    try:
        return [[float(part) for part in spot.split(",")[:2]] for spot in text_in(element, "coordinates").split()]
    except ValueError as error:
        raise UsageError(f"{where} holds malformed coordinates ({error}); export it again.") from error
