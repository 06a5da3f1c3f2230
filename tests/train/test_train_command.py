"""What `img2gps train` makes of its options."""

import json
from pathlib import Path
from typing import Any

import pytest

from img2gps.cli import run as img2gps
from tests.train.colours import TINY, colour_dataset, tiny_config, without_curves
from train import session
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


@pytest.mark.parametrize(
    ("options", "of_dataset", "next_step"),
    [
        ([], {}, "evaluate {run}"),
        ([], {"split": False}, "evaluate {run} --on OTHER"),
        (["--folds"], {"split": False, "folds": 2}, "evaluate {run}"),
    ],
)
def test_the_next_step_is_one_that_works(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    of_dataset: dict[str, Any],
    next_step: str,
) -> None:
    without_curves(monkeypatch)
    monkeypatch.chdir(tmp_path)
    colour_dataset(tmp_path / "ds", 12, **of_dataset)
    config = ["--preset", "published", "--model", TINY, "--size", "32", "--epochs", "1", "--device", "cpu"]
    assert img2gps(["train", "ds", *config, *options]) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"img2gps {next_step.format(run='runs/published-001')}" in said
    assert ("--on OTHER" in said) == ("--on OTHER" in next_step)
    assert img2gps(["evaluate", "runs/published-001"]) == (2 if "--on OTHER" in next_step else 0)


def test_a_run_that_is_still_trained_is_not_resumed(
    run: RunFolder, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = run.metrics_path.read_bytes()
    with run.lock():
        for arguments in (
            ["--resume", str(run.root), "--epochs", "3"],
            [str(tmp_path / "ds"), "--name", run.root.name],
        ):
            assert img2gps(["train", *arguments]) == 75
            said = " ".join(capsys.readouterr().err.split())
            assert "is being trained by another process" in said
            assert "Traceback" not in said
    assert (run.metrics_path.read_bytes(), run.read_info().config.epochs) == (before, 1)
    assert img2gps(["train", "--resume", str(run.root), "--epochs", "2"]) == 0


def test_a_run_with_folds_is_held_while_each_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)
    held: list[bool] = []
    real = session.predict_fold

    def looked_at(folder: RunFolder, *given: Any) -> None:
        held.append(RunFolder(root=folder.root.parent.parent).is_training)
        real(folder, *given)

    monkeypatch.setattr(session, "predict_fold", looked_at)
    root = colour_dataset(tmp_path / "ds", 12, split=False, folds=2).root
    finished = start_run(root, tiny_config(epochs=1), folds=True, runs=tmp_path / "runs")
    assert held == [True, True]
    assert not finished.is_training
