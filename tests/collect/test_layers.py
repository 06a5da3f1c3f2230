"""GeoJSON of buildings and paths."""

import json
from pathlib import Path

import geopandas
import pytest
import shapely

from collect.label.entries import read_entries
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
        (house([9.0, 50.0], [9.001, 50.0], [9.001, 50.001]), "lies near the site; the nearest is 71 km"),
        (house([35.0, 139.0], [35.001, 139.0], [35.001, 139.001]), "axes swapped"),
        (house([8.0, 50.0], [8.001, 50.0], [8.001, 50.001], crs="EPSG:4301"), "outside the area"),
    ],
)
def test_a_layer_of_another_place_is_refused(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "layer.geojson"
    path.write_text(content)
    with pytest.raises(UsageError, match=complaint):
        read_layer(path, kinds=("Polygon",), site=site_around(8.0005, 50.0005))


def test_layers_and_labels_of_a_geopackage_are_turned_into_degrees(tmp_path: Path) -> None:
    path = tmp_path / "site.gpkg"
    building, way = shapely.box(8.0001, 50.0, 8.0002, 50.0001), shapely.LineString([(8.0, 50.0), (8.0003, 50.0)])
    spot = shapely.Point(8.0002, 50.0)
    for layer, shapes, columns in (
        ("buildings", [building], {}),
        ("ways", [way], {}),
        ("labels", [spot], {"source_name": ["a.jpg"]}),
    ):
        frame = geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:4326").to_crs("EPSG:25832")
        frame.to_file(path, layer=layer, driver="GPKG")
    (found,) = read_layer(path, kinds=("Polygon",))
    assert found.bounds == pytest.approx(building.bounds, abs=1e-7)
    (found,) = read_layer(path, kinds=("LineString",))
    assert found.bounds == pytest.approx(way.bounds, abs=1e-7)
    entry = next(entry for entry in read_entries(path) if not entry.complaint)
    assert entry.names == ("a.jpg",)
    assert (entry.lon, entry.lat) == pytest.approx((spot.x, spot.y), abs=1e-7)
