"""The walk list as files that phones and maps open: GPX and GeoJSON."""

import math
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from collect.auditing.document import stop_document
from collect.auditing.walk_list import SECTOR_NAMES, Stop
from img2gps.files import write_atomic, write_json

__all__ = ["stop_title", "write_geojson", "write_gpx"]


def stop_title(stop: Stop) -> str:
    """Return ``03 look NE, E``: sorts by visiting order in every app, and says what to do."""
    names = ", ".join(SECTOR_NAMES[round(heading / 45.0) % 8] for heading in stop.headings_deg)
    return f"{stop.order:02d} look {names}"


def write_gpx(path: Path, stops: Sequence[Stop], *, name: str) -> None:
    """Write GPX 1.1: the stops as waypoints in visiting order and as one route; the way along paths as a track."""
    import gpxpy.gpx

    document = gpxpy.gpx.GPX()
    document.name = name
    document.creator = "img2gps"
    route = gpxpy.gpx.GPXRoute(name=name)
    for stop in stops:
        text = f"{stop.why}; about {stop.hour:02d}:00"
        title = stop_title(stop)
        document.waypoints.append(gpxpy.gpx.GPXWaypoint(stop.lat, stop.lon, name=title, description=text))
        route.points.append(gpxpy.gpx.GPXRoutePoint(stop.lat, stop.lon, name=title, description=text))
    document.routes.append(route)
    if any(stop.way for stop in stops):
        track = gpxpy.gpx.GPXTrack(name=f"{name}, along the paths")
        places = [place for stop in stops for place in (*stop.way, (stop.lon, stop.lat))]
        points = [gpxpy.gpx.GPXTrackPoint(lat, lon) for lon, lat in places]
        track.segments.append(gpxpy.gpx.GPXTrackSegment(points=points))
        document.tracks.append(track)
    write_atomic(path, document.to_xml(version="1.1").encode("utf-8"))


def write_geojson(path: Path, stops: Sequence[Stop], *, name: str) -> None:
    """Write a GeoJSON FeatureCollection: a point per stop in visiting order, then the route as a line."""
    features: list[dict[str, object]] = [
        {
            "type": "Feature",
            "properties": {"name": stop_title(stop), **stop_document(stop)},
            "geometry": {"type": "Point", "coordinates": [stop.lon, stop.lat]},
        }
        for stop in stops
    ]
    if len(stops) > 1:
        way = [place for stop in stops for place in (*stop.way, (stop.lon, stop.lat))]
        features.append({"type": "Feature", "properties": {"name": name}, "geometry": _line(way)})
    write_json(path, {"type": "FeatureCollection", "features": features})


def _line(way: Sequence[tuple[float, float]]) -> dict[str, object]:
    """Return a way of (lon, lat) as a GeoJSON line, cut where it crosses 180 degrees (RFC 7946, 3.1.9)."""
    parts = [[list(way[0])]]
    for (west, south), (lon, lat) in pairwise(way):
        if abs(lon - west) > 180:
            edge = math.copysign(180.0, west)
            beyond = lon + 2 * edge  # the same place, on the turn of the globe where the way comes from
            share = (edge - west) / (beyond - west)
            crossing = round(south + share * (lat - south), 7)
            parts[-1].append([edge, crossing])
            parts.append([[-edge, crossing]])
        parts[-1].append([lon, lat])
    if len(parts) == 1:
        return {"type": "LineString", "coordinates": parts[0]}
    return {"type": "MultiLineString", "coordinates": parts}
