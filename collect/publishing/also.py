"""The same photos in other formats, for programs that read no Parquet: GeoPackage, CSV, STAC."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from collect.publishing.columns import PUBLISHED_COLUMNS
from img2gps.errors import UsageError
from img2gps.files import csv_bytes, write_atomic
from img2gps.text import join_words, safe_text

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["ALSO", "check_also", "write_also"]

_NOT_PLAIN: Final = ("image", "geometry")


def check_also(names: Sequence[str]) -> tuple[str, ...]:
    """Return the formats in a fixed order, each once. Raises UsageError for one that is not among `ALSO`."""
    unknown = [name for name in names if name not in ALSO]
    if unknown:
        raise UsageError(f"--also takes {join_words(list(ALSO), 'or')}, not {safe_text(unknown[0])}.")
    if "stac" in names:
        try:
            import stac_geoparquet  # noqa: F401
        except ImportError as error:
            raise UsageError("--also stac needs stac-geoparquet: pip install 'img2gps[stac]'.") from error
    return tuple(name for name in ALSO if name in names)


def write_also(folder: Path, names: Sequence[str]) -> None:
    """Write the formats of `names` (see `ALSO`) beside the Parquet files of a published folder."""
    if names:
        frame = _frame(folder)
        for name in names:
            ALSO[name][1](folder / ALSO[name][0], frame)


def _frame(folder: Path) -> "gpd.GeoDataFrame":
    """Return the rows of all files without their pictures, with the file that each picture is in."""
    import geopandas as gpd
    import pandas as pd

    columns = [column.name for column in PUBLISHED_COLUMNS if column.name != "image"]
    frames = []
    for path in sorted((folder / "data").glob("*.parquet")):
        frame = gpd.read_parquet(path, columns=columns)
        frame["file"] = path.relative_to(folder).as_posix()
        for name in ("flags", "traits"):
            frame[name] = [";".join(value) if value is not None else "" for value in frame[name]]
        frames.append(frame)
    return gpd.GeoDataFrame(pd.concat(frames, ignore_index=True), crs=frames[0].crs)


def _write_gpkg(path: Path, frame: "gpd.GeoDataFrame") -> None:
    frame.to_file(path, layer="photos", driver="GPKG", engine="pyogrio")


def _write_csv(path: Path, frame: "gpd.GeoDataFrame") -> None:
    names = [name for name in frame.columns if name not in _NOT_PLAIN]
    rows = [
        {name: "" if value is None or value != value else value for name, value in zip(names, row, strict=True)}
        for row in frame[names].astype(object).itertuples(index=False, name=None)
    ]
    write_atomic(path, csv_bytes(names, rows))


def _write_stac(path: Path, frame: "gpd.GeoDataFrame") -> None:
    """Write STAC items as GeoParquet; a photo without a time has the range that no time is known of."""
    from stac_geoparquet.arrow import parse_stac_items_to_arrow, to_parquet

    items = [_item(row) for row in frame.to_dict("records")]
    to_parquet(parse_stac_items_to_arrow(items), path)


def _item(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return one photo as a STAC item 1.1.0 (https://github.com/radiantearth/stac-spec)."""
    lon, lat = float(row["lon"]), float(row["lat"])
    moment = row["captured_at"]
    known = moment is not None and moment == moment
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ") if known else None
    span = {} if known else {"start_datetime": "1970-01-01T00:00:00Z", "end_datetime": "2100-01-01T00:00:00Z"}
    properties = {"datetime": text, **span, "walk": row["walk"], "device": row["device"], "split": row["split"] or ""}
    return {
        "type": "Feature",
        "stac_version": "1.1.0",
        "stac_extensions": [],
        "id": row["id"],
        "geometry": {"type": "Point", "coordinates": [lon, lat]},
        "bbox": [lon, lat, lon, lat],
        "properties": properties,
        "links": [],
        "assets": {"image": {"href": f"./{row['file']}", "type": "application/vnd.apache.parquet", "roles": ["data"]}},
    }


ALSO: Final[dict[str, tuple[str, Callable[[Path, Any], None]]]] = {
    "gpkg": ("photos.gpkg", _write_gpkg),
    "csv": ("photos.csv", _write_csv),
    "stac": ("stac-items.parquet", _write_stac),
}
"""The formats: the name of the file that each is, and what writes it."""
