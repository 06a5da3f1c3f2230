"""The evaluation from run to files: what is scored, what is refused, what is left out, what is written."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch import Tensor

from img2gps.cli import run as run_command
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.geo import LocalFrame, geodesic_m
from img2gps.metrics import metrics_of
from img2gps.types import Photo
from tests.datasets import DAY, FRAME, NOON, line, make_dataset, make_walk
from train import loading
from train.config import TrainConfig
from train.data import read_photos, select_fold, select_split
from train.evaluation.evaluate import Evaluation, evaluate_run, evaluate_runs, read_evaluation
from train.evaluation.summary import figures_table, headline, next_steps, remarks, walks_table
from train.localizer import Estimate
from train.pixels import PixelSpec
from train.predictions import predictions_frame, write_predictions
from train.run import RunFolder, RunInfo, photo_rows

HALF_SIDE_M = 100.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ColourReader:
    """Reads the position that `make_photos` painted into each photo's colour; `shift_m` makes it err east."""

    shift_m: float = 0.0
    sure: bool = True

    @property
    def frame(self) -> LocalFrame:
        return FRAME

    @property
    def pixels(self) -> PixelSpec:
        return PixelSpec(height=16, width=16, fit="squash")

    def locate(self, images: Tensor) -> Estimate:
        mean = images.double().mean(dim=(2, 3)).numpy()
        east_m, north_m = (mean[:, channel] / 255 * 2 * HALF_SIDE_M - HALF_SIDE_M for channel in (0, 1))
        radius = np.full(len(mean), abs(self.shift_m) + 2) if self.sure else None
        return Estimate(east_m=east_m + self.shift_m, north_m=north_m, radius_50_m=radius, radius_90_m=radius)


def walks(names: str, *, first_day: int = 0) -> list[Photo]:
    """Return a walk of 12 photos per letter, on lines of their own, a day apart."""
    return [
        photo
        for number, name in enumerate(names)
        for photo in make_walk(
            name,
            places=line((-80, 20 * number - 50), (80, 20 * number - 50), 12),
            start=NOON + (first_day + number) * DAY,
            utc_offset_min=-240,
        )
    ]


def dataset_of(root: Path, photos: list[Photo], splits: dict[str, str] | None = None) -> Dataset:
    """Write the dataset and working copies whose colour tells their place."""
    folds = {name: number for number, name in enumerate(sorted({photo.source_name[0] for photo in photos}))}
    placed = [
        dataclasses.replace(photo, split=(splits or {}).get(photo.source_name[0]), fold=folds[photo.source_name[0]])
        for photo in photos
    ]
    dataset = make_dataset(root, placed)
    for photo in placed:
        east_m, north_m = FRAME.to_local(photo.lon, photo.lat)
        red, green = (round((float(metres) + HALF_SIDE_M) / (2 * HALF_SIDE_M) * 255) for metres in (east_m, north_m))
        path = dataset.photo_path(photo.id)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 32), (red, green, 90)).save(path, quality=98, subsampling=0)
    return dataset


def run_of(root: Path, dataset: Dataset, *, name: str = "model-001") -> RunFolder:
    source = read_photos(dataset.root)
    run = RunFolder(root=root / "runs" / name)
    run.root.mkdir(parents=True)
    run.write_info(RunInfo.of(TrainConfig(), source, folds=False, made_by={}))
    run.write_photos(photo_rows(select_split(source)))
    return run


def folds_run_of(root: Path, dataset: Dataset, *, shift_m: float = 0.0, name: str = "folds-001") -> RunFolder:
    source = read_photos(dataset.root)
    run = RunFolder(root=root / "runs" / name)
    parts = []
    for fold in range(4):
        data = select_fold(source, fold)
        assert data.held_out is not None
        photos = data.held_out
        run.fold(fold).root.mkdir(parents=True)
        run.fold(fold).write_photos(photo_rows(data))
        estimate = Estimate(east_m=photos.east_m + shift_m + fold, north_m=photos.north_m)
        rows = {"ids": photos.ids.tolist(), "lon": photos.lon, "lat": photos.lat}
        parts.append(predictions_frame(**rows, estimate=estimate, frame=source.frame, fold=fold))
    run.write_info(RunInfo.of(TrainConfig(), source, folds=True, made_by={}))
    write_predictions(run.folds_path / "predictions.parquet", pd.concat(parts, ignore_index=True))
    return run


Reading = Callable[..., None]
SPLITS = {"a": "train", "b": "train", "c": "val", "d": "test"}


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
    found = evaluate_run(run_of(tmp_path, dataset).root, write=False).document
    assert (found["run"], found["dataset"], found["split"]) == ("model-001", "quad", "test")
    assert found["photos"] == 12
    assert found["rmse_m"] == pytest.approx(30, abs=1)
    assert found["bias"]["east_m"] == pytest.approx(30, abs=1)
    assert found["within_m"] == {"5": 0, "10": 0, "25": 0, "50": 1}


