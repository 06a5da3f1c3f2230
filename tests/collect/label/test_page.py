"""The label page in headless Chromium, used as a person would."""

import contextlib
import json
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from shapely.geometry import Point, box

from collect import ingest
from collect.label.labelling import Labelling
from collect.label.opening import Opening
from img2gps.corrections import Correction, read_corrections
from img2gps.dataset import Dataset
from img2gps.site import Site
from img2gps.types import Photo
from tests.datasets import FRAME, box_site, make_photo
from tests.labelling import (
    CHROMIUM,
    Client,
    LabelProcess,
    drag,
    label_process,
    labelled_dataset,
    open_page,
    running_server,
    walk_with_a_slip,
)
from tests.maps import many_features, small_map
from tests.photos import write_photo

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="needs a chromium executable on the PATH"),
]

PHOTOS = walk_with_a_slip(16, 8)
SLIP = PHOTOS[8]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1200, "height": 760})
    context.set_default_timeout(8000)
    yield context
    context.close()


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return labelled_dataset(tmp_path / "quad", PHOTOS, pictures=True)


@pytest.fixture
def served(dataset: Dataset) -> Iterator[Client]:
    with running_server(Labelling.of(dataset, by="kim")) as server:
        yield server


@pytest.fixture
def page(served: Client, context: BrowserContext) -> Iterator[Page]:
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    open_page(page, served.url)
    yield page
    assert complaints == []


def saved(page: Page) -> None:
    expect(page.locator("#saved")).to_have_text("Saved")


def lines(dataset: Dataset) -> list[Correction]:
    return read_corrections(dataset.corrections_path)


def moved_m(dataset: Dataset, photo_id: str = SLIP.id) -> float:
    return float(dataset.frame().set_index("id").loc[photo_id, "moved_m"])


def centre(page: Page, selector: str) -> tuple[float, float]:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


@pytest.mark.slow
def test_the_most_suspicious_photo_is_shown_first_with_its_reasons(page: Page) -> None:
    expect(page.locator("#name")).to_have_text(SLIP.source_name)
    expect(page.locator("#reasons li").first).to_contain_text("the rest of the walk places it")
    assert page.locator("#image").evaluate("image => image.decode().then(() => image.naturalWidth)") == 60


@pytest.mark.slow
def test_dragging_the_pin_moves_the_label_where_it_was_dropped(page: Page, dataset: Dataset) -> None:
    before = centre(page, "#pin-hit")
    drag(page, "#pin-hit", (30, 90))
    saved(page)
    after = centre(page, "#pin-hit")
    np.testing.assert_allclose(np.subtract(after, before), (30, 90), atol=1)
    (line,) = lines(dataset)
    assert (line.photo_id, line.action) == (SLIP.id, "move")
    assert line.lon is not None
    assert line.lat is not None
    assert line.lon > SLIP.lon
    assert line.lat < SLIP.lat
    page.reload()
    page.wait_for_selector("body[data-ready]")
    expect(page.locator("#name")).to_have_text(SLIP.source_name)
    np.testing.assert_allclose(centre(page, "#pin-hit"), after, atol=1)


def dot(page: Page, photo: Photo) -> tuple[float, float]:
    """Return where a photo's dot lies on the screen, read off the map's own drawing."""
    here = FRAME.to_local(photo.lon, photo.lat)
    pin = FRAME.to_local(SLIP.lon, SLIP.lat)
    scale = float(str(page.locator("#world").get_attribute("transform")).split("scale(")[1].rstrip(")"))
    x, y = centre(page, "#pin-hit")
    return x + scale * (float(here[0]) - float(pin[0])), y - scale * (float(here[1]) - float(pin[1]))


@pytest.mark.slow
def test_a_click_on_the_ground_puts_the_photo_there_and_shift_click_goes_to_another(
    page: Page, dataset: Dataset
) -> None:
    x, y = centre(page, "#map")
    page.mouse.click(x + 40, y - 60)
    saved(page)
    np.testing.assert_allclose(centre(page, "#pin-hit"), (x + 40, y - 60), atol=1)
    page.keyboard.down("Shift")
    page.mouse.click(x - 300, y)
    page.keyboard.up("Shift")
    expect(page.locator("#name")).to_have_text(PHOTOS[0].source_name)
    assert len(lines(dataset)) == 1


