"""What a model costs once it has left the laptop: its run in torch, exported, behind the service, in a browser.

RUN is exported as a page once (or `--out` holds one already), compared with its run on PHOTOS, and then answers in four
ways, one after the other in each round. Seconds are of processor time (user and system, of all processes) and of the
wall; the least of all rounds counts. Ratios compare ways within one run of this program.

    python benchmarks/serve.py RUN PHOTOS [--json] [--photos 24] [--rounds 3] [--clients 8] [--out PAGE]

The browser is Chromium driven by playwright; without it, or without npm, that part is left out.
"""

import argparse
import contextlib
import functools
import http.client
import http.server
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

sys.path.remove(str(Path(__file__).resolve().parent))  # benchmarks/train.py would hide the package

_FRESH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "torchvision", "timm", "train", "collect", "pandas", "pyarrow"):
            raise ImportError(name)
sys.meta_path.insert(0, Refuse())
from img2gps.runtime import Locator
print(Locator(sys.argv[1]).locate(sys.argv[2]).lat)
"""
_MANY = """
import sys, time
def clock():
    return time.process_time(), time.perf_counter()
{load}
locate(sys.argv[2:3])
before = clock()
{how}
print(*(now - then for now, then in zip(clock(), before)))
"""
_AT_ONCE = "locate(sys.argv[2:])"
_ONE_BY_ONE = "for photo in sys.argv[2:]: locate([photo])"
_ORT = "from img2gps.runtime import Locator\nlocate = Locator(sys.argv[1]).locate_many"
_TORCH = """from pathlib import Path
from train.inference.load import load_localizer
from train.inference.predict import predict_files
model = load_localizer(Path(sys.argv[1]), device="cpu")
def locate(photos):
    return predict_files(model, [Path(photo) for photo in photos])"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--photos", dest="count", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--out", type=Path, help="a folder of `img2gps export RUN OUT --format page`")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        page = given.out or _exported(given.run, Path(folder) / "page")
        report = measure(given.run, page, given.photos, count=given.count, rounds=given.rounds, clients=given.clients)
    if given.json:
        print(json.dumps(report, indent=1))
        return
    for part in ("parity", "figures", "ratios"):
        print(part)
        for name, value in report[part].items():
            print(f"  {name:<28}{value:>12.4f}")


