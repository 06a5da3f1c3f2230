"""Points, lines and polygons of any file: what system they are in, and what is refused."""

import json
import math
import tempfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import geopandas
import pandas as pd
import pyogrio
import pytest
import shapely

from img2gps.errors import UsageError
from img2gps.site import load_site, site_from_geojson
from img2gps.vector import features_of_bytes, features_of_geojson

PHILADELPHIA = (-75.1914, 39.9511)
MERCATOR = (-8370268.36, 4858838.81)  # the same in EPSG:3857, by pyproj
LONDON = (-0.12462, 51.50075)
GRID = (530268.3, 179640.4)  # Big Ben on the Ordnance Survey's grid, EPSG:27700


def point(spot: tuple[float, float], crs: Any = None, *, on: str = "collection") -> str:
    feature: dict[str, Any] = {"type": "Feature", "properties": {}, "geometry": {"type": "Point", "coordinates": spot}}
    document: dict[str, Any] = {"type": "FeatureCollection", "features": [feature]}
    if crs is not None:
        {"collection": document, "feature": feature, "geometry": feature["geometry"]}[on]["crs"] = crs
    return json.dumps(document)


def named(name: str) -> dict[str, Any]:
    return {"type": "name", "properties": {"name": name}}


def spot_of(text: str) -> tuple[float, float]:
    geometry = features_of_geojson(text, where="file")[0].geometry
    assert geometry is not None
    return float(geometry.x), float(geometry.y)


@pytest.mark.parametrize(
    ("crs", "given", "expected", "tolerance"),
    [
        (None, PHILADELPHIA, PHILADELPHIA, 0.0),
        (named("urn:ogc:def:crs:OGC:1.3:CRS84"), PHILADELPHIA, PHILADELPHIA, 0.0),
        (named("EPSG:4326"), PHILADELPHIA, PHILADELPHIA, 0.0),
        (named("urn:ogc:def:crs:EPSG::3857"), MERCATOR, PHILADELPHIA, 2e-4),
        ("EPSG:3857", MERCATOR, PHILADELPHIA, 2e-4),
        ({"type": "EPSG", "properties": {"code": 27700}}, GRID, LONDON, 1e-4),
        (named("urn:ogc:def:crs:EPSG::27700"), GRID, LONDON, 1e-4),
    ],
)
@pytest.mark.parametrize("on", ["collection", "feature", "geometry"])
def test_a_declared_system_is_turned_into_degrees(
    crs: Any, given: tuple[float, float], expected: tuple[float, float], tolerance: float, on: str
) -> None:
    assert spot_of(point(given, crs, on=on)) == pytest.approx(expected, abs=tolerance)


def test_another_datum_moves_a_position() -> None:
    lon, lat = spot_of(point(PHILADELPHIA, named("EPSG:4267")))  # NAD27: some 35 m there
    assert 2e-4 < abs(lon - PHILADELPHIA[0]) + abs(lat - PHILADELPHIA[1]) < 1e-3


