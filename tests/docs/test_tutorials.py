"""A newcomer who follows the tutorials in order gets through: each command of theirs, and each cell of the notebook."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documented_scene import SMALL
from shell_blocks import steps_of

from img2gps.cli import run
from tests.train.colours import without_curves

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
# What the notebook does not say is made small here.
SMALL_TRAINING = """
import functools, train
train.train = functools.partial(train.train, model="timm/test_efficientnet", weights="none", size=32)
"""


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
def test_the_cells_of_the_notebook_run_in_order(folder: Path, tmp_path: Path) -> None:
    if not (folder / "campus").is_dir():
        pytest.skip("it goes on with the photos of the first tutorial")
    shutil.copytree(folder / "campus", tmp_path / "campus")
    notebook = json.loads((TUTORIALS / "from-python.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 5
    (tmp_path / "cells.py").write_text(SMALL_TRAINING + "\n\n".join(cells), encoding="utf-8")
    done = subprocess.run([sys.executable, "cells.py"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "RMSE" in done.stdout
    assert all(not cell.get("outputs") for cell in notebook["cells"]), "outputs are not kept: they would grow old"
