"""What the commands of this package do, as functions: one call each."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from img2gps.dataset import Dataset

if TYPE_CHECKING:
    from train.config.schema import TrainConfig
    from train.evaluation.compare import Comparison
    from train.evaluation.result import EvaluationResult
    from train.inference.predict import Prediction
    from train.runs.folder import RunFolder
    from train.study.results import StudyResult

__all__ = ["ablate", "compare", "evaluate", "predict", "resume", "train"]


def train(
    dataset: Dataset | str | Path,
    config: "TrainConfig | str | Path | None" = None,
    *,
    preset: str | None = None,
    folds: bool = False,
    name: str | None = None,
    runs: str | Path = "runs",
    **fields: object,
) -> "RunFolder":
    """Train a model on a dataset and return its run, a new folder in `runs`: what ``img2gps train`` does.

    `config` is a whole config, or a TOML file of one; else `preset` names one, as ``--preset`` does. `fields` set
    further fields of it by name, such as ``epochs=5``. Raises UsageError, NotFoundError, InvalidDatasetError,
    DeviceError.

        >>> from train import train
        >>> run = train("quad", preset="quick", epochs=5, name="five")
        >>> run.best.is_dir()
        True
    """
    from train.config.options import resolve
    from train.config.schema import TrainConfig
    from train.config.values import changed
    from train.training.session import start_run

    if isinstance(config, TrainConfig):
        chosen: TrainConfig = changed(config, fields, where="train()")
    else:
        path = None if config is None else Path(config)
        chosen = resolve(preset_name=preset, options=fields, assignments=(), config_path=path)[0]
    return start_run(_root(dataset), chosen, folds=folds, name=name, runs=Path(runs))


def resume(run: str | Path, *, epochs: int | None = None) -> "RunFolder":
    """Go on with a run where it was cut off, or for longer with `epochs`: what ``img2gps train --resume`` does."""
    from train.training.session import resume_run

    return resume_run(Path(run), epochs=epochs)


def evaluate(
    run: str | Path,
    *,
    on: Dataset | str | Path | None = None,
    split: Literal["test", "val", "train", "all"] | None = None,
    abstain_m: float | None = None,
    force: bool = False,
    device: str = "auto",
    write: bool = True,
) -> "EvaluationResult":
    """Score a run in metres on photos whose place is known: what ``img2gps evaluate RUN`` does.

    `on` is another dataset, of which photos of the training are left out. `write` leaves predictions, plots and the
    report in the run. Raises NotFoundError, UsageError, InvalidDatasetError, InvalidCheckpointError, DeviceError.

        >>> from train import evaluate
        >>> result = evaluate("runs/quick-001", split="test")
        >>> result.run
        'quick-001'
    """
    from train.evaluation.evaluate import evaluate_run

    other = None if on is None else _root(on)
    return evaluate_run(Path(run), on=other, split=split, force=force, abstain_m=abstain_m, device=device, write=write)


def compare(evaluations: "Sequence[EvaluationResult]") -> "list[Comparison]":
    """Return each pair of evaluations on the photos that all share, with the interval of the difference."""
    from train.evaluation.evaluate import compare_evaluations

    return compare_evaluations(evaluations)


def predict(
    run: str | Path, photos: str | Path | Sequence[str | Path], *, walks: bool = False, device: str = "auto"
) -> "list[Prediction]":
    """Return where photos were taken, folders of them included: what ``img2gps predict`` does.

    Raises NotFoundError, InvalidCheckpointError, DeviceError, and UsageError for `walks` of a model of points alone.
    """
    from train.inference.load import load_localizer
    from train.inference.predict import find_photos, predict_files

    inputs = [photos] if isinstance(photos, str | Path) else photos
    localizer = load_localizer(Path(run), device=device)
    return predict_files(localizer, find_photos(map(Path, inputs))[0], walks=walks)


def ablate(
    dataset: Dataset | str | Path,
    axes: Mapping[str, Sequence[object]],
    *,
    preset: str | None = None,
    seeds: int = 1,
    scale_lr: Literal["none", "linear", "sqrt"] = "none",
    name: str | None = None,
    runs: str | Path = "runs",
    **fields: object,
) -> "StudyResult":
    """Train a grid of runs and say which differences exceed the noise: what ``img2gps ablate`` does.

    `axes` are fields of the config with the values to compare, such as ``{"lr": [1e-3, 3e-3]}``; `fields` are the same
    for all runs. A study goes on where it was interrupted. Raises UsageError, NotFoundError, InvalidDatasetError.
    """
    from train.config.options import study_base
    from train.study.grid import study_cells
    from train.study.report import write_study
    from train.study.results import study_result
    from train.study.runs import run_study, study_folder, whole_failure

    root = _root(dataset)
    base = study_base(preset, models=[str(model) for model in axes.get("model", ())], options=fields)
    cells = study_cells(base, {field: tuple(values) for field, values in axes.items()}, seeds=seeds, scale_lr=scale_lr)
    folder = study_folder(Path(runs), root, name=name)
    trained = run_study(root, cells, folder)
    result = study_result(root, trained)
    write_study(folder, root, trained, result)
    if result.best is None:
        raise whole_failure(folder, trained)
    return result


def _root(dataset: Dataset | str | Path) -> Path:
    return dataset.root if isinstance(dataset, Dataset) else Path(dataset)
