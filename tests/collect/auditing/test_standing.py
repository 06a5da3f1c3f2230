"""The audit of a dataset with a map: cells one can stand in, ways along paths, and the page that shows both."""

import json
from collections.abc import Iterator

import gpxpy
import numpy as np
import pytest
from shapely.geometry import LineString, Point, box

from collect import audit
from collect.auditing.result import AuditResult
from img2gps.basemap import write_basemap
from img2gps.basemap.features import in_metres
from tests.browser import chromium, open_report
from tests.datasets import box_site, make_dataset, make_photo
from tests.maps import feature, small_map


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> AuditResult:
    photos = [make_photo(f"p{n}", 8.0 * n - 40, 25.0) for n in range(10)]
    dataset = make_dataset(tmp_path_factory.mktemp("map") / "quad", photos, site=box_site(160, 160))
    road = feature("road", LineString([(-80, -60), (80, -60)]), "Spruce Street")
    write_basemap(dataset.basemap_path, small_map(road))
    return audit(dataset, stops=12)


def test_stops_are_where_one_can_stand(audited: AuditResult) -> None:
    shapes = in_metres([f.geometry for f in small_map().of("building", "water")], audited.site.frame)
    stops = [Point(stop.east_m, stop.north_m) for stop in audited.stops]
    assert len(stops) == 12
    assert min(shape.distance(stop) for shape in shapes for stop in stops) > 0.2
    assert all(abs(stop.y + 60) > 4.4 for stop in stops)
    assert audited.walk_warning is None


def test_cells_under_a_roof_are_no_cells(audited: AuditResult) -> None:
    spots = audited.grid.spots_m
    assert not ((np.abs(spots[:, 0]) < 19) & (np.abs(spots[:, 1]) < 9)).any()
    assert audited.area_m2 == pytest.approx(160 * 160 - 800 - Point(60, 0).buffer(8).area, rel=0.01)


def test_the_walk_is_measured_on_foot_and_written_along_its_ways(audited: AuditResult) -> None:
    straight = [0.0, *np.hypot(*np.diff([(s.east_m, s.north_m) for s in audited.stops], axis=0).T)]
    assert all(stop.way_m >= way - 0.1 for stop, way in zip(audited.stops, straight, strict=True))
    assert audited.walk_length_m == pytest.approx(sum(stop.way_m for stop in audited.stops))
    hall = box(-20, -10, 20, 10).buffer(-0.5)
    for stop in audited.stops[1:]:
        assert stop.way
        east, north = audited.site.frame.to_local(*zip(*stop.way, strict=True))
        way = LineString(np.column_stack([east, north]))
        assert way.length == pytest.approx(stop.way_m, abs=0.3)
        assert not way.intersects(hall)
    folder = audited.dataset.audit_path
    track = gpxpy.parse((folder / "walk-list.gpx").read_text()).tracks[0]
    assert track.length_2d() == pytest.approx(audited.walk_length_m, rel=0.02)
    document = json.loads((folder / "audit.json").read_text())
    assert document["walk_list"][1]["way"]


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    with chromium() as launched:
        yield launched


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (360, "dark")])
def test_the_page_draws_the_map_and_names_its_source(
    audited: AuditResult, browser: object, width: int, scheme: str
) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with open_report(browser, audited.report_path, **options) as page:  # type: ignore[arg-type]
        assert page.locator("#credit").inner_text() == "(c) the surveyors"
        page.wait_for_timeout(600)
        inside, outside = (
            page.evaluate(
                """([east, north]) => {
                  const canvas = document.getElementById("map");
                  const { east: e, north: n, pxPerM } = canvas.dataset;
                  const x = canvas.clientWidth / 2 + (east - e) * pxPerM;
                  const y = canvas.clientHeight / 2 - (north - n) * pxPerM;
                  return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data];
                }""",
                place,
            )
            for place in ([-17, -8], [0, 60])
        )
        building = page.evaluate("getComputedStyle(document.documentElement).getPropertyValue('--map-building').trim()")
        assert inside[:3] == [int(building[i : i + 2], 16) for i in (1, 3, 5)]
        assert inside != outside
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.slow
@pytest.mark.browser
def test_the_walk_prints_on_one_page(audited: AuditResult, browser: object) -> None:
    with open_report(browser, audited.report_path) as page:  # type: ignore[arg-type]
        page.evaluate("window.print = () => {}; document.body.classList.add('print-walk')")
        printed = page.pdf(format="A4", print_background=True)
        assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") == 1 or b"/Count 1" in printed
        assert page.locator("#print-walk").count() == 1