def test_the_mean_predictor_answers_with_the_mean_training_position(
    tmp_path: Path, dataset: Dataset, reading: Reading
) -> None:
    found = evaluate_run(run_of(tmp_path, dataset).root, write=False).document
    frame = dataset.read_frame()
    train, test = (frame[frame["split"] == name] for name in ("train", "test"))
    errors = geodesic_m(test["lon"], test["lat"], train["lon"].mean(), train["lat"].mean())
    assert found["mean_predictor"]["rmse_m"] == pytest.approx(metrics_of(errors).rmse_m, abs=1e-3)
    assert found["mean_predictor"]["median_m"] == pytest.approx(metrics_of(errors).median_m, abs=1e-3)


def test_without_a_test_split_validation_is_scored(tmp_path: Path, reading: Reading) -> None:
    dataset = dataset_of(tmp_path / "quad", walks("abc"), {"a": "train", "b": "train", "c": "val"})
    found = evaluate_run(run_of(tmp_path, dataset).root, write=False).document
    assert found["split"] == "val"
    assert "chose the epoch" in found["notes"][0]


def test_a_run_that_used_every_photo_needs_another_dataset(tmp_path: Path, reading: Reading) -> None:
    dataset = dataset_of(tmp_path / "quad", walks("ab"))
    with pytest.raises(UsageError, match="--on another dataset"):
        evaluate_run(run_of(tmp_path, dataset).root)


def test_another_dataset_is_scored_whole_but_for_what_was_in_training(
    tmp_path: Path, dataset: Dataset, reading: Reading
) -> None:
    """Of six walks, three were in training or chose the epoch; two more photos show what training photos show."""
    known = {photo.source_name: photo for photo in walks("a")}
    new = walks("efg", first_day=9)
    new[0] = dataclasses.replace(new[0], photo_sha256=known["a-0000-0.jpg"].photo_sha256)
    new[1] = dataclasses.replace(new[1], phash=known["a-0001-0.jpg"].phash)
    other = dataset_of(tmp_path / "other", [*walks("abc"), *new])
    found = evaluate_run(run_of(tmp_path, dataset).root, on=other.root, write=False).document
    assert found["left_out"] == {"same_file": 36, "same_pixels": 1, "same_picture": 1}
    assert (found["split"], found["photos"]) == ("all", 34)
    assert "38 photos left out" in found["notes"][0]


