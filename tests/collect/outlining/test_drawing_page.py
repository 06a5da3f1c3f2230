"""The page that draws a site in a browser, by keyboard and on a narrow screen."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import expect

from collect.outlining.drawing import Drawing, create_drawing_app
from collect.outlining.proposal import propose_site
from img2gps.geo import geodesic_m
from img2gps.site import load_site
from tests.browser import chromium, served

pytestmark = pytest.mark.browser


def test_an_outline_is_drawn_moved_and_saved_by_keyboard_on_a_narrow_screen(tmp_path: Path) -> None:
    lon, lat = 8 + np.array([0, 1e-3, 2e-3]), 50 + np.array([0, 1e-3, 0])
    drawing = Drawing(out=tmp_path / "yard.geojson", lon=lon, lat=lat, start=propose_site(lon, lat).site)
    with chromium() as browser, served(lambda policy: create_drawing_app(drawing, policy)) as url:
        page = browser.new_page(viewport={"width": 360, "height": 740})
        faults: list[str] = []
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.goto(url)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        page.locator("#clear").press("Enter")
        page.locator("#map").focus()
        for arrow in ("ArrowRight", "ArrowUp", "ArrowLeft"):
            page.keyboard.press("Enter")
            page.keyboard.press(arrow)
        assert "One part" in page.locator("#hint").inner_text()
        page.locator("#save").press("Enter")
        expect(page.locator("#answer")).to_contain_text("Saved")
        before = load_site(tmp_path / "yard.geojson")
        page.locator("#map").focus()
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("Shift+ArrowUp")
        page.keyboard.press("Control+z")
        page.locator("#zone").fill("UTC")
        page.locator("#save").press("Enter")
        expect(page.locator("#answer")).to_contain_text("clocks of UTC")
        assert faults == []
    old, new = (np.array(site.polygon.exterior.coords)[:3] for site in (before, load_site(drawing.out)))
    moved_m = geodesic_m(old[:, 0], old[:, 1], new[:, 0], new[:, 1])
    assert sorted(moved_m > 0.5) == [False, False, True]
    assert moved_m.max() < 50
