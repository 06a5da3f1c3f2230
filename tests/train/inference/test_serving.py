"""A run behind the service answers what `predict` answers."""

import contextlib
import http.client
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest

from img2gps.answers import Prediction, predictions_json
from img2gps.geo import geodesic_m
from tests.serving import form, running_service
from tests.train.colours import colour_dataset, colour_photo, tiny_config, without_curves
from train.api import predict
from train.config.presets import preset
from train.config.values import changed
from train.inference.serving import RunBackend, serving_backend
from train.training.session import start_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("served")
    values = {
        "model": "timm/test_efficientnet",
        "weights": "none",
        "size": 32,
        "device": "cpu",
        "threads": 1,
        "epochs": 5,
    }
    config = changed(preset("quick"), values)
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        return start_run(colour_dataset(root / "ds", 40, val=20).root, config, runs=root, name="probe").root


@pytest.fixture(scope="module")
def backend(run: Path) -> RunBackend:
    return serving_backend(run, device="cpu")


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for path, place in zip(paths, [(-60, -60), (0, 20), (70, -30)], strict=True):
        colour_photo(*place, size=(600, 800)).save(path)
    return paths


@pytest.mark.slow
def test_the_service_says_what_predict_says(run: Path, backend: RunBackend, photos: list[Path]) -> None:
    def without_names(rows: list[Prediction]) -> list[dict[str, object]]:
        return [{**row, "file": ""} for row in predictions_json(rows)]

    with running_service(backend) as service:
        body = form(*[(path.name, path.read_bytes()) for path in photos])
        for query, walks in (("", False), ("?walk=true", True)):
            status, found = service.locate_form(body, query)
            assert status == 200
            expected = without_names(predict(run, photos, device="cpu", walks=walks))
            for mine, theirs in zip(found, expected, strict=True):
                assert {**mine, "file": ""} == pytest.approx(theirs, abs=1e-9)


@pytest.mark.slow
def test_photos_alike_are_training_photos_by_their_place(backend: RunBackend, photos: list[Path]) -> None:
    model = backend.model
    assert model.shows_photos
    assert model.cells is not None
    assert model.alike_lonlat is not None
    assert model.alike_lonlat.shape == (20 - 2, 2)
    with running_service(backend) as service:
        (row,) = service.locate(photos[1].read_bytes(), "?details=true")[1]
        pictures = [service.get(f"/{one['url']}") for one in row["alike"]]
    assert len(pictures) == 4
    assert all(status == 200 and picture.startswith(b"\xff\xd8") for status, picture in pictures)
    away = [float(geodesic_m(one["lon"], one["lat"], row["lon"], row["lat"])) for one in row["alike"]]
    assert min(away) < 60
    likeliest = model.cells[int(np.argmax(row["shares"]))]
    (lon,), (lat,) = model.frame.to_lonlat(likeliest[:1], likeliest[1:])
    assert float(geodesic_m(lon, lat, row["lon"], row["lat"])) < 100


@pytest.mark.slow
def test_a_run_whose_dataset_is_gone_is_served_without_its_photos(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "probe"
    shutil.copytree(run, copy)
    config = (copy / "config.toml").read_text().replace(str(run.parent / "ds"), str(tmp_path / "nowhere"))
    (copy / "config.toml").write_text(config)
    gone = serving_backend(copy, device="cpu").model
    assert not gone.shows_photos
    assert gone.ground["outline"]
    assert gone.alike_lonlat is not None


@pytest.mark.slow
def test_a_model_of_points_is_served_too(tmp_path: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)
    root = start_run(colour_dataset(tmp_path / "ds", 12).root, tiny_config(epochs=1), runs=tmp_path).root
    with running_service(serving_backend(root, device="cpu")) as service:
        (row,) = predict(root, photos[0], device="cpu")
        assert service.locate(photos[0].read_bytes()) == (200, [{**predictions_json([row])[0], "file": "photo"}])
        status, answer = service.locate(photos[0].read_bytes(), "?walk=true")
        assert (status, answer["error"]) == (400, "This model locates photos one by one: leave walk out.")


@pytest.mark.slow
def test_the_command_answers_until_it_is_told_to_stop(run: Path, photos: list[Path]) -> None:
    command = [sys.executable, "-m", "img2gps", "serve", str(run), "--port", "0", "--device", "cpu", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            text += line
        address = json.loads(text)
        connection = http.client.HTTPConnection("127.0.0.1", address["port"], timeout=60)
        with contextlib.closing(connection):
            connection.request("POST", "/v1/locate", photos[0].read_bytes(), {"content-type": "image/png"})
            (row,) = json.loads(connection.getresponse().read())
        workers = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert row["error"] is None
    assert "Ended." in said
    assert "Traceback" not in said
    assert process.returncode == 0
    assert workers
    assert not psutil.wait_procs(workers, timeout=5)[1]
