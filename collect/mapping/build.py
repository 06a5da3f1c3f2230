"""A basemap of a site: what the sources hold within the site and around it, each thing of one class, once."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from shapely.geometry import Polygon
from shapely.geometry.base import BaseGeometry

from collect.mapping.openstreetmap import from_extract, from_server
from collect.mapping.own_layers import from_layer
from collect.mapping.raw import MapSource, RawFeature
from img2gps.basemap.features import Basemap, MapClass, MapFeature
from img2gps.basemap.file import FILE_NAME, write_basemap
from img2gps.basemap.tags import class_of, height_of, name_of
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.site import Site, load_site, packaged_sites
from img2gps.stored_dataset import local_root
from img2gps.text import format_count, safe_path, safe_text

__all__ = ["DEFAULT_MARGIN_M", "BasemapReport", "MapRequest", "area_of", "basemap_from", "make_basemap"]

DEFAULT_MARGIN_M: Final = 100.0
_MOST_FEATURES: Final = 200_000
_LARGEST_KM2: Final = 100.0
_GRID_DEG: Final = 1e-7  # a centimetre
# What may reach far beyond the site is cut; buildings, trees and doors stay whole.
_CUT: Final[frozenset[MapClass]] = frozenset(("green", "water", "road", "path", "wall"))
_FITTING: Final[dict[MapClass, tuple[str, ...]]] = {
    "green": ("Polygon",),
    "water": ("Polygon", "LineString"),
    "road": ("LineString", "Polygon"),
    "path": ("LineString", "Polygon"),
    "wall": ("LineString", "Polygon"),
    "building": ("Polygon",),
    "tree": ("Point", "LineString"),
    "door": ("Point",),
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MapRequest:
    """Where a basemap comes from: an extract, layers, or, where both are absent, the Overpass server at `server`.

    `attribution` and `licence` are said of the layers, beside what the sources say themselves.
    """

    osm: Path | None = None
    layers: tuple[str, ...] = ()
    server: str | None = None
    margin_m: float = DEFAULT_MARGIN_M
    attribution: str = ""
    licence: str = ""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class BasemapReport:
    """What was made: the basemap, where it was written (or would be), and how many things were left out."""

    path: Path
    basemap: Basemap
    unclassed: int
    elsewhere: int
    written: bool

    def to_dict(self) -> dict[str, Any]:
        """Return the report for ``basemap --json``."""
        basemap = self.basemap
        return {
            "path": str(self.path),
            "features": len(basemap),
            "classes": basemap.counts(),
            "named_buildings": sum(1 for feature in basemap.of("building") if feature.name),
            "source": basemap.source,
            "date": basemap.date,
            "attribution": basemap.attribution,
            "licence": basemap.licence,
            "margin_m": basemap.margin_m,
            "left_out": {"of no class": self.unclassed, "too far": self.elsewhere},
            "written": self.written,
        }


def make_basemap(
    target: str | Path, request: MapRequest, *, out: Path | None = None, dry_run: bool = False
) -> BasemapReport:
    """Make the basemap of a dataset (a folder) or of a site (a name or a polygon's file) and write it.

    A dataset keeps it as ``basemap.parquet``, written under its lock. For a site it goes to `out` (None:
    ``basemap.parquet`` in the working folder). Raises UsageError, NotFoundError, InvalidDatasetError,
    DatasetLockedError.
    """
    root = local_root(target)
    dataset = Dataset.open(root) if root.is_dir() else None
    if dataset is None and str(target) not in packaged_sites() and not root.exists():
        raise NotFoundError(
            f"No dataset and no site {safe_path(root)}: give a dataset's folder, a polygon's file or a packaged site."
        )
    site = dataset.site() if dataset else load_site(target)
    basemap, unclassed, elsewhere = basemap_from(site, request)
    path = out or (dataset.root / FILE_NAME if dataset else Path(FILE_NAME))
    if not dry_run and dataset and out is None:
        with dataset.lock():
            write_basemap(path, basemap)
    elif not dry_run:
        write_basemap(path, basemap)
    return BasemapReport(path=path, basemap=basemap, unclassed=unclassed, elsewhere=elsewhere, written=not dry_run)


def basemap_from(site: Site, request: MapRequest) -> tuple[Basemap, int, int]:
    """Return the basemap of a site, how many things had no class and how many lay elsewhere.

    Raises UsageError where nothing is left, NotFoundError where a file or the server is not there.
    """
    area = area_of(site, request.margin_m)
    sources = _sources(site, area, request)
    features: dict[tuple[str, str, bytes], MapFeature] = {}
    unclassed = elsewhere = 0
    shapely.prepare(area)
    for raw in (raw for source in sources for raw in source.features):
        kind = class_of(raw.tags, shape=raw.geometry.geom_type) or raw.fallback
        shape = _fitting(raw.geometry, kind) if kind else None
        if kind is None or shape is None:
            unclassed += 1
        elif not area.intersects(shape):
            elsewhere += 1
        else:
            made = _feature(raw, kind, shape, area)
            features.setdefault((kind, made.name or "", shapely.to_wkb(made.geometry)), made)
    _check(features, sources, unclassed, elsewhere)
    attributions = [*(source.attribution for source in sources), safe_text(request.attribution, limit=200)]
    licences = [*(source.licence for source in sources), safe_text(request.licence, limit=200)]
    basemap = Basemap(
        features=tuple(features.values()),
        source=_joined([source.name for source in sources]),
        date=min(source.date for source in sources),
        attribution=_joined(attributions),
        licence=_joined(licences),
        margin_m=request.margin_m,
    )
    return basemap, unclassed, elsewhere


def area_of(site: Site, margin_m: float) -> BaseGeometry:
    """Return the site and what lies up to `margin_m` metres around it, in degrees."""
    if not 0 <= margin_m <= 2000:
        raise UsageError(f"--margin is the metres around the site, 0 to 2,000, not {margin_m:g}.")

    def back(coordinates: Any) -> Any:
        return np.column_stack(site.frame.to_lonlat(coordinates[:, 0], coordinates[:, 1]))

    around = shapely.make_valid(site.local_polygon).buffer(margin_m)
    if around.area > _LARGEST_KM2 * 1e6:
        raise UsageError(
            f"The site spans {around.area / 1e6:,.0f} km², a basemap {_LARGEST_KM2:g} km² at most: give a smaller one."
        )
    return shapely.transform(around, back)


def _sources(site: Site, area: BaseGeometry, request: MapRequest) -> list[MapSource]:
    sources = [from_extract(request.osm, area)] if request.osm else []
    sources += [from_layer(layer, site) for layer in request.layers]
    return sources or [from_server(area, url=request.server)]


def _fitting(geometry: BaseGeometry, kind: MapClass) -> BaseGeometry | None:
    """Return the parts of a geometry that can be of a class, None where there are none; a ring is its area."""
    wanted = _FITTING[kind]
    geometry = shapely.make_valid(geometry)
    parts = [part for part in _single(geometry) if part.geom_type in wanted]
    if not parts and geometry.geom_type == "Polygon" and "Point" in wanted:
        return geometry.centroid
    if not parts and "Polygon" in wanted and geometry.geom_type == "LineString" and geometry.is_closed:
        return shapely.make_valid(Polygon(shapely.get_coordinates(geometry)))
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.union_all(parts)


def _single(geometry: BaseGeometry) -> list[BaseGeometry]:
    parts = shapely.get_parts(geometry).tolist()
    return [geometry] if parts == [geometry] else [inner for part in parts for inner in _single(part)]


def _feature(raw: RawFeature, kind: MapClass, shape: BaseGeometry, area: BaseGeometry) -> MapFeature:
    if kind in _CUT and not area.contains(shape):
        cut = _fitting(shapely.intersection(shape, area), kind)
        shape = shape if cut is None else cut
    rounded = shapely.set_precision(shape, _GRID_DEG)
    geometry = shape if rounded.is_empty else rounded
    return MapFeature(kind=kind, geometry=geometry, name=name_of(raw.tags), height_m=height_of(raw.tags))


def _check(features: dict[Any, MapFeature], sources: Sequence[MapSource], unclassed: int, elsewhere: int) -> None:
    if len(features) > _MOST_FEATURES:
        raise UsageError(
            f"The site holds {len(features):,} features, a basemap {_MOST_FEATURES:,} at most: give a smaller --margin."
        )
    if not features:
        raise UsageError(
            f"{_joined([source.name for source in sources])} holds nothing for this site "
            f"({format_count(unclassed, 'thing')} of no class or of no shape for it, {elsewhere:,} too far). "
            "Give the map of this place, buildings as areas and trees as points, or "
            "name the class of a layer (--layer building=FILE)."
        )


def _joined(words: Sequence[str]) -> str:
    return "; ".join(dict.fromkeys(word for word in words if word))
