"""Where a place is, in words."""

import pytest
from shapely.geometry import Point, box

from img2gps.basemap import Basemap, Surroundings, Whereabouts, describe_place
from img2gps.geo import geodesic_m
from tests.datasets import FRAME
from tests.maps import feature, small_map


def at(east_m: float, north_m: float, basemap: Basemap | None = None) -> Whereabouts:
    lon, lat = (float(value) for value in FRAME.to_lonlat(east_m, north_m))
    return describe_place(small_map() if basemap is None else basemap, lon, lat)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ((0, 22), "by the north door of Towne, 12 m"),
        ((-60, 25), "43 m west of Towne, on Locust Walk"),
        ((0, -40), "30 m south of Towne, on the path"),
        ((22, 0), "by the east wall of Towne"),
        ((30, 40), "32 m north of Towne, on Hill Lawn"),
        ((0, 2), "in Towne, 8 m from its edge"),
        ((60, 0), "40 m east of Towne, in Pond"),
        ((0, 500), ""),
    ],
)
def test_a_place_is_told_by_what_is_near(place: tuple[float, float], text: str) -> None:
    assert at(*place).text == text


def test_a_door_behind_the_building_is_not_told() -> None:
    assert at(0, -15).text == "5 m south of Towne"
    assert at(0, 15).door == "north"


def test_a_name_counts_before_a_shed_that_is_nearer() -> None:
    shed = feature("building", box(18, 20, 22, 24))
    assert at(25, 22, small_map(shed)).building == "Towne"
    far = feature("building", box(60, 60, 64, 64))
    assert at(66, 62, small_map(far)).text == "by the east wall of a building, on Hill Lawn"


@pytest.mark.parametrize("place", [(0.0, 9.0), (0.0, 0.0), (58.0, 1.0), (-19.0, -9.5)])
def test_the_nearest_ground_is_near_and_open(place: tuple[float, float]) -> None:
    found = at(*place).ground
    assert found is not None
    assert at_degrees(found.lon, found.lat).ground is None
    lon, lat = (float(value) for value in FRAME.to_lonlat(*place))
    moved_m = float(geodesic_m(lon, lat, found.lon, found.lat))
    assert moved_m == pytest.approx(found.distance_m, abs=0.02)
    assert moved_m < 11


def at_degrees(lon: float, lat: float) -> Whereabouts:
    return Surroundings(small_map()).at(lon, lat)


def test_courts_within_a_building_are_ground() -> None:
    court = box(-20, -60, 20, -20).difference(box(-5, -45, 5, -35))
    basemap = small_map(feature("building", court, "Court Hall"))
    assert at(0, -40, basemap).ground is None
    assert at(12, -40, basemap).on_roof
    ground = at(7, -40, basemap).ground
    assert ground is not None
    assert ground.distance_m == pytest.approx(2.5, abs=0.1)


def test_an_empty_map_says_nothing() -> None:
    empty = Basemap(features=(), source="nothing", date="2026-01-01")
    assert at(0, 0, empty) == Whereabouts(text="")
    tree = Basemap(features=(feature("tree", Point(0, 0)),), source="a tree", date="2026-01-01")
    assert at(0, 0, tree).text == ""
