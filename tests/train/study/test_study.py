import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from img2gps.cli import run as img2gps
from img2gps.errors import DeviceError, Img2GPSError, NotFoundError, RunLockedError, UsageError
from tests.browser import chromium, open_report
from tests.train.colours import TINY, colour_dataset, tiny_config, without_curves
from train.config.presets import preset
from train.data.training_data import read_photos, select_split
from train.inference.predictions import PREDICTION_COLUMNS
from train.runs.folder import RunFolder
from train.study import attempt as study_attempt
from train.study.grid import Cell, parse_axes, study_cells
from train.study.report import write_study
from train.study.results import study_result
from train.study.runs import StudyRun, held_study, run_study, study_folder, whole_failure
from train.training import session


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    without_curves(monkeypatch)


def test_axes_are_lists_of_typed_values() -> None:
    axes = parse_axes({"lr": "1e-3, 3e-3", "batch_size": "8", "model": None}, ("loss=mse,huber",))
    assert axes == {"lr": (1e-3, 3e-3), "batch_size": (8,), "loss": ("mse", "huber")}
    for options, assignments in (({"lr": ","}, ()), ({"lr": "1"}, ("lr=2",)), ({}, ("lr",))):
        with pytest.raises(UsageError):
            parse_axes(options, assignments)


def test_the_grid_is_the_product_of_axes_and_seeds() -> None:
    cells = study_cells(preset("published"), {"lr": (1e-3, 3e-3), "model": ("resnet18", "resnet50")}, seeds=3)
    assert len({cell.name for cell in cells}) == len(cells) == 12
    assert cells[0].setting == "lr 0.001, model resnet18"
    assert [cell.config.seed for cell in cells[:4]] == [0, 1, 2, 0]
    fixed = study_cells(preset("published"), {"lr": (0.5,)}, seeds=1)
    assert (fixed[0].setting, fixed[0].name[:7], fixed[0].config.lr) == ("published", "seed-0-", 0.5)
    for axes in ({"seed": (1, 2)}, {"colour": ("red",)}, {"lr": ("fast",)}, {"mixup": (0.1, 0.2)}):
        with pytest.raises(UsageError):
            study_cells(preset("published"), axes, seeds=1)


@pytest.mark.parametrize(("rule", "rates"), [("none", (1, 1)), ("linear", (0.5, 2)), ("sqrt", (0.5**0.5, 2**0.5))])
def test_the_learning_rate_scales_from_batch_32(rule: Any, rates: tuple[float, float]) -> None:
    cells = study_cells(preset("published"), {"lr": (1.0,), "batch_size": (16, 64)}, seeds=1, scale_lr=rule)
    assert tuple(cell.config.lr for cell in cells) == pytest.approx(rates)
    assert all(cell.values == (("batch_size", cell.config.batch_size),) for cell in cells)


def test_long_names_are_cut_and_stay_apart() -> None:
    axes = {"model": tuple(f"timm/{'long' * 30}{number}" for number in range(3)), "lr": (1e-3, 3e-3)}
    names = [cell.name for cell in study_cells(preset("published"), axes, seeds=2)]
    assert len(set(names)) == len(names) == 12
    assert max(map(len, names)) == 96  # leaves room for a number


