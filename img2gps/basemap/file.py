"""basemap.parquet: GeoParquet 1.1, one row per feature, the source and its attribution in the file's metadata."""

import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from img2gps.basemap.features import CLASSES, Basemap, MapFeature
from img2gps.errors import InvalidDatasetError
from img2gps.files import canonical_json
from img2gps.progress import stderr
from img2gps.tables import DamagedTableError, load_table, save_table
from img2gps.text import safe_path, safe_text

if TYPE_CHECKING:
    import pyarrow as pa

    from img2gps.dataset import Dataset

__all__ = ["FILE_NAME", "basemap_of", "read_basemap", "usable_basemap", "write_basemap"]

FILE_NAME: Final = "basemap.parquet"
SCHEMA_VERSION: Final = 1
_KEY: Final = b"img2gps.basemap"
_ABOUT: Final = ("source", "date", "attribution", "licence")
_REMEDY: Final = "make it anew with `img2gps basemap`, or delete it"


def write_basemap(path: Path, basemap: Basemap) -> None:
    """Replace `path` with a basemap in one step; equal features give equal bytes, whatever their order.

    Columns: ``class``, ``name``, ``height_m``, ``geometry`` (WKB in degrees). Raises the OSError of a disk.
    """
    import pyarrow as pa

    order = {kind: number for number, kind in enumerate(CLASSES)}
    rows = sorted(
        ((f.kind, f.name, f.height_m, shapely.to_wkb(f.geometry, byte_order=1)) for f in basemap.features),
        key=lambda row: (order[row[0]], row[1] or "", row[3]),
    )
    columns = {
        "class": pa.array([row[0] for row in rows], pa.string()),
        "name": pa.array([row[1] for row in rows], pa.string()),
        "height_m": pa.array([row[2] for row in rows], pa.float64()),
        "geometry": pa.array([row[3] for row in rows], pa.binary()),
    }
    about = {name: getattr(basemap, name) for name in _ABOUT}
    about |= {"margin_m": basemap.margin_m, "schema_version": SCHEMA_VERSION}
    metadata = {_KEY: canonical_json(about), b"geo": _geo_metadata(basemap)}
    save_table(path, pa.table(columns).replace_schema_metadata(metadata))


def read_basemap(path: Path) -> Basemap:
    """Return the basemap of a file. Raises InvalidDatasetError saying what is wrong with it."""
    where = safe_path(path)
    try:
        stored = load_table(path)
    except DamagedTableError as error:
        raise InvalidDatasetError(f"{where} {error}: {_REMEDY}.") from error
    if stored.intact is False:
        raise InvalidDatasetError(f"{where} was damaged or changed after it was written: {_REMEDY}.")
    about = _about(stored.table, where)
    try:
        features = tuple(_feature(row) for row in stored.table.to_pylist())
    except Exception as error:  # a column that is missing, a class that is unknown, bytes that are no geometry
        what = safe_text(str(error) or type(error).__name__, limit=120)
        raise InvalidDatasetError(f"{where} holds a row that is no feature ({what}): {_REMEDY}.") from error
    texts = {name: safe_text(str(about.get(name, "")), limit=300) for name in _ABOUT}
    return Basemap(features=features, margin_m=float(about.get("margin_m", 0.0)), **texts)


def basemap_of(dataset: "Dataset") -> Basemap | None:
    """Return the basemap of a dataset, None where it has none. Raises InvalidDatasetError where it is damaged."""
    path = dataset.basemap_path
    return read_basemap(path) if path.exists() else None


def usable_basemap(dataset: "Dataset") -> Basemap | None:
    """Return the basemap of a dataset, None where it has none or a damaged one, which is told on stderr.

    For pages that are worth having without it.
    """
    try:
        return basemap_of(dataset)
    except InvalidDatasetError as error:
        stderr().print(f"Without a map: {error}", markup=False)
        return None


def _about(table: "pa.Table", where: str) -> dict[str, Any]:
    stored = (table.schema.metadata or {}).get(_KEY)
    try:
        about = json.loads(stored or b"")
        version = int(about["schema_version"])
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise InvalidDatasetError(f"{where} is no basemap that img2gps wrote: {_REMEDY}.") from error
    if version > SCHEMA_VERSION:
        raise InvalidDatasetError(f"{where} was written by a later img2gps (schema {version}): upgrade img2gps.")
    return dict(about)


def _feature(row: dict[str, Any]) -> MapFeature:
    kind = next(known for known in CLASSES if known == row["class"])
    height_m = row["height_m"]
    return MapFeature(
        kind=kind,
        geometry=shapely.from_wkb(row["geometry"]),
        name=None if row["name"] is None else safe_text(row["name"], limit=120),
        height_m=None if height_m is None or not np.isfinite(height_m) else float(height_m),
    )


def _geo_metadata(basemap: Basemap) -> bytes:
    geometries = [feature.geometry for feature in basemap.features]
    column: dict[str, Any] = {"encoding": "WKB", "crs": _crs()}
    column["geometry_types"] = sorted({geometry.geom_type for geometry in geometries})
    if geometries:
        column["bbox"] = [float(side) for side in shapely.total_bounds(geometries)]
    return canonical_json({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})


@cache
def _crs() -> dict[str, Any]:
    from pyproj import CRS

    return CRS.from_epsg(4326).to_json_dict()
