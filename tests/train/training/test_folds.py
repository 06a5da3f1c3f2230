from pathlib import Path
from typing import Any

import pytest

from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from tests.train.colours import colour_dataset, tiny_config, without_curves
from train.inference.load import load_localizer
from train.inference.predictions import read_predictions
from train.models.network import epoch as epoch_module
from train.runs.folder import RunFolder
from train.training.session import resume_run, start_run
from train.training.summary import summary


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)


@pytest.mark.slow
def test_folds_resume_one_by_one_and_no_model_sees_its_own_fold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = colour_dataset(tmp_path / "ds", 12, folds=3).root
    config = tiny_config(epochs=1)
    whole = start_run(root, config, folds=True, runs=tmp_path, name="whole")
    steps = [3]
    real = epoch_module._update

    def killing(*args: Any, **kwargs: Any) -> None:
        steps[0] -= 1
        if steps[0] == 0:
            raise KeyboardInterrupt
        real(*args, **kwargs)

    monkeypatch.setattr(epoch_module, "_update", killing)
    with pytest.raises(KeyboardInterrupt):
        start_run(root, config, folds=True, runs=tmp_path, name="killed")
    killed = RunFolder(root=tmp_path / "killed")
    first = (killed.fold(0).best / "model.safetensors").stat().st_mtime_ns
    assert not (killed.folds_path / "predictions.parquet").exists()
    resume_run(killed.root)
    assert (killed.fold(0).best / "model.safetensors").stat().st_mtime_ns == first

    rows = read_predictions(killed.folds_path / "predictions.parquet")
    assert rows.equals(read_predictions(whole.folds_path / "predictions.parquet"))
    frame = Dataset.open(root).frame().set_index("id")
    assert sorted(rows["id"]) == sorted(frame.index)
    assert rows["fold"].tolist() == frame.loc[rows["id"], "fold"].tolist()
    trained = killed.read_photos()
    for fold in range(3):
        ids = trained.loc[trained["fold"] == fold, "id"]
        assert (frame.loc[ids, "fold"] != fold).all()
        assert set(trained["role"]) == {"train"}
    assert len(summary(killed)["models"]) == 3
    load_localizer(killed.root, fold=2, device="cpu")
    load_localizer(killed.fold(2).root, device="cpu")


@pytest.mark.slow
def test_folds_are_made_longer_each_and_their_predictions_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = colour_dataset(tmp_path / "ds", 12, folds=3).root
    whole = start_run(root, tiny_config(epochs=2), folds=True, runs=tmp_path, name="whole")
    run = start_run(root, tiny_config(epochs=1), folds=True, runs=tmp_path, name="grown")
    before = read_predictions(run.folds_path / "predictions.parquet")
    real, steps = epoch_module._update, [0]

    def killing(*args: Any, **kwargs: Any) -> None:
        steps[0] += 1
        if steps[0] == 2:  # in the second fold
            raise KeyboardInterrupt
        real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(epoch_module, "_update", killing)
        with pytest.raises(KeyboardInterrupt):
            resume_run(run.root, epochs=2)
    assert not (run.folds_path / "predictions.parquet").exists()  # those of the shorter models are nobody's now
    resume_run(run.root)
    after = read_predictions(run.folds_path / "predictions.parquet")
    assert [len(run.fold(fold).read_metrics()) for fold in range(3)] == [2, 2, 2]
    assert after.equals(read_predictions(whole.folds_path / "predictions.parquet"))
    assert not after.equals(before)
    with pytest.raises(UsageError, match="2 epochs behind it"):
        resume_run(run.root, epochs=1)
    assert run.read_info().config.epochs == 2
