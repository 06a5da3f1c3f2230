"""The manifest: one GeoParquet row per accepted photo, by the schema of `img2gps.manifest_schema`.

GeoParquet 1.1 (https://geoparquet.org/releases/v1.1.0/): WKB points in EPSG:4326. The file's own
metadata carries, under ``img2gps``, the schema version, the site, the split and a digest of the rows. Every read
compares the digest of the whole file that `img2gps.tables` puts there; that of the rows is for `verify`.
"""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike

from img2gps import __version__
from img2gps.errors import InvalidDatasetError
from img2gps.files import canonical_json, sha256_bytes
from img2gps.imaging import WORKING_SHORT_SIDE_PX
from img2gps.manifest_schema import COLUMNS, REBUILD, SCHEMA_VERSION, Column, arrow_schema, checked_table, columns_of
from img2gps.photo_columns import manifest_table, pack_table
from img2gps.tables import DamagedTableError, load_table, pieces_of, save_pieces
from img2gps.text import safe_path, safe_text
from img2gps.types import Photo

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COLUMNS",
    "SCHEMA_VERSION",
    "Column",
    "ManifestInfo",
    "geo_metadata",
    "inspect_table",
    "is_info_intact",
    "pack_photos",
    "photos_of",
    "read_table",
    "rows_digest",
    "unpack_photos",
    "write_manifest",
    "write_packed",
]

