"""Ways on foot: along paths, around what stands, and what is said where the map knows none."""

import numpy as np
import pytest
from shapely.geometry import LineString, box

from img2gps.basemap import Basemap, Ways
from img2gps.basemap.features import in_metres
from tests.datasets import FRAME
from tests.maps import feature, small_map


def test_a_way_goes_around_a_building() -> None:
    table = Ways(small_map(), FRAME).between(np.array([(0.0, 24.0), (0.0, -20.0)]))
    assert table.known.all()
    assert 60 < table.distances_m[0, 1] < 100  # 44 m through the hall
    way = LineString(table.line(0, 1))
    (hall,) = in_metres([small_map().of("building")[0].geometry], FRAME)
    assert way.intersection(hall.buffer(-0.5)).length == 0
    assert way.length == pytest.approx(table.distances_m[0, 1], abs=0.1)
    assert table.line(1, 0).tolist() == table.line(0, 1)[::-1].tolist()


def test_a_way_keeps_to_the_path() -> None:
    path = feature("path", LineString([(0, 0), (0, 20), (90, 20), (90, 0)]))
    wall = feature("wall", LineString([(45, -50), (45, 15)]))
    basemap = Basemap(features=(path, wall), source="s", date="2026-01-01")
    table = Ways(basemap, FRAME).between(np.array([(0.0, -5.0), (90.0, -5.0)]))
    assert table.distances_m[0, 1] == pytest.approx(140, abs=2)


def test_open_ground_is_crossed_straight() -> None:
    basemap = Basemap(features=(feature("green", box(-99, -99, 99, 99)),), source="s", date="2026-01-01")
    table = Ways(basemap, FRAME).between(np.array([(0.0, 0.0), (30.0, 40.0)]))
    assert table.distances_m.round(6).tolist() == [[0, 50], [50, 0]]
    assert table.known.all()


def test_where_the_map_knows_no_way_the_straight_one_is_made_longer() -> None:
    table = Ways(small_map(), FRAME).between(np.array([(0.0, 24.0), (0.0, 800.0), (0.0, 0.0)]))
    assert table.known.tolist() == np.eye(3, dtype=bool).tolist()
    assert table.distances_m[0, 1] == pytest.approx(776 * 1.3)
    assert table.line(1, 0).tolist() == [[0, 800], [0, 24]]


def test_distances_are_those_of_ways() -> None:
    rng = np.random.default_rng(4)
    places = rng.uniform((-80, 11), (80, 80), (12, 2))
    table = Ways(small_map(), FRAME).between(places)
    straight = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert (table.distances_m >= straight - 0.02).all()
    assert table.distances_m.tolist() == table.distances_m.T.tolist()
    assert Ways(small_map(), FRAME).between(np.zeros((0, 2))).distances_m.shape == (0, 0)
