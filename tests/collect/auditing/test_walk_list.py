"""The next walk, and the files it is carried in."""

import dataclasses
import itertools
import json
from pathlib import Path

import gpxpy
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collect.auditing.audit import audit_dataset, write_audit
from collect.auditing.coverage import CellTable, cell_table
from collect.auditing.distances import on_foot, straight
from collect.auditing.document import audit_document
from collect.auditing.grid import Grid, make_grid, walkable
from collect.auditing.photo_arrays import PhotoArrays
from collect.auditing.summary import summary_lines
from collect.auditing.walk_choice import choose
from collect.auditing.walk_files import stop_title, write_geojson, write_gpx
from collect.auditing.walk_list import Stop, route_length_m, shortest_order, walk_list
from collect.splits.groups import assign_groups
from img2gps.types import Photo
from tests.datasets import NOON, box_site, line, make_dataset, make_photo, make_walk

SITE = box_site(100, 60)


def stops_of(tmp_path: Path, photos: list[Photo], stops: int = 24) -> list[Stop]:
    arrays = PhotoArrays(frame=make_dataset(tmp_path / "quad", assign_groups(photos), site=SITE).frame(), site=SITE)
    grid = make_grid(walkable(SITE, None), 10.0)
    return walk_list(arrays, grid, cell_table(arrays, grid), stops=stops)


def cells_without_photos(grid: Grid) -> CellTable:
    none = np.zeros(len(grid), dtype=np.int64)
    return CellTable(
        size_m=grid.size_m,
        east_m=grid.corners_m[:, 0],
        north_m=grid.corners_m[:, 1],
        photos=none,
        walks=none,
        days=none,
        headings=none,
        sectors=none,
        last_visit=(None,) * len(grid),
    )


def length_m(points_m: np.ndarray, order: list[int]) -> float:
    return float(np.linalg.norm(np.diff(points_m[order], axis=0), axis=1).sum())


def test_it_leads_to_where_nothing_is(tmp_path: Path) -> None:
    rich = [make_photo(f"p{n}-{h}", 10.0 * n - 45, north, heading_deg=45.0 * h, device=f"d{h % 2}")
            for n in range(5) for north in (-25.0, -15.0, -5.0, 5.0, 15.0, 25.0) for h in range(4)]  # fmt: skip
    rich = [dataclasses.replace(photo, id=f"{number:064x}") for number, photo in enumerate(rich)]
    stops = stops_of(tmp_path, rich, stops=6)
    assert len(stops) == 6
    assert all(stop.east_m > 0 for stop in stops)
    assert all(stop.why == "no photo yet" for stop in stops)
    assert sorted(stop.rank for stop in stops) == list(range(1, 7))
    assert [stop.order for stop in stops] == list(range(1, 7))
    assert all(stop.nearest_photo_m is not None and stop.nearest_photo_m > 0 for stop in stops)


def test_it_starts_in_the_largest_hole(tmp_path: Path) -> None:
    """Cells without any photo lack all alike: what tells them apart is how far a photo is."""
    along = [make_photo(f"p{n}", 10.0 * n - 45, -25.0) for n in range(10)]
    first = min(stops_of(tmp_path, along, stops=8), key=lambda stop: stop.rank)
    assert first.north_m > 15
    assert first.nearest_photo_m is not None
    assert first.nearest_photo_m >= 45


def test_of_deep_holes_the_deepest_comes_first(tmp_path: Path) -> None:
    site = box_site(1000, 1000)
    photos = [make_photo(f"p{n}", 10.0 * n - 400, -400.0) for n in range(10)]
    audit = audit_dataset(make_dataset(tmp_path / "quad", assign_groups(photos), site=site))
    first = min(audit.stops, key=lambda stop: stop.rank)
    assert first.nearest_photo_m == pytest.approx(audit.holes.largest_m, abs=10)


def test_an_empty_dataset_gets_a_first_walk(tmp_path: Path) -> None:
    stops = stops_of(tmp_path, [])
    assert 10 <= len(stops) <= 24
    assert stops[0].nearest_photo_m is None
    assert len(stops[0].headings_deg) == 4
    assert sorted(stops[0].headings_deg) in ([0, 90, 180, 270], [45, 135, 225, 315])


def test_missing_headings_are_those_farthest_from_the_taken(tmp_path: Path) -> None:
    site = box_site(8, 8)
    photos = assign_groups([make_photo(f"p{n}", 1.0, 1.0, heading_deg=0.0) for n in range(2)])
    arrays = PhotoArrays(frame=make_dataset(tmp_path / "quad", photos, site=site).frame(), site=site)
    grid = Grid(size_m=20.0, columns=np.array([0]), rows=np.array([0]), spots_m=np.array([[2.0, 2.0]]))
    (stop,) = walk_list(arrays, grid, cell_table(arrays, grid))
    assert stop.headings_deg[0] == stop.heading_deg == 180.0
    assert set(stop.headings_deg[1:]) == {90.0, 270.0}
    assert stop.why == "2 of 3 photos, 1 of 2 walks and 1 of 4 headings"