_METADATA_KEY: Final = b"img2gps"
_GEO_KEY: Final = b"geo"
_NOTE_KEY: Final = b"description"
_NOTE: Final = (
    b"Positions, headings and splits as ingested. Corrections lie beside this file in corrections.csv: "
    b'`img2gps.Dataset.open("FOLDER").frame()` applies them.'
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ManifestInfo:
    """What the manifest says about itself.

    `device_salt` is the hash of the dataset's first site: device hashes must not change when the site is redrawn.
    `short_side_px` is that of the working copies, all of one dataset alike. `split` is how the stored split was made,
    with the hashes of its ids and labels. `kept_splits` holds [split, split_reason, fold] by id of photos that a
    redrawn site left outside. `info_sha256` is over all of this but the two digests, and over the file's ``geo``.
    """

    site_name: str
    site_sha256: str
    device_salt: str
    short_side_px: int = WORKING_SHORT_SIDE_PX
    split: Mapping[str, Any] | None = None
    kept_splits: Mapping[str, Sequence[Any]] = dataclasses.field(default_factory=dict)
    schema_version: int = SCHEMA_VERSION
    tool_version: str = __version__
    rows_sha256: str = ""
    info_sha256: str = ""


def write_manifest(path: Path, photos: Iterable[Photo], info: ManifestInfo) -> ManifestInfo:
    """Replace the manifest in one step and return its info with the digest of the rows.

    Rows are ordered by source name and id, so that equal photos give equal bytes.
    """
    ordered = sorted(photos, key=lambda photo: (photo.source_name, photo.id))
    return write_packed(path, pack_photos(ordered), info)


def write_packed(path: Path, packed: "pa.Table", info: ManifestInfo) -> ManifestInfo:
    """Replace the manifest as `write_manifest` does, with rows packed by `img2gps.photo_columns`, in its order."""
    geo = geo_metadata(packed.column("lon").to_numpy(), packed.column("lat").to_numpy())
    digest = _digest_of((manifest_table(piece) for piece in pieces_of(packed)), COLUMNS)
    info = dataclasses.replace(info, rows_sha256=digest, schema_version=SCHEMA_VERSION)
    info = dataclasses.replace(info, info_sha256=_info_digest(dataclasses.asdict(info), geo))
    metadata = {_METADATA_KEY: canonical_json(dataclasses.asdict(info)), _GEO_KEY: geo, _NOTE_KEY: _NOTE}
    rows = (manifest_table(piece) for piece in pieces_of(packed))
    save_pieces(path, arrow_schema().with_metadata(metadata), rows)
    return info


def pack_photos(photos: Sequence[Photo]) -> "pa.Table":
    """Return the packed table of photos, in order."""
    return pack_table(_table_of(photos))


def unpack_photos(packed: "pa.Table") -> list[Photo]:
    """Return the photos of a packed table, in order."""
    return photos_of(manifest_table(packed))


def read_table(path: Path) -> tuple["pa.Table", ManifestInfo]:
    """Return the manifest's rows as an Arrow table in schema order, and what it says about itself.

    The table has every column of `COLUMNS`; those that a file of an earlier schema lacks hold nulls.
    Raises InvalidDatasetError naming the column, and what is wrong with it, where the file breaks the schema.
    """
    table, info, intact = inspect_table(path)
    if not intact:
        raise InvalidDatasetError(f"{safe_path(path)} was damaged or changed after it was written: {REBUILD}.")
    return table, info


def inspect_table(path: Path) -> tuple["pa.Table", ManifestInfo, bool]:
    """Return what `read_table` returns of a file that may be damaged, and whether its bytes are as they were written.

    A file of an earlier version has no digest of its bytes and counts as intact. Raises InvalidDatasetError.
    """
    where = safe_path(path)
    try:
        stored = load_table(path)
    except DamagedTableError as error:
        raise InvalidDatasetError(f"{where} {error}: {REBUILD}.") from error
    info = _read_info(stored.table, where)
    return checked_table(stored.table, where, info.schema_version), info, stored.intact is not False


def photos_of(table: "pa.Table") -> list[Photo]:
    """Return the rows of a checked table as photos."""
    import shapely

    points = shapely.from_wkb(table.column("geometry").to_pylist())
    lons, lats = shapely.get_x(points).tolist(), shapely.get_y(points).tolist()
    columns = {column.name: _shared(table.column(column.name)) for column in COLUMNS if column.name != "geometry"}
    for name in ("flags", "traits"):
        columns[name] = [tuple(values or ()) for values in columns[name]]
    columns |= {"lon": lons, "lat": lats}
    names = list(columns)
    return [Photo(**dict(zip(names, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def rows_digest(table: "pa.Table", schema_version: int = SCHEMA_VERSION) -> str:
    """Return a SHA-256 over every value of every column of a schema version, independent of the file's encoding."""
    return _digest_of(pieces_of(table), columns_of(schema_version))


def _digest_of(pieces: "Iterable[pa.Table]", columns: Sequence[Column]) -> str:
    """Return the digest of rows in pieces: of each column, its values as one JSON array."""
    digests = [hashlib.sha256(b"[") for _ in columns]
    started = False
    for piece in pieces:
        if not len(piece):
            continue
        for digest, column in zip(digests, columns, strict=True):
            text = canonical_json(_plain(piece.column(column.name), column))
            digest.update((b"," if started else b"") + text[1:-1])
        started = True
    for digest in digests:
        digest.update(b"]")
    named = [[column.name, digest.hexdigest()] for column, digest in zip(columns, digests, strict=True)]
    return sha256_bytes(canonical_json(named))


def _plain(values: "pa.ChunkedArray", column: Column) -> list[Any]:
    import pyarrow as pa

    if column.kind == "timestamp":
        values = values.cast(pa.int64())
    plain: list[Any] = values.to_pylist()
    return [base64.b64encode(value).decode() for value in plain] if column.kind == "binary" else plain


def is_info_intact(table: "pa.Table") -> bool:
    """Return whether what a manifest says about itself is as it was written, as far as it has a digest of that."""
    metadata = table.schema.metadata or {}
    plain = json.loads(metadata[_METADATA_KEY])
    return plain.get("info_sha256", "") in ("", _info_digest(plain, metadata.get(_GEO_KEY, b"")))


def _info_digest(plain: Mapping[str, Any], geo: bytes) -> str:
    """Return a SHA-256 over the metadata as it is stored, whatever fields it has, less its own two digests."""
    others = {name: value for name, value in plain.items() if name not in ("rows_sha256", "info_sha256")}
    return sha256_bytes(canonical_json([others, sha256_bytes(geo)]))


def _table_of(photos: Sequence[Photo]) -> "pa.Table":
    import pyarrow as pa

    schema = arrow_schema()
    # column by column: the lists of all of them at once would take as much memory as the table
    arrays = [pa.array(_values(photos, column), schema.field(column.name).type) for column in COLUMNS]
    return pa.Table.from_arrays(arrays, schema=schema)


def _values(photos: Sequence[Photo], column: Column) -> Any:
    import shapely

    if column.name == "geometry":
        return shapely.to_wkb(shapely.points([photo.lon for photo in photos], [photo.lat for photo in photos]))
    values = [getattr(photo, column.name) for photo in photos]
    # nothing found reads as it does in rows of before there was such a column
    return [value or None for value in values] if column.kind == "strings" and column.nullable else values


def _shared(column: "pa.ChunkedArray") -> list[Any]:
    """Return the values of a column, equal texts as one object: most columns hold few different ones."""
    import pyarrow as pa

    values: list[Any] = column.to_pylist()
    if column.type != pa.string():
        return values
    known: dict[str, str] = {}
    return [value if value is None else known.setdefault(value, value) for value in values]


def geo_metadata(lons: ArrayLike, lats: ArrayLike) -> bytes:
    """Return what a GeoParquet file of points at these degrees carries under ``geo``; its column is ``geometry``."""
    column: dict[str, Any] = {"encoding": "WKB", "geometry_types": ["Point"], "crs": _crs()}
    if np.size(lons):
        column["bbox"] = [float(end) for end in (np.min(lons), np.min(lats), np.max(lons), np.max(lats))]
    return canonical_json({"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}})


@cache
def _crs() -> dict[str, Any]:
    from pyproj import CRS

    return CRS.from_epsg(4326).to_json_dict()


def _read_info(table: "pa.Table", where: str) -> ManifestInfo:
    stored = (table.schema.metadata or {}).get(_METADATA_KEY)
    if stored is None:
        raise InvalidDatasetError(f"{where} is a Parquet file, but not a manifest that img2gps wrote: {REBUILD}.")
    try:
        given = json.loads(stored)
        version, tool = int(given.get("schema_version", 1)), str(given.get("tool_version"))
        if version > SCHEMA_VERSION:  # before anything else: a later schema may have other fields
            raise InvalidDatasetError(
                f"{where} was written by img2gps {safe_text(tool)}, manifest schema {version}; "
                f"this is img2gps {__version__} with schema {SCHEMA_VERSION}: upgrade img2gps."
            )
        return ManifestInfo(**(given | {"schema_version": version}))
    except (AttributeError, RecursionError, TypeError, ValueError) as error:
        raise InvalidDatasetError(f"{where} has damaged img2gps metadata: {REBUILD}.") from error
