"""The one reader of points, lines and polygons in files: GeoJSON of any age, KML, KMZ and GeoPackage.

All is turned into degrees of WGS 84. Sites, layers of buildings and paths, and imported labels come through here, so
that a foreign ``crs`` is reprojected or refused in one way.
"""

import dataclasses
import io
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from img2gps.crs import declared_crs, to_wgs84
from img2gps.errors import UsageError
from img2gps.geopackage import MAGIC, geopackage_features
from img2gps.kml import kml_features
from img2gps.text import safe_path, safe_text

__all__ = ["Feature", "features_of_bytes", "features_of_geojson", "kml_of_archive", "text_of"]

_MOST_BYTES: Final = 64 << 20
_DEPTH: Final = 200


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A geometry in degrees (None where the feature has none) with its properties, and its own id.

    `where` names it for a person; `problem` says what is wrong with a geometry that cannot be read.
    """

    where: str
    geometry: BaseGeometry | None
    problem: str = ""
    properties: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    id: Any = None


class _Raw(NamedTuple):
    properties: Mapping[str, Any]
    geometry: Any
    crs: Any = None
    id: Any = None


def features_of_bytes(content: bytes, path: Path) -> list[Feature]:
    """Return the features of a file's bytes, by what they are and not by the file's name.

    Raises UsageError where they are none of the known formats, or coordinates are in a system that cannot be used.
    """
    where = safe_path(path)
    if content[:4] == b"PK\x03\x04":
        content = kml_of_archive(content, where)
    elif content.startswith(MAGIC):
        return _features([_Raw(*entry) for entry in geopackage_features(content, where=where)], where)
    text = text_of(content, where)
    if text.lstrip().startswith("<"):
        return _features([_Raw(*entry) for entry in kml_features(text, where=where)], where)
    return features_of_geojson(text, where=where)


def features_of_geojson(text: str, *, where: str) -> list[Feature]:
    """Return the features of GeoJSON text, one per feature or bare geometry. Raises UsageError."""
    try:
        document = json.loads(text)
        listed = list(_listed(document, None, 0))
    except (ValueError, RecursionError, TypeError) as error:
        raise UsageError(f"{where} is not GeoJSON ({safe_text(str(error), limit=120)}); export it again.") from error
    return _features(listed, where)


def text_of(content: bytes, where: str) -> str:
    """Return the text of a file in UTF-8 or UTF-16, without its byte order mark. Raises UsageError."""
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{where} is not UTF-8 text; export it again as GeoJSON.") from error


def _listed(node: Any, crs: Any, depth: int) -> Iterator[_Raw]:
    """Yield what holds a geometry; a ``crs`` counts for all below it, the innermost first."""
    if depth > _DEPTH:
        raise ValueError("nested too deeply")
    if not isinstance(node, dict):
        if depth:
            yield _Raw({}, None)
        return
    crs = node.get("crs", crs)
    kind, features = node.get("type"), node.get("features")
    if isinstance(features, list):
        for feature in features:
            yield from _listed(feature, crs, depth + 1)
    elif kind == "FeatureCollection":
        raise ValueError("a FeatureCollection without features")
    elif isinstance(kind, str) and kind != "Feature":
        yield _Raw({}, node, crs)
    elif depth or kind == "Feature":  # a feature that forgot to say so is one all the same
        given, geometry = node.get("properties"), node.get("geometry")
        inner = geometry.get("crs", crs) if isinstance(geometry, dict) else crs
        yield _Raw(given if isinstance(given, dict) else {}, geometry, inner, node.get("id"))


def _features(listed: Sequence[_Raw], where: str) -> list[Feature]:
    """Return the features of a file, all of one ``crs`` turned into degrees together."""
    found = [_feature(raw, f"{where}, feature {number}") for number, raw in enumerate(listed, start=1)]
    by_crs: dict[str, list[int]] = {}
    for number, raw in enumerate(listed):
        name = declared_crs(raw.crs, where=where) if raw.crs is not None else None
        if name is not None and found[number].geometry is not None:
            by_crs.setdefault(name, []).append(number)
    for name, numbers in by_crs.items():
        moved = _in_degrees([found[number].geometry for number in numbers], name, where)
        for number, geometry in zip(numbers, moved, strict=True):
            found[number] = dataclasses.replace(found[number], geometry=geometry)
    return found


def _feature(raw: _Raw, where: str) -> Feature:
    problem, geometry = "", None
    if raw.geometry is not None:
        try:
            with np.errstate(invalid="ignore"):  # of NaN, numpy would warn on the terminal
                given = shapely.force_2d(shape(raw.geometry))
            if not np.isfinite(shapely.get_coordinates(given)).all():
                raise ValueError("a coordinate is not a finite number")
            geometry = given
        except Exception as error:  # noqa: BLE001  shapely raises anything on what is no geometry
            problem = f"malformed coordinates ({safe_text(str(error) or type(error).__name__, limit=120)})"
    return Feature(where=where, geometry=geometry, problem=problem, properties=raw.properties, id=raw.id)


def _in_degrees(geometries: Sequence[BaseGeometry | None], crs: str, where: str) -> Any:
    def project(coordinates: Any) -> Any:
        if not len(coordinates):
            return coordinates
        return np.column_stack(to_wgs84(crs, coordinates[:, 0], coordinates[:, 1], where=where))

    return shapely.transform(np.array(geometries, dtype=object), project)


def kml_of_archive(content: bytes, where: str) -> bytes:
    """Return the document of a KMZ archive. Raises UsageError where there is none."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = [info for info in archive.infolist() if info.filename.lower().endswith(".kml")]
            if not names:
                raise UsageError(f"{where} is a ZIP archive without a KML document; unpack it and give the GeoJSON.")
            if names[0].file_size > _MOST_BYTES:
                raise UsageError(f"{where} holds more than {_MOST_BYTES >> 20} MiB; clip it to the site first.")
            with archive.open(names[0]) as document:
                return document.read(_MOST_BYTES)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as error:
        raise UsageError(f"{where} is a damaged ZIP archive; export it as KML or GeoJSON.") from error