def test_the_hour_is_one_that_lacks_photos(tmp_path: Path) -> None:
    morning = make_walk("am", places=line((-45, -25), (45, 25), 30), start=NOON.replace(hour=12))  # 08:00 local
    assert stops_of(tmp_path, morning)[0].hour == 11


def test_nothing_missing_is_no_walk(tmp_path: Path) -> None:
    everywhere = [
        make_photo(f"{n}-{m}-{h}", 10.0 * n - 45, 10.0 * m - 25, heading_deg=90.0 * h, device=f"d{h % 2}")
        for n in range(10) for m in range(6) for h in range(4)
    ]  # fmt: skip
    assert stops_of(tmp_path, everywhere) == []


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_the_order_is_short(seed: int, count: int) -> None:
    points_m = np.random.default_rng(seed).uniform(0, 100, (count, 2))
    order = shortest_order(points_m)
    assert sorted(order) == list(range(count))
    best_m = min(length_m(points_m, list(other)) for other in itertools.permutations(range(count)))
    assert length_m(points_m, order) <= 1.25 * best_m + 1e-9


def near_outline(stops: list[Stop], half_m: float) -> float:
    return float(np.mean([max(abs(stop.east_m), abs(stop.north_m)) >= half_m - 10 for stop in stops]))


@pytest.mark.slow
@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), photos=st.integers(0, 60))
def test_it_does_not_hug_the_outline(tmp_path_factory: pytest.TempPathFactory, seed: int, photos: int) -> None:
    """Wherever the photos are: the middle gives most, and who photographs there passes by the margin's neighbours."""
    site = box_site(200, 200)
    places = np.random.default_rng(seed).uniform(-40, 40, (photos, 2))
    rows = assign_groups([make_photo(f"p{n}", *place) for n, place in enumerate(places.tolist())])
    audit = audit_dataset(make_dataset(tmp_path_factory.mktemp("quad") / "ds", rows, site=site))
    assert len(audit.stops) == 24
    assert near_outline(audit.stops, 100) <= 0.25  # a fifth of the cells, and most of what is far from photos


def test_second_walks_and_headings_of_visited_cells_count(tmp_path: Path) -> None:
    """The west half has all it needs, the east has photos of one walk that look one way: nothing is unvisited."""
    rich = [(n, m, h, f"d{h % 2}") for n in range(5) for m in range(6) for h in range(4)]
    poor = [(n, m, 0, "d0") for n in range(5, 10) for m in range(6) for _ in range(3)]
    photos = [
        make_photo(f"p{number}", 10.0 * n - 45, 10.0 * m - 25, heading_deg=90.0 * h, device=device)
        for number, (n, m, h, device) in enumerate(rich + poor)
    ]
    stops = stops_of(tmp_path, photos, stops=5)
    assert len(stops) == 5
    assert all(stop.east_m > 0 for stop in stops)
    assert {stop.why for stop in stops} == {"1 of 2 walks and 1 of 4 headings"}


def test_a_cell_counts_by_its_share_of_the_ground() -> None:
    columns, rows = (axis.ravel() for axis in np.meshgrid(np.arange(3), np.arange(1)))
    spots_m = np.stack([columns * 10.0 + 5, rows * 10.0 + 5], axis=1)
    grid = Grid(size_m=10.0, columns=columns, rows=rows, spots_m=spots_m, parts=np.array([0.3, 0.3, 1.0]))
    empty = cells_without_photos(grid)
    assert choose(grid, empty, np.array([60.0, 40.0, 40.0]), 1) == [2]
    assert choose(dataclasses.replace(grid, parts=None), empty, np.array([60.0, 40.0, 40.0]), 1) == [0]


def test_a_near_place_comes_before_an_equal_one_far_away() -> None:
    columns = np.array([0, 8, 60])
    grid = Grid(size_m=10.0, columns=columns, rows=np.zeros(3, dtype=np.int64),
                spots_m=np.stack([columns * 10.0 + 5, np.full(3, 5.0)], axis=1))  # fmt: skip
    empty = cells_without_photos(grid)
    assert choose(grid, empty, np.array([90.0, 80.0, 80.0]), 3) == [0, 1, 2]


def test_a_place_behind_a_building_comes_after_one_that_is_as_far_in_the_open() -> None:
    """A row of cells is missing between the first place and those north of it, as a long building takes them out."""
    columns, rows = (axis.ravel() for axis in np.meshgrid(np.arange(12), np.arange(5)))
    free = (rows != 1) | (columns == 11)
    columns, rows = columns[free], rows[free]
    grid = Grid(size_m=10.0, columns=columns, rows=rows, spots_m=np.stack([columns, rows], axis=1) * 10.0 + 5)
    here, behind = (int(np.flatnonzero((columns == 0) & (rows == row))[0]) for row in (0, 2))
    assert straight(grid)(here)[behind] == 20.0
    around_m = on_foot(grid)(here)
    assert around_m[behind] == pytest.approx(2 * (100 + 10 * np.sqrt(2)))  # to the gap in the east, and back
    last = int(np.flatnonzero((columns == 11) & (rows == 0))[0])
    assert around_m[last] == pytest.approx(110.0)
    assert np.all(around_m >= straight(grid)(here) - 1e-9)
    deep = np.full(len(grid), 40.0)
    deep[here] = 90.0
    empty = cells_without_photos(grid)
    second = choose(grid, empty, deep, 2, on_foot(grid))[1]
    assert rows[second] == 0
    assert rows[choose(grid, empty, deep, 2)[1]] > 0


