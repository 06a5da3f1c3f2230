"""Sites: which polygons are taken, and which positions belong to them."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2gps.errors import NotFoundError, UsageError
from img2gps.site import Site, load_site, packaged_sites, site_from_geojson

SQUARE = [[0.0, 0.0], [0.01, 0.0], [0.01, 0.01], [0.0, 0.01], [0.0, 0.0]]


def geojson(ring: list[list[float]], **properties: str) -> str:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    return json.dumps({"type": "Feature", "properties": properties, "geometry": geometry})


def square(**properties: str) -> Site:
    return site_from_geojson(geojson(SQUARE, **properties), where="square")


@pytest.mark.parametrize(
    ("building", "lat", "lon", "relation"),
    [
        ("Towne", 39.95170, -75.19085, "inside"),
        ("Levine", 39.95225, -75.19110, "inside"),
        ("Moore", 39.95235, -75.19040, "inside"),
        ("Meyerson", 39.95220, -75.19260, "outside"),
        ("Irvine", 39.95085, -75.19290, "outside"),
        ("Franklin Field", 39.95010, -75.19010, "outside"),
    ],
)
def test_buildings_of_the_penn_block(building: str, lat: float, lon: float, relation: str) -> None:
    assert load_site("penn-engineering-quad").relation(lon, lat)[0] == relation


def test_the_bounding_box_is_not_the_site() -> None:
    site = load_site("penn-engineering-quad")
    west, south, east, north = site.polygon.bounds
    corner = (east - 1e-5, south + 1e-5)  # the south-east, cut diagonally by 33rd Street
    assert west < corner[0] < east
    assert south < corner[1] < north
    assert site.relation(*corner)[0] == "outside"


def test_edge_depends_on_the_accuracy() -> None:
    site = square()
    lon_15_m_out = 0.01 + 15 / 111_319.49
    assert site.relation(lon_15_m_out, 0.005, None)[0] == "outside"  # 10 m where none is reported
    assert site.relation(lon_15_m_out, 0.005, 14.0)[0] == "outside"
    assert site.relation(lon_15_m_out, 0.005, 16.0)[0] == "edge"
    lon_31_m_out = 0.01 + 31 / 111_319.49
    assert site.relation(lon_31_m_out, 0.005, 500.0)[0] == "outside"  # 30 m at most
    assert site.relation(lon_31_m_out, 0.005, 500.0)[1] == pytest.approx(31, abs=0.01)


@given(st.floats(0, 0.01), st.floats(0, 0.01))
def test_covered_positions_are_inside(lon: float, lat: float) -> None:
    assert square().relation(lon, lat) == ("inside", 0.0)


def test_the_whole_world_is_a_site() -> None:
    world = site_from_geojson(geojson([[-180, -90], [180, -90], [180, 90], [-180, 90], [-180, -90]]), where="world")
    assert world.relation(-75.19, 39.95)[0] == "inside"
    assert world.relation(179.99, -89.0)[0] == "inside"


def test_a_site_across_the_date_line() -> None:
    ring = [[179.99, -17.0], [180.01, -17.0], [180.01, -16.99], [179.99, -16.99], [179.99, -17.0]]
    fiji = site_from_geojson(geojson(ring), where="fiji")
    assert fiji.relation(-179.995, -16.995)[0] == "inside"
    assert fiji.relation(179.995, -16.995)[0] == "inside"
    assert fiji.relation(0.0, -16.995)[0] == "outside"
    just_off = (180.01 + 4e-5, -179.99 + 4e-5)
    for lon in just_off:  # 4 m off the eastern edge, by either name
        assert fiji.relation(lon, -16.995) == ("edge", pytest.approx(4.26, abs=0.05))


def test_halves_on_both_sides_of_the_date_line_are_one_site() -> None:
    west = [[179.99, -17.0], [180, -17.0], [180, -16.99], [179.99, -16.99], [179.99, -17.0]]
    east = [[-180, -17.0], [-179.99, -17.0], [-179.99, -16.99], [-180, -16.99], [-180, -17.0]]
    halves = {"type": "MultiPolygon", "coordinates": [[west], [east]]}
    fiji = site_from_geojson(json.dumps(halves), where="fiji")
    assert fiji.polygon.geom_type == "Polygon"
    assert fiji.polygon.bounds == (179.99, -17.0, 180.01, -16.99)
    assert fiji.frame.origin_lon == pytest.approx(180.0)
    assert fiji.covers([179.995, -179.995, 0.0, np.nan], [-16.995] * 4).tolist() == [True, True, False, False]
    east_m, _ = fiji.frame.to_local([179.995, -179.995], [-16.995] * 2)
    assert east_m[1] - east_m[0] == pytest.approx(1064, abs=2)
    again = site_from_geojson(json.dumps(fiji.to_geojson()), where="fiji")
    assert again.sha256 == fiji.sha256


def test_parts_of_a_site_are_brought_together_only_where_they_are_near() -> None:
    for lons, bounds in (((-120, -75, 9), (-120, 10)), ((-74, 139), (-74, 140)), ((0, 359), (-1, 1))):
        parts = [[[[x, 0], [x + 1, 0], [x + 1, 1], [x, 1], [x, 0]]] for x in lons]
        site = site_from_geojson(json.dumps({"type": "MultiPolygon", "coordinates": parts}), where="parts")
        assert site.polygon.bounds == (bounds[0], 0, bounds[1], 1)
        assert site_from_geojson(json.dumps(site.to_geojson()), where="again").sha256 == site.sha256


def test_the_part_of_a_large_site_around_positions() -> None:
    brazil = site_from_geojson(geojson([[-74, -34], [-35, -34], [-35, 5], [-74, 5], [-74, -34]]), where="brazil")
    near = brazil.around([-73.9995, -73.999], [-10.0, -10.001], margin_m=100.0)
    west, south, east, north = near.polygon.bounds
    assert west == -74  # the outline, where that is nearer than the margin
    assert east == pytest.approx(-73.999 + 100 / 109_600, abs=2e-5)
    assert (north, south) == pytest.approx((-10.0 + 100 / 110_600, -10.001 - 100 / 110_600), abs=2e-5)
    nowhere = brazil.around([0.0], [50.0], margin_m=100.0)
    assert nowhere.covers([0.0], [50.0]).all()


def declared(crs: str) -> str:
    return json.dumps(json.loads(geojson(SQUARE)) | {"crs": {"type": "name", "properties": {"name": crs}}})


@pytest.mark.parametrize("crs", ["urn:ogc:def:crs:OGC:1.3:CRS84", "urn:ogc:def:crs:EPSG::4326", "EPSG:4326"])
def test_a_site_may_say_that_it_is_in_degrees(crs: str) -> None:
    assert site_from_geojson(declared(crs), where="site.geojson").covers(0.005, 0.005)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("not json", "is not GeoJSON"),
        ("[1, 2]", "holds no GeoJSON polygon"),
        ('{"type": "Point", "coordinates": [0, 0]}', "holds no GeoJSON polygon"),
        (geojson([[0, 0], [1, 1], [1, 0], [0, 1], [0, 0]]), "Self-intersection"),
        (geojson([[0, 0], [1, 1], [0, 0]]), "Too few points"),
        (geojson([[0, 0], [0, 0], [0, 0], [0, 0]]), "without an area|invalid polygon"),
        (geojson([[500_000, 4_400_000], [500_100, 4_400_000], [500_100, 4_400_100], [500_000, 4_400_000]]), "degrees"),
        (geojson(SQUARE, time_zone="Mars/Olympus"), "unknown time zone"),
        ('{"type": "Polygon", "coordinates": "no"}', "malformed coordinates"),
        ('{"features":' * 100_000, "is not GeoJSON"),
        (declared("urn:ogc:def:crs:EPSG::4301"), "EPSG::4301"),
        (declared("EPSG:3857"), "export it in EPSG:4326"),
    ],
)
def test_bad_sites_say_what_is_wrong(content: str, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        site_from_geojson(content, where="site.geojson")


def test_names_files_and_neither(tmp_path: Path) -> None:
    assert "penn-engineering-quad" in packaged_sites()
    path = tmp_path / "here.geojson"
    path.write_text(geojson(SQUARE))
    assert load_site(path).name == "here"
    with pytest.raises(NotFoundError, match="penn-engineering-quad"):
        load_site(tmp_path / "absent.geojson")
    (tmp_path / "binary.geojson").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_site(tmp_path / "binary.geojson")


def test_hash_ignores_names_and_ring_order_but_not_shape() -> None:
    turned = [*SQUARE[2:-1], *SQUARE[:3]]
    assert square(name="a").sha256 == site_from_geojson(geojson(turned, name="b"), where="turned").sha256
    assert square().sha256 != square(time_zone="Europe/Berlin").sha256
    grown = [[0.0, 0.0], [0.02, 0.0], [0.02, 0.01], [0.0, 0.01], [0.0, 0.0]]
    assert square().sha256 != site_from_geojson(geojson(grown), where="grown").sha256


def test_geojson_round_trip() -> None:
    site = square(name="quad", time_zone="America/New_York", title="The Quad")
    again = site_from_geojson(json.dumps(site.to_geojson()), where="again")
    assert (again.name, again.title, again.time_zone) == ("quad", "The Quad", "America/New_York")
    assert again.sha256 == site.sha256
    assert str(again.zone) == "America/New_York"


def test_local_polygon_is_in_metres() -> None:
    assert square().local_polygon.area == pytest.approx(1_113.2 * 1_105.7, rel=0.001)
