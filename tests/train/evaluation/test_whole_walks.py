"""Evaluations of whole walks: the same photos and labels, other answers."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from img2gps.dataset import Dataset
from img2gps.metrics import metrics_of
from img2gps.walks import seconds_of
from tests.datasets import DAY, NOON, line, make_walk
from tests.evaluating import dataset_of, folds_run_of, walks
from train.evaluation.evaluate import evaluate_run, evaluate_runs
from train.evaluation.summary import remarks
from train.inference.predictions import read_predictions, write_predictions
from train.runs.folder import RunFolder


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Return four walks of eleven minutes each, 12 photos long."""
    photos = [
        make_walk(name, places=line((-80, 0), (80, 0), 12), start=NOON + number * DAY, seconds=60.0)
        for number, name in enumerate("abcd")
    ]
    return dataset_of(tmp_path / "quad", [photo for walk in photos for photo in walk])


def as_walks(run: RunFolder, *, nearer: float = 0.25, photos: list[int] | None = None) -> pd.DataFrame:
    """Let whole walks err by `nearer` of what photos alone do, and return the stored predictions."""
    path = run.folds_path / "predictions.parquet"
    rows = read_predictions(path)
    for axis in ("lon", "lat"):
        rows[f"walk_{axis}"] = rows[axis] + nearer * (rows[f"pred_{axis}"] - rows[axis])
    rows["walk_radius_50_m"], rows["walk_radius_90_m"] = 2.0, 200.0
    rows["walk_familiarity"] = [0.01] * 12 + [0.3] * 36
    rows["walk_photos"] = 12.0 if photos is None else photos
    write_predictions(path, rows)
    return rows


@pytest.mark.slow
def test_whole_walks_have_their_own_figures_and_leave_those_of_photos_alone(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset, shift_m=20.0)
    before = evaluate_run(run.root, write=False)
    assert before.whole_walks is None
    as_walks(run)
    found = evaluate_run(run.root, write=False)
    together = found.whole_walks
    assert together is not None
    assert found.figures == before.figures
    errors = found.scores["walk_error_m"].to_numpy()
    assert errors == pytest.approx(found.scores["error_m"].to_numpy() / 4, rel=1e-3)
    assert together.figures.rmse_m == pytest.approx(metrics_of(errors).rmse_m)
    assert together.figures.photos == together.with_company == 48
    assert [row.observed for row in together.coverage] == [0.0, 1.0]
    assert together.unfamiliar_share == 0.25
    assert together.minus_alone.intervals is not None
    assert together.minus_alone.intervals.rmse_m is not None
    assert together.minus_alone.intervals.rmse_m.high < 0
    assert len(together.per_walk) == 4
    assert any("Whole walks" in line for line in remarks(found))
    assert together.intervals is not None
    assert together.intervals.median_m is not None
    assert together.intervals.median_m.low <= together.figures.median_m <= together.intervals.median_m.high


@pytest.mark.slow
def test_whole_walks_are_abstained_from_by_their_own_regions_and_familiarity(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset, shift_m=20.0)
    rows = as_walks(run)
    rows["walk_radius_90_m"] = [20.0] * 30 + [30.0] * 18
    stated = {"radius_50_m": 5.0, "uncertainty_m": 5.0, "radius_90_m": 99.0, "familiarity": 1.0}
    write_predictions(run.folds_path / "predictions.parquet", rows.assign(**stated))
    unasked = evaluate_run(run.root, write=False)
    assert unasked.whole_walks is not None
    assert unasked.whole_walks.abstention is None
    result = evaluate_run(run.root, abstain_m=25.0)
    assert result.abstention is not None
    assert result.abstention.answered == 0
    assert result.whole_walks is not None
    found = result.whole_walks.abstention
    assert found is not None
    assert found.answered == 30 - 12  # those of the walk that is unlike the site
    assert found.figures.photos + found.not_sure.photos == 48
    assert any(line.startswith("As whole walks, --abstain 25: 38%") for line in remarks(result))


@pytest.mark.slow
def test_intervals_of_whole_walks_resample_stretches_of_minutes(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    as_walks(run)
    whole = evaluate_run(run.root, write=False).whole_walks
    assert whole is not None
    assert whole.intervals_from.unit == "stretches of four minutes"
    rows = dataset.frame()
    assert whole.intervals_from.count == len(
        set(zip(rows["walk"], seconds_of(rows["captured_at"]) // 240, strict=True))
    )


@pytest.mark.slow
def test_too_few_stretches_for_intervals_are_said_to_be(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "quad", walks("abcd"))
    run = folds_run_of(tmp_path, dataset)
    as_walks(run)
    found = evaluate_run(run.root)
    assert found.whole_walks is not None
    assert found.whole_walks.intervals is None
    assert any("4 stretches of four minutes: too few for intervals" in line for line in remarks(found))
    assert "too few for intervals (4 stretches of four minutes)" in (found.folder / "report.html").read_text(
        encoding="utf-8"
    )


@pytest.mark.slow
def test_photos_without_company_have_no_figures_of_their_own(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    as_walks(run, photos=[1] * 48)
    assert evaluate_run(run.root, write=False).whole_walks is None


@pytest.mark.slow
def test_runs_are_compared_as_whole_walks_too(tmp_path: Path, dataset: Dataset) -> None:
    runs = [folds_run_of(tmp_path, dataset, name=name, shift_m=20.0) for name in ("a", "b", "old")]
    for run, nearer in zip(runs[:2], (0.5, 0.25), strict=True):
        as_walks(run, nearer=nearer)
    _, pairs = evaluate_runs([run.root for run in runs[:2]], write=False)
    assert [(pair.run_a, pair.run_b) for pair in pairs] == [("b", "a"), ("b, whole walks", "a, whole walks")]
    assert pairs[0].differences.rmse_m == pytest.approx(0.0)
    assert pairs[1].figures_a.rmse_m == pytest.approx(pairs[1].figures_b.rmse_m / 2, rel=0.01)
    assert "b, whole walks is better by more than chance" in pairs[1].sentence("rmse_m")
    assert len(evaluate_runs([run.root for run in runs[1:]], write=False)[1]) == 1


@pytest.mark.slow
def test_some_company_is_said_to_be_some(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    as_walks(run, photos=[12] * 36 + [1] * 12)
    result = evaluate_run(run.root, write=False)
    assert result.whole_walks is not None
    assert result.whole_walks.with_company == 36
    assert any("36 with company" in line for line in remarks(result))


@pytest.mark.slow
def test_folds_of_an_earlier_version_among_others_are_noted(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    rows = as_walks(run)
    rows.loc[rows["fold"] == 2, ["walk_lon", "walk_lat"]] = np.nan
    write_predictions(run.folds_path / "predictions.parquet", rows)
    result = evaluate_run(run.root, write=False)
    assert result.whole_walks is None
    assert any("earlier version" in note for note in result.notes)


@pytest.mark.slow
def test_predictions_of_earlier_versions_are_read(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    path = run.folds_path / "predictions.parquet"
    rows = read_predictions(path)
    later = ["familiarity", *(name for name in rows if name.startswith("walk_"))]
    pd.DataFrame(rows.drop(columns=later)).to_parquet(path)
    assert read_predictions(path)[later].isna().all(axis=None)
    assert evaluate_run(run.root, write=False).photos == 48
