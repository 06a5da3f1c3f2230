"""What an evaluation scores, refuses and leaves out, and the figures it finds."""

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidCheckpointError, InvalidDatasetError, NotFoundError, UsageError
from img2gps.geo import geodesic_m
from img2gps.metrics import metrics_of
from tests.evaluating import SPLITS, ColourReader, dataset_of, folds_run_of, run_of, walks
from train.evaluation.document import contract_of
from train.evaluation.evaluate import evaluate_run, evaluate_runs
from train.evaluation.summary import next_steps, remarks
from train.inference import load as loading
from train.inference.output import is_sure
from train.inference.predict import Prediction
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


def test_the_test_split_is_scored_in_geodesic_metres(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    reading(shift_m=30.0)
    found = evaluate_run(run_of(tmp_path, dataset).root, write=False)
    assert (found.run, found.dataset, found.split) == ("model-001", "quad", "test")
    assert found.photos == 12
    assert found.figures.rmse_m == pytest.approx(30, abs=1)
    assert found.bias.east_m == pytest.approx(30, abs=1)
    assert found.figures.within_m == {"5": 0, "10": 0, "25": 0, "50": 1}


def test_the_mean_predictor_answers_with_the_mean_training_position(
    tmp_path: Path, dataset: Dataset, reading: Reading
) -> None:
    found = evaluate_run(run_of(tmp_path, dataset).root, write=False)
    frame = dataset.frame()
    train, test = (frame[frame["split"] == name] for name in ("train", "test"))
    errors = geodesic_m(test["lon"], test["lat"], train["lon"].mean(), train["lat"].mean())
    assert found.mean_predictor.rmse_m == pytest.approx(metrics_of(errors).rmse_m, abs=1e-3)
    assert found.mean_predictor.median_m == pytest.approx(metrics_of(errors).median_m, abs=1e-3)


def test_without_a_test_split_validation_is_scored(tmp_path: Path, reading: Reading) -> None:
    dataset = dataset_of(tmp_path / "quad", walks("abc"), {"a": "train", "b": "train", "c": "val"})
    found = evaluate_run(run_of(tmp_path, dataset).root, write=False)
    assert found.split == "val"
    assert "chose the epoch" in found.notes[0]


@pytest.mark.slow
@pytest.mark.parametrize("emptied", ["test", "val"])
def test_a_split_that_exclusions_emptied_is_said_and_no_other_is_scored_in_its_place(
    tmp_path: Path, reading: Reading, emptied: str
) -> None:
    splits = SPLITS if emptied == "test" else {"a": "train", "b": "train", "c": "train", "d": "val"}
    dataset = dataset_of(tmp_path / "quad", walks("abcd"), splits)
    frame = dataset.frame()
    made: dict[str, Any] = {"at": "2025-06-03T00:00:00Z", "by": "me", "from_lon": 0.0, "from_lat": 0.0}
    gone = frame.loc[frame["split"] == emptied, "id"]
    append_corrections(dataset.corrections_path, [Correction(photo_id=one, action="exclude", **made) for one in gone])
    run = run_of(tmp_path, dataset)  # trained after the exclusion
    with pytest.raises(InvalidDatasetError, match=rf"Every photo of {emptied} in .* is excluded by a correction"):
        evaluate_run(run.root, write=False)
    if emptied == "test":
        assert evaluate_run(run.root, split="val", write=False).split == "val"


def test_a_run_that_used_every_photo_needs_another_dataset(tmp_path: Path, reading: Reading) -> None:
    dataset = dataset_of(tmp_path / "quad", walks("ab"))
    with pytest.raises(UsageError, match="--on another dataset"):
        evaluate_run(run_of(tmp_path, dataset).root)


@pytest.mark.slow
def test_another_dataset_is_scored_whole_but_for_what_was_in_training(
    tmp_path: Path, dataset: Dataset, reading: Reading
) -> None:
    """Of six walks, three were in training or chose the epoch; two more photos show what training photos show."""
    known = {photo.source_name: photo for photo in walks("a")}
    new = walks("efg", first_day=9)
    new[0] = dataclasses.replace(new[0], photo_sha256=known["a-0000-0.jpg"].photo_sha256)
    new[1] = dataclasses.replace(new[1], phash=known["a-0001-0.jpg"].phash)
    other = dataset_of(tmp_path / "other", [*walks("abc"), *new])
    found = evaluate_run(run_of(tmp_path, dataset).root, on=other.root, write=False)
    assert found.scored.left_out == {"same_file": 36, "same_pixels": 1, "same_picture": 1}
    assert (found.split, found.photos) == ("all", 34)
    assert "38 photos left out" in found.notes[0]


def test_a_copy_of_the_runs_dataset_is_its_own(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    moved = dataset.root.rename(tmp_path / "moved")
    with pytest.raises(NotFoundError, match="say where it is with --on"):
        evaluate_run(run.root)
    found = evaluate_run(run.root, on=moved, write=False)
    assert (found.split, found.photos) == ("test", 12)


@pytest.mark.slow
def test_a_split_whose_photos_changed_is_refused(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    changed = dataset_of(dataset.root, walks("abcd"), {**SPLITS, "b": "test"})
    with pytest.raises(InvalidDatasetError, match="changed since"):
        evaluate_run(run.root)
    found = evaluate_run(run.root, force=True, write=False)
    assert changed.frame()["split"].eq("test").sum() == 24
    assert found.photos == 12, "photos that are in test now but trained this run must not be scored"
    assert found.scored.left_out["same_file"] == 12


@pytest.mark.slow
@pytest.mark.parametrize("today", [None, {**SPLITS, "d": "train"}, {**SPLITS, "b": "test"}])
@pytest.mark.parametrize("split", [None, "test"])
def test_a_dataset_that_was_split_anew_is_refused_for_that_reason(
    tmp_path: Path, dataset: Dataset, reading: Reading, today: dict[str, str] | None, split: str | None
) -> None:
    run = run_of(tmp_path, dataset)
    dataset_of(dataset.root, walks("abcd"), today)
    with pytest.raises(InvalidDatasetError, match=r"photos of test .* changed since"):
        evaluate_run(run.root, split=split)


def test_a_split_made_after_the_run_is_refused_and_all_of_it_was_in_training(tmp_path: Path, reading: Reading) -> None:
    dataset = dataset_of(tmp_path / "quad", walks("abcd"))
    run = run_of(tmp_path, dataset)
    dataset_of(dataset.root, walks("abcd"), SPLITS)
    with pytest.raises(InvalidDatasetError, match=r"photos of test .* changed since"):
        evaluate_run(run.root)
    with pytest.raises(UsageError, match="nothing to score in test"):
        evaluate_run(run.root, force=True)


def test_force_scores_what_is_held_back_today(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    dataset_of(dataset.root, walks("abcd"), {"a": "train", "b": "train", "c": "train", "d": "val"})
    found = evaluate_run(run.root, force=True, write=False)
    assert (found.split, found.photos) == ("val", 12)


def test_changed_labels_are_reported_and_scored_apart(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    frame = dataset.frame()
    row = frame[frame["split"] == "test"].iloc[0]
    move = Correction(
        at="2025-07-01T00:00:00Z",
        by="me",
        photo_id=row["id"],
        action="move",
        from_lon=row["lon"],
        from_lat=row["lat"],
        lon=row["lon"],
        lat=row["lat"] + 2e-4,
    )
    append_corrections(dataset.corrections_path, [move])
    found = evaluate_run(run.root, write=False)
    assert found.notes == ("labels of test photos changed since the run was trained; today's are used",)
    assert found.labels.corrected_share == pytest.approx(1 / 12)
    assert found.labels.moved_median_m == pytest.approx(22.2, abs=0.1)
    assert found.labels.scores["moved"].figures.photos == 1
    assert found.labels.scores["moved"].figures.median_m == pytest.approx(22.2, abs=2)
    assert found.labels.scores["as_ingested"].figures.median_m < 2


@pytest.mark.slow
def test_photos_without_a_time_are_a_stratum_of_their_own(tmp_path: Path, reading: Reading) -> None:
    photos = [
        dataclasses.replace(photo, captured_at=None, utc_offset_min=None, device=f"phone-{photo.source_name[0]}")
        for photo in walks("abcd")
    ]
    run = run_of(tmp_path, dataset_of(tmp_path / "quad", photos, SPLITS))
    found = evaluate_run(run.root, write=False)
    assert [row.name for row in found.per_day] == ["date unknown"]
    assert [(row.name, row.bounds) for row in found.strata.light] == [("time unknown", None)]
    assert found.worst[0].captured_at is None


def test_scoring_the_training_photos_says_so(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    found = evaluate_run(run_of(tmp_path, dataset).root, split="train", write=False)
    assert found.photos == 24
    assert "no measure of a new photo" in found.notes[0]


@pytest.mark.slow
def test_folds_are_pooled(tmp_path: Path, dataset: Dataset) -> None:
    """The fold's number is the error of its photos: each photo must have got its own model's answer."""
    found = evaluate_run(folds_run_of(tmp_path, dataset).root, write=False)
    assert (found.split, found.photos) == ("folds", 48)
    assert [row.figures.mean_m for row in found.per_walk] == pytest.approx([0, 1, 2, 3], abs=1e-3)
    assert found.calibration is None
    assert found.scored.training_photos == 48


def test_one_fold_is_scored_alone(tmp_path: Path, dataset: Dataset) -> None:
    found = evaluate_run(folds_run_of(tmp_path, dataset).root / "folds" / "2", write=False)
    assert (found.run, found.photos) == ("folds-001/folds/2", 12)
    assert found.figures.mean_m == pytest.approx(2, abs=1e-3)


@pytest.mark.slow
def test_folds_on_another_dataset_need_one_model(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = folds_run_of(tmp_path, dataset)
    other = dataset_of(tmp_path / "other", walks("abcde"))
    with pytest.raises(UsageError, match="one model per fold"):
        evaluate_run(run.root, on=other.root)
    found = evaluate_run(run.root / "folds" / "0", on=other.root, write=False)
    assert found.scored.left_out["same_file"] == 36
    assert found.photos == 24


def test_a_stored_answer_that_is_no_position_is_refused(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    path = run.folds_path / "predictions.parquet"
    rows = read_predictions(path)
    rows.loc[3, "pred_lon"] = float("nan")
    write_predictions(path, rows)
    with pytest.raises(InvalidCheckpointError, match="no position"):
        evaluate_run(run.root, write=False)


@pytest.mark.slow
def test_changed_folds_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    dataset_of(dataset.root, walks("abce"), SPLITS)
    with pytest.raises(InvalidDatasetError, match="changed since"):
        evaluate_run(run.root)
    assert evaluate_run(run.root, force=True, write=False).photos == 36


@pytest.mark.slow
def test_runs_are_compared_on_the_same_photos(tmp_path: Path, dataset: Dataset) -> None:
    runs = [folds_run_of(tmp_path, dataset, shift_m=shift, name=name) for name, shift in (("good", 0.0), ("bad", 20.0))]
    evaluations, comparisons = evaluate_runs([run.root for run in runs], write=False)
    assert [evaluation.run for evaluation in evaluations] == ["good", "bad"]
    assert comparisons[0].photos == 48
    assert comparisons[0].differences.mean_m == pytest.approx(20, abs=1e-3)
    assert "good is better by more than chance" in comparisons[0].sentence("mean_m")
    with pytest.raises(UsageError, match="same name"):
        evaluate_runs([runs[0].root, runs[0].root], write=False)


@pytest.mark.slow
def test_what_evaluate_abstains_from_is_what_predict_is_not_sure_of(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    path = run.folds_path / "predictions.parquet"
    rows = read_predictions(path).assign(radius_50_m=5.0, uncertainty_m=5.0, radius_90_m=[20.0] * 30 + [30.0] * 18)
    rows["familiarity"] = [0.049] * 7 + [0.05] * 41
    write_predictions(path, rows)
    for threshold_m, answered in ((10.0, 0), (20.0, 23), (30.0, 41)):
        found = evaluate_run(run.root, abstain_m=threshold_m, write=False).abstention
        prediction = {"file": "a", "lon": 0.0, "lat": 0.0, "error": None, "radius_50_m": 5.0}
        pairs = zip(rows["radius_90_m"], rows["familiarity"], strict=True)
        sure = [is_sure(Prediction(**prediction, radius_90_m=r, familiarity=f), threshold_m) for r, f in pairs]
        assert found is not None
        assert found.answered == sum(map(bool, sure)) == answered


@pytest.mark.slow
def test_photos_unlike_the_site_are_counted_and_have_figures_of_their_own(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    assert evaluate_run(run.root, write=False).familiarity is None
    path = run.folds_path / "predictions.parquet"
    stated = {"radius_50_m": 5.0, "uncertainty_m": 5.0, "radius_90_m": 10.0}
    write_predictions(path, read_predictions(path).assign(**stated, familiarity=[0.01] * 12 + [0.5] * 36))
    found = evaluate_run(run.root, write=False)
    strange = found.familiarity
    assert strange is not None
    assert strange.unfamiliar_share == 0.25
    assert (strange.unfamiliar.photos, strange.familiar.photos) == (12, 36)
    assert strange.unfamiliar.rmse_m == pytest.approx(metrics_of(found.scores["error_m"].to_numpy()[:12]).rmse_m)
    assert any(line.startswith("Unlike the site: 25% of the photos") for line in remarks(found))
    schema = json.loads(
        (Path(__file__).parents[3] / "docs/reference/schemas/evaluate.json").read_text(encoding="utf-8")
    )
    jsonschema.validate(contract_of(found), schema)
    assert any("25% of the photos look unlike those in training" in step for step in next_steps(found))
    write_predictions(path, read_predictions(path).assign(familiarity=[0.01] * 3 + [0.5] * 45))
    few = evaluate_run(run.root, write=False)
    assert few.familiarity is not None
    assert few.familiarity.unfamiliar_share == 3 / 48
    assert not any("look unlike" in step for step in next_steps(few))


@pytest.mark.slow
def test_abstention_needs_an_uncertainty(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    found = evaluate_run(run.root, abstain_m=1.0, write=False)
    assert found.abstention is not None
    assert found.abstention.answered == 0
    assert found.coverage[0].observed == 1
    reading(sure=False)
    with pytest.raises(UsageError, match="no uncertainty"):
        evaluate_run(run.root, abstain_m=1.0)


def test_a_missing_working_copy_is_named(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    frame = dataset.frame()
    dataset.photo_path(frame[frame["split"] == "test"]["id"].iloc[0]).unlink()
    with pytest.raises(InvalidDatasetError, match="working copies of 1 photo"):
        evaluate_run(run.root)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"split": "dev"}, "No split 'dev': choose one of train, val, test, all"),
        ({"where": "walks"}, "No ground 'walks' to forecast for: choose photos or site"),
        ({"abstain_m": -5.0}, "more than 0 m, not -5.0"),
        ({"abstain_m": math.nan}, "more than 0 m, not nan"),
    ],
)
def test_what_the_command_would_not_take_is_refused_in_a_sentence(
    asked: dict[str, Any], said: str, tmp_path: Path, dataset: Dataset
) -> None:
    with pytest.raises(UsageError, match=said):
        evaluate_run(run_of(tmp_path, dataset).root, **asked)
