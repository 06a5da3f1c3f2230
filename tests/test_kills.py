"""Commands that publish, fetch, merge, forget and move a dataset, killed at random moments and run again."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub, fake_hub
from forked_commands import ForkedCommands, forked_commands
from killed_commands import (
    COLLECT_MODULES,
    TRAIN_MODULES,
    export_killed,
    fetch_from_hub_killed,
    fetch_killed,
    forget_killed,
    make_scene,
    merge_killed,
    migrate_killed,
    publish_killed,
    push_killed,
    variables_of,
)
from kills import Killed, kill_command, kill_drawing

from tests.train.colours import colour_dataset, tiny_config

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="no fork, no SIGKILL")]

KILLS = 3


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_scene(tmp_path_factory.mktemp("scene"))


@pytest.fixture(scope="module")
def hub() -> Iterator[FakeHub]:
    with fake_hub() as found:
        yield found


@pytest.fixture(scope="module")
def commands(hub: FakeHub) -> Iterator[ForkedCommands]:
    with forked_commands(COLLECT_MODULES, variables_of(hub)) as found:
        yield found


def assert_survives(commands: ForkedCommands, killed: Killed, folder: Path) -> None:
    assert kill_command(commands, killed, folder, kills=KILLS)["completed"] > 0


@pytest.mark.parametrize("kind", [publish_killed, fetch_killed, merge_killed, forget_killed])
def test_a_dataset_survives(kind, commands: ForkedCommands, scene: Path, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    assert_survives(commands, kind(scene), tmp_path)


def test_a_dataset_of_an_earlier_version_survives_a_migration(commands: ForkedCommands, tmp_path: Path) -> None:
    assert_survives(commands, migrate_killed(Path(__file__).parent / "data/v0.1/quad"), tmp_path)


@pytest.mark.parametrize("kind", [push_killed, fetch_from_hub_killed])
def test_what_is_on_the_hub_survives(  # type: ignore[no-untyped-def]
    kind, commands: ForkedCommands, scene: Path, hub: FakeHub, tmp_path: Path
) -> None:
    assert_survives(commands, kind(scene, hub), tmp_path)


def test_a_site_that_is_drawn_survives(commands: ForkedCommands, tmp_path: Path) -> None:
    assert kill_drawing(commands, tmp_path, kills=KILLS)["kills"] == KILLS


def test_a_model_on_the_hub_survives(hub: FakeHub, tmp_path: Path) -> None:
    from train.training.session import start_run

    root = colour_dataset(tmp_path / "colours", 30, val=10).root
    run = start_run(root, tiny_config(epochs=1), runs=tmp_path / "runs", name="p").root
    with forked_commands(TRAIN_MODULES, variables_of(hub)) as commands:
        assert_survives(commands, export_killed(run, hub), tmp_path)
