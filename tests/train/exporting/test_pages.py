"""The formats `space` and `page`: the service without torch, and the page that computes in the browser."""

import contextlib
import functools
import hashlib
import http.client
import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from img2gps.answers import predictions_json
from img2gps.errors import UsageError
from img2gps.files import SUMS
from img2gps.geo import geodesic_m
from tests.browser import chromium
from tests.serving import running_service
from tests.train.colours import colour_dataset, colour_photo, without_curves
from train.api import export, predict
from train.config.presets import preset
from train.config.values import changed
from train.exporting import onnxruntime_web
from train.exporting.onnxruntime_web import FILES, runtime_files
from train.exporting.space_folder import NEEDS
from train.training.session import start_run

WITHOUT_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in "torch torchvision timm train collect geopandas rich pandas pyarrow scipy".split():
            raise ImportError(f"{name} is not in the container")
sys.meta_path.insert(0, Refuse())
from img2gps.serving.__main__ import main
import img2gps
assert img2gps.__file__.startswith(sys.argv[1]), img2gps.__file__
sys.exit(main(["model", "--port", "0", "--public"]))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("exported")
    tiny = {
        "model": "timm/test_efficientnet",
        "weights": "none",
        "size": 32,
        "device": "cpu",
        "threads": 1,
        "epochs": 5,
    }
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        source = colour_dataset(root / "ds", 40, val=20).root
        return start_run(source, changed(preset("quick"), tiny), runs=root, name="probe").root


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "photo.png"
    colour_photo(30, -20, size=(600, 800)).save(path)
    return path


def test_a_folder_without_the_runtime_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--onnxruntime-web"):
        runtime_files(tmp_path)
    for name in FILES:
        (tmp_path / "dist").mkdir(exist_ok=True)
        (tmp_path / "dist" / name).write_bytes(name.encode())
    assert runtime_files(tmp_path) == {name: name.encode() for name in FILES}


def test_another_package_than_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho nothing > onnxruntime-web.tgz\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(UsageError, match="another onnxruntime-web"):
        runtime_files(None)
    npm.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    with pytest.raises(UsageError, match="npm pack failed \\(no network\\)"):
        runtime_files(None)
    monkeypatch.setattr(onnxruntime_web.shutil, "which", lambda _name: None)
    with pytest.raises(UsageError, match="npm is not installed"):
        runtime_files(None)


@pytest.mark.slow
def test_a_space_answers_without_torch_what_predict_answers(run: Path, photo: Path, tmp_path: Path) -> None:
    out = export(run, tmp_path / "space", format="space").out
    header = (out / "README.md").read_text().split("---\n")[1]
    assert "sdk: docker" in header
    assert "app_port: 7860" in header
    assert "--public" in (out / "Dockerfile").read_text()
    assert [line.split("==")[0] for line in (out / "requirements.txt").read_text().splitlines()] == list(NEEDS)
    sums = dict(line.split("  ", 1)[::-1] for line in (out / SUMS).read_text().splitlines())
    assert all(hashlib.sha256((out / name).read_bytes()).hexdigest() == digest for name, digest in sums.items())
    command = [sys.executable, "-c", WITHOUT_TORCH, str(out)]
    environment = {**os.environ, "PYTHONPATH": str(out)}
    with subprocess.Popen(command, cwd=out, env=environment, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = process.stderr.readline()
        try:
            port = int(said.rsplit(":", 1)[1].strip("/\n"))
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
            with contextlib.closing(connection):
                kind = {"content-type": "image/png", "host": "a-space.example"}
                connection.request("POST", "/v1/locate?details=true", photo.read_bytes(), kind)
                (row,) = json.loads(connection.getresponse().read())
                connection.request("GET", f"/{row['alike'][0]['url']}", headers={"host": "a-space.example"})
                assert connection.getresponse().read().startswith(b"\xff\xd8")
        finally:
            process.terminate()
            process.wait(20)
    (expected,) = predictions_json(predict(run, photo, device="cpu"))
    assert float(geodesic_m(row["lon"], row["lat"], expected["lon"], expected["lat"])) < 0.1
    assert row["radius_90_m"] == pytest.approx(expected["radius_90_m"], rel=0.01)
    from img2gps.serving.exported import export_in, exported_backend

    folder = export_in(out)
    assert folder == out / "model"
    with running_service(exported_backend(folder, thumbnails=False)) as service:
        (again,) = service.locate(photo.read_bytes(), "?details=true", kind="image/png")[1]
        assert {**again, "alike": []} == {**row, "alike": []}
        assert all("url" not in one for one in again["alike"])


@contextlib.contextmanager
def plain_host(folder: Path) -> Iterator[str]:
    """Serve files as any host of plain files does."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_computes_in_the_browser_what_predict_answers(run: Path, tmp_path: Path) -> None:
    try:
        out = export(run, tmp_path / "page", format="page").out
    except UsageError as error:
        pytest.skip(str(error))
    photos = [tmp_path / f"{number}.png" for number in range(5)]
    for path, place in zip(photos, np.random.default_rng(0).uniform(-80, 80, (5, 2)).tolist(), strict=True):
        colour_photo(*place, size=(600, 800)).save(path)
    expected = predict(run, photos, device="cpu")
    faults: list[str] = []
    requests: list[str] = []
    found = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("request", lambda asked: requests.append(asked.url))
        with plain_host(out) as url:
            page.goto(url)
            page.wait_for_selector("body[data-ready]")
            page.wait_for_function("async () => (await navigator.serviceWorker.ready).active?.state === 'activated'")
            own = url
        for path in photos:  # the host is gone: the page works without a network
            page.evaluate("delete document.body.dataset.seconds")
            page.set_input_files("#file", str(path))
            page.wait_for_selector("body[data-seconds]")
            found.append([float(value) for value in page.inner_text("#lonlat").split(", ")])
        page.reload()
        page.wait_for_selector("body[data-ready]")
    apart = [float(geodesic_m(lon, lat, row.lon, row.lat)) for (lat, lon), row in zip(found, expected, strict=True)]
    assert float(np.median(apart)) < 1.0
    assert not faults
    assert all(asked.startswith((own, "blob:")) for asked in requests)
