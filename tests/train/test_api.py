"""The door of `train` does what the commands do; what they print is tested beside them."""

from pathlib import Path

import pytest

from img2gps.dataset import Dataset
from img2gps.errors import DeviceError, InvalidDatasetError, UsageError
from tests.train.colours import TINY, colour_dataset, tiny_config, without_curves
from train import compare, evaluate, plan_ablate, plan_resume, plan_train, predict, predictions_csv, resume, train


@pytest.fixture(autouse=True)
def _no_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)


def test_a_plan_checks_everything_and_writes_nothing(tmp_path: Path) -> None:
    dataset = colour_dataset(tmp_path / "ds", 12)
    plan = plan_train(dataset, tiny_config(), epochs=7, runs=tmp_path / "runs")
    assert plan["config"]["epochs"] == 7
    assert plan["models"][0]["train"] == 4
    assert not (tmp_path / "runs").exists()
    with pytest.raises(DeviceError, match="cuda"):
        plan_train(dataset, tiny_config(), device="cuda:99", runs=tmp_path / "runs")


@pytest.mark.slow
def test_a_file_of_options_names_dataset_and_folds_as_it_does_for_the_command(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    first = train(root, tiny_config(epochs=1), name="first", runs=tmp_path)
    again = train(config=first.config_path, name="again", runs=tmp_path)
    assert again.read_info().config == first.read_info().config
    assert (again.best / "model.safetensors").read_bytes() == (first.best / "model.safetensors").read_bytes()
    with pytest.raises(UsageError, match="No dataset"):
        train(preset="quick", runs=tmp_path)
    with pytest.raises(UsageError, match="give one of them"):
        train(root, tiny_config(), preset="quick", runs=tmp_path)
    (tmp_path / "folds.toml").write_text(f"dataset = '{root}'\nfolds = true\nmodel = '{TINY}'\nweights = 'none'\n")
    with pytest.raises(InvalidDatasetError, match="folds"):
        plan_train(config=tmp_path / "folds.toml", preset="published", size=32)


@pytest.mark.slow
def test_a_run_is_made_longer_and_its_plan_says_what_is_done(tmp_path: Path) -> None:
    run = train(Dataset.open(colour_dataset(tmp_path / "ds", 12).root), tiny_config(epochs=1), name="a", runs=tmp_path)
    assert plan_resume(run.root, epochs=2)["models"][0]["epochs_done"] == 1
    assert len(run.read_metrics()) == 1
    assert [line["epoch"] for line in resume(run.root, epochs=2).read_metrics()] == [1, 2]


@pytest.mark.slow
def test_two_runs_are_compared_and_the_page_is_written_where_it_is_asked_for(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 24).root
    runs = [train(root, tiny_config(epochs=1, seed=seed), name=f"s{seed}", runs=tmp_path) for seed in (0, 1)]
    results = [evaluate(run.root, split="val", device="cpu", write=False) for run in runs]
    assert {compared.run_a for compared in compare(results)} <= {"s0", "s1"}
    assert not list(tmp_path.rglob("*.html"))
    assert len(compare(results, write=True)) == len(compare(results)) > 0
    assert len(list(tmp_path.rglob("*.html"))) == 1
    photo = next((root / "photos").rglob("*.jpg"))
    header, row = predictions_csv(predict(runs[0].root, photo, device="cpu"), abstain_m=10.0).splitlines()
    assert header.startswith("file,lon,lat,")
    assert row.startswith(str(photo))


def test_a_grid_is_planned_without_training(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 24).root
    tiny = {"model": [TINY], "size": [32], "lr": [1e-3, 1e-2]}
    runs = plan_ablate(root, tiny, preset="published", weights="none", device="cpu", seeds=2, runs=tmp_path / "runs")
    assert len({run.root for run in runs}) == 4
    assert not (tmp_path / "runs").exists()
    with pytest.raises(InvalidDatasetError, match="validation"):
        plan_ablate(colour_dataset(tmp_path / "none", 12, val=0).root, tiny, preset="published", weights="none")
