from pathlib import Path

import pytest

from img2gps.errors import InvalidCheckpointError
from tests.datasets import four_walks, make_dataset
from train.config.schema import TrainConfig
from train.data.training_data import read_photos
from train.runs.info import RunInfo
from train.runs.names import create_run


def test_config_toml_gives_back_what_the_run_was_made_from(tmp_path: Path) -> None:
    make_dataset(tmp_path / "ds", four_walks())
    info = RunInfo.of(TrainConfig(lr=0.25), read_photos(tmp_path / "ds"), folds=True, made_by={"torch": "2"})
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
