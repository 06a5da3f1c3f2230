"""The page that marks photos, by mouse, by keyboard and on a narrow screen."""

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import expect

from collect.marking.marking import Marking, create_marking_app
from img2gps.masks import CLASSES, find_mask, read_mask
from tests.browser import chromium, served
from tests.datasets import make_dataset, make_photo

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("width", [360, 1200])
def test_polygons_are_drawn_by_mouse_and_keyboard(tmp_path: Path, width: int) -> None:
    dataset = make_dataset(tmp_path / "quad", [make_photo(name, width=120, height=160) for name in ("a", "b")])
    for own in dataset.frame()["id"]:
        path = dataset.photo_path(own)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (120, 160), (90, 120, 150)).save(path)
    marking = Marking.of(dataset, tmp_path / "masks")
    with chromium() as browser, served(lambda policy: create_marking_app(marking, policy)) as url:
        page = browser.new_page(viewport={"width": width, "height": 1200})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        expect(page.locator("#hint")).to_contain_text("Photo 1 of 2, 0 marked")
        expect(page.locator("#canvas")).to_have_attribute("width", "120")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.keyboard.press("4")
        box = page.locator("#canvas").bounding_box()
        assert box is not None
        scale = min(box["width"] / 120, box["height"] / 160)
        left, top = box["x"] + (box["width"] - 120 * scale) / 2, box["y"] + (box["height"] - 160 * scale) / 2
        for x, y in ((5, 5), (115, 5), (115, 75), (5, 75), (5, 5)):  # the last click closes it
            page.mouse.click(left + x * scale, top + y * scale)
        expect(page.locator("#hint")).to_contain_text("1 marked. 1 polygon here")
        page.keyboard.press("1")
        page.locator("#canvas").focus()
        for keys in (["Shift+ArrowDown"] * 12, ["Shift+ArrowRight"] * 4, ["Shift+ArrowDown"] * 4):
            for key in keys:
                page.keyboard.press(key)
            page.keyboard.press("Space")
        page.keyboard.press("Enter")
        expect(page.locator("#hint")).to_contain_text("2 polygons here")
        page.keyboard.press("n")
        expect(page.locator("#hint")).to_contain_text("Photo 2 of 2, 1 marked. 0 polygons here")
        page.keyboard.press("p")
        expect(page.locator("#hint")).to_contain_text("2 polygons here")
        with page.expect_response(lambda answer: answer.request.method == "POST" and answer.ok):
            page.keyboard.press("Backspace")
        expect(page.locator("#hint")).to_contain_text("1 polygon here")
        assert faults == []
    (name,) = marking.marks.photos
    path = find_mask(tmp_path / "masks", name)
    assert path is not None
    mask = read_mask(path)
    assert CLASSES[mask[40, 60]] == "sky"
    assert CLASSES[mask[120, 60]] == "other"
