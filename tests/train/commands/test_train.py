"""What `img2gps train` makes of its options."""

import json
from pathlib import Path
from typing import Any

import pytest

from img2gps.cli import run as img2gps
from tests.train.colours import TINY, colour_dataset, tiny_config, without_curves
from train.runs.folder import RunFolder
from train.training import model
from train.training.session import start_run


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


@pytest.mark.slow
@pytest.mark.parametrize("typed", [["--threads", "1"], ["--preset", "quick"], ["ds"], ["--folds"]])
def test_options_of_a_new_run_are_refused_when_resuming(run: RunFolder, typed: list[str]) -> None:
    assert img2gps(["train", *typed, "--resume", str(run.root)]) == 2


@pytest.mark.slow
def test_a_run_is_not_made_shorter(run: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    assert img2gps(["train", "--resume", str(run.root), "--epochs", "3"]) == 0
    assert img2gps(["train", "--resume", str(run.root), "--epochs", "2"]) == 2
    assert "3 epochs behind it" in " ".join(capsys.readouterr().err.split())
    assert run.read_info().config.epochs == 3


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_a_run_with_folds_is_held_while_each_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_curves(monkeypatch)
    held: list[bool] = []
    real = model.predict_fold

    def looked_at(folder: RunFolder, *given: Any) -> None:
        held.append(RunFolder(root=folder.root.parent.parent).is_training)
        real(folder, *given)

    monkeypatch.setattr(model, "predict_fold", looked_at)
    root = colour_dataset(tmp_path / "ds", 12, split=False, folds=2).root
    finished = start_run(root, tiny_config(epochs=1), folds=True, runs=tmp_path / "runs")
    assert held == [True, True]
    said = " ".join(capsys.readouterr().err.split())
    assert "Fold 1 of 2: " in said
    assert "Fold 2 of 2 (about " in said
    assert not finished.is_training


_TINY = ["--preset", "published", "--model", TINY, "--size", "32", "--epochs", "1", "--device", "cpu"]
_PROBE = ["--preset", "quick", "--weights", "none", "--size", "48", "--device", "cpu"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        ([*_TINY, "--weights", "none.pth"], 3, "No weights at none.pth"),
        ([*_TINY, "--weights", "bundled"], 2, "No weights of"),
        ([*_TINY, "--model", "resnet99"], 2, "No model 'resnet99'"),
        ([*_TINY, "--device", "cuda:99"], 6, "no cuda:99 here"),
        ([*_TINY, "--device", "tpu"], 6, "No device is called"),
        ([*_TINY, "--name", "taken"], 2, "runs/taken exists"),
        ([*_TINY, "--name", "a/b"], 2, "no name for a run"),
        ([*_TINY, "--folds"], 4, "has no folds"),
        ([*_TINY, "--cluster", "local:2"], 2, "give --folds, too"),
        ([*_TINY, "--folds", "--cluster", "nonsense"], 2, "is none of local:N"),
        ([*_TINY, "--model", "densenet121", "--size", "16"], 2, "takes no input"),
        ([*_PROBE, "--model", TINY, "--set", "heads=foo"], 2, "No head 'foo'"),
        ([*_PROBE, "--model", f"{TINY}@4096"], 2, "more than the 48 pixels"),
        ([*_PROBE, "--model", "densenet121", "--set", "tune_epochs=2"], 2, "tune_epochs to 0"),
    ],
)
def test_what_a_run_refuses_its_dry_run_refuses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    colour_dataset(tmp_path / "ds", 12)
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    (tmp_path / "runs" / "taken" / "config.toml").touch()
    before = sorted(tmp_path.rglob("*"))
    sentences = []
    for dry in (["--dry-run"], []):
        assert img2gps(["train", "ds", *options, *dry]) == code
        sentences.append(" ".join(capsys.readouterr().err.split()))
        if dry:
            assert sorted(tmp_path.rglob("*")) == before
    assert said in sentences[0]
    assert sentences[1].endswith(sentences[0])


@pytest.mark.parametrize("options", [[*_TINY], [*_PROBE, "--model", TINY]])
def test_a_dry_run_reads_every_photo_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    dataset = colour_dataset(tmp_path / "ds", 12)
    before = sorted(tmp_path.rglob("*"))
    assert img2gps(["train", "ds", *options, "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["model"] == TINY
    assert sorted(tmp_path.rglob("*")) == before
    next(path for path in sorted(dataset.root.rglob("*.jpg"))).write_bytes(b"")
    assert img2gps(["train", "ds", *options, "--dry-run"]) == 4
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.slow
def test_the_environment_names_a_preset_as_the_option_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    colour_dataset(tmp_path / "ds", 12)
    plan = ["train", "ds", "--model", TINY, "--weights", "none", "--size", "32", "--device", "cpu", "--dry-run"]

    def config(*options: str) -> dict[str, Any]:
        assert img2gps([*plan, *options]) == 0
        chosen: dict[str, Any] = json.loads(capsys.readouterr().out)["config"]
        return chosen

    monkeypatch.setenv("IMG2GPS_TRAIN_PRESET", "published")
    assert config()["preset"] == "published"
    assert config("--preset", "finetune")["preset"] == "finetune"
    monkeypatch.setenv("IMG2GPS_TRAIN_SET", "momentum=3")
    assert img2gps(plan) == 2
    assert "IMG2GPS_TRAIN_SET sets momentum" in capsys.readouterr().err
    monkeypatch.setenv("IMG2GPS_TRAIN_SET", "ema=0.5 lr=0.25")
    assert (config()["ema"], config()["lr"], config("--lr", "0.5")["lr"]) == (0.5, 0.25, 0.5)
    monkeypatch.setenv("IMG2GPS_TRAIN_PRESET", "nonsense")
    assert img2gps(plan) == 2
    assert "No preset 'nonsense' (IMG2GPS_TRAIN_PRESET)" in " ".join(capsys.readouterr().err.split())
    monkeypatch.setenv("IMG2GPS_ABLATE_PRESET", "nonsense")
    assert img2gps(["ablate", "ds", "--dry-run"]) == 2
    assert "(IMG2GPS_ABLATE_PRESET)" in capsys.readouterr().err
