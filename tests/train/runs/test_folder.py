from pathlib import Path

import pytest

from img2gps.errors import InvalidCheckpointError, NotFoundError, RunLockedError, UsageError
from tests.datasets import four_walks, make_dataset
from train.config.schema import TrainConfig
from train.data.training_data import read_photos, select_split
from train.inference.load import checkpoint_path
from train.runs.folder import RunFolder, photo_rows
from train.runs.info import RunInfo
from train.runs.names import create_run, open_run


def _info(tmp_path: Path) -> RunInfo:
    make_dataset(tmp_path / "ds", four_walks())
    return RunInfo.of(TrainConfig(lr=0.25), read_photos(tmp_path / "ds"), folds=True, made_by={"torch": "2"})


def test_metrics_are_cut_at_an_epoch(tmp_path: Path) -> None:
    run = create_run(tmp_path, prefix="x")
    for epoch in (1, 2, 3):
        run.append_metrics({"epoch": epoch})
    with run.metrics_path.open("a") as file:
        file.write('{"epoch": 4, "tra')
    run.cut_metrics(2)
    assert run.metrics_path.read_text() == '{"epoch": 1}\n{"epoch": 2}\n'


def test_photos_are_stored_with_their_role(tmp_path: Path) -> None:
    make_dataset(tmp_path / "ds", four_walks())
    run = create_run(tmp_path, prefix="x")
    run.write_photos(photo_rows(select_split(read_photos(tmp_path / "ds"))))
    stored = run.read_photos()
    assert list(stored.columns) == ["id", "photo_sha256", "phash", "lon", "lat", "role", "fold"]
    assert len(stored) == 110
    run.photos_path.write_bytes(b"PAR1")
    with pytest.raises(InvalidCheckpointError):
        run.read_photos()


def test_the_model_of_a_run_is_its_best_else_last_else_previous(tmp_path: Path) -> None:
    run = create_run(tmp_path, prefix="x")
    run.write_info(_info(tmp_path))
    with pytest.raises(NotFoundError, match="--resume"):
        checkpoint_path(run.root)
    for folder in (run.previous, run.last, run.best):
        folder.mkdir()
        assert checkpoint_path(run.root) == folder
    (run.last / "state.json").write_text("{}")
    assert checkpoint_path(run.last) == run.last
    assert open_run(run.last).root == run.root


def test_a_run_of_folds_asks_for_one(tmp_path: Path) -> None:
    run = create_run(tmp_path, prefix="x")
    run.write_info(_info(tmp_path))
    run.fold(1).best.mkdir(parents=True)
    with pytest.raises(NotFoundError, match="folds/0"):
        checkpoint_path(run.root)
    assert checkpoint_path(run.root, fold=1) == run.fold(1).best
    assert checkpoint_path(run.fold(1).root) == run.fold(1).best
    with pytest.raises(NotFoundError, match="fold 2"):
        checkpoint_path(run.root, fold=2)


@pytest.mark.slow
def test_a_run_that_is_trained_is_trained_by_one_process(tmp_path: Path) -> None:
    run = create_run(tmp_path, prefix="x", name="mine")
    assert not run.is_training
    with run.lock():
        assert run.is_training
        with pytest.raises(RunLockedError, match="wait until it has finished"), RunFolder(root=run.root).lock():
            pass
        with pytest.raises(RunLockedError, match="another --name"):  # not: go on with it
            create_run(tmp_path, prefix="x", name="mine")
    with pytest.raises(UsageError, match="--resume"):
        create_run(tmp_path, prefix="x", name="mine")
