"""What `train` returns goes where a run is asked for."""

from pathlib import Path

import pytest

from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError
from train import evaluate, load_model, predict, resume
from train.runs.folder import RunFolder


def test_a_run_and_a_dataset_are_paths(tmp_path: Path) -> None:
    assert Path(RunFolder(root=tmp_path / "runs" / "one")) == tmp_path / "runs" / "one"
    assert Path(Dataset(root=tmp_path)) == tmp_path


def test_functions_of_runs_take_what_train_returns(tmp_path: Path) -> None:
    gone = RunFolder(root=tmp_path / "gone")
    with pytest.raises(NotFoundError):
        evaluate(gone)
    with pytest.raises(NotFoundError):
        load_model(gone)
    with pytest.raises(NotFoundError):
        predict(gone, tmp_path)
    with pytest.raises(NotFoundError):
        resume(gone)
