"""What is said of a run that is no better than the mean position."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.datasets import box_site
from train.evaluation.document import document_of
from train.evaluation.references import ReferenceErrors
from train.evaluation.result import EvaluationResult as Result
from train.evaluation.result import Scored
from train.evaluation.score import evaluation_result
from train.evaluation.summary import next_steps, remarks
from train.runs.folder import RunFolder
from train.runs.remarks import TELLS_NO_STRANGERS, familiarity_sentence, mean_position_sentence, scored_sentence


def _scores(error_m: np.ndarray, mean_m: np.ndarray, group: np.ndarray) -> pd.DataFrame:
    """Return a row per photo of one walk, as `train.evaluation.scores.scores_frame` does, without uncertainty."""
    count = len(error_m)
    names = [f"p{number}" for number in range(count)]
    zeros = ("east_m", "north_m", "pred_north_m", "nearest_train_m", "lon", "lat", "pred_lon", "pred_lat", "moved_m")
    unknown = ("uncertainty_m", "radius_50_m", "radius_90_m", "familiarity", "walk_error_m", "walk_photos")
    unknown += ("walk_radius_50_m", "walk_radius_90_m", "walk_familiarity", "accuracy_m", "clock_s")
    return pd.DataFrame({"id": names, "file_name": names, "error_m": error_m, "mean_predictor_m": mean_m}).assign(
        walk="a", day="2025-06-02", light="day", device_name="phone", label_state="", cause="", fold=-1,
        group=group.astype(str), captured_at=pd.Timestamp("2025-06-02", tz="UTC"), pred_east_m=error_m,
        **dict.fromkeys(zeros, 0.0), **dict.fromkeys(unknown, np.nan),
    )  # fmt: skip


def _result(factor: float, *, groups: int = 40, spread: float = 0.1, photos: int | None = None, **more: Any) -> Result:
    """Return the evaluation of a run that errs `factor` times as far as the mean position."""
    draws = np.random.default_rng(0)
    mean_m = draws.uniform(50, 150, 2 * groups)
    error_m = mean_m * factor * np.exp(draws.normal(0, spread, 2 * groups))
    about: dict[str, Any] = {"run": "small", "split": "test", "training_photos": 67, "training_walks": 2}
    about |= {"dataset": "quad", "method": "probe", "left_out": {}, "notes": (), "provenance": {}, "folder": Path("e")}
    about["dataset_root"] = Path("new quad")
    result = evaluation_result(
        _scores(error_m, mean_m, np.repeat(np.arange(groups), 2)),
        ReferenceErrors(errors_m={"mean_predictor": mean_m}),
        box_site(),
        Scored(**about | more),
    )
    return result if photos is None else replace(result, figures=replace(result.figures, photos=photos))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("factor", "groups", "spread", "word", "start"),
    [
        (1.4, 40, 0.1, "worse", "Worse than the mean position, by more than chance"),
        (0.8, 40, 0.5, "not better", "Not better than the mean position by more than chance"),
        (0.3, 40, 0.1, "better", None),
        (1.4, 3, 0.1, "too few groups", "Not better than the mean position by more than chance"),
        (0.3, 3, 0.1, "too few groups", "Better than the mean position on these photos"),
    ],
)
def test_the_verdict_follows_the_paired_interval(
    factor: float, groups: int, spread: float, word: str, start: str | None
) -> None:
    found = _result(factor, groups=groups, spread=spread).beside_mean
    assert found is not None
    said = mean_position_sentence(found)
    assert found.word == word
    assert said is None if start is None else said is not None and said.startswith(start)


def _steps(**more: Any) -> str:
    return next_steps(_result(1.4, **more))[0]


@pytest.mark.slow
def test_what_would_help_goes_by_the_numbers_at_hand() -> None:
    few = _steps(photos=7)
    assert "67 photos of 2 walks" in few
    assert "7 photos can show little" in few
    assert "--folds" in few
    many = _steps(training_photos=2000, training_walks=9, photos=500)
    assert "See the worst" in many  # nothing to advise
    assert "2 walks" in _steps(training_photos=2000, training_walks=2, photos=500)
    assert "--folds" not in _steps(photos=7, split="folds")


@pytest.mark.slow
@pytest.mark.parametrize("photos", [20, 67, 299])
def test_training_longer_is_no_advice_for_a_small_set(photos: int) -> None:
    assert "longer" not in _steps(training_photos=photos, method="network")
    assert "--preset quick" in _steps(training_photos=photos, method="network")
    assert "training longer" in _steps(training_photos=5000, method="network")


def _evaluated(run: RunFolder, name: str, result: Result, *, at: int) -> None:
    path = run.evaluations_path / name / "evaluation.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document_of(result)))
    os.utime(path, (at, at))


@pytest.mark.slow
def test_the_newest_evaluation_of_the_model_counts(tmp_path: Path) -> None:
    run = RunFolder(root=tmp_path / "small")
    (run.best).mkdir(parents=True)
    (run.best / "state.json").write_text("{}")
    os.utime(run.best / "state.json", (1000, 1000))
    assert scored_sentence(run) is None
    _evaluated(run, "quad-old", _result(1.4), at=500)  # of an earlier model
    _evaluated(run, "quad-train", _result(1.4, split="train"), at=1500)
    _evaluated(run, "last-quad-test", _result(1.4, run="small/last"), at=1600)
    assert scored_sentence(run) is None
    _evaluated(run, "quad-test", _result(1.4), at=1100)
    said = scored_sentence(run)
    assert said is not None
    assert said.startswith("Scored on quad (80 photos): worse than the mean position")
    _evaluated(run, "quad-all", _result(0.2), at=1700)
    assert scored_sentence(run) is None


@pytest.mark.parametrize(
    "power", [None, {}, [], "0.5", {"photos": "0.5", "walks": 1, "looks": 10}, {"photos": 7, "walks": 1, "looks": 10}]
)
def test_a_power_that_makes_no_sense_is_none_that_is_known(power: object) -> None:
    assert "is not known" in familiarity_sentence(power)


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"run": "small"}', '{"run": "small", "skill": {"rmse_m": null}}'])
def test_an_evaluation_that_cannot_be_read_says_nothing(tmp_path: Path, text: str) -> None:
    run = RunFolder(root=tmp_path / "small")
    path = run.evaluations_path / "quad-test" / "evaluation.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert scored_sentence(run) is None


def test_the_verdict_is_the_first_remark() -> None:
    assert remarks(_result(1.4))[0].startswith("Worse than the mean position")


def test_where_the_mean_position_is_never_wrong_nothing_is_said_of_it() -> None:
    zero = np.zeros(6)
    found = evaluation_result(
        _scores(zero + 1, zero, np.arange(6)),
        ReferenceErrors(errors_m={"mean_predictor": zero}),
        box_site(),
        _result(1.4).scored,
    )
    assert (found.skill, found.beside_mean) == ({}, None)
    assert document_of(found)["against_mean"] == "too few groups"
    assert remarks(found)


def test_one_group_is_told_in_the_singular_and_folders_as_they_are_typed() -> None:
    said = "\n".join([*remarks(_result(1.4, groups=1)), *next_steps(_result(1.4, groups=1))])
    assert "1 burst or position" in said
    assert "1 bursts" not in said
    assert "`img2gps split 'new quad' --folds walk`" in said
    assert "Too few photos for intervals" in said
    assert "intervals speak" not in said


def test_a_model_that_tells_no_strangers_says_so() -> None:
    assert TELLS_NO_STRANGERS in remarks(_result(0.4))