@pytest.mark.slow
def test_a_click_on_a_dot_opens_its_photo(page: Page, dataset: Dataset) -> None:
    page.mouse.click(*dot(page, PHOTOS[2]))
    expect(page.locator("#name")).to_have_text(PHOTOS[2].source_name)
    assert lines(dataset) == []


@pytest.mark.slow
def test_a_pin_that_was_picked_up_goes_where_the_next_click_is(page: Page, dataset: Dataset) -> None:
    start, target = centre(page, "#pin-hit"), dot(page, PHOTOS[2])
    page.mouse.click(*start)
    expect(page.locator("#pin")).to_have_class(re.compile("picked"))
    expect(page.locator("#note")).to_contain_text("picked up")
    page.mouse.click(*start)  # put back
    expect(page.locator("#pin")).not_to_have_class(re.compile("picked"))
    page.mouse.click(*start)
    page.keyboard.press("Escape")
    expect(page.locator("#note")).to_be_hidden()
    assert lines(dataset) == []
    page.mouse.click(*start)
    page.mouse.click(*target)  # on a dot: the pin goes there all the same
    saved(page)
    expect(page.locator("#name")).to_have_text(SLIP.source_name)
    np.testing.assert_allclose(centre(page, "#pin-hit"), target, atol=1)
    page.locator("#note-button").click()
    saved(page)
    np.testing.assert_allclose(centre(page, "#pin-hit"), start, atol=1)
    assert moved_m(dataset) == 0


@pytest.mark.slow
def test_the_walks_place_is_on_the_map_and_one_key_accepts_it(page: Page, dataset: Dataset) -> None:
    expect(page.locator(".key.expected")).to_be_visible()
    assert "m from here" in str(page.locator("#accept").get_attribute("aria-label"))
    place = centre(page, "#expected path")
    expected = Labelling.of(dataset, by="kim").queue.suspicions()[0]
    assert np.hypot(*np.subtract(place, centre(page, "#pin-hit"))) > 50
    page.get_by_text(f"its walk ({len(PHOTOS)})").click()
    page.keyboard.press("w")
    saved(page)
    (line,) = lines(dataset)  # this photo alone, whatever a move applies to
    assert (line.photo_id, line.lon, line.lat) == (SLIP.id, expected.expected_lon, expected.expected_lat)
    np.testing.assert_allclose(centre(page, "#pin-hit"), place, atol=1.5)
    page.keyboard.press("u")
    saved(page)
    page.locator("#accept").click()
    saved(page)
    assert lines(dataset)[-1].lon == expected.expected_lon


@pytest.mark.slow
def test_no_place_is_shown_where_the_walk_cannot_say(tmp_path: Path, context: BrowserContext) -> None:
    labelled_dataset(tmp_path / "quad", [make_photo("p", captured_at=None)], pictures=True)
    with running_server(Labelling.of(Dataset.open(tmp_path / "quad"), by="kim")) as running:
        page = open_page(context.new_page(), running.url)
        for part in ("#expected", "#accept", ".key.expected"):
            expect(page.locator(part)).to_be_hidden()
        page.keyboard.press("w")
        expect(page.locator("#saved")).to_have_text("")


@pytest.mark.slow
def test_why_stays_with_its_photo(page: Page, dataset: Dataset) -> None:
    page.locator("#why").fill("seen from the gate")
    page.locator("#map").focus()
    page.keyboard.press("ArrowDown")
    saved(page)
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("n")
    expect(page.locator("#why")).to_have_value("")
    page.keyboard.press("s")
    saved(page)
    assert [line.why for line in lines(dataset)] == ["seen from the gate", "seen from the gate", ""]


