"""A newcomer who follows the tutorials in order gets through: each command of theirs, and each cell of the notebook."""

import functools
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from documented_scene import SMALL
from shell_blocks import steps_of

import train as train_package
from img2gps.cli import run
from tests.train.colours import without_curves
from train.api import train

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("newcomer")


def follow(page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(folder)
    without_curves(monkeypatch)
    for variable, value in SMALL.items():
        monkeypatch.setenv(variable, value)
    for step in steps_of(page):
        if step.words[0] == "cp":
            shutil.copytree(step.words[2], step.words[3])
        elif step.how == "run":
            code = run(list(step.words[1:]))
            assert code == step.code, f"{page.name}:{step.line}: {step.text}\n{capfd.readouterr().err[-2000:]}"


@pytest.mark.slow
def test_the_first_tutorial_leads_from_photos_to_a_judged_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    follow(TUTORIALS / "first-site.md", folder, monkeypatch, capfd)
    assert (folder / "quad" / "audit" / "report.html").is_file()
    assert list((folder / "runs" / "first" / "evaluations").glob("*/report.html"))


@pytest.mark.slow
def test_two_people_label_one_site(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if not (folder / "quad").is_dir():
        pytest.skip("it goes on with the dataset of the first tutorial")
    follow(TUTORIALS / "label-together.md", folder, monkeypatch, capfd)
    assert (folder / "both" / "manifest.parquet").is_file()


@pytest.mark.slow
def test_the_cells_of_the_notebook_run_in_order(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    if not (folder / "campus").is_dir():
        pytest.skip("it goes on with the photos of the first tutorial")
    shutil.copytree(folder / "campus", tmp_path / "campus")
    notebook = json.loads((TUTORIALS / "from-python.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    small = {"model": "timm/test_efficientnet", "weights": "none", "size": 32}
    monkeypatch.setattr(train_package, "train", functools.partial(train, **small))
    monkeypatch.chdir(tmp_path)
    without_curves(monkeypatch)
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f"cell {number}", "exec"), names)  # noqa: S102 - the cells are the test
    assert len(names["result"].scores) > 0
    assert "RMSE" in capfd.readouterr().out
    assert not any(cell.get("outputs") for cell in notebook["cells"]), "outputs are not kept: they would grow old"
