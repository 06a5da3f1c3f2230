"""From a run to a refined layer, to a run on refined labels, and what is refused on the way."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from collect.label.refined import RefinementSummary
from img2gps.cli import run as img2gps
from img2gps.errors import InvalidCheckpointError, UsageError
from img2gps.refined import (
    RefinedLabels,
    RefinementPlan,
    read_refinement,
    refine_labels,
    refinement_plan,
    refinements,
    write_refinement,
)
from tests.train.colours import TINY, colour_dataset, tiny_config, without_curves
from train.config.presets import preset
from train.config.schema import ProbeConfig, TrainConfig
from train.config.values import changed, config_of
from train.data.training_data import read_photos, select_split
from train.evaluation.evaluate import evaluate_run
from train.models.probe.state import restore_probe
from train.runs.checkpoint import read_checkpoint
from train.runs.folder import RunFolder
from train.training.labels import labelled
from train.training.session import resume_run, start_run
from train.verification import verify_run


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)
    monkeypatch.setattr("train.models.probe.fit._with_power", lambda localizer, _data: localizer)  # seconds each


def config(**values: object) -> TrainConfig:
    base = {"model": TINY, "weights": "none", "size": 32, "device": "cpu", "threads": 1, "epochs": 2}
    return changed(preset("quick"), base | values)


@pytest.mark.slow
def test_a_run_with_folds_refines_a_dataset_and_a_new_run_leaves_its_own_fold_out(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 48, folds=3, split=False, stops=4).root
    run = start_run(root, config(), folds=True, runs=tmp_path, name="gps")
    layer = refine_labels(root, run.root)
    assert layer.path is not None
    assert sorted(layer.used) == sorted(read_photos(root).photos.ids.tolist())
    assert (layer.rows["radius_90_m"] >= layer.rows["radius_50_m"]).all()
    assert layer.rows["gross"].between(0, 1).all()

    # the layer knows every walk, so the folds refine by themselves, each without its own photos
    refined = start_run(root, config(labels="refined"), folds=True, runs=tmp_path, name="refined")
    for number in range(3):
        fold = refined.fold(number)
        held_out = set(select_ids(refined, number))
        assert fold.refined_with()
        assert not fold.refined_with() & held_out
        trained, before = fold.read_photos().set_index("id"), run.fold(number).read_photos().set_index("id")
        assert np.abs(trained["lat"] - before.loc[trained.index, "lat"]).max() > 1e-7
    assert verify_run(refined.root).problems == ()
    assert evaluate_run(refined.root, write=False).figures.rmse_m > 0

    about = json.loads(refined.fold(1).refined_path.read_text())
    about["used"].append(select_ids(refined, 1)[0])
    refined.fold(1).refined_path.write_text(json.dumps(about))
    with pytest.raises(InvalidCheckpointError, match="refined with 1 photo it"):
        evaluate_run(refined.root, write=False)
    assert [problem.where for problem in verify_run(refined.root).problems] == ["folds/1/refined.json"]


def select_ids(run: RunFolder, fold: int) -> list[str]:
    from train.inference.predictions import read_predictions

    rows = read_predictions(run.folds_path / "predictions.parquet")
    return [str(one) for one in rows.loc[rows["fold"] == fold, "id"]]


@pytest.mark.slow
def test_photos_that_are_held_back_have_no_part_and_keep_their_position(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 48, val=6, stops=4).root
    run = start_run(root, config(), runs=tmp_path, name="gps")
    source = read_photos(root)
    trains = source.photos.split == "train"
    walks, photos = len(set(source.photos.walk[trains].tolist())), int(trains.sum())
    planned = refinement_plan(root, run.root)
    assert planned == RefinementPlan(run="gps", photos=photos, walks=walks, parts=min(walks, 6), held_back=48 - photos)
    assert not refinements(source.dataset.refined_path)
    layer = refine_labels(root, run.root)
    split = dict(zip(source.photos.ids.tolist(), source.photos.split.tolist(), strict=True))
    assert {split[one] for one in layer.used} == {"train"}
    frame = source.dataset.frame(labels="refined").set_index("id")
    held_back = [one for one, name in split.items() if name != "train"]
    assert (frame.loc[held_back, "lon"] == frame.loc[held_back, "ingest_lon"]).all()

    refined = start_run(root, config(labels="refined"), runs=tmp_path, name="refined")
    about = json.loads(refined.refined_path.read_text())
    assert about["from"] == "dataset"
    spread_m = layer.rows["radius_50_m"] / 1.1774
    assert about["label_error_m"] == pytest.approx(float(np.sqrt((spread_m**2).mean())))
    again = labelled(config(labels="refined"), select_split(source), refined, lead=False)
    assert again.label_error_m == about["label_error_m"]  # of a run that goes on
    rows = refined.read_photos().set_index("id")
    train = select_split(source).train
    np.testing.assert_allclose(rows.loc[train.ids.tolist(), "lon"], frame.loc[train.ids.tolist(), "lon"], atol=1e-9)
    assert evaluate_run(refined.root, split="test", write=False).figures.rmse_m > 0
    assert 'labels = "refined"' in refined.config_path.read_text()
    assert read_refinement(source.dataset.refined_path).run == "gps"

    del about["label_error_m"]  # of an earlier version
    refined.refined_path.write_text(json.dumps(about))
    assert labelled(config(labels="refined"), select_split(source), refined, lead=False).label_error_m is None


@pytest.mark.slow
def test_where_most_pairs_are_false_every_label_stays_as_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = colour_dataset(tmp_path / "ds", 24, folds=3, split=False).root  # no place twice: no pair can be true
    plain = start_run(root, config(), folds=True, runs=tmp_path, name="gps")
    layer = refine_labels(root, plain.root)
    assert layer.kept_round == 0
    assert len(layer.method["rounds"]) == 1  # a second one would find the same pairs
    assert (layer.rows[["lon", "lat"]].to_numpy() == layer.rows[["from_lon", "from_lat"]].to_numpy()).all()
    assert (layer.rows["radius_90_m"] > layer.rows["radius_50_m"]).all()
    sentence = RefinementSummary.of(layer).sentence()
    assert "24 positions looked at, and left as they are" in sentence
    assert "pairs are false" in sentence
    capsys.readouterr()
    assert img2gps(["label", str(root), "--refine", str(plain.root)]) == 0
    assert f"`img2gps train {root}` trains on the labels as they are" in " ".join(capsys.readouterr().err.split())

    asked = start_run(root, config(labels="refined"), folds=True, runs=tmp_path, name="refined")
    assert "So the labels stay as they are" in " ".join(capsys.readouterr().err.split())
    found, expected = (pd.read_parquet(run.folds_path / "predictions.parquet") for run in (asked, plain))
    pd.testing.assert_frame_equal(found, expected)
    assert verify_run(asked.root).problems == ()
    assert evaluate_run(asked.root, write=False).figures.rmse_m > 0

    whole = colour_dataset(tmp_path / "whole", 24).root
    refine_labels(whole, start_run(whole, config(), runs=tmp_path, name="split").root)
    capsys.readouterr()
    start_run(whole, config(labels="refined"), runs=tmp_path, name="split-refined")
    assert "left all labels as they are" in " ".join(capsys.readouterr().err.split())


@pytest.mark.slow
def test_models_of_refined_labels_have_narrower_kernels(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 48, val=6, stops=4).root
    run = start_run(root, config(labels="refined", bandwidth_m=9.0), runs=tmp_path, name="refined")
    asked = run.read_info().config
    checkpoint = read_checkpoint(run.best)
    localizer = restore_probe(checkpoint, device=torch.device("cpu"))
    assert isinstance(asked, ProbeConfig)
    assert (asked.bandwidth_m, asked.label_sigma_m) == (9.0, 10.0)
    assert (localizer.config.bandwidth_m, localizer.config.label_sigma_m) == (6.0, 6.7)
    assert config_of(checkpoint.state["config"]) == asked
    metrics = run.metrics_path.read_text()
    resume_run(run.root)
    assert run.metrics_path.read_text() == metrics  # read back: a fit would have taken another time
    assert restore_probe(read_checkpoint(run.best), device=torch.device("cpu")).config == localizer.config

    earlier = {name: value for name, value in checkpoint.state.items() if name != "kernels"}
    older = restore_probe(dataclasses.replace(checkpoint, state=earlier), device=torch.device("cpu"))
    assert older.config == asked


def test_a_refinement_says_how_far_views_of_two_walks_lay_apart(tmp_path: Path) -> None:
    rows = pd.DataFrame(
        {"from_lon": [0.0], "from_lat": [0.0], "lon": [0.0], "lat": [1e-4], "radius_50_m": [3.0], "radius_90_m": [6.0]}
    )
    known = {"log_likelihood": -9.0, "matches": 40, "labels_apart_m": 11.91, "refined_apart_m": 1.42}
    empty = {"log_likelihood": -9.0, "matches": 0, "labels_apart_m": None, "refined_apart_m": None}
    about = {"at": "", "run": "r", "run_sha256": "0" * 64, "site_sha256": "1" * 64, "used": ("a",)}
    for kept, said in ((known, True), (empty, False), ({"log_likelihood": -9.0}, False)):
        method = {"rounds": [{"log_likelihood": -10.0}, kept], "kept_round": 2}
        found = RefinementSummary.of(RefinedLabels(rows=rows, method=method, **about))
        assert found.to_dict()["labels_apart_m"] == kept.get("labels_apart_m")
        sentence = "(40 pairs) lay 11.9 m apart in the median, and now lie 1.4 m apart"
        assert (sentence in found.sentence()) == said
        assert "pairs are false" not in found.sentence()
    false = {"rounds": [known | {"refined_apart_m": 16.0}], "kept_round": 0}
    assert "pairs are false" in RefinementSummary.of(RefinedLabels(rows=rows, method=false, **about)).sentence()


@pytest.mark.slow
def test_a_check_says_what_refining_does_and_training_warns_of_harm(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = colour_dataset(tmp_path / "ds", 48, val=6, stops=4).root
    run = start_run(root, config(), runs=tmp_path, name="gps")
    checked = refine_labels(root, run.root, check=True)
    found = checked.method["check"]
    assert set(found) == {"as_they_are", "refined", "walks", "change_m", "change_interval_m", "pays"}
    assert min(found[name][figure] for name in ("as_they_are", "refined") for figure in ("rmse_m", "median_m")) > 0
    summary = RefinementSummary.of(checked)
    assert summary.to_dict()["check"] == found
    assert "left out, against their own labels" in summary.sentence()
    assert "check" not in refine_labels(root, run.root).method
    capsys.readouterr()
    assert img2gps(["label", str(root), "--refine", str(run.root)]) == 0
    assert f"img2gps train {root} --labels refined" in " ".join(capsys.readouterr().err.split())

    harmful = dataclasses.replace(checked, method=dict(checked.method) | {"check": dict(found) | {"pays": False}})
    write_refinement(read_photos(root).dataset.refined_path, harmful)
    capsys.readouterr()
    start_run(root, config(labels="refined"), runs=tmp_path, name="refined")
    assert "take --labels gps here" in " ".join(capsys.readouterr().err.split())


def test_a_run_without_a_distribution_cannot_refine(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    run = start_run(root, tiny_config(epochs=1), runs=tmp_path, name="network")
    for refine in (refine_labels, refinement_plan):
        with pytest.raises(UsageError, match="no distribution"):
            refine(root, run.root)
