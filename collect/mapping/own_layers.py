"""Layers of one's own: GeoJSON, KML, KMZ, GeoPackage, and basemaps that were made before."""

from datetime import UTC, datetime
from pathlib import Path

from collect.layers import check_place, read_shapes_with_properties
from collect.mapping.raw import MapSource, RawFeature
from img2gps.basemap.features import CLASSES, MapClass
from img2gps.basemap.file import read_basemap
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.site import Site
from img2gps.text import join_words, safe_path, safe_text

__all__ = ["from_layer"]


def from_layer(given: str, site: Site) -> MapSource:
    """Return the features of a layer given as ``FILE`` or ``CLASS=FILE``.

    A feature's class is its property ``class``, else what its OpenStreetMap tags say, else CLASS. Raises NotFoundError,
    or UsageError where the file is no layer or CLASS is none of the classes.
    """
    kind, path = _parse(given)
    if path.suffix.lower() == ".parquet":
        return _from_basemap(path)
    shapes = read_shapes_with_properties(path)
    if not shapes:
        raise UsageError(f"{safe_path(path)} holds no shapes: export it as GeoJSON.")
    check_place([shape for shape, _ in shapes], path, site)
    day = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
    features = tuple(RawFeature(geometry=shape, tags=tags, fallback=kind) for shape, tags in shapes)
    return MapSource(name=safe_text(path.name, limit=80), date=day, features=features)


def _parse(given: str) -> tuple[MapClass | None, Path]:
    word, equals, rest = given.partition("=")
    if not equals or Path(given).exists():
        return None, Path(given)
    kind = next((known for known in CLASSES if known == word.strip().lower().removesuffix("s")), None)
    if kind is None:
        raise UsageError(
            f"--layer names the class {safe_text(repr(word))}: give one of {join_words([*CLASSES], 'or')}."
        )
    if not rest:
        raise UsageError(f"--layer {safe_text(given)} names no file: give {kind}=FILE.")
    return kind, Path(rest)


def _from_basemap(path: Path) -> MapSource:
    if not path.is_file():
        raise NotFoundError(f"No file {safe_path(path)}: give a basemap that `img2gps basemap` or `simulate` wrote.")
    try:
        basemap = read_basemap(path)
    except InvalidDatasetError as error:
        raise UsageError(str(error)) from error
    features = tuple(
        RawFeature(
            geometry=feature.geometry,
            tags={"class": feature.kind, "name": feature.name, "height_m": feature.height_m},
        )
        for feature in basemap.features
    )
    return MapSource(
        name=basemap.source,
        date=basemap.date,
        features=features,
        attribution=basemap.attribution,
        licence=basemap.licence,
    )
