"""The scripts that compute on a phone, held against Pillow and the runtime's numpy in a browser."""

import base64
import dataclasses
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

import img2gps.serving
from img2gps.familiarity import familiarity_of
from img2gps.geo import LocalFrame
from img2gps.imaging import upright_rgb
from img2gps.pixels import PixelSpec, fit_pixels
from img2gps.runtime.regions import answer_points, region_radii
from tests.browser import chromium
from tests.photos import scene

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCRIPTS = Path(img2gps.serving.__file__).parent / "phone"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the scripts, and an empty page to load them into."""

    def do_GET(self) -> None:
        if self.path == "/":
            self.send_response(200)
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def page() -> "Iterator[Page]":
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SCRIPTS)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with chromium() as browser:
        opened = browser.new_page()
        opened.goto(f"http://127.0.0.1:{server.server_port}/")
        yield opened
    server.shutdown()
    server.server_close()


def by_script(page: "Page", image: Image.Image, spec: PixelSpec, *, is_jpeg: bool = False) -> Any:
    """Return what the scripts make of pixels, (3, height, width)."""
    given = {"width": image.width, "height": image.height, "code": base64.b64encode(image.tobytes()).decode()}
    model = {"height": spec.height, "width": spec.width, "fit": spec.fit, "padding": [127, 127, 127]}
    found = page.evaluate(
        """async ([image, model, isJpeg]) => {
          const { fitted, workingCopy } = await import("/resize.js");
          image.data = Uint8ClampedArray.from(atob(image.code), (char) => char.charCodeAt(0));
          return [...fitted(workingCopy(image, isJpeg), model)];
        }""",
        [given, model, is_jpeg],
    )
    return np.asarray(found, dtype=np.uint8).reshape(3, spec.height, spec.width)


@pytest.mark.parametrize("fit", ["pad", "squash"])
@pytest.mark.parametrize("size", [(300, 400), (333, 217), (40, 30), (900, 700), (1, 500)])
def test_pixels_are_those_of_pillow(page: "Page", size: tuple[int, int], fit: Any) -> None:
    spec = PixelSpec(height=64, width=48, fit=fit)
    image = scene(size, seed=3)
    ours = by_script(page, image, spec).astype(int)
    theirs = fit_pixels(upright_rgb(image), spec).astype(int)
    assert np.abs(ours - theirs).max() <= (0 if max(size) <= 512 else 2)


def test_a_large_jpeg_comes_out_nearly_as_its_decoder_makes_it(page: "Page", tmp_path: Path) -> None:
    spec = PixelSpec(height=64, width=48, fit="pad")
    scene((1500, 2000), seed=5, detail=40).save(tmp_path / "a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as whole:
        pixels = whole.convert("RGB")
    with Image.open(tmp_path / "a.jpg") as opened:
        theirs = fit_pixels(upright_rgb(opened), spec).astype(int)
    ours = by_script(page, pixels, spec, is_jpeg=True).astype(int)
    assert np.abs(ours - theirs).mean() < 0.6


@pytest.mark.parametrize("kind", ["mean", "median", "mode"])
def test_answers_and_regions_are_those_of_the_runtime(page: "Page", kind: str) -> None:
    rng = np.random.default_rng(4)
    centres = rng.uniform(-80, 80, (200, 2))
    log_probs = np.log(rng.dirichlet(np.full(200, 0.05)) + 1e-9)
    log_probs -= np.log(np.exp(log_probs).sum())
    stretch = {"temper": 0.8, "inflation_50": 1.2, "inflation_90": 1.1}
    held_out, frame = sorted(rng.uniform(0, 1, 30)), LocalFrame(origin_lon=-75.19, origin_lat=39.95)
    point, radii, familiarity, lonlat = page.evaluate(
        """async ([logProbs, centres, kind, stretch, heldOut, frame]) => {
          const script = await import("/regions.js");
          const point = script.answerPoint(logProbs.map(Math.exp), centres, kind, 12);
          const radii = script.regionRadii(logProbs, centres, point, 4, stretch);
          return [point, radii, script.familiarityOf(heldOut, 0.4), script.lonLatOf(frame, point)];
        }""",
        [log_probs.tolist(), centres.tolist(), kind, stretch, held_out, dataclasses.asdict(frame)],
    )
    expected = answer_points(np.exp(log_probs)[None], centres, kind, bandwidth_m=12.0)
    assert point == pytest.approx(expected[0], abs=1e-6)
    tempered = np.exp(0.8 * log_probs)[None]
    theirs = region_radii(tempered, centres, expected, cell_m=4.0)[0] * [1.2, 1.1]
    assert radii == pytest.approx([theirs[0], max(theirs)], rel=1e-6)
    assert familiarity == pytest.approx(float(familiarity_of(np.asarray(held_out), np.asarray([0.4]))[0]))
    (lon,), (lat,) = frame.to_lonlat(expected[0][:1], expected[0][1:])
    assert lonlat == pytest.approx([lon, lat], abs=1e-8)
