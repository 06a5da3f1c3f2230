"""GeoJSON of buildings and paths."""

import json
from pathlib import Path

import pytest

from collect.layers import read_layer
from img2gps.errors import NotFoundError, UsageError
from img2gps.site import Site, site_from_geojson

RING = [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 0.0]]


def test_layers_are_read_from_any_geojson(tmp_path: Path) -> None:
    house, path = {"type": "Polygon", "coordinates": [RING]}, {"type": "LineString", "coordinates": RING[:2]}
    inner = {"type": "GeometryCollection", "geometries": [house, path]}
    features = [{"type": "Feature", "properties": {}, "geometry": inner}, {"type": "Feature", "geometry": None}]
    file = tmp_path / "layer.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8-sig")
    assert [shape.area for shape in read_layer(file, kinds=("Polygon",))] == [0.5]
    assert [shape.length for shape in read_layer(file, kinds=("LineString",))] == [1.0]
    assert len(read_layer(file, kinds=("LineString", "Polygon"))) == 2
    assert read_layer(None, kinds=("Polygon",)) == []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("no json", "not GeoJSON"),
        ('{"type": "Point", "coordinates": [1, 2]}', "holds no Polygon"),
        ('{"type": "Polygon", "coordinates": [[[5e5, 1], [5e5, 2], [6e5, 2], [5e5, 1]]]}', "not in degrees"),
        ('{"type": "FeatureCollection"}', "not GeoJSON"),
        ('{"type": "Polygon", "coordinates": [["x"]]}', "not GeoJSON"),
        ('{"features":' * 100_000, "not GeoJSON"),
    ],
)
def test_a_layer_that_is_none_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "layer.geojson"
    path.write_text(content)
    with pytest.raises(UsageError, match=complaint):
        read_layer(path, kinds=("Polygon",))
    with pytest.raises(NotFoundError):
        read_layer(tmp_path / "absent.geojson", kinds=("Polygon",))


def site_around(lon: float, lat: float) -> Site:
    ring = [[lon - 0.01, lat - 0.01], [lon + 0.01, lat - 0.01], [lon + 0.01, lat + 0.01], [lon - 0.01, lat - 0.01]]
    return site_from_geojson(json.dumps({"type": "Polygon", "coordinates": [ring]}), where="site")


def house(*ring: list[float], crs: str = "") -> str:
    document = {"type": "FeatureCollection", "features": [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}}
    ]}  # fmt: skip
    return json.dumps(document | ({"crs": {"type": "name", "properties": {"name": crs}}} if crs else {}))


def test_a_layer_in_metres_lies_where_its_degrees_do(tmp_path: Path) -> None:
    path = tmp_path / "layer.geojson"
    path.write_text(house([890555.9, 6446275.8], [890667.2, 6446275.8], [890667.2, 6446449.0], crs="EPSG:3857"))
    (shape,) = read_layer(path, kinds=("Polygon",), site=site_around(8.0005, 50.0005))
    assert shape.bounds == pytest.approx((8.0, 50.0, 8.001, 50.001), abs=1e-5)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (house([50.0, 8.0], [50.001, 8.0], [50.001, 8.001]), "axes swapped"),
        (house([9.0, 50.0], [9.001, 50.0], [9.001, 50.001]), "lies near the site, the nearest some 71 km"),
        (house([35.0, 139.0], [35.001, 139.0], [35.001, 139.001]), "axes swapped"),
        (house([8.0, 50.0], [8.001, 50.0], [8.001, 50.001], crs="EPSG:4301"), "outside the area"),
    ],
)
def test_a_layer_of_another_place_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "layer.geojson"
    path.write_text(content)
    with pytest.raises(UsageError, match=complaint):
        read_layer(path, kinds=("Polygon",), site=site_around(8.0005, 50.0005))
