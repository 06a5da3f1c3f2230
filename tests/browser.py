"""Headless Chromium for tests of the reports: Debian's package, driven by playwright."""

import contextlib
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from img2gps.web.guard import Policy, policy_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page
    from starlette.applications import Starlette

__all__ = ["chromium", "click_place", "open_report", "picture_colour", "served"]

_ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


@contextlib.contextmanager
def chromium() -> Iterator["Browser"]:
    """Yield a browser, for a module-wide fixture; skip the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("needs a chromium executable on the PATH")
    with playwright.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=list(_ARGUMENTS))
        yield launched
        launched.close()


@contextlib.contextmanager
def open_report(browser: "Browser", path: Path, **context_options: Any) -> Iterator["Page"]:
    """Open a file; on leaving, fail where the page threw, logged an error, or asked for anything but itself."""
    faults: list[str] = []
    requests: list[str] = []
    options = {"viewport": {"width": 1280, "height": 900}, **context_options}
    context = browser.new_context(**options)
    context.set_default_timeout(8000)
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
        page.on("request", lambda request: requests.append(request.url))
        page.goto(path.as_uri())
        if page.locator("#map").count():
            page.wait_for_selector("#map[data-px-per-m]")
        yield page
    finally:
        context.close()
    assert not faults, faults
    assert [url for url in requests if not url.startswith("data:")] == [path.as_uri()]


@contextlib.contextmanager
def served(make_app: "Callable[[Policy], Starlette]") -> Iterator[str]:
    """Serve an app of ours from a thread, and yield its address."""
    import uvicorn

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(16)
        port = listener.getsockname()[1]
        app = make_app(policy_for("127.0.0.1", port))
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{port}/"
        finally:
            server.should_exit = True
            thread.join(10)


def click_place(page: "Page", east_m: float, north_m: float) -> None:
    """Click the map at a place in metres."""
    x, y = page.evaluate(
        """([east, north]) => {
          const canvas = document.getElementById("map");
          const { east: e, north: n, pxPerM } = canvas.dataset;
          const [width, height] = [canvas.clientWidth, canvas.clientHeight];
          return [width / 2 + (east - Number(e)) * pxPerM, height / 2 - (north - Number(n)) * pxPerM];
        }""",
        [east_m, north_m],
    )
    page.locator("#map").click(position={"x": x, "y": y})


def picture_colour(page: "Page", selector: str) -> tuple[int, int, int]:
    """Return the colour in the middle of a picture, as decoded by the browser."""
    red, green, blue = page.evaluate(
        """async (selector) => {
          const image = document.querySelector(selector);
          await image.decode();
          const canvas = new OffscreenCanvas(1, 1);
          const context = canvas.getContext("2d");
          context.drawImage(image, image.naturalWidth / 2, image.naturalHeight / 2, 1, 1, 0, 0, 1, 1);
          return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
        }""",
        selector,
    )
    return red, green, blue