def measure(run: Path, page: Path, photos: Path, *, count: int, rounds: int, clients: int) -> dict[str, Any]:
    """Return parity, figures and ratios of a run and its export on `count` of `photos`, evenly drawn."""
    from train.exporting.check import check_export
    from train.inference.predict import find_photos

    paths, _ = find_photos([photos])
    chosen = paths[:: max(1, len(paths) // count)][:count]
    words = [str(path) for path in chosen]
    parity = check_export(page / "model", chosen, run=run)
    figures: dict[str, float] = {}
    for _ in range(rounds):
        found = _child(_FRESH, str(page / "model"), words[0], prefix="first_answer")
        found |= _each("torch", _TORCH, run, words) | _each("onnx", _ORT, page / "model", words)
        found |= _each("torch_alone", _TORCH, run, words[:4], how=_ONE_BY_ONE)
        found |= _each("onnx_alone", _ORT, page / "model", words, how=_ONE_BY_ONE)
        found |= service(page, words, clients=clients) | browser(page, words)
        figures = {name: min(value, figures.get(name, value)) for name, value in found.items()}
    megabytes = sum(path.stat().st_size for path in page.rglob("*") if path.is_file()) / 1e6
    return {
        "machine": {"cpu_count": os.cpu_count(), "python": platform.python_version(), "platform": platform.platform()},
        "parity": {
            "photos": len(parity.photos),
            "worst_m": parity.worst_m,
            "worst_radius_share": parity.worst_radius_share or 0.0,
            "median_file_m": parity.median_file_m,
            "page_mb": megabytes,
            "export_mb": parity.bytes / 1e6,
            "run_mb": parity.run_bytes / 1e6,
        },
        "figures": figures,
        "ratios": _ratios(figures),
    }


def _ratios(figures: dict[str, float]) -> dict[str, float]:
    ratios = {"torch_to_onnx_cpu": figures["torch_cpu_s"] / figures["onnx_cpu_s"]}
    ratios["torch_to_onnx_alone_cpu"] = figures["torch_alone_cpu_s"] / figures["onnx_alone_cpu_s"]
    ratios["service_to_onnx_alone_cpu"] = figures["service_cpu_s"] / figures["onnx_alone_cpu_s"]
    if "page_photo_s" in figures:
        ratios["page_to_onnx_alone_wall"] = figures["page_photo_s"] / figures["onnx_alone_wall_s"]
    return ratios


def _exported(run: Path, out: Path) -> Path:
    from train.api import export

    return export(run, out, format="page").out


def _child(program: str, *words: str, prefix: str) -> dict[str, float]:
    """Return the seconds of a whole process from its start to its end."""
    before, started = _children_cpu_s(), time.perf_counter()
    subprocess.run([sys.executable, "-c", program, *words], check=True, capture_output=True)
    return {f"{prefix}_wall_s": time.perf_counter() - started, f"{prefix}_cpu_s": _children_cpu_s() - before}


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _each(name: str, load: str, model: Path, words: list[str], *, how: str = _AT_ONCE) -> dict[str, float]:
    """Return the seconds per photo once the model is loaded and has answered."""
    program = _MANY.format(load=load, how=how)
    done = subprocess.run(
        [sys.executable, "-c", program, str(model), *words], check=True, capture_output=True, text=True
    )
    cpu_s, wall_s = (float(value) / len(words) for value in done.stdout.split())
    return {f"{name}_cpu_s": cpu_s, f"{name}_wall_s": wall_s}


def service(page: Path, words: list[str], *, clients: int) -> dict[str, float]:
    """Return what the service takes under `clients` at once: per photo, and the longest that one waited."""
    command = [sys.executable, "-m", "img2gps.serving", str(page / "model"), "--port", "0"]
    bodies = [Path(word).read_bytes() for word in words] * 2
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = int(process.stderr.readline().rsplit(":", 1)[1].strip("/\n"))
        try:
            _post(port, bodies[0])
            idle = _cpu_s(process.pid)
            started = time.perf_counter()
            with ThreadPoolExecutor(clients) as pool:
                waited = list(pool.map(functools.partial(_post, port), bodies))
            wall_s = time.perf_counter() - started
            cpu_s = _cpu_s(process.pid) - idle
        finally:
            process.terminate()
    return {
        "service_cpu_s": cpu_s / len(bodies),
        "service_wall_s": wall_s / len(bodies),
        "service_longest_s": max(waited),
    }


def _cpu_s(root: int) -> float:
    """Return the processor time so far of a process and of those that it started and that still run."""
    import psutil

    found = psutil.Process(root)
    spent = [one.cpu_times() for one in (found, *found.children(recursive=True))]
    return sum(times.user + times.system for times in spent)


def _post(port: int, body: bytes) -> float:
    started = time.perf_counter()
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=120)) as connection:
        connection.request("POST", "/v1/locate?details=true", body, {"content-type": "application/octet-stream"})
        response = connection.getresponse()
        answer = response.read()
        assert response.status == 200, answer[:200]
    return time.perf_counter() - started


def browser(page: Path, words: list[str]) -> dict[str, float]:
    """Return what the page takes in Chromium: to the first answer from nothing, then per photo."""
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        return {}
    if executable is None or not (page / "index.html").is_file():
        return {}
    with sync_playwright() as driver, _plain_host(page) as url:
        launched = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        opened = launched.new_page()
        started = time.perf_counter()
        opened.goto(url)
        opened.set_input_files("#file", words[0])
        opened.wait_for_selector("body[data-seconds]", timeout=120_000)
        first_s = time.perf_counter() - started
        seconds = []
        for word in words[1:5]:
            opened.evaluate("delete document.body.dataset.seconds")
            opened.set_input_files("#file", word)
            opened.wait_for_selector("body[data-seconds]", timeout=120_000)
            seconds.append(float(opened.evaluate("document.body.dataset.seconds")))
        launched.close()
    return {"page_first_s": first_s, "page_photo_s": min(seconds)}


@contextlib.contextmanager
def _plain_host(folder: Path) -> Iterator[str]:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    class Patient(http.server.ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            return  # a browser that was closed while it kept the files for the next time

    server = Patient(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


if __name__ == "__main__":
    main()