@pytest.mark.slow
def test_the_queue_tells_probabilities_and_where_to_stop(page: Page) -> None:
    expect(page.locator("#probability-text")).to_have_text(re.compile(r"9\d % likely to be wrong"))
    expect(page.locator("#standing")).to_contain_text("0 wrong found · worth a look: 1 more, under 1 wrong")
    page.keyboard.press("w")
    saved(page)
    expect(page.locator("#standing")).to_contain_text("1 wrong found · a good place to stop")
    expect(page.locator("#probability")).to_be_hidden()
    page.keyboard.press("q")
    rows = page.locator("#queue-list li")
    expect(rows).to_have_count(len(PHOTOS) + 1)
    expect(rows.first).to_contain_text("corrected")
    expect(rows.nth(1)).to_contain_text("a good place to stop")
    name = rows.nth(2).locator("span").nth(1).inner_text()
    rows.nth(2).locator("button").click()
    expect(page.locator("#name")).to_have_text(name)


@pytest.mark.slow
def test_the_page_is_there_while_the_dataset_is_read(dataset: Dataset, context: BrowserContext) -> None:
    held = threading.Event()

    def opens() -> Labelling:
        assert held.wait(10)
        return Labelling.of(dataset, by="kim")

    opening = Opening(opens)
    with running_server(opening) as server:
        opening.start(failed=held.set)
        page = context.new_page()
        page.goto(server.url)
        expect(page.locator("#progress")).to_have_text("Reading the dataset …")
        page.keyboard.press("x")
        held.set()
        page.wait_for_selector("body[data-ready]")
        expect(page.locator("#name")).to_have_text(SLIP.source_name)
    assert lines(dataset) == []


