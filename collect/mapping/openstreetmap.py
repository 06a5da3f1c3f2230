"""Features of OpenStreetMap: asked of a server by osmnx, or read from an extract where there is no network."""

import contextlib
import re
import warnings
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collect.mapping.raw import MapSource, RawFeature
from img2gps.basemap.tags import QUERY
from img2gps.errors import NotFoundError, UsageError
from img2gps.text import safe_path, safe_text

if TYPE_CHECKING:
    import pandas as pd
    from shapely.geometry.base import BaseGeometry

__all__ = ["ATTRIBUTION", "LICENCE", "from_extract", "from_server"]

ATTRIBUTION: Final = "© OpenStreetMap contributors"
"""What the licence wants on every picture (https://www.openstreetmap.org/copyright)."""
LICENCE: Final = "ODbL 1.0, https://opendatacommons.org/licenses/odbl/1-0/"

_KEPT: Final = (
    *QUERY,
    *("name", "addr:housename", "ref", "height", "building:height", "tunnel", "location"),
)
_LAYERS: Final = ("points", "lines", "multipolygons")
_HSTORE: Final = re.compile(r'"((?:[^"\\]|\\.)*)"=>"((?:[^"\\]|\\.)*)"')
_TIMEOUT_S: Final = 120


def from_server(area: "BaseGeometry", *, url: str | None = None) -> MapSource:
    """Return what OpenStreetMap knows within `area` (degrees), from the Overpass server at `url` (None: osmnx's own).

    Raises UsageError where osmnx is not installed, NotFoundError where the server does not answer.
    """
    osmnx = _osmnx()
    with _quiet(osmnx, url):
        where = osmnx.settings.overpass_url
        try:
            found = _features(osmnx.features_from_polygon(area, QUERY))
        except osmnx._errors.InsufficientResponseError:  # nothing is mapped there
            found = ()
        except Exception as error:  # requests, JSON, osmnx: each has errors of its own
            what = safe_text(str(error) or type(error).__name__, limit=160)
            raise NotFoundError(
                f"OpenStreetMap does not answer at {safe_text(where)} ({what}): try later, or give an extract with "
                "--osm FILE or layers of your own with --layer FILE."
            ) from error
    today = datetime.now(UTC).date().isoformat()
    return MapSource(name="OpenStreetMap", date=today, features=found, attribution=ATTRIBUTION, licence=LICENCE)


def from_extract(path: Path, area: "BaseGeometry") -> MapSource:
    """Return what an extract of OpenStreetMap (.osm, .osm.pbf) holds within `area` (degrees); no network is used.

    Raises NotFoundError, or UsageError where the file is no extract, or osmnx (for .osm) is not installed.
    """
    if not path.is_file():
        raise NotFoundError(f"No file {safe_path(path)}: give an extract of OpenStreetMap (.osm or .osm.pbf).")
    suffix = path.suffix.lower()
    if suffix not in (".osm", ".xml", ".pbf"):
        raise UsageError(f"{safe_path(path)} is no .osm and no .pbf file: give other layers with --layer.")
    found = _from_pbf(path, area) if suffix == ".pbf" else _from_xml(path, area)
    day = datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
    name = f"OpenStreetMap extract {safe_path(path.name)}"
    return MapSource(name=name, date=day, features=found, attribution=ATTRIBUTION, licence=LICENCE)


def _from_xml(path: Path, area: "BaseGeometry") -> tuple[RawFeature, ...]:
    osmnx = _osmnx()
    with _quiet(osmnx, None):
        try:
            return _features(osmnx.features_from_xml(path, polygon=area, tags=QUERY))
        except osmnx._errors.InsufficientResponseError:
            return ()
        except Exception as error:  # no XML, another XML
            what = safe_text(str(error) or type(error).__name__, limit=120)
            raise UsageError(
                f"{safe_path(path)} is no extract of OpenStreetMap that can be read ({what}): export it again."
            ) from error


def _from_pbf(path: Path, area: "BaseGeometry") -> tuple[RawFeature, ...]:
    """Read points, lines and areas by GDAL, one after the other: it keeps only what the statement names in memory."""
    import pyogrio

    found: list[RawFeature] = []
    for layer in _LAYERS:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows = pyogrio.read_dataframe(path, sql=f"SELECT * FROM {layer}", bbox=tuple(area.bounds))  # noqa: S608
        except Exception as error:  # what GDAL raises has no one root
            what = safe_text(str(error).replace(str(path), "the file"), limit=120)
            raise UsageError(
                f"{safe_path(path)} is no extract of OpenStreetMap that can be read ({what}): download it again."
            ) from error
        found += _features(rows)
    return tuple(found)


def _features(frame: "pd.DataFrame") -> tuple[RawFeature, ...]:
    """Return the rows of a GeoDataFrame as features; a column ``other_tags`` holds further tags as PostgreSQL's hstore.

    Empty cells are no tags.
    """
    names = [name for name in _KEPT if name in frame.columns]
    columns = [frame[name].tolist() for name in names]
    more: Sequence[Any] = frame["other_tags"].tolist() if "other_tags" in frame.columns else [None] * len(frame)
    features = []
    for row, (geometry, others) in enumerate(zip(frame["geometry"].tolist(), more, strict=True)):
        if geometry is None or geometry.is_empty:
            continue
        tags = {name: column[row] for name, column in zip(names, columns, strict=True) if isinstance(column[row], str)}
        if isinstance(others, str):
            tags |= {key: _plain(value) for key, value in _HSTORE.findall(others)}
        features.append(RawFeature(geometry=geometry, tags=tags))
    return tuple(features)


def _plain(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _osmnx() -> Any:
    try:
        import osmnx
    except ImportError as error:
        raise UsageError(
            "Reading OpenStreetMap needs osmnx: install it with `pip install 'img2gps[map]'`, or give layers of your "
            "own with --layer FILE."
        ) from error
    return osmnx


@contextlib.contextmanager
def _quiet(osmnx: Any, url: str | None) -> Iterator[None]:
    """Let osmnx leave no cache in the working folder and ask nobody but the server, and put its settings back."""
    wanted: dict[str, Any] = {
        "use_cache": False,
        "log_console": False,
        "log_file": False,
        "requests_timeout": _TIMEOUT_S,
    }
    if url is not None:
        wanted |= {"overpass_url": url.rstrip("/"), "overpass_rate_limit": False, "doh_url_template": None}
    before = {name: getattr(osmnx.settings, name) for name in wanted}
    try:
        for name, value in wanted.items():
            setattr(osmnx.settings, name, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, value in before.items():
            setattr(osmnx.settings, name, value)
