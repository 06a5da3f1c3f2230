"""An evaluation's report in headless Chromium: figures, filters and photos are those of its document."""

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from img2gps.basemap import write_basemap
from img2gps.dataset import Dataset
from tests.browser import chromium, click_place, open_report, picture_colour
from tests.datasets import FRAME, four_walks, make_dataset, make_photo
from tests.maps import small_map
from train.evaluation.causes import causes_of
from train.evaluation.page import write_report
from train.evaluation.references import reference_errors
from train.evaluation.result import EvaluationResult, Scored
from train.evaluation.score import evaluation_result
from train.evaluation.scores import scores_frame

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

EDGE_PLACE_M = (107.3, 41.7)
# the colour that the map has at a place of the lawn, 70 m east and 70 m north
LAWN_COLOUR = """() => {
  const canvas = document.getElementById("map");
  const { east, north, pxPerM } = canvas.dataset;
  const scale = canvas.width / canvas.clientWidth;
  const x = (canvas.clientWidth / 2 + (70 - east) * pxPerM) * scale;
  const y = (canvas.clientHeight / 2 - (70 - north) * pxPerM) * scale;
  return [...canvas.getContext("2d").getImageData(x, y, 1, 1).data].slice(0, 3);
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with chromium() as launched:
        yield launched


def evaluated(dataset: Dataset, *, sure: bool = True) -> EvaluationResult:
    """Return the result of answers that are off by 1 m, 2 m, 3 m, ... to the east, by half of it as whole walks."""
    site, frame = dataset.site(), dataset.frame()
    rows = frame.assign(fold=frame["walk"].astype("category").cat.codes.astype(int))
    references = reference_errors(site.frame, rows, rows[["id", "photo_sha256", "lon", "lat", "fold"]])
    east_m, north_m = site.frame.to_local(rows["lon"], rows["lat"])
    off_m = np.arange(1.0, len(rows) + 1)
    lon, lat = site.frame.to_lonlat(east_m + off_m, north_m)
    radius = off_m if sure else np.full(len(rows), np.nan)
    answers = {"pred_lon": lon, "pred_lat": lat, "uncertainty_m": radius, "radius_50_m": radius}
    walk_lon, walk_lat = (
        site.frame.to_lonlat(east_m + off_m / 2, north_m) if sure else (np.full(len(rows), np.nan),) * 2
    )
    answers |= {
        "walk_lon": walk_lon,
        "walk_lat": walk_lat,
        "walk_radius_50_m": radius,
        "walk_radius_90_m": radius,
        "walk_familiarity": 0.5 if sure else np.nan,
        "walk_photos": 2.0,
        "familiarity": np.linspace(0.001, 1, len(rows)) if sure else np.nan,
    }
    predictions = pd.DataFrame({"id": rows["id"], **answers, "radius_90_m": 2 * radius})
    predictions = predictions.assign(label_share=np.nan, answer_share=np.nan)
    scored = Scored(
        dataset_root=Path("quad"),
        run="default-001",
        dataset="quad",
        split="folds",
        method="probe",
        training_photos=len(rows),
        training_walks=None,
        left_out={},
        notes=("a <b>",),
        provenance={},
        folder=dataset.root,
    )
    scores = scores_frame(rows, predictions, references, site)
    views = scores.assign(luma=100.0, sharpness=1.0, same_view_m=np.where(np.arange(len(rows)) % 2, 3.0, np.inf))
    scores = scores.assign(cause=causes_of(views))
    return evaluation_result(scores, references, site, scored, abstain_m=25.0 if sure else None)


def painted_dataset(root: Path) -> Dataset:
    photos = [
        *four_walks(),
        make_photo("edge-of-a-home", *EDGE_PLACE_M, site_relation="edge", source_name="=1+<i>.jpg"),
    ]
    dataset = make_dataset(root, photos)
    for number, photo_id in enumerate(dataset.frame()["id"]):
        path = dataset.photo_path(photo_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (60, 80), (number * 2, 80, 255 - number * 2)).save(path, quality=95)
    return dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return painted_dataset(tmp_path_factory.mktemp("evaluation") / "quad")


@pytest.fixture(scope="module")
def result(dataset: Dataset) -> EvaluationResult:
    return evaluated(dataset)


@pytest.fixture(scope="module")
def report(dataset: Dataset, result: EvaluationResult) -> Path:
    path = dataset.root / "report.html"
    write_report(path, result, dataset=dataset)
    return path


def live(page: "Page") -> str:
    return page.locator("#live").inner_text()


@pytest.mark.browser
def test_figures_are_those_of_the_document(browser: "Browser", report: Path, result: EvaluationResult) -> None:
    with open_report(browser, report) as page:
        cards = page.locator("#figures .card .value").all_inner_texts()
        plain = [card.replace("\u202f", " ") for card in cards]
        assert plain[:2] == [f"{result.figures.median_m:.1f} m", f"{result.figures.rmse_m:.1f} m"]
        assert plain[2] == f"{100 * result.figures.within_m['25']:.0f} %"
        assert live(page).startswith(f"Median {result.figures.median_m:.1f} m, RMSE {result.figures.rmse_m:.1f} m")
        assert page.locator("#shown").inner_text() == f"{result.photos} photos"
        assert page.locator("#worst li").count() == len(result.worst) == 20
        assert page.locator("#groups table").first.locator("tbody tr").count() == len(result.per_walk)
        assert "A <b>." in page.locator(".callout").inner_text()
        trust = page.locator("#trust").inner_text()
        assert "Unlike the site" in trust
        together = [card.replace("\u202f", " ") for card in page.locator("#together .card .value").all_inner_texts()]
        assert together[:2] == [f"{result.figures.median_m / 2:.1f} m", f"{result.figures.rmse_m / 2:.1f} m"]
        assert page.locator("#together tbody tr").count() == len(result.per_walk)


@pytest.mark.browser
def test_filters_change_the_figures(browser: "Browser", report: Path, result: EvaluationResult) -> None:
    errors = result.scores["error_m"].round(2).to_numpy()  # as the page has them
    walks = np.array(result.scores["walk"])
    name = sorted(set(walks.tolist()))[1]
    chosen = errors[walks == name]
    with open_report(browser, report) as page:
        page.locator(f"[data-facet=walk] [data-value='{name}']").click()
        assert page.locator("#shown").inner_text() == f"{len(chosen)} of {len(errors)} photos shown"
        assert f"Median {np.median(chosen):.1f} m, RMSE {np.sqrt(np.mean(chosen**2)):.1f} m" in live(page)
        page.locator("#clear").click()
        page.locator("[data-facet=error] input").fill("50")
        assert page.locator("#shown").inner_text().startswith(f"{int((errors >= 50).sum())} of")


@pytest.mark.browser
def test_a_click_opens_the_photo_with_its_error(browser: "Browser", report: Path, result: EvaluationResult) -> None:
    points = result.scores
    number = 30
    with open_report(browser, report) as page:
        page.locator("#show-mode").select_option("truth")
        click_place(page, points["east_m"][number], points["north_m"][number])
        assert page.locator("#panel").get_attribute("data-id") == points["id"][number][:12]
        assert f"{points['error_m'][number]:.1f} m" in page.locator("#panel dl").inner_text()
        red, _, blue = picture_colour(page, "#panel img")
        assert abs(red - 2 * number) < 25
        assert abs(blue - 255 + 2 * number) < 25


@pytest.mark.browser
def test_a_map_lies_under_the_arrows_and_says_where_an_answer_is(browser: "Browser", tmp_path: Path) -> None:
    dataset = painted_dataset(tmp_path / "quad")
    write_basemap(dataset.root / "basemap.parquet", small_map())
    result, path = evaluated(dataset), dataset.root / "report.html"
    write_report(path, result, dataset=dataset)
    number = 30
    with open_report(browser, path) as page:
        assert page.locator(".credit").inner_text() == small_map().credit
        page.locator("#show-mode").select_option("truth")
        red, green, blue = page.evaluate(LAWN_COLOUR)
        assert green > max(red, blue)
        click_place(page, result.scores["east_m"][number], result.scores["north_m"][number])
        said = page.locator("#panel dl").inner_text()
        assert any(name in said for name in ("Towne", "Locust Walk", "Hill Lawn", "Pond")), said


@pytest.mark.browser
def test_the_worst_photos_lead_to_the_map(browser: "Browser", report: Path, result: EvaluationResult) -> None:
    with open_report(browser, report) as page:
        assert page.locator("#worst h3").all_inner_texts() == ["Unseen place", "Other"]
        page.locator(f"[data-worst='{result.worst[1].id[:12]}']").click()
        assert page.locator("#panel").get_attribute("data-id") == result.worst[1].id[:12]
        page.keyboard.press("Escape")
        assert page.locator("#panel").is_hidden()
        page.locator("#list button").first.click()
        assert page.locator("#panel").get_attribute("data-id") == result.worst[0].id[:12]


@pytest.mark.browser
def test_it_fits_a_phone_and_stays_quiet_without_uncertainty(
    browser: "Browser", dataset: Dataset, tmp_path: Path
) -> None:
    path = tmp_path / "report.html"
    write_report(path, evaluated(dataset, sure=False), dataset=dataset)
    with open_report(browser, path, viewport={"width": 390, "height": 844}, color_scheme="dark") as page:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.locator("#trust").count() == 0
        page.locator("#show-cells").check()


@pytest.mark.parametrize("sure", [True, False])
@pytest.mark.parametrize("count", [2, 4])
def test_too_few_groups_for_intervals_leave_dashes(tmp_path: Path, count: int, sure: bool) -> None:
    photos = [make_photo(f"photo {n}", 20.0 * n, 0.0, walk=f"walk-{n}", group=f"group-{n}") for n in range(count)]
    few = make_dataset(tmp_path / "few", photos, grouped=True)
    found = evaluated(few, sure=sure)
    assert found.intervals is None
    write_report(tmp_path / "report.html", found, dataset=few)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "95 % interval –" in html
    assert "Skill (RMSE)" in html


def test_where_the_mean_position_is_never_wrong_there_is_no_skill(
    tmp_path: Path, dataset: Dataset, result: EvaluationResult
) -> None:
    write_report(tmp_path / "report.html", dataclasses.replace(result, skill={}), dataset=dataset)
    assert "Skill (RMSE)" not in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_photo_outside_the_outline_is_counted_not_drawn(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    found = re.search(r'id="data">(.*?)</script>', html, re.DOTALL)
    assert found
    photos = json.loads(found[1])["photos"]
    edge = photos["name"].index("'=1+<i>.jpg")
    assert all(photos[key][edge] is None for key in ("east", "north", "toEast", "toNorth"))
    assert photos["east"].count(None) == 1
    assert "1 photo just outside the outline" in html
    lon, lat = FRAME.to_lonlat(*EDGE_PLACE_M)
    assert f"{float(lon):.5f}" not in html
    assert f"{float(lat):.5f}" not in html
    assert "<i>" not in html
