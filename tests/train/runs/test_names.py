import contextlib
from pathlib import Path

import pytest

from img2gps.errors import InvalidCheckpointError, NotFoundError, RunLockedError, UsageError
from train.inference.load import checkpoint_path
from train.runs.folder import RunFolder
from train.runs.names import create_run, open_run


def test_names_count_up_past_the_highest(tmp_path: Path) -> None:
    names = [create_run(tmp_path, prefix="quick").root.name for _ in range(2)]
    (tmp_path / "quick-007").mkdir()
    (tmp_path / "quick-x").mkdir()
    assert names == ["quick-001", "quick-002"]
    assert create_run(tmp_path, prefix="quick").root.name == "quick-008"
    assert create_run(tmp_path, prefix="default").root.name == "default-001"


@pytest.mark.slow
def test_a_name_is_used_once_and_is_a_plain_name(tmp_path: Path) -> None:
    assert create_run(tmp_path, prefix="x", name="mine").root == tmp_path / "mine"
    for name in ("mine", "../mine", "", "a/b", ".hidden"):
        with pytest.raises(UsageError):
            create_run(tmp_path, prefix="x", name=name)


def test_what_is_no_run_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="No run"):
        open_run(tmp_path / "none")
    with pytest.raises(NotFoundError, match="is no run"):
        checkpoint_path(tmp_path)
    with pytest.raises(InvalidCheckpointError):
        RunFolder(root=tmp_path).read_info()


def test_two_that_make_one_run_at_once_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tmp_path, prefix="x", name="mine")  # its folder is there, its lock is about to be
    with contextlib.ExitStack() as first:
        monkeypatch.setattr("train.runs.names.time.sleep", lambda _: first.enter_context(run.lock()))
        with pytest.raises(RunLockedError):
            create_run(tmp_path, prefix="x", name="mine")
