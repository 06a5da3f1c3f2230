"""The review page in a browser, by keyboard and on a narrow screen."""

import re
import shutil
from pathlib import Path

import pytest
from playwright.sync_api import expect
from publishing_scene import Published

from collect.publishing.redaction.review import ReviewDesk, review_app
from img2gps.dataset import Dataset
from img2gps.manifest import photos_of, read_table
from img2gps.redactions import Box, PictureRegion, Redactions, load_redactions, save_redactions
from tests.browser import chromium, served

pytestmark = pytest.mark.browser


def test_every_answer_can_be_given_by_keyboard_on_a_narrow_screen(published: Published, tmp_path: Path) -> None:
    dataset = Dataset.open(shutil.copytree(published.dataset.root, tmp_path / "quad"))
    photos = photos_of(read_table(dataset.manifest_path)[0])
    boxes = [Box(left=left, top=4, right=left + 16, bottom=20) for left in (4, 40)]
    unsure = [PictureRegion(box=box, kind="face", score=0.2) for box in boxes]
    regions = {photos[5].id: unsure, photos[3].id: [PictureRegion(box=boxes[0], kind="face", score=0.9)]}
    with dataset.lock():
        save_redactions(dataset, Redactions(regions=regions))
    desk = ReviewDesk(dataset=dataset, photos=photos)
    with chromium() as browser, served(lambda policy: review_app(desk, policy)) as url:
        page = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme="dark")
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.goto(url)
        page.wait_for_selector("#regions button")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        places = [page.locator(f"#{name}").bounding_box() for name in ("back", "next", "undraw")]
        assert len({place and place["y"] for place in places}) == 1  # in one row
        paint = page.locator("#next").evaluate("button => getComputedStyle(button).backgroundColor")
        assert max(int(part) for part in re.findall(r"\d+", paint)[:3]) < 128  # dark as the page
        page.locator("#regions button").first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector("text=face, 0.20: shown")
        page.keyboard.press("Tab")  # the focus stayed on the button that was pressed
        page.keyboard.press("Enter")
        expect(page.locator("#regions button").last).to_contain_text("shown")
        assert "0 with unsure ones left" in page.locator("#progress").inner_text()
        page.keyboard.press("ArrowRight")
        page.wait_for_selector("text=face, 0.90: hidden")
        box = page.locator("canvas").bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + 5, box["y"] + 30)
        page.mouse.down()
        page.mouse.move(box["x"] + 40, box["y"] + 60)
        page.mouse.up()
        page.wait_for_selector("text=drawn by hand")
        page.keyboard.press("u")
        page.wait_for_selector("text=drawn by hand", state="detached")
        assert faults == []
    known = load_redactions(dataset)
    assert (known.hidden(photos[5].id), known.hidden(photos[3].id)) == ([], [boxes[0]])