@pytest.mark.slow
def test_the_keyboard_alone_does_everything(page: Page, dataset: Dataset) -> None:
    page.keyboard.press("ArrowDown")
    saved(page)
    assert moved_m(dataset) == pytest.approx(1.0, abs=0.02)
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press(".")
    page.keyboard.press("s")
    expect(page.locator("#unsure")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("s")
    page.keyboard.press("x")
    expect(page.locator("#exclude")).to_have_attribute("aria-pressed", "true")
    saved(page)
    row = dataset.frame().set_index("id").loc[SLIP.id]
    assert row["moved_m"] == pytest.approx(np.hypot(10, 1), abs=0.05)
    assert (row["label_state"], row["split"]) == ("exclude", "excluded")
    assert row["heading_deg"] == (SLIP.heading_deg or 0) + 5
    page.keyboard.press("n")
    expect(page.locator("#name")).not_to_have_text(SLIP.source_name)
    page.keyboard.press("p")
    page.keyboard.press("Enter")
    expect(page.locator("#name")).not_to_have_text(SLIP.source_name)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "zoom-in"


@pytest.mark.slow
def test_a_held_arrow_key_arrives_where_the_person_let_go(page: Page, dataset: Dataset) -> None:
    for _ in range(25):
        page.keyboard.press("ArrowDown")
    saved(page)
    assert moved_m(dataset) == pytest.approx(25.0, abs=0.1)


@pytest.mark.slow
def test_undo_takes_back_one_step_at_a_time_even_after_a_reload(page: Page, dataset: Dataset) -> None:
    for key in ("ArrowDown", "x"):
        page.keyboard.press(key)
        saved(page)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    page.locator("#undo").click()
    expect(page.locator("#exclude")).to_have_attribute("aria-pressed", "false")
    page.keyboard.press("Control+z")
    expect(page.locator("#facts")).not_to_contain_text("moved")
    page.keyboard.press("u")
    expect(page.locator("#alert")).to_contain_text("nothing to undo")
    assert moved_m(dataset) == 0
    assert [line.why for line in lines(dataset)] == ["", "", "undo", "undo"]


@pytest.mark.slow
def test_turning_the_knob_sets_the_heading(page: Page, dataset: Dataset) -> None:
    pin, knob = centre(page, "#pin-hit"), centre(page, "#knob-hit")
    page.mouse.move(*knob)
    page.mouse.down()
    page.mouse.move(pin[0] + 60, pin[1] + 10, steps=4)
    page.mouse.move(pin[0] + 60, pin[1], steps=2)
    page.mouse.up()
    saved(page)
    assert lines(dataset)[-1].heading_deg == pytest.approx(90, abs=1)
    assert lines(dataset)[-1].lon is None
    page.locator("#heading").fill("181")
    page.locator("#heading").press("Tab")
    saved(page)
    assert lines(dataset)[-1].heading_deg == 181.0


@pytest.mark.slow
def test_a_whole_walk_moves_by_one_offset_and_one_undo_brings_it_back(page: Page, dataset: Dataset) -> None:
    page.locator("#why").fill("map shifted")
    page.get_by_text(f"its walk ({len(PHOTOS)})").click()
    drag(page, "#pin-hit", (0, 40))
    saved(page)
    written = lines(dataset)
    assert {line.photo_id for line in written} == {photo.id for photo in PHOTOS}
    assert len({line.batch for line in written}) == 1
    assert {line.why for line in written} == {"map shifted"}
    offsets = dataset.frame()["moved_m"]
    assert offsets.max() - offsets.min() < 0.05
    assert offsets.min() > 5
    page.locator("#undo").click()
    expect(page.locator("#progress")).to_contain_text("0 reviewed")
    assert dataset.frame()["moved_m"].max() == 0


@pytest.mark.slow
def test_escape_lets_go_of_a_drag(page: Page, dataset: Dataset) -> None:
    before = centre(page, "#pin-hit")
    drag(page, "#pin-hit", (60, 60), drop=False)
    page.keyboard.press("Escape")
    page.mouse.up()
    assert centre(page, "#pin-hit") == before
    assert lines(dataset) == []


@pytest.mark.slow
def test_a_reload_in_the_middle_of_a_drag_moves_nothing(page: Page, dataset: Dataset) -> None:
    before = centre(page, "#pin-hit")
    drag(page, "#pin-hit", (60, 60), drop=False)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    page.mouse.up()
    np.testing.assert_allclose(centre(page, "#pin-hit"), before, atol=1)
    assert lines(dataset) == []


@pytest.mark.slow
def test_two_tabs_cannot_overwrite_each_other_silently(
    page: Page, served: Client, context: BrowserContext, dataset: Dataset
) -> None:
    other = open_page(context.new_page(), served.url)
    drag(page, "#pin-hit", (40, 0))
    saved(page)
    drag(other, "#pin-hit", (-40, 0))
    expect(other.locator("#alert")).to_contain_text("Somebody else changed this label")
    expect(other.locator("#saved")).to_have_text("Not saved")
    np.testing.assert_allclose(centre(other, "#pin-hit"), centre(page, "#pin-hit"), atol=1)
    assert len(lines(dataset)) == 1
    drag(other, "#pin-hit", (-40, 0))
    saved(other)
    page.evaluate("window.dispatchEvent(new Event('focus'))")
    page.wait_for_timeout(400)
    np.testing.assert_allclose(centre(page, "#pin-hit"), centre(other, "#pin-hit"), atol=1)


@pytest.mark.slow
def test_a_site_across_the_date_line_is_one_map(context: BrowserContext, tmp_path: Path) -> None:
    fiji = Site(name="fiji", polygon=box(179.999, -16.801, 180.001, -16.799))
    here = make_photo("here", lon=179.99998, lat=-16.8)
    there = make_photo("there", lon=-179.9995, lat=-16.8)
    dataset = labelled_dataset(tmp_path / "fiji", [here, there], pictures=True, site=fiji)
    with running_server(Labelling.of(dataset, by="kim")) as server:
        page = open_page(context.new_page(), server.url + f"#{here.id[:16]}")
        outline = page.locator("#outline").bounding_box()
        dots = page.locator("#walk-dots").bounding_box()
        assert outline is not None
        assert dots is not None
        assert outline["x"] < dots["x"] < dots["x"] + dots["width"] < outline["x"] + outline["width"]
        for _ in range(5):
            page.keyboard.press("ArrowRight")
        saved(page)
        moved = dataset.frame().set_index("id").loc[here.id]
    assert moved["moved_m"] == pytest.approx(5.0, abs=0.1)
    assert -180 <= moved["lon"] < -179.9999


@pytest.mark.slow
def test_a_tab_undoes_nothing_but_its_own(
    page: Page, served: Client, context: BrowserContext, dataset: Dataset
) -> None:
    other = open_page(context.new_page(), served.url)
    page.keyboard.press("s")
    saved(page)
    other.keyboard.press("u")
    expect(other.locator("#alert")).to_contain_text("nothing to undo")
    assert len(lines(dataset)) == 1


@pytest.mark.slow
def test_a_server_killed_in_the_middle_of_a_drag_loses_nothing(context: BrowserContext, dataset: Dataset) -> None:
    with label_process(dataset.root) as served:
        _kill_in_the_middle(open_page(context.new_page(), served.url), served, dataset)


def _kill_in_the_middle(page: Page, served: LabelProcess, dataset: Dataset) -> None:
    page.keyboard.press("ArrowDown")
    saved(page)
    drag(page, "#pin-hit", (50, 50), drop=False)
    served.end(signal.SIGKILL)
    page.mouse.up()
    expect(page.locator("#saved")).to_have_text("Not saved: the server does not answer")
    dropped = centre(page, "#pin-hit")
    assert len(lines(dataset)) == 1
    served.start()
    expect(page.locator("#saved")).to_have_text("Saved")
    assert len(lines(dataset)) == 2
    page.reload()
    page.wait_for_selector("body[data-ready]")
    np.testing.assert_allclose(centre(page, "#pin-hit"), dropped, atol=1)


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 320])
def test_a_phone_has_everything_within_reach_of_a_finger(
    served: Client, browser: Browser, dataset: Dataset, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 720}, has_touch=True, is_mobile=True)
    page = open_page(context.new_page(), served.url)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for control in (
        "previous",
        "next",
        "undo",
        "accept",
        "queue-open",
        "confirm",
        "unsure",
        "exclude",
        "reset",
        "zoom-in",
    ):
        box = page.locator(f"#{control}").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= width
        assert box["y"] + box["height"] <= 720
        assert box["height"] >= 38
    x, y = centre(page, "#pin-hit")
    touch = context.new_cdp_session(page)

    def send(kind: str, *points: tuple[float, float]) -> None:
        given = [{"x": px, "y": py, "id": number} for number, (px, py) in enumerate(points)]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": given})

    send("touchStart", (x, y))
    for step in range(1, 6):
        send("touchMove", (x + 4 * step, y + 6 * step))
    send("touchEnd")
    saved(page)
    np.testing.assert_allclose(centre(page, "#pin-hit"), (x + 20, y + 30), atol=2)
    _tap_moves_only_a_pin_that_was_picked_up(page, dataset)
    mx, my = centre(page, "#map")
    scale = page.locator("#world").get_attribute("transform")
    send("touchStart", (mx - 20, my), (mx + 20, my))
    send("touchMove", (mx - 60, my), (mx + 60, my))
    send("touchEnd")
    assert page.locator("#world").get_attribute("transform") != scale
    assert len(lines(dataset)) == 3
    page.locator("#next").tap()
    expect(page.locator("#name")).not_to_have_text(SLIP.source_name)
    context.close()


