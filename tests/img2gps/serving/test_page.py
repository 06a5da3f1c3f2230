"""The page in a browser: what it says of a photo, and that it asks nobody else."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.browser import chromium
from tests.serving import RedIsFarEast, ServiceClient, colour_jpeg, running_service

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

HERE, UNSURE, ELSEWHERE = (200, 60, 30), (60, 60, 150), (127, 127, 250)
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    with chromium() as launched:
        yield launched


@pytest.fixture(scope="module")
def service() -> Iterator[ServiceClient]:
    with running_service(RedIsFarEast()) as client:
        yield client


@pytest.fixture(params=[PHONE, {"viewport": {"width": 1280, "height": 900}}], ids=["phone", "desk"])
def page(browser: "Browser", service: ServiceClient, request: pytest.FixtureRequest) -> "Iterator[Page]":
    faults: list[str] = []
    requests: list[str] = []
    context = browser.new_context(**request.param)
    context.set_default_timeout(10_000)
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    refused = "status of 422"  # what the browser itself says of a photo that cannot be read
    page.on(
        "console", lambda said: faults.append(said.text) if said.type == "error" and refused not in said.text else None
    )
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto(service.url)
    page.wait_for_selector("body[data-ready]")
    yield page
    context.close()
    assert not faults
    assert all(url.startswith((service.url, "blob:")) for url in requests), requests


def choose(page: "Page", *colours: tuple[int, int, int]) -> None:
    files: list[Any] = [
        {"name": f"{number}.jpg", "mimeType": "image/jpeg", "buffer": colour_jpeg(colour)}
        for number, colour in enumerate(colours)
    ]
    page.set_input_files("#file", files)


def test_a_photo_is_answered_in_words_and_on_the_map(page: "Page") -> None:
    choose(page, HERE)
    page.wait_for_selector("body[data-state=here]")
    assert page.inner_text("#verdict") == "It was taken here."
    assert "within 8 m" in page.inner_text("#detail").replace("\N{NO-BREAK SPACE}", " ")
    assert page.locator("#status").get_attribute("aria-live") == "polite"
    lat, lon = map(float, page.inner_text("#lonlat").split(", "))
    (row,) = page.evaluate(
        "async (bytes) => (await fetch('v1/locate', {method: 'POST', headers: {'content-type': 'image/jpeg'},"
        " body: new Uint8Array(bytes)})).json()",
        list(colour_jpeg(HERE)),
    )
    assert (lat, lon) == (round(row["lat"], 6), round(row["lon"], 6))
    # the dot lies where the answer does: the accent colour under its place on the map
    shade = page.evaluate(
        """([east, north]) => {
          const canvas = document.getElementById("map");
          const { east: e, north: n, pxPerM } = canvas.dataset;
          const ratio = canvas.width / canvas.clientWidth;
          const x = (canvas.clientWidth / 2 + (east - e) * pxPerM) * ratio;
          const y = (canvas.clientHeight / 2 - (north - n) * pxPerM) * ratio;
          return [...canvas.getContext("2d").getImageData(Math.round(x), Math.round(y), 1, 1).data].slice(0, 3);
        }""",
        [(200 - 127.5) * 200 / 255, (60 - 127.5) * 200 / 255],
    )
    assert shade == [0x0B, 0x5F, 0xA5]
    assert page.locator("#alike-list img").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_doubt_and_strangers_are_said(page: "Page") -> None:
    choose(page, UNSURE, ELSEWHERE)
    page.wait_for_selector("body[data-state=unsure]")
    assert page.inner_text("#verdict") == "Not sure where this is."
    page.locator("#photos button").nth(1).click()
    assert page.inner_text("#verdict") == "This does not look like the site."
    assert page.locator("#photos button[aria-current=true]").count() == 1


def test_what_is_no_photo_is_said(page: "Page") -> None:
    page.set_input_files("#file", [{"name": "a.jpg", "mimeType": "image/jpeg", "buffer": b"nothing"}])
    page.wait_for_selector("body[data-state=failed]")
    assert page.inner_text("#verdict") == "This photo cannot be read."
    assert page.locator("#position").is_hidden()
    choose(page, HERE)
    page.wait_for_selector("body[data-state=here]")


def test_the_page_is_used_by_keyboard(page: "Page") -> None:
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
    assert {"file", "map", "zoom-in"} <= set(reached)
    page.focus("#map")
    before = float(page.get_attribute("#map", "data-px-per-m") or 0)
    page.keyboard.press("+")
    page.wait_for_function(f"() => Number(document.getElementById('map').dataset.pxPerM) > {before}")