def test_a_cell_that_no_steps_reach_counts_by_a_detour() -> None:
    columns = np.array([0, 1, 5])
    grid = Grid(size_m=10.0, columns=columns, rows=np.zeros(3, dtype=np.int64),
                spots_m=np.stack([columns * 10.0, np.zeros(3)], axis=1))  # fmt: skip
    assert on_foot(grid)(0).tolist() == pytest.approx([0.0, 10.0, 65.0])


def test_the_ways_are_counted_in_minutes(tmp_path: Path) -> None:
    audit = audit_dataset(make_dataset(tmp_path / "quad", assign_groups([make_photo("p", 0.0, 0.0)]), site=SITE))
    minutes = [stop.minutes for stop in audit.stops]
    assert minutes[0] == 0.0
    assert minutes == sorted(minutes)
    whole = audit.walk_length_m / 1.2 / 60 + len(audit.stops) * 40 / 60
    assert audit.walk_minutes == pytest.approx(whole, abs=0.11)
    assert {"minutes", "hour", "why", "missing"} <= audit_document(audit)["walk_list"][0].keys()


def test_stops_may_be_inside_buildings_unless_these_are_given(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", assign_groups([make_photo("p", -45.0, -25.0)]), site=SITE)
    house_m = np.array([(-30, -25), (40, -25), (40, 25), (-30, 25), (-30, -25)], dtype=np.float64)
    lon, lat = SITE.frame.to_lonlat(house_m[:, 0], house_m[:, 1])
    house = {"type": "Polygon", "coordinates": [list(map(list, zip(lon.tolist(), lat.tolist(), strict=True)))]}
    (tmp_path / "houses.geojson").write_text(json.dumps(house))

    def inside(stops: list[Stop]) -> int:
        return sum(-30 < stop.east_m < 40 and -25 < stop.north_m < 25 for stop in stops)

    without = audit_dataset(dataset)
    assert inside(without.stops) > 0
    text = "\n".join(summary_lines(without, width=80))
    assert "may lie inside buildings" in text
    assert "may lie inside buildings" in write_audit(without).read_text(encoding="utf-8")
    known = audit_dataset(dataset, buildings=tmp_path / "houses.geojson")
    assert known.walk_warning is None
    assert inside(known.stops) == 0
    assert "inside buildings" not in "\n".join(summary_lines(known, width=80))
    assert "inside buildings" not in write_audit(known).read_text(encoding="utf-8")


def test_files_hold_the_stops_in_order_and_the_route(tmp_path: Path) -> None:
    stops = stops_of(tmp_path, [], stops=5)
    write_gpx(tmp_path / "walk.gpx", stops, name="Next walk on box & co")
    document = gpxpy.parse((tmp_path / "walk.gpx").read_text(encoding="utf-8"))
    assert [point.name for point in document.waypoints] == [stop_title(stop) for stop in stops]
    assert [(point.latitude, point.longitude) for point in document.routes[0].points] == [
        (stop.lat, stop.lon) for stop in stops
    ]
    write_geojson(tmp_path / "walk.geojson", stops, name="Next walk")
    features = json.loads((tmp_path / "walk.geojson").read_text(encoding="utf-8"))["features"]
    assert [feature["geometry"]["type"] for feature in features] == ["Point"] * 5 + ["LineString"]
    assert features[0]["geometry"]["coordinates"] == [stops[0].lon, stops[0].lat]
    assert features[0]["properties"]["order"] == 1
    assert route_length_m(stops) > 0


def test_the_line_of_a_walk_is_cut_at_180_degrees(tmp_path: Path) -> None:
    first, second, third = stops_of(tmp_path, [], stops=3)
    stops = [
        dataclasses.replace(first, lon=179.999, lat=-17.0, way=()),
        dataclasses.replace(second, lon=-179.997, lat=-17.004, way=()),
        dataclasses.replace(third, lon=-179.996, lat=-17.004, way=()),
    ]
    write_geojson(tmp_path / "walk.geojson", stops, name="Next walk")
    line = json.loads((tmp_path / "walk.geojson").read_text(encoding="utf-8"))["features"][-1]["geometry"]
    assert line == {
        "type": "MultiLineString",
        "coordinates": [
            [[179.999, -17.0], [180.0, -17.001]],
            [[-180.0, -17.001], [-179.997, -17.004], [-179.996, -17.004]],
        ],
    }


def test_no_stops_are_a_valid_file(tmp_path: Path) -> None:
    write_gpx(tmp_path / "walk.gpx", [], name="none")
    assert gpxpy.parse((tmp_path / "walk.gpx").read_text(encoding="utf-8")).waypoints == []
    write_geojson(tmp_path / "walk.geojson", [], name="none")
    assert json.loads((tmp_path / "walk.geojson").read_text(encoding="utf-8"))["features"] == []