def test_a_copy_of_the_runs_dataset_is_its_own(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    moved = dataset.root.rename(tmp_path / "moved")
    with pytest.raises(NotFoundError, match="say where it is with --on"):
        evaluate_run(run.root)
    found = evaluate_run(run.root, on=moved, write=False).document
    assert (found["split"], found["photos"]) == ("test", 12)


def test_a_split_whose_photos_changed_is_refused(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    changed = dataset_of(dataset.root, walks("abcd"), {**SPLITS, "b": "test"})
    with pytest.raises(InvalidDatasetError, match="changed since"):
        evaluate_run(run.root)
    found = evaluate_run(run.root, force=True, write=False).document
    assert changed.read_frame()["split"].eq("test").sum() == 24
    assert found["photos"] == 12, "photos that are in test now but trained this run must not be scored"
    assert found["left_out"]["same_file"] == 12


def test_changed_labels_are_reported_and_scored_apart(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    frame = dataset.read_frame()
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
    found = evaluate_run(run.root, write=False).document
    assert found["notes"] == ["labels of test photos changed since the run was trained; today's are used"]
    assert found["labels"]["corrected_share"] == pytest.approx(1 / 12)
    assert found["labels"]["moved_median_m"] == pytest.approx(22.2, abs=0.1)
    assert found["labels"]["scores"]["moved"]["figures"]["photos"] == 1
    assert found["labels"]["scores"]["moved"]["figures"]["median_m"] == pytest.approx(22.2, abs=2)
    assert found["labels"]["scores"]["as_ingested"]["figures"]["median_m"] < 2


def test_scoring_the_training_photos_says_so(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    found = evaluate_run(run_of(tmp_path, dataset).root, split="train", write=False).document
    assert found["photos"] == 24
    assert "no measure of a new photo" in found["notes"][0]


def test_folds_are_pooled(tmp_path: Path, dataset: Dataset) -> None:
    """The fold's number is the error of its photos: each photo must have got its own model's answer."""
    found = evaluate_run(folds_run_of(tmp_path, dataset).root, write=False)
    assert (found.document["split"], found.document["photos"]) == ("folds", 48)
    assert [row["figures"]["mean_m"] for row in found.document["per_walk"]] == pytest.approx([0, 1, 2, 3], abs=1e-3)
    assert found.document["calibration"] is None
    assert found.document["training_photos"] == 48


def test_one_fold_is_scored_alone(tmp_path: Path, dataset: Dataset) -> None:
    found = evaluate_run(folds_run_of(tmp_path, dataset).root / "folds" / "2", write=False).document
    assert (found["run"], found["photos"]) == ("folds-001/folds/2", 12)
    assert found["mean_m"] == pytest.approx(2, abs=1e-3)


def test_folds_on_another_dataset_need_one_model(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = folds_run_of(tmp_path, dataset)
    other = dataset_of(tmp_path / "other", walks("abcde"))
    with pytest.raises(UsageError, match="one model per fold"):
        evaluate_run(run.root, on=other.root)
    found = evaluate_run(run.root / "folds" / "0", on=other.root, write=False).document
    assert found["left_out"]["same_file"] == 36
    assert found["photos"] == 24


def test_changed_folds_are_refused(tmp_path: Path, dataset: Dataset) -> None:
    run = folds_run_of(tmp_path, dataset)
    dataset_of(dataset.root, walks("abce"), SPLITS)
    with pytest.raises(InvalidDatasetError, match="changed since"):
        evaluate_run(run.root)
    assert evaluate_run(run.root, force=True, write=False).document["photos"] == 36


def test_runs_are_compared_on_the_same_photos(tmp_path: Path, dataset: Dataset) -> None:
    runs = [folds_run_of(tmp_path, dataset, shift_m=shift, name=name) for name, shift in (("good", 0.0), ("bad", 20.0))]
    evaluations, comparisons = evaluate_runs([run.root for run in runs], write=False)
    assert [evaluation.run for evaluation in evaluations] == ["good", "bad"]
    assert comparisons[0].photos == 48
    assert comparisons[0].differences["mean_m"] == pytest.approx(20, abs=1e-3)
    assert "good is better by more than chance" in comparisons[0].sentence("mean_m")
    with pytest.raises(UsageError, match="same name"):
        evaluate_runs([runs[0].root, runs[0].root], write=False)


def test_abstention_needs_an_uncertainty(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    found = evaluate_run(run.root, abstain_m=1.0, write=False).document
    assert found["abstain"]["answered"] == 0
    assert found["calibration"]["coverage"][0]["observed"] == 1
    reading(sure=False)
    with pytest.raises(UsageError, match="no uncertainty"):
        evaluate_run(run.root, abstain_m=1.0)


def test_a_missing_working_copy_is_named(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    run = run_of(tmp_path, dataset)
    frame = dataset.read_frame()
    dataset.photo_path(frame[frame["split"] == "test"]["id"].iloc[0]).unlink()
    with pytest.raises(InvalidDatasetError, match="working copies of 1 photo"):
        evaluate_run(run.root)


def test_what_is_written_is_what_was_found(tmp_path: Path, dataset: Dataset, reading: Reading) -> None:
    found: Evaluation = evaluate_run(run_of(tmp_path, dataset).root)
    assert found.folder == tmp_path / "runs" / "model-001" / "evaluations" / "quad-test"
    assert read_evaluation(found.folder) == found.document
    rows = pd.read_parquet(found.folder / "predictions.parquet")
    assert metrics_of(rows["error_m"].to_numpy()).rmse_m == pytest.approx(found.document["rmse_m"])
    plots = {path.stem for path in (found.folder / "plots").glob("*.png")}
    assert {"positions", "truth-against-prediction", "arrows", "error-cdf"} <= plots
    page = (found.folder / "report.html").read_text(encoding="utf-8")
    assert "model-001" in page
    assert "Content-Security-Policy" in page


def test_the_terminal_page_has_every_walk_and_a_next_step(tmp_path: Path, dataset: Dataset) -> None:
    document = evaluate_run(folds_run_of(tmp_path, dataset).root, write=False).document
    assert "48 photos" in headline(document)
    assert len(figures_table(document).rows) == 8
    assert all(len(row) == len(figures_table(document).columns) for row in figures_table(document).rows)
    assert [row[1] for row in walks_table(document).rows] == ["12"] * 4 + [""]
    assert any("4 walks" in line for line in remarks(document))
    assert next_steps(document)[-1].endswith("report.html")


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
    tmp_path: Path, dataset: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [str(folds_run_of(tmp_path, dataset, name=name, shift_m=shift).root) for name, shift in (("a", 0), ("b", 9))]
    assert run_command(["evaluate", *runs, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert [document["run"] for document in printed["runs"]] == ["a", "b"]
    assert printed["comparisons"][0]["sentence"].startswith("The median error of b")
    assert run_command(["evaluate", *runs]) == 0
    assert "RMSE of b" in capsys.readouterr().out
    assert run_command(["evaluate", str(tmp_path / "nothing")]) == 3
    assert "Error:" in capsys.readouterr().err