def _tap_moves_only_a_pin_that_was_picked_up(page: Page, dataset: Dataset) -> None:
    """Tap the ground, then the pin and the ground, then take it back with the button in the map's lower part."""
    mx, my = centre(page, "#map")
    pin = centre(page, "#pin-hit")
    ground = (mx - 90, my - 30)
    page.touchscreen.tap(*ground)
    expect(page.locator("#note")).to_contain_text("tap the pin first")
    assert centre(page, "#pin-hit") == pin
    page.touchscreen.tap(*pin)
    expect(page.locator("#note")).to_contain_text("picked up")
    page.touchscreen.tap(*ground)
    saved(page)
    np.testing.assert_allclose(centre(page, "#pin-hit"), ground, atol=1)
    button = page.locator("#note-button").bounding_box()
    assert button is not None
    assert button["height"] >= 44
    assert button["y"] > my
    page.locator("#note-button").tap()
    expect(page.locator("#note")).to_be_hidden()
    saved(page)
    np.testing.assert_allclose(centre(page, "#pin-hit"), pin, atol=1)
    assert [line.why for line in lines(dataset)] == ["", "", "undo"]


@pytest.mark.slow
def test_an_empty_dataset_says_what_to_do(tmp_path: Path, context: BrowserContext) -> None:
    labelled_dataset(tmp_path / "quad", [])
    with running_server(Labelling.of(Dataset.open(tmp_path / "quad"), by="kim")) as running:
        page = context.new_page()
        page.goto(running.url)
        expect(page.locator("#alert")).to_contain_text("ingest some first")


