"""Datasets and runs that earlier versions wrote open, are scored with the same figures, and go on."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from img2gps.cli import run
from img2gps.dataset import Dataset
from tests.archives import unpack
from tests.train.colours import without_curves
from train import load_model

WRITTEN = Path(__file__).parents[1] / "data" / "v0.1"
EXPECTED: dict[str, dict[str, Any]] = json.loads((WRITTEN / "expected.json").read_text(encoding="utf-8"))


@pytest.fixture
def quad(tmp_path: Path) -> Path:
    return shutil.copytree(WRITTEN / "quad", tmp_path / "quad")


@pytest.fixture
def runs(tmp_path: Path, quad: Path) -> Path:
    """Return the folder of the runs; each is told where its dataset is now, as a person would."""
    unpack(WRITTEN / "runs.tar.xz", tmp_path)
    for config in (tmp_path / "runs").glob("*/config.toml"):
        config.write_text(config.read_text().replace('"/home/student/quad"', json.dumps(str(quad))))
    return tmp_path / "runs"


def answer(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> Any:
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_dataset_is_whole_and_has_its_corrections(quad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert answer(["verify", str(quad)], capsys)["photos"] == 36
    frame = Dataset.open(quad).frame()
    assert sorted(frame.loc[frame["label_state"] != "", "label_state"]) == ["exclude", "move"]
    moved = frame[frame["label_state"] == "move"].iloc[0]
    assert moved["lon"] - moved["ingest_lon"] == pytest.approx(1e-4)
    assert frame["clock_local"].isna().all()  # a column that came later
    assert answer(["audit", str(quad)], capsys)["photos"] == 35
    splits = answer(["split", str(quad), "--val", "9", "--test", "12", "--folds", "2"], capsys)
    assert "kept" in splits["notes"][0]
    assert splits["splits"]["test"]["photos"] == EXPECTED["network"]["photos"]


def test_a_dataset_is_written_anew_only_when_somebody_writes(quad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (quad / "manifest.parquet").read_bytes()
    answer(["audit", str(quad)], capsys)
    answer(["verify", str(quad)], capsys)
    assert (quad / "manifest.parquet").read_bytes() == before
    rows = Dataset.open(quad).frame()
    assert run(["split", str(quad), "--by", "random", "--val", "3", "--test", "3"]) == 0
    assert (quad / "manifest.parquet").read_bytes() != before
    unchanged = [name for name in rows.columns if name not in ("split", "stored_split", "split_reason", "fold")]
    assert Dataset.open(quad).frame()[unchanged].equals(rows[unchanged])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["network", "probe"])
def test_a_run_is_scored_with_the_figures_of_then(runs: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    expected = EXPECTED[name]
    options = ["--split", "test"] if name == "network" else []
    found = answer(["evaluate", str(runs / name), *options], capsys)
    assert (found["split"], found["photos"]) == (expected["split"], expected["photos"])
    for figure in ("rmse_m", "mean_m", "median_m", "p90_m"):  # another processor rounds differently
        assert found[figure] == pytest.approx(expected[figure], rel=1e-3)
        assert found["mean_predictor"][figure] == pytest.approx(expected["mean_predictor"][figure], rel=1e-9)
    assert found["within_m"] == pytest.approx(expected["within_m"], abs=0.06)
    assert answer(["verify", str(runs / name)], capsys)["ok"]


@pytest.mark.slow
def test_a_run_goes_on(runs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)
    answer(["train", "--resume", str(runs / "network"), "--epochs", "3"], capsys)
    epochs = [json.loads(line)["epoch"] for line in (runs / "network/metrics.jsonl").read_text().splitlines()]
    assert epochs == [1, 2, 3]
    before = (runs / "probe/folds/0/best/model.safetensors").read_bytes()
    answer(["train", "--resume", str(runs / "probe")], capsys)
    assert (runs / "probe/folds/0/best/model.safetensors").read_bytes() == before
    found = answer(["evaluate", str(runs / "probe")], capsys)
    assert found["rmse_m"] == pytest.approx(EXPECTED["probe"]["rmse_m"], rel=1e-3)


def test_a_model_locates_photos(runs: Path, quad: Path) -> None:
    photos = sorted((quad / "photos").glob("*/*.jpg"))[:3]
    for model in (load_model(runs / "network"), load_model(runs / "probe", fold=0)):
        found = model.locate(photos)
        assert [one.error for one in found] == [None] * 3
        assert all(39.9 < (one.lat or 0) < 40.0 and -75.3 < (one.lon or 0) < -75.1 for one in found)
