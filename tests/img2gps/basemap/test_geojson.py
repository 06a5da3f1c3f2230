"""A basemap as GeoJSON, which an exported model carries."""

import json

import pytest
import shapely

from img2gps.basemap.features import Basemap, MapFeature
from img2gps.basemap.geojson import basemap_from_geojson, basemap_to_geojson
from img2gps.errors import InvalidDatasetError

_HALL = shapely.Polygon(
    [(-75.191, 39.951), (-75.19, 39.951), (-75.19, 39.952), (-75.191, 39.952)],
    [[(-75.1907, 39.9513), (-75.1903, 39.9513), (-75.1903, 39.9517)]],
)
_MAP = Basemap(
    features=(
        MapFeature(kind="building", geometry=_HALL, name="Birch Hall", height_m=12.5),
        MapFeature(kind="path", geometry=shapely.LineString([(-75.1921234567, 39.95), (-75.19, 39.95)])),
        MapFeature(kind="tree", geometry=shapely.Point(-75.1905, 39.9525)),
    ),
    source="a survey",
    date="2026-11-29",
    attribution="(c) the surveyors",
    licence="ODbL-1.0",
    margin_m=80.0,
)


def test_a_map_survives_geojson_to_a_centimetre() -> None:
    read = basemap_from_geojson(basemap_to_geojson(_MAP), where="map")
    for was, now in zip(_MAP.features, read.features, strict=True):
        assert (now.kind, now.name, now.height_m) == (was.kind, was.name, was.height_m)
        assert shapely.equals_exact(now.geometry, was.geometry, tolerance=1e-7)
    assert (read.credit, read.licence, read.margin_m, read.date) == (
        _MAP.credit,
        _MAP.licence,
        _MAP.margin_m,
        _MAP.date,
    )


def test_a_file_that_is_no_map_is_refused_by_its_name() -> None:
    good = json.loads(basemap_to_geojson(_MAP))
    unknown = {**good, "features": [{**good["features"][0], "properties": {"class": "moat"}}]}
    broken = {**good, "features": [{**good["features"][0], "geometry": {"type": "Polygon"}}]}
    for text in ("", "[]", "{}", json.dumps(unknown), json.dumps(broken), json.dumps({**good, "features": 3})):
        with pytest.raises(InvalidDatasetError, match=r"^OUT/basemap\.geojson is no map"):
            basemap_from_geojson(text, where="OUT/basemap.geojson")
