"""Metres: geodesics and the local frame."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2gps.geo import LocalFrame, geocentric_m, geodesic_m, turned_deg

PENN = LocalFrame(origin_lon=-75.1914, origin_lat=39.9517)


def test_known_geodesic() -> None:
    # Vincenty's classic pair, Flinders Peak to Buninyong (GDA94, equal to WGS 84 here): 54,972.271 m
    flinders = (144 + 25 / 60 + 29.52440 / 3600, -(37 + 57 / 60 + 3.72030 / 3600))
    buninyong = (143 + 55 / 60 + 35.38390 / 3600, -(37 + 39 / 60 + 10.15610 / 3600))
    assert geodesic_m(*flinders, *buninyong) == pytest.approx(54_972.271, abs=0.001)


def test_broadcasting_keeps_shapes() -> None:
    assert geodesic_m(np.zeros((3, 2)), 0.0, 1.0, np.zeros(2)).shape == (3, 2)
    assert geodesic_m(0.0, 0.0, 0.0, 0.0).shape == ()


@given(st.floats(-400, 400), st.floats(-400, 400))
def test_frame_is_metric_and_reversible(east_m: float, north_m: float) -> None:
    lon, lat = PENN.to_lonlat(east_m, north_m)
    back_east_m, back_north_m = PENN.to_local(lon, lat)
    # PROJ's projection takes what lies within 1e-10 rad (0.6 mm) of its centre for the centre
    assert back_east_m == pytest.approx(east_m, abs=1e-3)
    assert back_north_m == pytest.approx(north_m, abs=1e-3)
    distance_m = geodesic_m(PENN.origin_lon, PENN.origin_lat, lon, lat)
    assert distance_m == pytest.approx(np.hypot(east_m, north_m), abs=1e-3)


def test_axes_are_not_swapped() -> None:
    east_m, north_m = PENN.to_local([-75.1904, -75.1914], [39.9517, 39.9527])
    assert east_m[0] > 80
    assert north_m[1] > 100
    assert abs(north_m[0]) < 0.1
    assert abs(east_m[1]) < 0.1


@given(st.floats(-180, 180), st.floats(-85, 85), st.floats(-1e-4, 1e-4), st.floats(-1e-4, 1e-4))
def test_straight_lines_are_geodesics_over_metres(lon: float, lat: float, step_lon: float, step_lat: float) -> None:
    points_m = geocentric_m([lon, lon + step_lon], [lat, lat + step_lat])
    straight_m = np.linalg.norm(points_m[1] - points_m[0])
    assert straight_m == pytest.approx(geodesic_m(lon, lat, lon + step_lon, lat + step_lat), abs=1e-5)


def test_directions_differ_by_the_shorter_turn() -> None:
    turned = turned_deg([350.0, 20.0, 90.0, np.nan], [[20.0], [270.0]])
    np.testing.assert_array_equal(turned, [[30.0, 0.0, 70.0, np.nan], [80.0, 110.0, 180.0, np.nan]])


def test_a_frame_takes_numbers_of_numpy() -> None:
    frame = LocalFrame(origin_lon=np.float64(-75.1914), origin_lat=np.float64(39.9517))
    assert frame.to_local(-75.19, 39.952) == PENN.to_local(-75.19, 39.952)
