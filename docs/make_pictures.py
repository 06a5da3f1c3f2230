"""Make the pictures of these pages from a demo: ``img2gps demo && python docs/make_pictures.py img2gps-demo``.

Takes Chromium, playwright and a demo's folder. The terminal is recorded by running commands anew in that folder.
"""

import contextlib
import io
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console
from rich.text import Text

PICTURES = Path(__file__).parent / "pictures"
SIZE = {"width": 1280, "height": 860}
COLUMNS = 96
MOST_BYTES = 300_000
# Short commands whose answers say what the program does.
RECORDED = ("ingest campus/photos quad", "evaluate runs/quick", "predict runs/quick {photo}")
PORT = 8791


def main(demo: Path) -> None:
    """Write every picture."""
    photo = next(path for path in sorted((demo / "campus" / "photos").glob("*.jpg")))
    (PICTURES / "terminal.svg").write_text(recording(demo, photo), encoding="utf-8")
    with sync_playwright() as driver:
        executable = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        report = next((demo / "runs" / "quick" / "evaluations").glob("*/report.html"))
        save("audit", of_file(browser, demo / "quad" / "audit" / "report.html"))
        save("evaluation", of_file(browser, report))
        with served(demo, "label", "quad", "--no-open"), page(browser) as opened:
            opened.goto(f"http://127.0.0.1:{PORT}/")
            opened.wait_for_selector("body[data-ready]")
            opened.wait_for_timeout(3000)
            save("label", opened.screenshot())
        with served(demo, "serve", "runs/quick"), page(browser) as opened:
            opened.goto(f"http://127.0.0.1:{PORT}/")
            opened.wait_for_selector("body[data-ready]")
            opened.set_input_files("#file", [photo])
            opened.wait_for_function("() => ['here', 'unsure', 'elsewhere'].includes(document.body.dataset.state)")
            opened.wait_for_timeout(1500)
            save("serve", opened.screenshot())
        browser.close()


@contextlib.contextmanager
def page(browser: Browser) -> Iterator[Page]:
    """Yield a page of `SIZE`."""
    context = browser.new_context(viewport=SIZE)
    context.set_default_timeout(120_000)
    yield context.new_page()
    context.close()


def of_file(browser: Browser, path: Path) -> bytes:
    """Return a screenshot of a report, from its map on."""
    with page(browser) as opened:
        opened.goto(path.resolve().as_uri())
        opened.wait_for_selector("#map[data-px-per-m]")
        opened.locator("#map").scroll_into_view_if_needed()
        opened.wait_for_timeout(1500)
        return opened.screenshot()


@contextlib.contextmanager
def served(demo: Path, *words: str) -> Iterator[None]:
    """Run a command that serves a page, until the caller is done."""
    command = [sys.executable, "-m", "img2gps", *words, "--port", str(PORT)]
    server = subprocess.Popen(command, cwd=demo, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{PORT}/").close()
                break
            time.sleep(0.2)
        yield
    finally:
        server.terminate()
        server.wait(30)


def save(name: str, png: bytes) -> None:
    """Write a screenshot as a small JPEG."""
    for quality in (85, 75, 60):
        buffer = io.BytesIO()
        Image.open(io.BytesIO(png)).convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() < MOST_BYTES:
            break
    (PICTURES / f"{name}.jpg").write_bytes(buffer.getvalue())


def recording(demo: Path, photo: Path) -> str:
    """Return what the recorded commands print in a terminal, as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    for line in RECORDED:
        words = line.format(photo=photo.relative_to(demo)).split()
        environment = os.environ | {"FORCE_COLOR": "1", "COLUMNS": str(COLUMNS)}
        command = [sys.executable, "-m", "img2gps", *words]
        done = subprocess.run(
            command, cwd=demo, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True
        )
        console.print(Text(f"$ img2gps {' '.join(words)}", style="bold"))
        console.print(Text.from_ansi("\n".join(without_bars(done.stdout))))
        console.print()
    return console.export_svg(title="img2gps")


def without_bars(text: str) -> Iterator[str]:
    """Yield the lines of a terminal's output, without those that a progress bar drew over."""
    before = ""
    for line in text.splitlines():
        # a bar that ends is wiped, and the next text stands on its line
        shown = re.sub(r"\x1b\[\?25[lh]", "", line).rsplit("\x1b[1A\x1b[2K", 1)[-1]
        if "\x1b[2K" not in shown and "\x1b[1A" not in shown and (shown.strip() or before.strip()):
            yield shown
            before = shown


if __name__ == "__main__":
    main(Path(sys.argv[1]))