@pytest.mark.slow
def test_a_name_of_a_file_is_never_markup(tmp_path: Path, context: BrowserContext) -> None:
    nasty = make_photo("p", source_name='<img src=x onerror="document.title=1">.jpg')
    labelled_dataset(tmp_path / "quad", [nasty], pictures=True)
    with running_server(Labelling.of(Dataset.open(tmp_path / "quad"), by="kim")) as running:
        page = open_page(context.new_page(), running.url)
        expect(page.locator("#name")).to_have_text('<img src=x onerror="document.title=1">.jpg')
        assert page.locator("#name img").count() == 0


@pytest.fixture
def mapped(dataset: Dataset, context: BrowserContext) -> Iterator[Page]:
    with running_server(Labelling.of(dataset, by="kim", basemap=small_map())) as server:
        page = context.new_page()
        open_page(page, server.url)
        yield page


@pytest.mark.slow
def test_the_map_lies_below_and_a_pin_is_led_off_a_roof(mapped: Page, dataset: Dataset) -> None:
    expect(mapped.locator("#credit")).to_have_text("(c) the surveyors")
    expect(mapped.locator("#ground[data-painted]")).to_have_count(1)
    mapped.evaluate("location.hash")
    towne = small_map().of("building")[0].geometry.centroid
    photo = mapped.evaluate("location.hash.slice(1)")
    (row,) = [one for one in PHOTOS if one.id.startswith(photo)]
    east, north = FRAME.to_local(towne.x, towne.y)
    from_east, from_north = FRAME.to_local(row.lon, row.lat)
    for key, metres in (("ArrowRight", east - from_east), ("ArrowUp", north - from_north)):
        opposite = {"ArrowRight": "ArrowLeft", "ArrowUp": "ArrowDown"}[key]
        for _ in range(abs(round(float(metres) / 10))):
            mapped.keyboard.press(f"Shift+{key if metres > 0 else opposite}")
    expect(mapped.locator("#where-text")).to_contain_text("on the roof of Towne")
    mapped.locator("#off-roof").click()
    expect(mapped.locator("#off-roof")).to_be_hidden()
    expect(mapped.locator("#where-text")).to_contain_text("Towne")
    saved(mapped)
    newest = lines(dataset)[-1]
    assert not small_map().of("building")[0].geometry.contains(Point(newest.lon, newest.lat))


@pytest.mark.slow
def test_on_a_phone_what_is_known_of_a_photo_is_not_cut(mapped: Page) -> None:
    mapped.set_viewport_size({"width": 360, "height": 640})
    expect(mapped.locator("#where-text")).not_to_be_empty()
    bottoms = "(ids) => ids.map((id) => document.querySelector(id).getBoundingClientRect().bottom)"
    box, *facts = mapped.evaluate(bottoms, [".about", "#name", "#facts", "#probability", "#where"])
    assert max(facts) <= box


@pytest.mark.slow
def test_a_large_map_is_drawn_over_some_frames_and_comes_to_an_end(dataset: Dataset, context: BrowserContext) -> None:
    with running_server(Labelling.of(dataset, by="kim", basemap=many_features(6000, side_m=500))) as server:
        page = open_page(context.new_page(), server.url)
        painted = "Number(document.getElementById('ground').dataset.painted)"
        page.wait_for_function(f"() => {painted} > 3")
        page.wait_for_function(
            f"""() => {{
              const [count, now] = [{painted}, performance.now()];
              if (count !== window.count) [window.count, window.since] = [count, now];
              return now - window.since > 500;
            }}"""
        )
        shades = """() => {
          const { width, height } = document.getElementById("ground");
          const pixels = document.getElementById("ground").getContext("2d").getImageData(0, 0, width, height).data;
          return new Set(new Uint32Array(pixels.buffer)).size;
        }"""
        assert page.evaluate(shades) > 20


