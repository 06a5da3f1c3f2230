"""The page on which a site is drawn: what it shows, what it saves, and the server behind it."""

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collect.outlining.proposal import propose_site
from img2gps.drafts import replace_file
from img2gps.errors import UsageError
from img2gps.geo import FloatArray
from img2gps.site import Site, site_from_geojson
from img2gps.site_file import site_bytes
from img2gps.text import safe_path
from img2gps.time_zone import zone_at
from img2gps.web.guard import Bodies, Guard, Policy
from img2gps.web.listening import End, ListeningAddress, run_server
from img2gps.web.pages import Files, kept, page_routes

__all__ = ["Drawing", "create_drawing_app", "serve_drawing"]

_BODIES: Final = Bodies(
    command="site draw",
    kinds=("application/json",),
    most_bytes=4 << 20,
    refusal="A site is sent as application/json.",
)
_FILES: Final[Files] = {
    "page.css": (
        "text/css",
        ("img2gps.report/report.css", "img2gps.report/atlas.css", "collect.outlining/page.css"),
    ),
    "page.js": (
        "text/javascript",
        (
            *("img2gps.report/palette.js", "img2gps.report/view.js", "img2gps.report/layers.js"),
            "collect.outlining/page.js",
        ),
    ),
}
_MOST_DOTS: Final = 20_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What is drawn: the file it goes to, positions of photos (degrees, (N,)), and an outline to begin with.

    `ground` is what stands on the site, where a map is at hand: buildings and paths in decimetres.
    """

    out: Path
    lon: FloatArray
    lat: FloatArray
    start: Site
    ground: Mapping[str, Any] | None = None

    def state(self) -> dict[str, Any]:
        """Return what the page draws, as plain values: metres east and north of the middle, in decimetres."""
        frame = self.start.frame
        step = max(1, -(-len(self.lon) // _MOST_DOTS))
        east_m, north_m = frame.to_local(self.lon[::step], self.lat[::step])
        return {
            "file": safe_path(self.out),
            "name": self.start.name,
            "zone": self.start.time_zone,
            "origin": [frame.origin_lon, frame.origin_lat],
            "perDegree": _metres_per_degree(frame),
            "dots": [np.rint(np.asarray(axis) * 10).astype(int).tolist() for axis in (east_m, north_m)],
            "parts": [_rings(polygon) for polygon in getattr(self.start.polygon, "geoms", [self.start.polygon])],
            "proposal": self._proposal(),
            "ground": dict(self.ground) if self.ground else None,
        }

    def _proposal(self) -> list[list[list[list[float]]]]:
        if not len(self.lon):
            return []
        return [_rings(propose_site(self.lon, self.lat).site.polygon)]

    def save(self, asked: Any) -> dict[str, Any]:
        """Write the site that a page sends and return what it is. Raises UsageError where it is none."""
        site = _site_of(asked)
        zone = site.time_zone or zone_at(site.polygon.centroid.x, site.polygon.centroid.y)
        site = dataclasses.replace(site, time_zone=zone)
        replace_file(self.out, site_bytes(site))
        inside = int(site.covers(self.lon, self.lat).sum()) if len(self.lon) else 0
        return {
            "file": safe_path(self.out),
            "time_zone": zone,
            "area_m2": round(float(site.local_polygon.area), 1),
            "photos": len(self.lon),
            "inside": inside,
        }


def _site_of(asked: Any) -> Site:
    if not isinstance(asked, dict) or not isinstance(asked.get("geometry"), dict):
        raise UsageError("A site is sent with its `geometry`.")
    properties = {key: str(asked[key]) for key in ("name", "time_zone") if asked.get(key)}
    feature = {"type": "Feature", "properties": properties, "geometry": asked["geometry"]}
    return site_from_geojson(json.dumps(feature), where="The drawing", default_name="site")


def _rings(polygon: Any) -> list[list[list[float]]]:
    """Return the outline and the holes of a polygon as lists of [lon, lat], not closed."""
    rings = [polygon.exterior, *polygon.interiors]
    return [[[round(x, 7), round(y, 7)] for x, y, *_ in list(ring.coords)[:-1]] for ring in rings]


def _metres_per_degree(frame: Any) -> list[float]:
    """Return the metres of a degree of longitude and of latitude: the page draws a plane, and reads it back alike."""
    step = 1e-3
    east_m, _ = frame.to_local(frame.origin_lon + step, frame.origin_lat)
    _, north_m = frame.to_local(frame.origin_lon, frame.origin_lat + step)
    return [float(east_m) / step, float(north_m) / step]


def create_drawing_app(drawing: Drawing, policy: Policy) -> Starlette:
    """Return the application over one drawing, guarded by `policy`."""

    async def site(request: Request) -> Response:
        return await kept(request, drawing.save)

    routes = [
        *page_routes("collect.outlining/page.html", drawing.state, _FILES),
        Route("/api/site", site, methods=["POST"]),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, policy=policy, bodies=_BODIES)])


def serve_drawing(drawing: Drawing, *, host: str, port: int, started: Callable[[ListeningAddress], None]) -> None:
    """Answer on `host` and `port` (0: any free one) until Ctrl-C. Raises UsageError where the address cannot be had."""

    def tell(address: ListeningAddress, _end: End) -> None:
        started(address)

    run_server(lambda policy: create_drawing_app(drawing, policy), host=host, port=port, started=tell)