@pytest.mark.parametrize(
    ("crs", "given", "complaint"),
    [
        (named("urn:ogc:def:crs:EPSG::4301"), PHILADELPHIA, "outside the area"),  # Tokyo's datum, in Philadelphia
        (named("EPSG:27700"), MERCATOR, "outside the area"),
        (named("EPSG:3857"), PHILADELPHIA, "look like degrees"),
        (named("EPSG:999999"), PHILADELPHIA, "no known system"),
        (named("our campus grid"), PHILADELPHIA, "no known system"),
        ({"type": "link", "properties": {"href": "http://example.org"}}, PHILADELPHIA, "name no system"),
        (named("EPSG:5773"), PHILADELPHIA, "no degrees or metres"),
        (named("EPSG:4978"), PHILADELPHIA, "no degrees or metres"),
    ],
)
def test_a_system_that_cannot_be_used_is_refused(crs: Any, given: tuple[float, float], complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        features_of_geojson(point(given, crs), where="file")


RING = "8,50,0 8.001,50,0 8.001,50.001,0 8,50.001,0 8,50,0"
HOLE = "8.0004,50.0004 8.0006,50.0004 8.0006,50.0006 8.0004,50.0006 8.0004,50.0004"
OUTER = f"<outerBoundaryIs><LinearRing><coordinates>{RING}</coordinates></LinearRing></outerBoundaryIs>"
INNER = f"<innerBoundaryIs><LinearRing><coordinates>{HOLE}</coordinates></LinearRing></innerBoundaryIs>"
POLYGON = f"<Polygon>{OUTER}{INNER}</Polygon>"
FAR = f"<Polygon>{OUTER.replace('8.001', '8.011').replace('8,', '8.01,')}</Polygon>"
ZONE = '<ExtendedData><Data name="time_zone"><value>Europe/Berlin</value></Data></ExtendedData>'


def kml(inner: str) -> str:
    space = 'xmlns="http://www.opengis.net/kml/2.2"'
    return f'<?xml version="1.0" encoding="UTF-8"?><kml {space}><Document>{inner}</Document></kml>'


@pytest.mark.parametrize("kind", ["kml", "kml with a mark", "kml in utf-16", "kmz"])
def test_a_site_may_be_kml(tmp_path: Path, kind: str) -> None:
    text = kml(f"<Placemark><name>quad</name>{ZONE}<MultiGeometry>{POLYGON}{FAR}</MultiGeometry></Placemark>")
    path = tmp_path / "site.bin"
    if kind == "kmz":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("doc.kml", text)
    else:
        encoding = {"kml": "utf-8", "kml with a mark": "utf-8-sig"}.get(kind, "utf-16")
        path.write_text(text, encoding=encoding)
    site = load_site(path)
    assert (site.name, site.time_zone) == ("quad", "Europe/Berlin")
    assert site.covers([8.0001, 8.0005, 8.0105, 8.005], [50.0001, 50.0005, 50.0005, 50.0005]).tolist() == [
        *(True, False, True, False)
    ]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (kml("<Placemark><Point><coordinates>8,50</coordinates></Point></Placemark>").encode(), "no GeoJSON polygon"),
        (kml(POLYGON.replace("8,50,0", "eight,50")).encode(), "no GeoJSON polygon"),
        (kml(f"<Placemark>{POLYGON.replace('8,50,0', 'eight,50')}</Placemark>").encode(), "malformed coordinates"),
        (b"<html><body/></html>", "html XML, not KML"),
        (b"<!DOCTYPE kml [<!ENTITY a 'a'>]><kml/>", "document type"),
        (b"<kml>", "not KML that can be read"),
        (b"PK\x03\x04 no archive", "damaged ZIP archive"),
        (b"SQLite format 3\0" + bytes(90), "no GeoPackage that can be read"),
    ],
)
def test_what_is_no_site_is_refused_by_its_name(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "site.kml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=complaint):
        load_site(path)


SQUARE = [[8.0, 50.0], [8.01, 50.0], [8.01, 50.01], [8.0, 50.01], [8.0, 50.0]]


def zoned(*properties: dict[str, Any], ring: Any = None) -> str:
    geometry = {"type": "Polygon", "coordinates": [ring or SQUARE]}
    features = [{"type": "Feature", "properties": given, "geometry": geometry} for given in properties]
    return json.dumps({"type": "FeatureCollection", "features": features})


@pytest.mark.parametrize("key", ["time_zone", "timezone", "TimeZone", "tz", "TZID", "time zone"])
def test_the_time_zone_is_found_in_any_feature_and_spelling(key: str) -> None:
    site = site_from_geojson(zoned({"name": "a"}, {key: "europe/berlin"}), where="site")
    assert (site.name, site.time_zone) == ("a", "Europe/Berlin")


def test_two_time_zones_are_refused() -> None:
    with pytest.raises(UsageError, match="several time zones"):
        site_from_geojson(zoned({"tz": "Europe/Berlin"}, {"time_zone": "Asia/Tokyo"}), where="site")
    assert (
        site_from_geojson(zoned({"tz": "Asia/Tokyo"}, {"time_zone": "Asia/Tokyo"}), where="s").time_zone == "Asia/Tokyo"
    )


def test_a_site_with_swapped_axes_is_told_so() -> None:
    tokyo = [[35.0, 139.0], [35.01, 139.0], [35.01, 139.01], [35.0, 139.01], [35.0, 139.0]]
    with pytest.raises(UsageError, match="axes swapped"):
        site_from_geojson(zoned({}, ring=tokyo), where="site")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not UTF-8"):
        features_of_bytes(b"\x80\x81", tmp_path / "x.geojson")
    assert len(features_of_bytes(point(PHILADELPHIA).encode("utf-16"), tmp_path / "x.geojson")) == 1


def geopackage(path: Path, layer: str, geometries: list[Any], crs: str | None, **columns: list[Any]) -> Path:
    frame = geopandas.GeoDataFrame(columns, geometry=geometries, crs=crs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that no system is declared
        frame.to_file(path, layer=layer, driver="GPKG")
    return path


def test_every_layer_of_a_geopackage_is_turned_into_degrees(tmp_path: Path) -> None:
    path = tmp_path / "layers.bin.gpkg"
    geopackage(path, "grid", [shapely.Point(GRID), None], "EPSG:27700", name=["Big Ben", None], size=[1.0, math.nan])
    geopackage(path, "degrees", [shapely.LineString([PHILADELPHIA, (-75.19, 39.95)])], "EPSG:4326", kind=["path"])
    geopackage(path, "web", [shapely.Point(*MERCATOR, 7.0)], "EPSG:3857", at=[pd.Timestamp("2024-05-06T07:08:09Z")])
    pyogrio.write_dataframe(pd.DataFrame({"a": [1]}), path, layer="table", driver="GPKG")
    found = features_of_bytes(path.read_bytes(), tmp_path / "any.name")
    assert [dict(feature.properties) for feature in found] == [
        {"name": "Big Ben", "size": 1.0},
        {"name": None, "size": None},
        {"kind": "path"},
        {"at": "2024-05-06T07:08:09+00:00"},
    ]
    ben, nowhere, line, point_ = (feature.geometry for feature in found)
    assert nowhere is None
    assert ben.coords[0] == pytest.approx(LONDON, abs=1e-4)  # type: ignore[union-attr]
    assert line.coords[0] == PHILADELPHIA  # type: ignore[union-attr]
    assert point_.coords[0] == pytest.approx(PHILADELPHIA, abs=2e-4)  # type: ignore[union-attr]


def test_a_geopackage_is_refused_in_a_sentence(tmp_path: Path) -> None:
    unknown = geopackage(tmp_path / "unknown.gpkg", "l", [shapely.Point(1, 2)], None)
    with pytest.raises(UsageError, match="does not say in which system the layer l is"):
        features_of_bytes(unknown.read_bytes(), unknown)
    whole = geopackage(tmp_path / "whole.gpkg", "l", [shapely.Point(1, 2)], "EPSG:4326").read_bytes()
    for length in (16, 5000, len(whole) // 2):
        with pytest.raises(UsageError, match="no GeoPackage that can be read") as refused:
            features_of_bytes(whole[:length], tmp_path / "cut.gpkg")
        assert str(tempfile.gettempdir()) not in str(refused.value).replace(str(tmp_path), "")


def test_a_site_may_be_a_geopackage(tmp_path: Path) -> None:
    path = geopackage(
        tmp_path / "quad.gpkg", "quad", [shapely.Polygon(SQUARE)], "EPSG:4326", time_zone=["Europe/Berlin"]
    )
    site = load_site(path)
    assert site.time_zone == "Europe/Berlin"
    assert site.covers([8.005, 8.02], [50.005, 50.005]).tolist() == [True, False]