@pytest.mark.slow
def test_a_walk_turns_and_is_excluded_as_one(page: Page, dataset: Dataset) -> None:
    walk = [photo for photo in PHOTOS if photo.walk == SLIP.walk]
    page.locator("input[value=walk] + span").click()
    page.keyboard.press("x")
    saved(page)
    assert sorted(line.photo_id for line in lines(dataset)) == sorted(photo.id for photo in walk)
    assert {line.action for line in lines(dataset)} == {"exclude"}
    page.keyboard.press("x")
    saved(page)
    assert len(lines(dataset)) == 2 * len(walk)
    page.keyboard.press("u")
    page.keyboard.press("u")
    saved(page)
    expect(page.locator("#exclude")).to_have_attribute("aria-pressed", "false")
    before = len(lines(dataset))
    with_heading = [photo for photo in walk if photo.heading_deg is not None]
    page.keyboard.press(".")
    saved(page)
    turned = lines(dataset)[before:]
    assert len({line.batch for line in turned}) == 1
    assert len(turned) == max(1, len(with_heading))
    for line in turned:
        own = next(photo for photo in walk if photo.id == line.photo_id).heading_deg or 0.0
        assert line.heading_deg == pytest.approx((own + 5) % 360)


@contextlib.contextmanager
def page_with_an_unplaced_photo(tmp_path: Path, context: BrowserContext) -> Iterator[tuple[Page, Path]]:
    """Open the page of a dataset of one photo, IMG_1.jpg, beside which IMG_2.jpg waits for a position."""
    folder = tmp_path / "photos"
    folder.mkdir()
    write_photo(folder / "IMG_1.jpg", seed=1, lon=FRAME.origin_lon, lat=FRAME.origin_lat)
    write_photo(folder / "IMG_2.jpg", seed=2, lon=None, lat=None)
    site = tmp_path / "box.geojson"
    site.write_text(json.dumps(box_site(300, 300).to_geojson()))
    root = tmp_path / "quad"
    assert ingest(folder, root, site=site).new == 1
    with label_process(root, "--photos", str(folder)) as process:
        page = context.new_page()
        open_page(page, process.url)
        yield page, root


@pytest.mark.slow
def test_a_photo_without_a_position_is_placed_by_a_click(tmp_path: Path, context: BrowserContext) -> None:
    with page_with_an_unplaced_photo(tmp_path, context) as (page, root):
        page.locator("#unplaced-open").click()
        expect(page.locator("#name")).to_have_text("IMG_2.jpg")
        page.locator("#map").click(position={"x": 200, "y": 200})
        expect(page.locator("#progress")).to_contain_text("of 2", timeout=20000)
        expect(page.locator("#name")).to_have_text("IMG_2.jpg", timeout=20000)
        expect(page.locator("#unplaced-open")).to_be_hidden()
    frame = Dataset.open(root).frame()
    assert sorted(frame["source_name"]) == ["IMG_1.jpg", "IMG_2.jpg"]
    assert frame.set_index("source_name").loc["IMG_2.jpg", "gps_source"] == "labels"


@pytest.mark.slow
@pytest.mark.parametrize("way_out", ["key", "button"])
def test_placing_changes_no_other_photo_and_can_be_left(tmp_path: Path, context: BrowserContext, way_out: str) -> None:
    with page_with_an_unplaced_photo(tmp_path, context) as (page, root):
        page.locator("#unplaced-open").click()
        expect(page.locator("#name")).to_have_text("IMG_2.jpg")
        for key in ("ArrowRight", "x", "s", "Enter", "n", "."):
            page.keyboard.press(key)
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        expect(page.locator("#name")).to_have_text("IMG_2.jpg")
        if way_out == "key":
            page.keyboard.press("Escape")
        else:
            page.locator("#unplaced-open").click()
        expect(page.locator("#name")).to_have_text("IMG_1.jpg")
        page.locator("#map").click(position={"x": 200, "y": 200})
        saved(page)
        expect(page.locator("#unplaced-open")).to_have_text("Place a photo")
    dataset = Dataset.open(root)
    assert list(dataset.frame()["source_name"]) == ["IMG_1.jpg"]
    assert [line.action for line in lines(dataset)] == ["move"]
