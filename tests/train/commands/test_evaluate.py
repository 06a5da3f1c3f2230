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
from train.inference.predictions import read_predictions, write_predictions

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


@pytest.mark.slow
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


_LENGTHS = {"rmse_m", "mean_m", "median_m", "p90_m", "within_m"}
_FIGURES = {"photos", *_LENGTHS}
_GROUP = {"name", "photos", "figures", "intervals", "mean_predictor", "bias", "stands_alone"}
_ABSTAIN = {"threshold_m", "photos", "answered", "answered_share", "figures", "intervals", "not_sure"}
_COVERAGE = {"claimed", "observed", "interval", "median_radius_m", "inflation_needed"}
_SOURCE = {"unit", "count", "level"}
_POINT = {"id", "error_m", "uncertainty_m", "walk", "device_name", "light", "nearest_train_m", "lon", "lat"}
_KEYS: dict[str, set[str]] = {
    "": _FIGURES | {"run", "dataset", "split", "training_photos", "training_walks", "method", "left_out", "notes"}
    | {"report", "provenance", "intervals", "intervals_from", "mean_predictor", "skill", "against_mean", "frame"}
    | {"per_walk", "per_day", "macro", "strata", "bias", "labels", "calibration", "risk_coverage", "abstain"}
    | {"familiarity", "walks_together", "cdf", "worst", "site", "points", "truth", "forecast", "causes", "looks_at"}
    | {"no_forecast"},
    "intervals": _LENGTHS,
    "intervals_from": _SOURCE,
    "mean_predictor": _FIGURES,
    "skill": {"rmse_m", "mean_m", "median_m"},
    "skill.rmse_m": {"value", "interval"},
    "frame": {"mean_predictor", "training_median", "random_training_photo", "nearest_thumbnail", "oracle"},
    "frame.oracle": {"meaning", "figures", "intervals"},
    "per_walk.0": _GROUP,
    "per_walk.0.figures": _FIGURES,
    "per_walk.0.bias": {"east_m", "north_m"},
    "per_day.0": _GROUP,
    "macro": {"walks", "days"},
    "macro.walks": {"of", "figures", "mean_predictor"},
    "macro.walks.figures": _LENGTHS,
    "strata": {"device", "light", "nearest_train_m", "cell"},
    "strata.device.0": (_GROUP | {"bounds"}) - {"stands_alone"},
    "strata.nearest_train_m.0.bounds": {"low", "high", "unit"},
    "strata.cell.0": {"photos", "east_m", "north_m", "size_m", "median_m", "mean_m"},
    "bias": {"east_m", "north_m", "east_interval_m", "north_interval_m"},
    "labels": {"corrected_share", "moved_median_m", "moved_p90_m", "scores"},
    "labels.scores.as_ingested": {"figures", "intervals"},
    "calibration": {"coverage", "reliability"},
    "calibration.coverage.0": _COVERAGE,
    "calibration.reliability.0": {"photos", "median_radius_m", "median_error_m", "inside"},
    "risk_coverage": {"coverage", "uncertainty_m", "mean_m", "median_m", "rmse_m", "area", "area_best", "area_random"},
    "abstain": _ABSTAIN,
    "familiarity": {"below", "unfamiliar_share", "interval", "unfamiliar", "familiar", "power"},
    "walks_together": _FIGURES | {"with_company", "unfamiliar_share", "intervals", "intervals_from", "minus_alone"}
    | {"calibration", "abstain", "per_walk"},
    "walks_together.intervals_from": _SOURCE,
    "walks_together.minus_alone": {"differences", "intervals"},
    "walks_together.minus_alone.differences": _LENGTHS,
    "walks_together.calibration.0": _COVERAGE,
    "walks_together.abstain": _ABSTAIN,
    "walks_together.per_walk.0": {"name", "figures"},
    "cdf": {"share", "model", "walks_together"}
    | {"mean_predictor", "training_median", "random_training_photo", "nearest_thumbnail", "oracle"},
    "worst.0": _POINT | {"pred_lon", "pred_lat", "label_state", "cause", "file_name", "captured_at"},
    "causes": {"far_m", "photos", "counts"},
    "causes.counts.0": {"cause", "photos", "share", "interval", "remedy"},
    "site": {"name", "title", "origin", "outline_m"},
    "points": _POINT | {"file_name", "east_m", "north_m", "pred_east_m", "pred_north_m", "radius_50_m", "radius_90_m"}
    | {"pred_lon", "pred_lat", "day", "label_state", "cause", "fold"},
}  # fmt: skip
"""The keys of evaluation.json by the path to them: other programs read them, so that none is renamed or dropped."""


@pytest.mark.slow
def test_every_key_of_the_file_stays(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    path = run.folds_path / "predictions.parquet"
    stated = dict.fromkeys(("radius_50_m", "uncertainty_m", "radius_90_m", "walk_radius_50_m", "walk_radius_90_m"), 9.0)
    rows = read_predictions(path).assign(**stated, familiarity=0.5, walk_familiarity=0.5, walk_photos=12.0)
    write_predictions(path, rows.assign(walk_lon=rows["pred_lon"], walk_lat=rows["pred_lat"]))
    document = document_of(evaluate_run(run.root, abstain_m=25.0, write=False))
    for at, keys in _KEYS.items():
        part: Any = document
        for step in filter(None, at.split(".")):
            part = part[int(step)] if step.isdigit() else part[step]
        assert set(part) == keys, at
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.slow
def test_a_walk_of_two_photos_is_evaluated_and_written(tmp_path: Path, reading: Reading) -> None:
    dataset = dataset_of(tmp_path / "quad", walks("abcd")[:38], SPLITS)
    found = evaluate_run(run_of(tmp_path, dataset).root, abstain_m=1.0)
    assert (found.photos, found.intervals) == (2, None)
    assert (found.folder / "report.html").is_file()
    tables = (figures_table(found), walks_table(found))
    assert all(cell == "" for row in tables[0].rows for cell in row[2:3])
    assert remarks(found)
    assert next_steps(found)


@pytest.mark.slow
def test_the_terminal_page_has_every_walk_and_a_next_step(tmp_path: Path, dataset: Dataset) -> None:
    found = evaluate_run(folds_run_of(tmp_path, dataset).root, write=False)
    assert "48 photos" in headline(found)
    assert len(figures_table(found).rows) == 8
    assert all(len(row) == len(figures_table(found).columns) for row in figures_table(found).rows)
    assert [row[1] for row in walks_table(found).rows] == ["12"] * 4 + [""]
    assert any("4 walks" in line for line in remarks(found))
    assert next_steps(found)[-1].endswith("report.html")


@pytest.mark.slow
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


@pytest.mark.slow
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
    assert "Of each figure the intervals of all pairs hold together" in html
    for comparison in printed["comparisons"]:
        assert comparison["sentence"] in html
        low, high = comparison["intervals"]["rmse_m"]
        assert f"{low:+.1f} m to {high:+.1f} m".replace("-", "−") in html.replace("\u202f", " ")
    assert run_command(["evaluate", *runs]) == 0
    assert "RMSE of b" in capsys.readouterr().out
    assert run_command(["evaluate", str(tmp_path / "nothing")]) == 3
    assert "Error:" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_is_evaluated_while_it_trains_and_says_so(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    with run.lock():
        during = evaluate_run(run.root)
    assert any("still being trained" in note for note in during.notes)
    assert not any("still being trained" in note for note in evaluate_run(run.root).notes)


@pytest.mark.slow
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
                assert "of shares within 25" in page.inner_text("#figures .intro")  # a larger share is the better one
