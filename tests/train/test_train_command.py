"""What `img2gps train` makes of its options."""

import json
from pathlib import Path

import pytest

from img2gps.cli import run as img2gps
from tests.train.colours import colour_dataset, tiny_config, without_curves
from train.run import RunFolder
from train.session import start_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    without_curves(monkeypatch)
    monkeypatch.chdir(tmp_path)
    return start_run(colour_dataset(tmp_path / "ds", 12).root, tiny_config(epochs=1))


def test_a_dry_run_of_resuming_says_what_would_be_done_and_trains_nothing(
    run: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.root.rglob("*")}
    assert img2gps(["train", "--resume", str(run.root), "--epochs", "3", "--dry-run"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["models"] == [{"fold": None, "train": 4, "val": 6, "held_out": 0, "epochs_done": 1}]
    assert said["config"]["epochs"] == 3
    assert {path: path.stat().st_mtime_ns for path in run.root.rglob("*")} == before


def test_the_environment_is_no_reason_to_refuse_resuming(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name, value in {"THREADS": "2", "EPOCHS": "5", "PRESET_NAME": "quick", "CONFIG": str(tmp_path / "no")}.items():
        monkeypatch.setenv(f"IMG2GPS_TRAIN_{name}", value)
    assert img2gps(["train", "--resume", str(run.root)]) == 0
    assert run.read_info().config == tiny_config(epochs=1)


@pytest.mark.parametrize("typed", [["--threads", "1"], ["--preset", "quick"], ["ds"], ["--folds"]])
def test_options_of_a_new_run_are_refused_when_resuming(run: RunFolder, typed: list[str]) -> None:
    assert img2gps(["train", *typed, "--resume", str(run.root)]) == 2


def test_a_run_is_not_made_shorter(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert img2gps(["train", "--resume", str(run.root), "--epochs", "3"]) == 0
    assert img2gps(["train", "--resume", str(run.root), "--epochs", "2"]) == 2
    assert "3 epochs behind it" in " ".join(capsys.readouterr().err.split())
    assert run.read_info().config.epochs == 3