def test_a_study_has_the_same_name_for_the_same_photos_and_labels(tmp_path: Path) -> None:
    first, second = (colour_dataset(tmp_path / name, count).root for name, count in (("a", 10), ("b", 11)))
    assert study_folder(tmp_path, first) == study_folder(tmp_path, first) != study_folder(tmp_path, second)
    assert study_folder(tmp_path, first, name="mine") == tmp_path / "mine"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the runs that begin, in their order."""
    names: list[str] = []
    real = session.start_run

    def recorded(root: Path, config: Any, *, name: str, runs: Path) -> RunFolder:
        names.append(name)
        return real(root, config, name=name, runs=runs)

    monkeypatch.setattr(study_attempt, "start_run", recorded)
    return names


@pytest.mark.slow
def test_a_study_that_grows_trains_what_is_new_alone(tmp_path: Path, started: list[str]) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    base = tiny_config(epochs=1)
    run_study(root, study_cells(base, {"lr": (1e-3,)}, seeds=1), tmp_path / "study")
    more = study_cells(base, {"lr": (1e-3, 1e-2)}, seeds=2)
    assert [run.failure for run in run_study(root, more, tmp_path / "study")] == [None] * 4
    assert len(started) == 4  # the first run has another name in the larger grid


@pytest.mark.slow
def test_other_settings_are_other_runs(tmp_path: Path, started: list[str]) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    for epochs in (1, 2, 1):
        runs = run_study(root, study_cells(tiny_config(epochs=epochs), {}, seeds=1), tmp_path / "study")
        assert len(runs[0].run.read_metrics()) == epochs
    assert len(started) == 2


@pytest.mark.slow
def test_runs_of_other_photos_or_labels_are_not_passed_off_as_todays(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    cells = study_cells(tiny_config(epochs=1), {}, seeds=1)
    run_study(root, cells, tmp_path / "study")
    colour_dataset(root, 14)
    with pytest.raises(UsageError, match="other photos, labels or another split"):
        run_study(root, cells, tmp_path / "study")


@pytest.mark.slow
def test_a_run_that_was_made_longer_serves_the_longer_study_with_its_own_predictions(
    tmp_path: Path, started: list[str]
) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    short, long = (study_cells(tiny_config(epochs=epochs), {}, seeds=1) for epochs in (1, 3))
    (first,) = run_study(root, short, tmp_path / "study")
    session.resume_run(first.run.root, epochs=3)
    (longer,) = run_study(root, long, tmp_path / "study")
    assert longer.run == first.run
    (fresh,) = run_study(root, long, tmp_path / "fresh")
    assert longer.predictions().equals(fresh.predictions())
    (again,) = run_study(root, short, tmp_path / "study")
    assert again.run.root.name == f"{first.run.root.name}-2"
    assert len(again.run.read_metrics()) == 1
    assert len(started) == 3


def test_a_study_runs_in_one_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="without torchrun"):
        run_study(tmp_path, [], tmp_path / "study")


@pytest.mark.parametrize(("error", "code"), [(UsageError("no"), 2), (NotFoundError("no"), 3), (DeviceError("no"), 6)])
def test_a_study_of_failures_ends_in_the_first_ones_code(tmp_path: Path, error: Img2GPSError, code: int) -> None:
    cell = Cell(values=(), seed=0, config=tiny_config())
    failure = whole_failure(tmp_path, [StudyRun(cell=cell, run=RunFolder(root=tmp_path), error=error)])
    assert isinstance(failure, Img2GPSError)
    assert failure.exit_code == code
    assert "the first: no" in str(failure)


@pytest.mark.slow
def test_a_study_goes_on_after_an_interrupt_and_past_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    cells = study_cells(tiny_config(epochs=1), {"lr": (1e-3, 1e-2)}, seeds=2)
    started: list[str] = []
    real = session.start_run

    def recorded(root: Path, config: Any, *, name: str, runs: Path) -> RunFolder:
        started.append(name)
        if name.startswith("lr-0.001-seed-1"):
            raise DeviceError("no luck")
        if len(started) == 3:
            raise KeyboardInterrupt
        return real(root, config, name=name, runs=runs)

    monkeypatch.setattr(study_attempt, "start_run", recorded)
    with pytest.raises(KeyboardInterrupt):
        run_study(root, cells, tmp_path / "study")
    finished = run_study(root, cells, tmp_path / "study")
    assert [run.failure for run in finished] == [None, "no luck", None, None]
    assert sum(name.startswith("lr-0.001-seed-0") for name in started) == 1
    result = study_result(root, finished)
    assert [len(setting.rmse_m) for setting in result.settings] == [1, 2]
    assert result.photos == 6


def _run_with_errors(folder: Path, root: Path, lr: float, seed: int, error_m: float) -> StudyRun:
    """Return a run whose predictions lie `error_m` off, more or less, by photo."""
    data = select_split(read_photos(root))
    assert data.val is not None
    run = RunFolder(root=folder / f"{lr}-{seed}")
    run.root.mkdir(parents=True)
    errors = error_m + np.random.default_rng([seed, round(lr * 10)]).normal(0, 0.1, len(data.val))
    frame = pd.DataFrame({"id": data.val.ids, "error_m": errors})
    for column in PREDICTION_COLUMNS:
        if column not in frame:
            frame[column] = 0.0
    frame.to_parquet(run.root / "validation.parquet")
    cell = Cell(values=(("lr", lr),), seed=seed, config=tiny_config(lr=lr, seed=seed))
    return StudyRun(cell=cell, run=run)


@pytest.mark.slow
def test_a_difference_larger_than_the_noise_is_told_from_one_that_is_not(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 30, val=20).root
    figures = {0.1: 20.0, 0.2: 20.005, 0.3: 40.0}
    runs = [_run_with_errors(tmp_path, root, lr, seed, far) for lr, far in figures.items() for seed in range(3)]
    result = study_result(root, runs)
    assert result.best is not None
    verdicts = {comparison.run_b: text for comparison, text in zip(result.comparisons, result.verdicts, strict=True)}
    assert "better by more than chance" in verdicts["lr 0.3"]
    assert "Seeds agree" in verdicts["lr 0.3"]
    assert "the mean position" in verdicts
    near = next(name for name in verdicts if name in ("lr 0.1", "lr 0.2"))
    assert "do not tell the two apart" in verdicts[near]
    assert "can be luck" in verdicts[near]
    assert result.tables()[0][2][2][1].startswith("40.")


@pytest.mark.slow
def test_the_example_of_the_help_is_a_study_of_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = str(colour_dataset(tmp_path / "ds", 12).root)
    assert img2gps(["ablate", root, "--model", "resnet18,resnet50", "--set", "loss=mse,huber", "--dry-run"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 4
    assert img2gps(["ablate", root, "--set", "loss=mse,huber", "--dry-run"]) == 2
    assert "loss makes no difference" in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        (["--model", f"{TINY},resnet99"], "No model 'resnet99'"),
        (["--set", "preset=quick,published"], "The preset is no axis"),
        (["--set", "learning_rate=1,2"], "did you mean lr"),
        (["--lr", "0.1,-1"], "lr to -1; it must lie between"),
        (["--set", "mixup=0.1,0.2"], "mixup makes no difference"),
    ],
)
def test_a_dry_run_of_a_study_refuses_what_cannot_be_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], axes: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    colour_dataset(tmp_path / "ds", 12)
    shared = [] if "--model" in axes else ["--model", TINY]
    assert img2gps(["ablate", "ds", "--preset", "published", "--size", "32", *shared, *axes, "--dry-run"]) == 2
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_of_a_study_needs_photos_to_compare_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    colour_dataset(tmp_path / "ds", 12, split=False)
    assert img2gps(["ablate", "ds", "--preset", "published", "--model", TINY, "--dry-run"]) == 4


@pytest.mark.slow
def test_the_command_prints_the_table_and_writes_the_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    colour_dataset(tmp_path / "ds", 12)
    shared = ["--preset", "published", "--model", TINY, "--size", "32", "--epochs", "1", "--threads", "1"]
    arguments = ["ablate", "ds", *shared, "--lr", "1e-3,1e-2", "--batch-size", "4,8", "--device", "cpu"]
    assert img2gps([*arguments, "--dry-run"]) == 0
    assert len(json.loads(capsys.readouterr().out)["runs"]) == 4
    assert img2gps([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    report = Path(said["report"])
    html = report.read_text()
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "batch 4" in html
    assert (report.parent / "study.md").read_text().count("|") > 10
    assert (report.parent / "plots" / "positions.png").is_file()
    assert img2gps(arguments) == 0
    assert "Mean position" in capsys.readouterr().out
    assert img2gps(["ablate", "ds", *shared, "--set", "colour=1"]) == 2


@pytest.mark.slow
def test_a_study_that_is_trained_is_trained_by_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = colour_dataset(tmp_path / "ds", 12).root
    cells = study_cells(tiny_config(epochs=1), {}, seeds=1)
    folder = tmp_path / "study"
    with held_study(folder), pytest.raises(RunLockedError, match="wait until it has finished"):
        run_study(root, cells, folder)
    assert run_study(root, cells, folder)[0].failure is None
    with RunFolder(root=folder / cells[0].name).lock():  # a finished one may be read
        assert run_study(root, cells, folder)[0].failure is None


@pytest.mark.browser
def test_the_page_of_a_study_fits_a_phone_and_has_a_map_for_dark_pages(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 30, val=20).root
    cells = study_cells(tiny_config(epochs=1), {"lr": (1e-3, 1e-2), "batch_size": (8, 16)}, seeds=2)
    runs = run_study(root, cells, tmp_path / "study")
    path = write_study(tmp_path / "study", root, runs, study_result(root, runs))
    shown: list[str] = []
    with chromium() as browser:
        for scheme in ("light", "dark"):
            phone = {"viewport": {"width": 390, "height": 844}, "color_scheme": scheme}
            with open_report(browser, path, **phone) as page:
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
                inner = "[...document.querySelectorAll('.scroll')].every(one => one.scrollWidth <= one.clientWidth)"
                assert page.evaluate(inner)
                shown.append(page.evaluate("document.querySelector('#places img').currentSrc"))
    pictures = [Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source in shown]
    assert shown[0] != shown[1]
    for picture, is_dark in zip(pictures, (False, True), strict=True):
        pixels = np.asarray(picture.convert("RGBA"))
        assert pixels[0, 0, 3] == 0  # the page's own ground shows through
        ink = pixels[pixels[..., 3] == 255][:, :3].mean(axis=1)
        assert (np.quantile(ink, 0.9) > 180) == is_dark
    assert np.asarray(Image.open(tmp_path / "study/study/plots/positions.png").convert("RGBA"))[0, 0, 3] == 255
