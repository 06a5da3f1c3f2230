"""Cells, coverage, holes, conditions and label quality."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import Point, Polygon, box

from collect.auditing.audit import audit_dataset
from collect.auditing.conditions import conditions, evenness
from collect.auditing.coverage import CoverageShares, cell_table, holes, shares
from collect.auditing.grid import MAX_CELLS, make_grid, read_shapes, walkable
from collect.auditing.label_quality import accuracy, corrections, flag_counts, rejection_counts
from collect.auditing.photo_arrays import PhotoArrays, sectors_of
from img2gps.corrections import Correction, append_corrections
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.site import Site
from img2gps.types import Photo
from tests.datasets import FRAME, NOON, box_site, make_dataset, make_photo

SITE = box_site(100, 60)


def arrays_of(tmp_path: Path, photos: Sequence[Photo], site: Site = SITE) -> PhotoArrays:
    return PhotoArrays(frame=make_dataset(tmp_path / "quad", photos, site=site).frame(), site=site)


def test_cells_tile_the_site() -> None:
    grid = make_grid(walkable(SITE, None), 10.0)
    assert len(grid) == 60
    assert set(map(tuple, grid.corners_m.round().tolist())) == {
        (float(east), float(north)) for east in range(-50, 50, 10) for north in range(-30, 30, 10)
    }


@pytest.mark.slow
@settings(max_examples=30)
@given(st.floats(-49.9, 49.9), st.floats(-29.9, 29.9), st.sampled_from([5.0, 10.0]))
def test_a_place_is_in_the_cell_whose_square_holds_it(east_m: float, north_m: float, size_m: float) -> None:
    grid = make_grid(walkable(SITE, None), size_m)
    cell = grid.cell_of(np.array([[east_m, north_m]]))[0]
    corner_m = grid.corners_m[cell]
    inside_m = np.array([east_m, north_m]) - corner_m
    assert np.all((inside_m >= -1e-9) & (inside_m <= size_m + 1e-9))  # on an edge to the last digit, both cells hold it
    assert box(*corner_m, *(corner_m + size_m)).covers(Point(grid.spots_m[cell]))


def test_cells_are_clipped_to_a_diagonal_outline_and_to_buildings() -> None:
    lons, lats = FRAME.to_lonlat([-50, 50, 50], [-50, -50, 50])
    triangle = Site(name="corner", polygon=Polygon(zip(lons, lats, strict=True)))
    area = walkable(triangle, None)
    grid = make_grid(area, 10.0)
    assert 50 <= len(grid) <= 66  # half of 100 squares and part of those that the edges cut
    assert all(area.covers(Point(spot)) for spot in grid.spots_m)
    west, south, _, _ = area.bounds
    house = box(west + 60, south + 5, west + 90, south + 25)
    rest = make_grid(walkable(triangle, house), 10.0)
    assert 4 <= len(grid) - len(rest) <= 8
    assert not any(house.contains(Point(spot)) for spot in rest.spots_m)
    with pytest.raises(UsageError, match="cover the whole site"):
        walkable(triangle, box(-1000, -1000, 1000, 1000))


@pytest.mark.slow
def test_of_a_large_site_the_surroundings_of_its_photos_are_audited(tmp_path: Path) -> None:
    world = Site(name="world", polygon=box(-180, -89, 180, 89))
    far = [make_photo("a", lon=-170.0, lat=-50.0), make_photo("b", lon=170.0, lat=60.0)]
    grid = audit_dataset(make_dataset(tmp_path / "far", far, site=world)).grid
    assert 0 < len(grid) <= 4 * MAX_CELLS
    assert grid.size_m > 1000
    sydney = make_photo("s", lon=151.2, lat=-33.9, captured_at=datetime(2025, 1, 15, 2, 0, tzinfo=UTC))
    audit = audit_dataset(make_dataset(tmp_path / "sydney", [sydney], site=world))
    assert len(audit.grid) == 400
    assert (audit.cells.photos == 1).sum() == 1
    assert audit.conditions.seasons["summer"] == 1
    assert [band.photos for band in audit.conditions.sun_elevation if band.low_deg == 45] == [1]
    assert all(abs(stop.lon - 151.2) < 0.002 and abs(stop.lat + 33.9) < 0.002 for stop in audit.stops)


def test_stops_of_a_large_site_stay_on_it(tmp_path: Path) -> None:
    brazil = Site(name="brazil", polygon=box(-74, -34, -35, 5))
    photo = make_photo("a", lon=-73.9998, lat=-10.0)  # 22 m from the western edge
    audit = audit_dataset(make_dataset(tmp_path / "quad", [photo], site=brazil))
    assert audit.stops
    assert all(stop.lon >= -74 for stop in audit.stops)


def test_a_site_across_the_date_line_is_audited_whole(tmp_path: Path) -> None:
    fiji = Site(name="fiji", polygon=box(179.999, -16.801, 180.001, -16.799))
    photos = [make_photo(f"p{n}", lon=lon, lat=-16.8) for n, lon in enumerate((179.9995, -179.9995))]
    audit = audit_dataset(make_dataset(tmp_path / "quad", photos, site=fiji))
    assert audit.edge == 0
    assert (audit.cells.photos == 1).sum() == 2
    assert all(abs(abs(stop.lon) - 180) <= 0.001 for stop in audit.stops)


def test_tiny_sites_have_cells() -> None:
    assert len(make_grid(walkable(box_site(3, 3), None), 10.0)) >= 1


def test_cells_count_photos_walks_days_and_headings(tmp_path: Path) -> None:
    here = {"east_m": 5.0, "north_m": 5.0}
    photos = [
        make_photo("a", **here, heading_deg=350.0),
        make_photo("b", **here, heading_deg=10.0, captured_at=NOON + timedelta(minutes=2)),
        make_photo("c", **here, heading_deg=90.0, captured_at=NOON + timedelta(days=1)),
        make_photo("d", **here, captured_at=None),
        make_photo("e", east_m=15.0, north_m=5.0),
        make_photo("outside", east_m=53.0, north_m=5.0, site_relation="edge"),
    ]
    arrays = arrays_of(tmp_path, photos)
    grid = make_grid(walkable(SITE, None), 10.0)
    cells = cell_table(arrays, grid)
    cell = grid.cell_of(np.array([[5.0, 5.0]]))[0]
    assert [counts[cell] for counts in (cells.photos, cells.walks, cells.days, cells.headings)] == [4, 3, 2, 2]
    assert cells.sectors[cell] == 0b101
    assert cells.last_visit[cell] == datetime(2025, 6, 3, 16, tzinfo=UTC)
    assert cells.photos.sum() == 5
    assert shares(cells) == CoverageShares(coverage=1 / 60, walks=1 / 60, headings=0.0, visited=2 / 60)


def test_sectors_are_centred_on_north() -> None:
    assert sectors_of(np.array([0.0, 22.4, 22.6, 337.4, 337.6, 359.9, 180.0, np.nan])).tolist() == [
        *(0, 0, 1, 7, 0, 0, 4, -1)
    ]


def test_holes_are_measured_to_the_nearest_photo(tmp_path: Path) -> None:
    found = holes(arrays_of(tmp_path, [make_photo("west", -50.0, 0.0)]), walkable(SITE, None))
    assert found.largest_at
    assert found.median_m
    assert found.p95_m
    assert found.largest_m
    assert found.largest_m == pytest.approx(np.hypot(100, 30), abs=1.5)
    assert abs(found.largest_at.east_m - 50) < 2
    assert found.median_m == pytest.approx(51.5, abs=2)
    assert found.median_m < found.p95_m < found.largest_m
    assert holes(arrays_of(tmp_path / "none", []), walkable(SITE, None)).largest_m is None


def test_conditions_count_every_photo_once(tmp_path: Path) -> None:
    photos = [
        make_photo("noon", model="iPhone 13"),
        make_photo("night", captured_at=datetime(2025, 1, 15, 4, 0, tzinfo=UTC), device="0001", model="SM-A315F"),
        make_photo("when", captured_at=None, heading_deg=91.0),
    ]
    found = conditions(arrays_of(tmp_path, photos))
    assert found.hours[12] == 1
    assert found.hours[23] == 1
    assert found.time_unknown == 1
    assert {band.name: band.photos for band in found.sun_elevation} == {
        "night (below -6°)": 1,
        "twilight (-6° to 0°)": 0,
        "low (0° to 15°)": 0,
        "15° to 30°": 0,
        "30° to 45°": 0,
        "high (over 45°)": 1,
    }
    assert found.sun_unknown == found.after_dark == 1
    bands = found.sun_elevation
    assert [band.high_deg for band in bands[:-1]] == [band.low_deg for band in bands[1:]]
    assert found.seasons == {"winter": 1, "spring": 0, "summer": 1, "autumn": 0, "unknown": 1}
    assert sum(found.devices.values()) == 3
    assert found.headings == (0, 0, 1, 0, 0, 0, 0, 0)
    assert found.heading_unknown == 2


def test_seasons_turn_south_of_the_equator(tmp_path: Path) -> None:
    site = Site(name="south", polygon=box(151.0, -33.9, 151.01, -33.89), time_zone="Australia/Sydney")
    photo = make_photo("july", lon=151.005, lat=-33.895, captured_at=datetime(2025, 7, 1, tzinfo=UTC))
    assert conditions(arrays_of(tmp_path, [photo], site)).seasons["winter"] == 1


def test_unevenness_tells_devices_apart(tmp_path: Path) -> None:
    west = [make_photo(f"w{n}", -45.0 + n, 0.0, device="0001", model="One") for n in range(8)]
    both = [make_photo(f"b{n}", 12.0 * n - 44, 0.0, device="0002", model="Two") for n in range(8)]
    arrays = arrays_of(tmp_path, [*west, *both])
    found = evenness(arrays, make_grid(walkable(SITE, None), 10.0))
    one, two = found.devices
    assert one.photos == two.photos == 8
    assert one.cells < two.cells == 1.0
    assert one.unlike is not None
    assert 0.3 < one.unlike <= 0.5
    assert 0.8 < found.gini < 1
    assert [row.name for row in found.splits] == ["no split"]


def test_accuracy_flags_and_rejections(tmp_path: Path) -> None:
    photos = [
        make_photo("a", gps_accuracy_m=10.0, model="iPhone 13"),
        make_photo("b", gps_accuracy_m=20.0, model="iPhone 13"),
        make_photo("c", device="0001", model="SM-A315F", flags=("accuracy_unknown", "stale_fix")),
    ]
    arrays = arrays_of(tmp_path, photos)
    found = accuracy(arrays)
    assert found.overall.median_m == 15.0
    assert found.overall.unknown == pytest.approx(1 / 3)
    assert [(name, row.median_m, row.unknown) for name, row in found.devices.items()] == [
        ("SM-A315F", None, 1.0),
        ("iPhone 13", 15.0, 0.0),
    ]
    counts = flag_counts(arrays)
    assert (counts["stale_fix"], counts["accuracy_unknown"], counts["edge"]) == (1, 1, 0)
    rejected = tmp_path / "rejected.csv"
    assert rejection_counts(rejected) == {}
    rejected.write_text(
        "path,reason\na.jpg,no_gps\nb.jpg,no_gps\nc.jpg,truncated\nd.jpg,unheard_of\n", encoding="utf-8"
    )
    assert rejection_counts(rejected) == {"no_gps": 2, "truncated": 1}


def test_corrections_say_how_far_labels_moved(tmp_path: Path) -> None:
    photos = [make_photo(f"p{n}", 10.0 * n, 0.0) for n in range(4)]
    dataset = make_dataset(tmp_path / "quad", photos, site=SITE)
    lon, lat = FRAME.to_lonlat(0.0, 12.0)
    fields = {"at": "2025-06-03T00:00:00Z", "by": "me", "from_lon": photos[0].lon, "from_lat": photos[0].lat}
    lines = [
        Correction(photo_id=photos[0].id, action="move", lon=float(lon), lat=float(lat), **fields),
        Correction(photo_id=photos[1].id, action="confirm", **fields),
    ]
    append_corrections(dataset.corrections_path, lines)
    found = corrections(PhotoArrays(frame=dataset.frame(), site=SITE))
    assert (found.photos, found.share, found.move, found.confirm) == (2, 0.5, 1, 1)
    assert found.moved_share == 0.25
    assert found.moved_median_m == pytest.approx(12.0, abs=0.01)


def test_shapes_are_in_metres_of_the_site(tmp_path: Path) -> None:
    lons, lats = FRAME.to_lonlat([0, 20, 20, 0, 0], [0, 0, 10, 10, 0])
    ring = [[float(lon), float(lat)] for lon, lat in zip(lons, lats, strict=True)]
    file = tmp_path / "houses.geojson"
    file.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    assert shapely.area(read_shapes(file, SITE)) == pytest.approx(200, rel=1e-3)
    file.write_text(json.dumps({"type": "LineString", "coordinates": ring[:2]}))
    assert shapely.length(read_shapes(file, SITE, lines=True)) == pytest.approx(20, rel=1e-3)
    with pytest.raises(UsageError, match="holds no Polygon"):
        read_shapes(file, SITE)


def test_a_damaged_list_of_rejections_is_named(tmp_path: Path) -> None:
    (tmp_path / "rejected.csv").write_bytes("file,reason\nM\u00fcller.jpg,no_gps\n".encode("cp1252"))
    with pytest.raises(InvalidDatasetError, match="is damaged"):
        rejection_counts(tmp_path / "rejected.csv")


def test_flags_of_labels_that_a_person_settled_are_not_counted(tmp_path: Path) -> None:
    photos = [make_photo(f"p{n}", 10.0 * n, 0.0, flags=("stale_fix",)) for n in range(3)]
    dataset = make_dataset(tmp_path / "quad", photos, site=SITE)
    fields = {"at": "2025-06-03T00:00:00Z", "by": "me", "from_lon": photos[0].lon, "from_lat": photos[0].lat}
    lines = [Correction(photo_id=photos[n].id, action=("confirm", "unsure")[n], **fields) for n in range(2)]
    append_corrections(dataset.corrections_path, lines)
    assert flag_counts(PhotoArrays(frame=dataset.frame(), site=SITE))["stale_fix"] == 2


def test_hours_that_nothing_tells_are_counted_as_utc(tmp_path: Path) -> None:
    photos = [
        make_photo("a", utc_offset_min=None),
        make_photo("b", utc_offset_min=-240.0),
        make_photo("c", captured_at=None),
    ]
    nowhere = box_site(100, 60, time_zone=None)
    assert conditions(arrays_of(tmp_path / "none", photos, nowhere)).hours_in_utc == 1
    assert conditions(arrays_of(tmp_path / "zone", photos, SITE)).hours_in_utc == 0
