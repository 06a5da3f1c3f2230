"""What is said of a run that is no better than the mean position."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.evaluation.bootstrap import Clusters
from train.evaluation.document import _skill
from train.evaluation.summary import next_steps, remarks
from train.runs.folder import RunFolder
from train.runs.remarks import against_mean, familiarity_sentence, mean_position_sentence, scored_sentence


def _document(factor: float, *, groups: int = 40, spread: float = 0.1, **more: Any) -> dict[str, Any]:
    """Return the document of a run that errs `factor` times as far as the mean position."""
    draws = np.random.default_rng(0)
    mean_m = draws.uniform(50, 150, 2 * groups)
    error_m = mean_m * factor * np.exp(draws.normal(0, spread, 2 * groups))
    clusters = Clusters.of("bursts and positions", np.repeat(np.arange(groups), 2))
    rmse_m, other_m = (float(np.sqrt(np.mean(values**2))) for values in (error_m, mean_m))
    return {
        "run": "small",
        "dataset": "quad",
        "split": "test",
        "photos": 2 * groups,
        "rmse_m": rmse_m,
        "mean_predictor": {"rmse_m": other_m},
        "skill": _skill(error_m, mean_m, clusters),
        "intervals_from": {"unit": clusters.unit, "count": clusters.count},
        "notes": [],
        "training_photos": 67,
        "training_walks": 2,
        "method": "probe",
    } | more


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
    document = _document(factor, groups=groups, spread=spread)
    said = mean_position_sentence(document)
    assert against_mean(document["skill"]["rmse_m"]) == word
    assert said is None if start is None else said is not None and said.startswith(start)


def _steps(**more: Any) -> str:
    empty = {"strata": {}, "familiarity": None, "calibration": None, "report": "report.html"}
    return next_steps(_document(1.4) | empty | more)[0]


def test_what_would_help_goes_by_the_numbers_at_hand() -> None:
    few = _steps(photos=7)
    assert "67 photos of 2 walks" in few
    assert "7 photos can show little" in few
    assert "--folds" in few
    many = _steps(training_photos=2000, training_walks=9, photos=500)
    assert "See the worst" in many  # nothing to advise
    assert "2 walks" in _steps(training_photos=2000, training_walks=2, photos=500)
    assert "--folds" not in _steps(photos=7, split="folds")


@pytest.mark.parametrize("photos", [20, 67, 299])
def test_training_longer_is_no_advice_for_a_small_set(photos: int) -> None:
    assert "longer" not in _steps(training_photos=photos, method="network")
    assert "--preset quick" in _steps(training_photos=photos, method="network")
    assert "training longer" in _steps(training_photos=5000, method="network")


def _evaluated(run: RunFolder, name: str, document: dict[str, Any], *, at: int) -> None:
    path = run.evaluations_path / name / "evaluation.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(document))
    os.utime(path, (at, at))


def test_the_newest_evaluation_of_the_model_counts(tmp_path: Path) -> None:
    run = RunFolder(root=tmp_path / "small")
    (run.best).mkdir(parents=True)
    (run.best / "state.json").write_text("{}")
    os.utime(run.best / "state.json", (1000, 1000))
    assert scored_sentence(run) is None
    _evaluated(run, "quad-old", _document(1.4), at=500)  # of an earlier model
    _evaluated(run, "quad-train", _document(1.4, split="train"), at=1500)
    _evaluated(run, "last-quad-test", _document(1.4, run="small/last"), at=1600)
    assert scored_sentence(run) is None
    _evaluated(run, "quad-test", _document(1.4), at=1100)
    said = scored_sentence(run)
    assert said is not None
    assert said.startswith("Scored on quad (80 photos): worse than the mean position")
    _evaluated(run, "quad-all", _document(0.2), at=1700)
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
    keys = ("calibration", "familiarity", "walks_together", "abstain")
    document = _document(1.4, per_walk=[1], labels={"corrected_share": 0.0}) | dict.fromkeys(keys)
    assert remarks(document)[0].startswith("Worse than the mean position")
