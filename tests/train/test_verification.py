"""What `verify` finds in the checkpoints of a run."""

from pathlib import Path

import pytest

from img2gps.cli import run as img2gps
from tests.train.colours import colour_dataset, tiny_config, without_curves
from train.training.session import start_run
from train.verification import verify_run


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    without_curves(monkeypatch)
    return start_run(colour_dataset(tmp_path / "ds", 12).root, tiny_config(epochs=2), runs=tmp_path).root


def test_a_run_as_it_was_written_is_whole(run: Path) -> None:
    assert verify_run(run).problems == ()


def test_a_run_has_no_photos_for_a_cluster(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert img2gps(["verify", str(run), "--cluster", "local:2"]) == 2
    assert "--cluster hashes the photos of a dataset" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("checkpoint", ["best", "last", "previous"])
def test_a_list_of_sums_that_lost_a_line_is_told_once(run: Path, checkpoint: str) -> None:
    sums = run / checkpoint / "SHA256SUMS"
    lines = sums.read_text().splitlines(keepends=True)
    for lost in lines:
        sums.write_text("".join(line for line in lines if line != lost))
        (problem,) = verify_run(run).problems
        assert problem.where in (checkpoint, f"{checkpoint}/SHA256SUMS")
        assert lost.split()[1] in problem.what
