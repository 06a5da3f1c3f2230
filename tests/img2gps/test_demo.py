"""The demo's script, its closing block, and once the whole of it at its smallest."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from img2gps import cli, demo
from img2gps.demo import DemoReport, closing_block, run_demo
from img2gps.errors import UsageError
from img2gps.files import read_json_lines

SCHEMA = Path(__file__).parents[2] / "docs" / "reference" / "schemas" / "demo.json"


class HaltError(Exception):
    """Ends a recorded demo where the first evaluation would be read."""


def recorded(tmp_path: Path, photos: int, seed: int = 0) -> list[list[str]]:
    """The commands of a demo up to its first evaluation."""
    commands: list[list[str]] = []

    def run(words: list[str]) -> None:
        commands.append(words)
        if words[0] == "evaluate":
            raise HaltError

    with pytest.raises(HaltError):
        run_demo(run, photos=photos, out=tmp_path / "demo", seed=seed)
    return commands


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Small photos, two epochs, and one thread: two on shared cores wait for each other most of the time."""
    before = torch.get_num_threads()
    monkeypatch.setattr(demo, "_RESNET", demo._RESNET.replace("--epochs 12", "--epochs 2"))
    monkeypatch.setenv("IMG2GPS_SIMULATE_SIZE", "256")
    monkeypatch.setenv("IMG2GPS_TRAIN_THREADS", "1")
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
@pytest.mark.usefixtures("small")
def test_the_whole_demo_prints_its_figures_and_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "my demo"
    assert cli.run(["demo", "--photos", "60", "--out", str(out), "--json"]) == 0
    report = json.loads(capfd.readouterr().out)
    assert {"photos", "rejected", "runs", "dataset", "seconds"} <= set(report)
    jsonschema.validate(report, json.loads(SCHEMA.read_text(encoding="utf-8")))
    assert report["photos"] == 60
    assert report["rejected"]
    assert report["dataset"] == str(out / "quad")
    held_out = report["runs"]["quick"]["photos"]
    assert 0 < held_out < 60
    for name in ("resnet18", "quick"):
        assert report["runs"][name]["photos"] == held_out
        assert report["runs"][name]["rmse_m"] > 0
        assert (out / f"runs/{name}/evaluations/quad-test/report.html").is_file()
    assert report["runs"]["quick"]["rmse_m"] < report["runs"]["quick"]["mean_predictor"]["rmse_m"]
    assert (out / "quad/audit/report.html").is_file()
    ingest = read_json_lines(out / "quad/ingests.jsonl")[-1]
    assert ingest["command"] == "img2gps ingest campus/photos quad --site penn-engineering-quad"


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_every_command_of_the_demo_is_one_that_a_user_can_type(tmp_path: Path) -> None:
    commands = recorded(tmp_path, 240, seed=5)
    assert [words[0] for words in commands] == ["simulate", "ingest", "basemap", "split", "train", "train", "evaluate"]
    for name, *arguments in commands[:-1]:
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert command is not None
        if name != "ingest":  # its photos exist only once they are rendered
            command.make_context(name, arguments, parent=click.Context(cli.cli))
    assert all(option(words, "--seed") == "5" for words in commands if words[0] in ("simulate", "split", "train"))


def test_the_demo_shows_what_to_look_at_and_opens_no_browser() -> None:
    lines = [line for _, line in demo._script(240, 60, 0)]
    shown = lines[-2:]
    assert shown == ["audit quad", "label quad --queue"]
    for line in shown:
        name, *arguments = line.split()
        command = cli.cli.get_command(click.Context(cli.cli), name)
        assert command is not None
        command.make_context(name, arguments, parent=click.Context(cli.cli))


@given(photos=st.integers(60, 2000))
def test_two_walks_or_more_are_held_out_and_most_photos_train(
    tmp_path_factory: pytest.TempPathFactory, photos: int
) -> None:
    commands = recorded(tmp_path_factory.mktemp("demo"), photos)
    held_out = int(option(commands[3], "--test"))
    walk = photos / max(6, round(photos / 30))
    # The split takes the whole walks that come nearest to what is asked for.
    assert 1.8 * walk <= held_out <= photos / 3


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("full", "full is not empty and"),
        ("full/mine.jpg", "mine.jpg is a file and"),
        ("", "The current folder is not empty and"),
        (".", "The current folder is not empty and"),
    ],
)
def test_only_a_new_or_empty_folder_is_taken_and_nothing_is_called_to_be_deleted(
    out: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/mine.jpg").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=message) as refused:
        run_demo(lambda words: None, photos=60, out=Path(out), seed=0)
    assert "delete" not in str(refused.value)
    assert (tmp_path / "full/mine.jpg").exists()


def test_the_closing_block_says_what_was_found_and_what_to_type_next() -> None:
    mean = {"rmse_m": 90.0, "median_m": 80.0}
    runs: dict[str, dict[str, Any]] = {
        "resnet18": {"rmse_m": 70.1, "median_m": 60.2, "mean_predictor": mean},
        "quick": {"rmse_m": 20.3, "median_m": 12.4, "mean_predictor": mean},
    }
    report = DemoReport(
        photos=240, rejected={"no_gps": 3, "truncated": 2}, runs=runs, dataset="demo/quad", folder="demo", seconds=61.0
    )
    text = closing_block(report)
    for expected in ("rendered", "240 photos accepted, 5 refused", "no_gps", "90.0 m", "70.1 m", "20.3 m", "12.4 m"):
        assert expected in text
    assert "  img2gps serve demo/runs/quick" in text.splitlines()
    assert "img2gps ingest PHOTOS" in text.splitlines()[-1]
    assert json.loads(json.dumps(report.to_dict()))["runs"]["quick"]["rmse_m"] == 20.3
