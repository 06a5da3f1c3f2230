"""GeoJSON of buildings and paths."""

import json
from pathlib import Path

import pytest

from collect.layers import read_layer
from img2gps.errors import NotFoundError, UsageError

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
