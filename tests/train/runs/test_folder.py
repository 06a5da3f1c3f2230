import contextlib
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


def test_names_count_up_past_the_highest(tmp_path: Path) -> None:
    names = [create_run(tmp_path, prefix="quick").root.name for _ in range(2)]
    (tmp_path / "quick-007").mkdir()
    (tmp_path / "quick-x").mkdir()
    assert names == ["quick-001", "quick-002"]
    assert create_run(tmp_path, prefix="quick").root.name == "quick-008"
    assert create_run(tmp_path, prefix="default").root.name == "default-001"


def test_a_name_is_used_once_and_is_a_plain_name(tmp_path: Path) -> None:
    assert create_run(tmp_path, prefix="x", name="mine").root == tmp_path / "mine"
    for name in ("mine", "../mine", "", "a/b", ".hidden"):
        with pytest.raises(UsageError):
            create_run(tmp_path, prefix="x", name=name)


def _info(tmp_path: Path) -> RunInfo:
    make_dataset(tmp_path / "ds", four_walks())
    return RunInfo.of(TrainConfig(lr=0.25), read_photos(tmp_path / "ds"), folds=True, made_by={"torch": "2"})


def test_config_toml_gives_back_what_the_run_was_made_from(tmp_path: Path) -> None:
    info = _info(tmp_path)
    run = create_run(tmp_path, prefix="x")
    run.write_info(info)
    assert run.read_info() == info
    assert info.dataset.is_absolute()


@pytest.mark.parametrize("damage", ["lr = ", "[train]\nlr = 1.0\n", ""])
def test_a_damaged_config_is_named(tmp_path: Path, damage: str) -> None:
    run = create_run(tmp_path, prefix="x")
    run.config_path.write_text(damage)
    with pytest.raises(InvalidCheckpointError, match=r"config\.toml"):
        run.read_info()


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


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="No run"):
        open_run(tmp_path / "none")
    with pytest.raises(NotFoundError, match="is no run"):
        checkpoint_path(tmp_path)
    with pytest.raises(InvalidCheckpointError):
        RunFolder(root=tmp_path).read_info()


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


def test_two_that_make_one_run_at_once_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tmp_path, prefix="x", name="mine")  # its folder is there, its lock is about to be
    with contextlib.ExitStack() as first:
        monkeypatch.setattr("train.runs.names.time.sleep", lambda _: first.enter_context(run.lock()))
        with pytest.raises(RunLockedError):
            create_run(tmp_path, prefix="x", name="mine")
