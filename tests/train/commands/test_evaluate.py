"""What an evaluation writes and what the command prints."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from img2gps.cli import run as run_command
from img2gps.dataset import Dataset
from img2gps.errors import RunLockedError
from img2gps.locks import hold
from img2gps.metrics import metrics_of
from tests.browser import chromium, open_report
from tests.evaluating import SPLITS, ColourReader, dataset_of, folds_run_of, run_of, walks
from train.evaluation import evaluate as evaluating
from train.evaluation.comparison_page import comparison_path
from train.evaluation.document import document_of
from train.evaluation.evaluate import evaluate_run, evaluate_runs
from train.evaluation.result import EvaluationResult
from train.evaluation.summary import figures_table, headline, next_steps, remarks, walks_table
from train.inference import load as loading

Reading = Callable[..., None]


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    """Return a function that puts a `ColourReader` in the place of every trained model."""

    def install(**options: Any) -> None:
        monkeypatch.setattr(loading, "load_localizer", lambda *_args, **_options: ColourReader(**options))

    install()
    return install


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return dataset_of(tmp_path / "quad", walks("abcd"), SPLITS)


def test_what_is_written_is_what_was_found(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    found: EvaluationResult = evaluate_run(run_of(tmp_path, dataset).root)
    assert found.folder == tmp_path / "runs" / "model-001" / "evaluations" / "quad-test"
    assert json.loads((found.folder / "evaluation.json").read_text(encoding="utf-8")) == document_of(found)
    rows = pd.read_parquet(found.folder / "predictions.parquet")
    assert metrics_of(rows["error_m"].to_numpy()).rmse_m == pytest.approx(found.figures.rmse_m)
    plots = {path.stem for path in (found.folder / "plots").glob("*.png")}
    assert {"positions", "truth-against-prediction", "arrows", "error-cdf"} <= plots
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert "model-001" in page
    assert "Content-Security-Policy" in page


def test_a_walk_of_two_photos_is_evaluated_and_written(tmp_path: Path, reading: Reading) -> None:
    dataset = dataset_of(tmp_path / "quad", walks("abcd")[:38], SPLITS)
    found = evaluate_run(run_of(tmp_path, dataset).root, abstain_m=1.0)
    assert (found.photos, found.intervals) == (2, None)
    assert (found.folder / "report.html").is_file()
    tables = (figures_table(found), walks_table(found))
    assert all(cell == "" for row in tables[0].rows for cell in row[2:3])
    assert remarks(found)
    assert next_steps(found)


def test_the_terminal_page_has_every_walk_and_a_next_step(tmp_path: Path, dataset: Dataset) -> None:
    found = evaluate_run(folds_run_of(tmp_path, dataset).root, write=False)
    assert "48 photos" in headline(found)
    assert len(figures_table(found).rows) == 8
    assert all(len(row) == len(figures_table(found).columns) for row in figures_table(found).rows)
    assert [row[1] for row in walks_table(found).rows] == ["12"] * 4 + [""]
    assert any("4 walks" in line for line in remarks(found))
    assert next_steps(found)[-1].endswith("report.html")


def test_the_command_prints_the_contract(
    tmp_path: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str], reading: Reading
) -> None:
    run = run_of(tmp_path, dataset)
    assert run_command(["evaluate", str(run.root), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    figures = {"photos", "rmse_m", "mean_m", "median_m", "p90_m", "within_m"}
    assert {"run", "dataset", "split", "mean_predictor", "intervals"} | figures <= set(printed)
    assert set(printed["mean_predictor"]) == figures
    assert set(printed["within_m"]) == {"5", "10", "25", "50"}
    assert "points" not in printed


def test_the_command_compares_runs_and_names_what_is_missing(
    tmp_path: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "_write", lambda *_: None)  # plots and page have their own test
    runs = [str(folds_run_of(tmp_path, dataset, name=name, shift_m=shift).root) for name, shift in (("a", 0), ("b", 9))]
    assert run_command(["evaluate", *runs, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [document["run"] for document in printed["runs"]] == ["a", "b"]
    assert printed["comparisons"][0]["sentence"].startswith("The median error of b")
    page = Path(printed["report"])
    assert page.parent == tmp_path / "runs" / "a" / "evaluations" / "quad-folds"
    html = page.read_text(encoding="utf-8")
    for comparison in printed["comparisons"]:
        assert comparison["sentence"] in html
        low, high = comparison["intervals"]["rmse_m"]
        assert f"{low:+.1f} m to {high:+.1f} m".replace("-", "−") in html.replace("\u202f", " ")
    assert run_command(["evaluate", *runs]) == 0
    assert "RMSE of b" in capsys.readouterr().out
    assert run_command(["evaluate", str(tmp_path / "nothing")]) == 3
    assert "Error:" in capsys.readouterr().err


def test_a_run_is_evaluated_while_it_trains_and_says_so(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    with run.lock():
        during = evaluate_run(run.root)
    assert any("still being trained" in note for note in during.notes)
    assert not any("still being trained" in note for note in evaluate_run(run.root).notes)


def test_two_evaluations_write_one_after_the_other(
    tmp_path: Path, dataset: Dataset, reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(tmp_path, dataset)
    folder = evaluate_run(run.root).folder
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    monkeypatch.setattr(evaluating, "_OTHERS_WRITE_S", 0)
    with hold(folder.parent / ".lock", otherwise=RunLockedError("held")):
        with pytest.raises(RunLockedError, match="another evaluation"):
            evaluate_run(run.root)
        assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.browser
def test_the_page_of_a_comparison_fits_a_phone(
    tmp_path: Path, dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evaluating, "_write", lambda *_: None)
    runs = [folds_run_of(tmp_path, dataset, name=name, shift_m=shift).root for name, shift in (("a", 0), ("b", 9))]
    evaluations, _ = evaluate_runs(runs)
    with chromium() as browser:
        for width in (390, 1280):
            phone = {"viewport": {"width": width, "height": 844}, "color_scheme": "dark"}
            with open_report(browser, comparison_path(evaluations), **phone) as page:
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                inner = "[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)"
                assert page.evaluate(inner)
