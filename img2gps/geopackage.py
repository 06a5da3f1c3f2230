"""GeoPackages, the files in which QGIS keeps its layers."""

import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from img2gps.errors import UsageError
from img2gps.text import safe_text

if TYPE_CHECKING:
    from geopandas import GeoDataFrame

__all__ = ["MAGIC", "geopackage_features"]

MAGIC: Final = b"SQLite format 3\0"


def geopackage_features(content: bytes, *, where: str) -> list[tuple[dict[str, Any], Any, str]]:
    """Return the properties, the geometry (shapely, or None) and the coordinate system of each feature of all layers.

    Raises UsageError where the bytes are no GeoPackage, or a layer with places does not say which system they are in.
    """
    with tempfile.TemporaryDirectory() as folder:  # GDAL knows the format by the suffix
        path = Path(folder) / "layers.gpkg"
        path.write_bytes(content)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # what GDAL finds unusual and reads all the same
                return [feature for name, layer in _layers(path) for feature in _features(layer, name, where)]
        except RuntimeError as error:  # what GDAL raises derives from it
            detail = safe_text(str(error).replace(str(path), "the file"), limit=120)
            raise UsageError(f"{where} is no GeoPackage that can be read ({detail}); export it as GeoJSON.") from error


def _layers(path: Path) -> Iterator[tuple[str, "GeoDataFrame"]]:
    import pyogrio

    for name, kind in pyogrio.list_layers(path):
        if kind is not None:  # else a table without places
            yield str(name), pyogrio.read_dataframe(path, layer=name)


def _features(layer: "GeoDataFrame", name: str, where: str) -> Iterator[tuple[dict[str, Any], Any, str]]:
    if layer.crs is None:
        raise UsageError(
            f"{where} does not say in which system the layer {safe_text(name, limit=60)} is; "
            "set it in QGIS and export it in EPSG:4326 (WGS 84)."
        )
    crs = str(layer.crs.to_string())
    table = layer.drop(columns=layer.geometry.name)
    for geometry, row in zip(layer.geometry, table.to_dict("records"), strict=True):
        yield {str(key): _plain(value) for key, value in row.items()}, geometry, crs


def _plain(value: Any) -> Any:
    """Return a value as GeoJSON would hold it: None for an empty cell, text for a time."""
    import pandas as pd

    if value is None or value is pd.NaT or value is pd.NA or value != value:
        return None
    return value.isoformat() if hasattr(value, "isoformat") else value
