"""An outline around positions: a hull of those that lie together, to begin a site with."""

import dataclasses
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from numpy.typing import ArrayLike
from shapely.geometry import Polygon

from img2gps.address import Place
from img2gps.errors import UsageError
from img2gps.geo import LocalFrame
from img2gps.site import Site
from img2gps.text import format_count, safe_path, shell_path
from img2gps.time_zone import zone_at

__all__ = ["Proposal", "missing_site", "propose_site"]

_APART_M: Final = 250.0
_AROUND_M: Final = 30.0
_PLANE_M: Final = 200_000.0
_SQUARE_KM: Final = 1e6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A site around photos: `inside` lie in its outline, `apart` farther than 250 m from all of these."""

    site: Site
    inside: int
    apart: int

    @property
    def area_m2(self) -> float:
        """The area of the outline."""
        return float(self.site.local_polygon.area)

    def sentence(self) -> str:
        """Return the proposal in words."""
        area = self.area_m2
        size = f"{area / _SQUARE_KM:.1f} km2" if area >= _SQUARE_KM else f"{area / 1e4:.1f} ha"
        left = f"; {format_count(self.apart, 'other lies', 'others lie')} apart" if self.apart else ""
        photos = format_count(self.inside, "photo lies", "photos lie")
        return f"{photos} together: an outline around them has {size}{left}."


def propose_site(lon: ArrayLike, lat: ArrayLike, *, name: str = "site") -> Proposal:
    """Return the convex hull of the positions (degrees, shape (N,)) that lie together, 30 m wider.

    Photos linked by steps of at most 250 m form a cluster. The largest cluster counts; a photo of another place or a
    wild fix does not. Raises UsageError without positions.
    """
    lons, lats = np.atleast_1d(np.asarray(lon, np.float64)), np.atleast_1d(np.asarray(lat, np.float64))
    if not len(lons):
        raise UsageError("No photo has a position to draw an outline around: give photos with GPS.")
    frame = LocalFrame(origin_lon=float(np.median(lons)), origin_lat=float(np.median(lats)))
    points_m = np.column_stack(frame.to_local(lons, lats))
    near = np.flatnonzero(np.hypot(*points_m.T) < _PLANE_M)
    clusters = _clusters(points_m[near])
    rows = near[clusters == np.bincount(clusters).argmax()]
    hull = shapely.MultiPoint(points_m[rows]).convex_hull.buffer(_AROUND_M, quad_segs=3).simplify(1.0)
    degrees = np.column_stack(frame.to_lonlat(*shapely.get_coordinates(hull).T))
    polygon = Polygon(np.round(degrees, 6))
    middle = polygon.centroid
    return Proposal(
        site=Site(name=name, polygon=polygon, time_zone=zone_at(middle.x, middle.y)),
        inside=len(rows),
        apart=len(lons) - len(rows),
    )


def _clusters(points_m: np.ndarray) -> np.ndarray:
    """Return the cluster number of each point, (N,)."""
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    tree = cKDTree(points_m)
    graph = tree.sparse_distance_matrix(tree, _APART_M) if len(points_m) < 5000 else _grid_graph(points_m)
    return np.asarray(connected_components(graph, directed=False)[1])


def _grid_graph(points_m: np.ndarray) -> object:
    """Return links between many points by the squares of a grid: neighbours touch, without comparing all pairs."""
    from scipy.sparse import coo_matrix
    from scipy.spatial import cKDTree

    squares, of_point = np.unique(np.floor(points_m / (_APART_M / 2)), axis=0, return_inverse=True)
    pairs = cKDTree(squares).query_pairs(1.5, output_type="ndarray")
    size = len(points_m)
    edges = np.concatenate([np.column_stack([np.arange(size), size + of_point.ravel()]), size + pairs])
    shape = (size + len(squares),) * 2
    return coo_matrix((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=shape)


def missing_site(root: Path, photos: list[Place], sentence: str, lon: ArrayLike, lat: ArrayLike) -> UsageError:
    """Return the error of an ingest into a new dataset without a site: what it could be, and how to go on.

    `sentence` says what is missing; the positions are those of the photos given.
    """
    try:
        proposal = propose_site(lon, lat)
    except UsageError:
        return UsageError(sentence)
    file, given = shell_path(f"{root.name}.geojson"), " ".join(f"--on {shell_path(str(path))}" for path in photos[:3])
    return UsageError(
        f"{sentence} {proposal.sentence()} Draw the site with `img2gps site draw {file} {given}`, or take that outline "
        f"with `--accept`; then ingest into {safe_path(root)} with `--site {file}`."
    )
