"""The audit's report in headless Chromium, and what must never be in it."""

import colorsys
import dataclasses
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image
from shapely.geometry import LineString, box

from collect.auditing.audit import AuditResult, audit_dataset, write_audit
from collect.auditing.document import audit_document
from collect.auditing.page import write_report
from collect.auditing.summary import summary_lines
from collect.splits.split import split_dataset
from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.types import Photo
from tests.browser import chromium, click_place, open_report, picture_colour
from tests.datasets import FRAME, box_site, four_walks, line, make_dataset, make_photo, make_walk

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from shapely.geometry.base import BaseGeometry

HOSTILE = "</script><script>alert(1)</script>\u202e.jpg"
SECRET = "edge-of-somebody's-home"
EDGE_PLACE_M = (107.3, 41.7)  # outside the box of 200 m by 7.3 m
FOUR_LINES = """() => {
  for (const words of document.querySelectorAll("[data-stop] .muted")) {
    words.textContent = "1 of 3 photos, 1 of 2 walks and 1 of 4 headings, 3 m away, by the west door of old Oak Hall";
  }
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as launched:
        yield launched


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    path: Path
    audit: AuditResult

    @property
    def html(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def data(self) -> dict[str, Any]:
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', self.html, re.DOTALL)
        assert found
        data: dict[str, Any] = json.loads(found[1])
        return data


def photos_with_oddities() -> list[Photo]:
    photos = [*four_walks(), make_photo(SECRET, *EDGE_PLACE_M, site_relation="edge", flags=("edge",))]
    photos[3] = dataclasses.replace(photos[3], source_name=HOSTILE, flags=("heading_unknown",), heading_deg=None)
    return photos


def colour_of(number: int) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(number * 0.618 % 1.0, 0.9, 0.9)
    return round(255 * red), round(255 * green), round(255 * blue)


def paint(dataset: Dataset, photos: list[Photo]) -> None:
    for number, photo in enumerate(photos):
        path = dataset.photo_path(photo.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (96, 128), colour_of(number)).save(path, quality=95)


def report_of(
    root: Path,
    photos: list[Photo],
    *,
    redact: bool = False,
    run: Path | None = None,
    buildings: "BaseGeometry | None" = None,
    paths: "BaseGeometry | None" = None,
) -> Report:
    dataset = make_dataset(root, photos)
    if photos:
        split_dataset(dataset, by="walk", val=20, test=20)
        paint(dataset, photos)
    dataset.rejected_path.write_text("path,reason,detail\nx.jpg,no_gps,\ny.jpg,outside_site,at 75.123 9.456\n")
    audit = dataclasses.replace(audit_dataset(dataset, run=run), buildings=buildings)
    path = dataset.audit_path / "report.html"
    write_report(audit, path, redact=redact, paths=paths)
    return Report(path=path, audit=audit)


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return report_of(tmp_path_factory.mktemp("audit") / "quad", photos_with_oddities())


def chip_counts(page: "Page", facet: str) -> dict[str, int]:
    chips = page.locator(f"[data-facet={facet}] .chip").all()
    return {chip.get_attribute("data-value") or "": int(chip.locator(".count").inner_text()) for chip in chips}


def legend_counts(page: "Page") -> list[int]:
    text = page.locator("#legend ul").first.inner_text()
    return [int(count) for count in re.findall(r"\((\d+)\)", text)]


@pytest.mark.browser
def test_counts_are_those_of_the_audit(browser: "Browser", report: Report) -> None:
    audit = report.audit
    with open_report(browser, report.path) as page:
        assert page.locator("#shown").inner_text() == f"{audit.photos} photos"
        assert chip_counts(page, "split") == audit.splits
        assert chip_counts(page, "flags") == {"edge": 1, "heading unknown": 1}
        assert sum(chip_counts(page, "walk").values()) == audit.photos
        photos = audit.cells.photos.tolist()
        classes = [(0, 0), (1, 2), (3, 5), (6, 11), (12, 10**9)]
        assert legend_counts(page) == [sum(low <= n <= high for n in photos) for low, high in classes]
        assert page.locator("#rejected tbody tr").count() == len(audit.rejections) == 2
        assert page.locator("[data-stop]").count() == len(audit.stops)


@pytest.mark.browser
def test_the_page_counts_cells_as_the_audit_does(browser: "Browser", report: Report) -> None:
    with open_report(browser, report.path) as page:
        for mode in ("photos", "walks", "headings", "age"):
            page.locator("#cell-mode").select_option(mode)
            counted = legend_counts(page)
            for chip in page.locator("[data-facet=split] .chip").all():
                chip.click()  # all of them: the cells are counted again by the page, from the same photos
            assert page.locator("#shown").inner_text() == "111 of 111 photos shown"
            assert legend_counts(page) == counted
            page.locator("#clear").click()


@pytest.mark.browser
def test_a_click_opens_the_photo_that_lies_there(browser: "Browser", report: Report) -> None:
    photos = photos_with_oddities()
    with open_report(browser, report.path) as page:
        for number in (0, 25, 77):
            photo = photos[number]
            east_m, north_m = FRAME.to_local(photo.lon, photo.lat)
            click_place(page, float(east_m), float(north_m))
            assert page.locator("#panel").get_attribute("data-id") == photo.id[:12]
            assert page.locator("#panel h3").inner_text() == photo.source_name
            shown = picture_colour(page, "#panel img")
            assert max(abs(a - b) for a, b in zip(shown, colour_of(number), strict=True)) < 25
        page.keyboard.press("Escape")
        assert page.locator("#panel").is_hidden()
        click_place(page, 0.0, 90.0)
        assert page.locator("#panel").is_hidden()
        assert "This cell: 0 photos" in page.locator("#legend").inner_text()


@pytest.mark.browser
def test_a_filter_changes_every_count(browser: "Browser", report: Report) -> None:
    frame = report.audit.frame
    test = frame[frame["split"] == "test"]
    with open_report(browser, report.path) as page:
        before = legend_counts(page)
        page.locator("[data-facet=split] [data-value=test]").click()
        assert page.locator("#shown").inner_text() == f"{len(test)} of {len(frame)} photos shown"
        assert chip_counts(page, "split")["train"] == int((frame["split"] == "train").sum())
        assert sorted(chip_counts(page, "walk").values()) == [0, 0, 0, len(test)]
        assert legend_counts(page) != before
        ids = {button.get_attribute("data-id") for button in page.locator("#list li button").all()}
        assert ids == {photo_id[:12] for photo_id in test["id"]}
        page.locator("#clear").click()
        assert legend_counts(page) == before


@pytest.mark.browser
def test_the_keyboard_alone_is_enough(browser: "Browser", report: Report) -> None:
    with open_report(browser, report.path) as page:
        page.locator("#map").focus()

        def view() -> list[float]:
            page.wait_for_timeout(60)
            found: list[float] = page.evaluate("Object.values({...document.getElementById('map').dataset}).map(Number)")
            return found

        start = view()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowUp")
        moved = view()
        assert moved[0] > start[0]
        assert moved[1] > start[1]
        page.keyboard.press("+")
        assert view()[2] > start[2]
        page.keyboard.press("0")
        assert view() == start
        page.locator("#list button").first.focus()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        second = page.locator("#list li button").nth(1).get_attribute("data-id")
        assert page.locator("#panel").get_attribute("data-id") == second
        page.keyboard.press("ArrowRight")
        third = page.locator("#list li button").nth(2).get_attribute("data-id")
        assert page.locator("#panel").get_attribute("data-id") == third
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.dataset.id") == second


@pytest.mark.browser
def test_enter_opens_the_photo_in_the_middle(browser: "Browser", tmp_path: Path) -> None:
    centre = report_of(tmp_path / "one", [*make_walk("far", places=line((-80, 60), (80, 60), 9)), make_photo("here")])
    with open_report(browser, centre.path) as page:
        page.locator("#map").focus()
        page.keyboard.press("Enter")
        assert page.locator("#panel h3").inner_text() == "here.jpg"


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(browser: "Browser", report: Report, scheme: str) -> None:
    phone = {"width": 390, "height": 844}
    with open_report(browser, report.path, viewport=phone, color_scheme=scheme, has_touch=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.locator("#list button").first.tap()
        box_ = page.locator("#panel").bounding_box()
        assert box_
        assert box_["width"] == pytest.approx(390)


@pytest.mark.browser
def test_a_walk_of_as_many_stops_as_there_are_is_printed_on_one_page(browser: "Browser", tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks(), site=box_site(200.0, 150.0))
    paint(dataset, four_walks())
    audit = audit_dataset(dataset)
    write_report(audit, tmp_path / "report.html", redact=False)
    assert len(audit.stops) == 24
    with open_report(browser, tmp_path / "report.html") as page:
        # the page takes the class away as soon as the dialog has closed
        page.evaluate("() => { window.print = () => {}; document.body.classList.remove = () => {}; }")
        page.evaluate(FOUR_LINES)
        page.click("#print-walk")
        printed = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == 1


@pytest.mark.browser
def test_names_from_files_are_text(browser: "Browser", report: Report) -> None:
    with open_report(browser, report.path) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        photo = photos_with_oddities()[3]
        page.locator(f"#list [data-id='{photo.id[:12]}']").click()
        assert page.locator("#panel h3").inner_text() == "</script><script>alert(1)</script>\\u{202e}.jpg"
    assert "<script>alert" not in report.html


@pytest.mark.browser
def test_an_empty_dataset_has_a_page(browser: "Browser", tmp_path: Path) -> None:
    with open_report(browser, report_of(tmp_path / "empty", []).path) as page:
        assert page.locator("#shown").inner_text() == "0 photos"


def test_positions_outside_the_site_are_nowhere(report: Report) -> None:
    data = report.data
    edge = data["photos"]["name"].index(f"{SECRET}.jpg")
    assert data["photos"]["east"][edge] is data["photos"]["north"][edge] is data["photos"]["cell"][edge] is None
    assert data["photos"]["east"].count(None) == report.audit.edge == 1
    lon, lat = FRAME.to_lonlat(*EDGE_PLACE_M)
    for trace in (f"{float(lon):.5f}", f"{float(lat):.5f}", "1073,", "75.123"):
        assert trace not in report.html


def test_redacted_positions_are_those_of_cells(tmp_path: Path) -> None:
    photos = photos_with_oddities()
    report = report_of(tmp_path / "quad", photos, redact=True)
    data = report.data
    assert set(data["thumbnails"]) == {None}
    assert "data:image/jpeg" not in report.html.replace("`data:image/jpeg", "")
    assert not any(photo.source_name[:8] in report.html for photo in photos if photo.source_name != HOSTILE)
    size = data["cells"]["size"]
    corners = set(zip(data["cells"]["east"], data["cells"]["north"], strict=True))
    places = {(e, n) for e, n in zip(data["photos"]["east"], data["photos"]["north"], strict=True) if e is not None}
    assert places <= {(e + size // 2, n + size // 2) for e, n in corners}
    assert all(minute % 60 == 0 for minute in data["photos"]["minute"])


def test_a_redacted_page_holds_no_distance_from_a_known_place_to_a_photo(tmp_path: Path) -> None:
    photos = [make_photo("alone", 31.4, -27.3)]
    plain, coarse = (report_of(tmp_path / str(redact), photos, redact=redact) for redact in (False, True))
    assert plain.data["hole"]
    assert "nearest photo" in plain.html
    assert coarse.data["hole"] is None
    assert re.findall(r"nearest photo [\d.,]+ m", coarse.html) == []
    largest_m = coarse.audit.holes.largest_m
    assert largest_m
    assert largest_m % 10
    told = [re.findall(r"largest hole is (\d+)\s", page.html) for page in (plain, coarse)]
    assert told == [[f"{largest_m:.0f}"], [f"{math.ceil(largest_m / 10) * 10}"]]


def test_the_error_to_expect_is_on_the_page_and_not_on_a_redacted_one(tmp_path: Path) -> None:
    run = tmp_path / "folds-001"
    run.mkdir()
    effects = {"distance": 0.8, "walks_near": -0.2, "dusk": 0.0, "night": 0.3}
    figures = {"rmse_m": 12.0, "where": "photos", "new_walk_interval_90_m": [8.0, 20.0]}
    law = {"effects": effects, "log_scale": 2.0, "log_light": 0.1}
    photos = [make_photo("alone", 31.4, -27.3)]
    (run / "forecast.json").write_text(json.dumps(figures | {"law": law, "photo_ids": [photos[0].id]}))
    plain, coarse = (report_of(tmp_path / str(one), photos, redact=one, run=run) for one in (False, True))
    error_m = plain.data["cells"]["expected"]
    assert len(error_m) == len(plain.data["cells"]["photos"])
    assert min(error_m) < 0.5 * max(error_m)
    assert "m off to expect" in plain.html
    assert "expected" not in coarse.data["cells"]
    assert "m off to expect" not in coarse.html
    document = audit_document(plain.audit)
    assert document["forecast"]["run"] == "folds-001"
    assert len(document["forecast"]["cells_rmse_m"]) == len(error_m)
    assert any("Expected error of folds-001" in line for line in summary_lines(plain.audit))


@pytest.mark.slow
def test_redaction_by_tiny_cells_is_refused(tmp_path: Path) -> None:
    audit = audit_dataset(make_dataset(tmp_path / "quad", [make_photo("a")]), cell_m=2.0)
    with pytest.raises(UsageError, match="--cell of 10 or more"):
        write_audit(audit, redact=True)
    assert not (audit.dataset.audit_path / "report.html").exists()


def test_buildings_and_paths_are_drawn_near_the_site_only(tmp_path: Path) -> None:
    buildings = box(10, 10, 30, 40).union(box(5000, 5000, 5010, 5010))
    report = report_of(tmp_path / "quad", four_walks(), buildings=buildings, paths=LineString([(-90, 0), (900, 0)]))
    site = report.data["site"]
    assert [sorted(set(ring)) for polygon in site["buildings"] for ring in polygon] == [[100, 300, 400]]
    assert site["paths"] == [[-900, 0, 1400, 0]]


def test_the_policy_lets_nothing_in(report: Report) -> None:
    found = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', report.html)
    assert found
    assert found[1].startswith("default-src &#39;none&#39;; img-src data:; style-src &#39;sha256-")
    assert "unsafe" not in found[1]
    assert "http" not in found[1]


@pytest.mark.slow
def test_741_photos_stay_under_a_megabyte_besides_thumbnails(tmp_path: Path) -> None:
    walks = [make_walk(f"w{n}", places=line((-90, 10 * n - 60), (90, 10 * n - 60), 57)) for n in range(13)]
    dataset = make_dataset(tmp_path / "quad", [photo for walk in walks for photo in walk])
    audit = audit_dataset(dataset)
    path = tmp_path / "report.html"
    write_report(audit, path)
    assert audit.photos == 741
    assert path.stat().st_size < 400_000


def test_sites_of_any_shape_are_drawn(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "strip", [make_photo("a")], site=box_site(2000.0, 3.0))
    audit = audit_dataset(dataset)
    write_report(audit, tmp_path / "report.html")
    assert (tmp_path / "report.html").is_file()
