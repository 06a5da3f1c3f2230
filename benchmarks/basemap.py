"""How fast the label page's map moves with a basemap below it, in headless Chromium and without a graphics processor.

The page is opened on a site whose basemap has as many features as asked for. A program drags it and turns the wheel.
It notes when each frame comes, and how long the page's own scripts take in it. The same is done without a basemap.
An empty page says what the browser gives at best. The ratios are frames a second against the empty page.

    python benchmarks/basemap.py [--json] [--features 20000] [--frames 300] [--rounds 3]
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.remove(str(Path(__file__).resolve().parent))  # benchmarks/train.py would hide the package
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Browser, sync_playwright

from collect.label.labelling import Labelling
from img2gps.basemap import Basemap
from tests.datasets import box_site
from tests.labelling import CHROMIUM, labelled_dataset, open_page, running_server, walk_with_a_slip
from tests.maps import many_features

SITE_M = 700.0
SIZES = {"desktop": (1280, 800, 1), "phone": (360, 740, 3)}
EMPTY = "data:text/html,<body>"
# The scripts' time in each frame: every callback but the one that drives is measured.
WATCH = """
  window.spent = 0;
  const plain = window.requestAnimationFrame.bind(window);
  window.drive = plain;
  window.requestAnimationFrame = (call) => plain((now) => {
    const began = performance.now();
    call(now);
    window.spent += performance.now() - began;
  });
"""
RUN = """
  ([kind, frames]) => new Promise((done) => {
    const map = document.getElementById("map");
    const box = map?.getBoundingClientRect();
    const [middleX, middleY] = box ? [box.width / 2, box.height / 2] : [0, 0];
    const mouse = { pointerId: 1, pointerType: "mouse", button: 0, buttons: 1, bubbles: true, cancelable: true };
    const at = (x, y) => ({ clientX: box.left + x, clientY: box.top + y });
    const event = (type, x, y) => map?.dispatchEvent(new PointerEvent(type, { ...mouse, ...at(x, y) }));
    const turned = (by) => new WheelEvent("wheel", { ...mouse, ...at(middleX, middleY), buttons: 0, deltaY: by });
    const wheel = (by) => map?.dispatchEvent(turned(by));
    if (map) map.setPointerCapture = () => {};
    const [times, spent] = [[], []];
    // a drag goes over ground that is not drawn yet
    if (kind === "pan") { wheel(-200); wheel(-200); event("pointerdown", middleX, middleY); }
    const frame = (now) => {
      times.push(now);
      spent.push(window.spent);
      window.spent = 0;
      const k = times.length;
      if (k > frames) {
        if (kind === "pan") { event("pointerup", middleX, middleY); wheel(200); wheel(200); }
        return done({ times, spent: spent.slice(1) });
      }
      const began = performance.now();
      const turn = (2 * Math.PI * k) / 150;
      if (kind === "pan") event("pointermove", middleX * (1 + Math.sin(turn)), middleY * Math.cos(turn));
      if (kind === "zoom") wheel(Math.sin(turn) > 0 ? -25 : 25);
      window.spent += performance.now() - began;
      window.drive(frame);
    };
    window.drive(frame);
  })
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--features", type=int, default=20_000)
    parser.add_argument("--frames", type=int, default=300, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    figures = measured(many_features(options.features, side_m=SITE_M + 200), options.frames, options.rounds)
    report = {"machine": machine(), "figures": figures, "ratios": ratios(figures)}
    print(json.dumps(report, indent=None if options.json else 1))


def measured(basemap: Basemap, frames: int, rounds: int) -> dict[str, Any]:
    """Return the figures of each width, page and gesture."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        dataset = labelled_dataset(
            Path(folder) / "quad", walk_with_a_slip(200, 8), pictures=True, site=box_site(SITE_M, SITE_M)
        )
        for under in (None, basemap):
            with running_server(Labelling.of(dataset, by="kim", basemap=under)) as server:
                for width in SIZES:
                    for kind in ("pan", "zoom"):
                        key = f"{width}/{'basemap' if under else 'plain'}/{kind}"
                        found[key] = moved(browser, server.url, width, kind, frames, rounds)
        for width in SIZES:
            found[f"{width}/empty"] = moved(browser, EMPTY, width, "none", frames, rounds)
        browser.close()
    return found


def moved(browser: Browser, url: str, width: str, kind: str, frames: int, rounds: int) -> dict[str, float]:
    """Return the median over rounds of what `summary` says, each on a page just opened, and the slowest round."""
    across, down, ratio = SIZES[width]
    seen = []
    for _ in range(rounds):
        context = browser.new_context(viewport={"width": across, "height": down}, device_scale_factor=ratio)
        page = context.new_page()
        page.add_init_script(WATCH)
        if url == EMPTY:
            page.goto(url)
        else:
            open_page(page, url)
        page.wait_for_timeout(1500)
        seen.append(summary(page.evaluate(RUN, [kind, frames])))
        context.close()
    found = {key: round(statistics.median(one[key] for one in seen), 2) for key in seen[0]}
    return found | {"slowest_frames_per_s": round(min(one["frames_per_s"] for one in seen), 2)}


def summary(run: dict[str, list[float]]) -> dict[str, float]:
    """Return what one run of frames says."""
    steps = sorted(after - before for before, after in zip(run["times"], run["times"][1:], strict=False))
    spent = sorted(run["spent"])
    return {
        "frames_per_s": 1000 * len(steps) / sum(steps),
        "frame_p95_ms": steps[int(0.95 * len(steps))],
        "script_median_ms": statistics.median(spent),
        "script_p95_ms": spent[int(0.95 * len(spent))],
        "script_most_ms": spent[-1],
    }


def ratios(figures: dict[str, Any]) -> dict[str, float]:
    """Return frames a second against an empty page of the same width."""
    return {
        f"{key}/to_empty": round(one["frames_per_s"] / figures[f"{key.split('/')[0]}/empty"]["frames_per_s"], 3)
        for key, one in figures.items()
        if not key.endswith("/empty")
    }


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    return {
        "cpu": platform.processor() or platform.machine(),
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
    }


if __name__ == "__main__":
    main()
