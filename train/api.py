"""What the commands of this package do, as functions: one call each."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.stored_dataset import local_root

if TYPE_CHECKING:
    from img2gps.serving.backend import Backend
    from img2gps.web.listening import ListeningAddress
    from train.config.schema import TrainConfig
    from train.evaluation.compare import Comparison
    from train.evaluation.result import EvaluationResult
    from train.exporting.check import CheckResult
    from train.exporting.options import ExportResult
    from train.inference.predict import Prediction
    from train.runs.folder import RunFolder
    from train.study.grid import Cell
    from train.study.results import StudyResult

__all__ = [
    "ablate",
    "check_export",
    "compare",
    "evaluate",
    "export",
    "plan_ablate",
    "plan_export",
    "plan_resume",
    "plan_train",
    "predict",
    "resume",
    "serve",
    "train",
]


def train(
    dataset: Dataset | str | Path | None = None,
    config: "TrainConfig | str | Path | None" = None,
    *,
    preset: str | None = None,
    folds: bool = False,
    name: str | None = None,
    runs: str | Path = "runs",
    cluster: str | None = None,
    **fields: object,
) -> "RunFolder":
    """Train a model on a dataset and return its run, a new folder in `runs`: what ``img2gps train`` does.

    `config` is a whole config, or a TOML file of one, such as the config.toml of a run. It may name the dataset and ask
    for folds. Without it `preset` names one, as ``--preset`` does. `fields` set further fields by name, such as
    ``epochs=5`` or ``device="cpu"``. `folds` trains one model per fold of the dataset. `name` is the name of the run
    (without it: the preset with a number). `cluster` names Dask workers that train a fold each, as ``--cluster`` does.
    Raises UsageError, NotFoundError, InvalidDatasetError, InvalidCheckpointError, DeviceError, RunLockedError.

        >>> from train import train
        >>> run = train("quad", preset="quick", epochs=5, name="five")
        >>> run.best.is_dir()
        True
    """
    from train.training.session import start_run

    root, chosen, by_fold = _chosen(dataset, config, preset, fields)
    return start_run(root, chosen, folds=folds or by_fold, name=name, runs=Path(runs), cluster=cluster)


def plan_train(
    dataset: Dataset | str | Path | None = None,
    config: "TrainConfig | str | Path | None" = None,
    *,
    preset: str | None = None,
    folds: bool = False,
    name: str | None = None,
    runs: str | Path = "runs",
    cluster: str | None = None,
    **fields: object,
) -> Mapping[str, Any]:
    """Return what `train` would do, having checked all of it, and write nothing: ``img2gps train --dry-run``.

    The keys are those of ``--dry-run``: dataset, models (photos that train, validate and are held out), config.

        >>> from train import plan_train
        >>> plan = plan_train("quad", preset="quick", epochs=5)
        >>> plan["config"]["epochs"], plan["models"][0]["train"] > 0
        (5, True)
    """
    from train.training.plan import plan

    root, chosen, by_fold = _chosen(dataset, config, preset, fields)
    return plan(root, chosen, folds=folds or by_fold, name=name, runs=Path(runs), cluster=cluster)


def resume(run: str | PathLike[str], *, epochs: int | None = None, cluster: str | None = None) -> "RunFolder":
    """Go on with a run where it was cut off, or for longer with `epochs`: what ``img2gps train --resume`` does.

    `run` may be a checkpoint of the run, such as ``runs/quick-001/previous``. `cluster` names Dask workers that go on
    with a fold each. Raises NotFoundError,
    InvalidCheckpointError naming the damaged file, and InvalidDatasetError if the training photos have changed.
    Raises UsageError if more than `epochs` are done, and RunLockedError if another process trains it.

        >>> from train import resume
        >>> resume("runs/quick-001").best.is_dir()
        True
    """
    from train.training.session import resume_run

    return resume_run(Path(run), epochs=epochs, cluster=cluster)


def plan_resume(
    run: str | PathLike[str], *, epochs: int | None = None, cluster: str | None = None
) -> Mapping[str, Any]:
    """Return what `resume` would do, and write nothing: ``img2gps train --resume RUN --dry-run``.

    The keys are those of `plan_train`, with the epochs that each model has behind it.

        >>> from train import plan_resume
        >>> plan_resume("runs/quick-001")["models"][0]["epochs_done"] >= 1
        True
    """
    from train.training.plan import resume_plan

    return resume_plan(Path(run), epochs=epochs, cluster=cluster)


def evaluate(
    run: str | PathLike[str],
    *,
    on: Dataset | str | Path | None = None,
    split: Literal["test", "val", "train", "all"] | None = None,
    abstain_m: float | None = None,
    where: Literal["photos", "site"] = "photos",
    force: bool = False,
    device: str = "auto",
    write: bool = True,
) -> "EvaluationResult":
    """Score a run in metres on photos whose place is known: what ``img2gps evaluate RUN`` does.

    `on` is another dataset, of which photos of the training are left out. `write` leaves predictions, plots and the
    report in the run. Where it has folds, `where` is the ground that the next walk is forecast for. Raises
    NotFoundError, UsageError, InvalidDatasetError, InvalidCheckpointError, DeviceError.

        >>> from train import evaluate
        >>> result = evaluate("runs/quick-001", split="test")
        >>> result.run
        'quick-001'
    """
    from train.evaluation.evaluate import evaluate_run

    other = None if on is None else _root(on)
    return evaluate_run(
        Path(run),
        on=other,
        split=split,
        force=force,
        abstain_m=abstain_m,
        where=where,
        device=device,
        write=write,
    )


def compare(evaluations: "Sequence[EvaluationResult]", *, write: bool = False) -> "list[Comparison]":
    """Return each pair of evaluations on the photos that all share: what ``img2gps evaluate RUN RUN`` does.

    A comparison has the difference of each figure in metres (negative: the first is better) and its interval.
    `write` leaves the page of the comparison beside the report of the first. Raises UsageError where two have one
    name or no photo is shared.

        >>> from train import compare, evaluate
        >>> compare([evaluate("runs/quick-001", split="test", write=False)])
        []
    """
    from train.evaluation.comparison_page import write_comparison
    from train.evaluation.evaluate import compare_evaluations

    comparisons = compare_evaluations(evaluations)
    if write and comparisons:
        write_comparison(evaluations, comparisons)
    return comparisons


def predict(
    run: str | PathLike[str],
    photos: str | Path | Sequence[str | Path],
    *,
    walks: bool = False,
    device: str = "auto",
    cluster: str | None = None,
) -> "list[Prediction]":
    """Return where photos were taken, those of folders included: what ``img2gps predict`` does.

    A prediction has lon and lat in degrees, `radius_50_m` and `radius_90_m` in metres, and `error` if a file cannot be
    read. `predictions_csv` and `predictions_geojson` write predictions. `walks` locates photos of one walk together.
    `cluster` names Dask workers that look at the photos. Raises NotFoundError, InvalidCheckpointError, DeviceError, and
    UsageError for `walks` of a model of points alone.

        >>> from train import predict
        >>> [answer] = predict("runs/quick-001", "IMG_0042.jpg")
        >>> answer.file
        'IMG_0042.jpg'
    """
    from train.inference.cluster_parts import locate_photos
    from train.inference.predict import find_photos

    inputs = [photos] if isinstance(photos, str | Path) else photos
    paths, _ = find_photos(map(Path, inputs))
    return locate_photos(Path(run), paths, walks=walks, device=device, cluster=cluster)


def serve(
    run: str | PathLike[str],
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    public: bool = False,
    thumbnails: bool = True,
    abstain_m: float | None = None,
    timeout_s: float = 60.0,
    device: str = "auto",
    started: "Callable[[ListeningAddress], None]" = lambda _address: None,
) -> None:
    """Serve a run or a folder of `export` until Ctrl-C, page and ``POST /v1/locate``: what ``img2gps serve`` does.

    `started` is told the address once the server listens (`port` 0: any free one). Addresses other than this
    machine's own need a token, unless `public`. `thumbnails` shows the most similar training photos. `abstain_m` is the
    90 % radius beyond which the page is not sure (None: a third of the site). `timeout_s` limits the decoding of a
    photo. Raises NotFoundError, InvalidCheckpointError, DeviceError, UsageError where the address cannot be had.
    """
    from img2gps.serving.limits import Limits
    from img2gps.serving.serve import serve_backend

    limits = Limits(decode_s=timeout_s)
    backend = _backend(Path(run), device=device, thumbnails=thumbnails)
    serve_backend(backend, host=host, port=port, public=public, abstain_m=abstain_m, limits=limits, started=started)


def _backend(path: Path, *, device: str, thumbnails: bool) -> "Backend":
    """Return the model of a run, or of a folder of `export`, which needs no torch."""
    from img2gps.serving.exported import export_in, exported_backend

    folder = export_in(path)
    if folder is not None:
        return exported_backend(folder, thumbnails=thumbnails)
    from train.inference.serving import serving_backend

    return serving_backend(path, device=device, thumbnails=thumbnails)


def ablate(
    dataset: Dataset | str | Path,
    axes: Mapping[str, Sequence[object]],
    *,
    preset: str | None = None,
    seeds: int = 1,
    scale_lr: Literal["none", "linear", "sqrt"] = "none",
    name: str | None = None,
    runs: str | Path = "runs",
    cluster: str | None = None,
    **fields: object,
) -> "StudyResult":
    """Train a grid of runs and say which differences exceed the noise: what ``img2gps ablate`` does.

    `axes` are fields of the config with the values to compare, such as ``{"lr": [1e-3, 3e-3]}``. `fields` are the same
    for all runs, such as ``device="cpu"``. `seeds` is the number of runs per setting. `scale_lr` scales the learning
    rate with the batch; the given rates are for batch 32. A study goes on where it was interrupted. `cluster` names
    Dask workers that train a run each. Raises UsageError, NotFoundError, InvalidDatasetError, RunLockedError, and the
    error of the first run where every run failed.

        >>> from train import ablate
        >>> tiny = {"model": ["timm/test_efficientnet"], "size": [32]}
        >>> study = ablate("quad", tiny | {"lr": [1e-3, 3e-3]}, preset="published", weights="none", epochs=1)
        >>> len(study.settings)
        2
    """
    from train.study.runs import study_folder
    from train.study.study import make_study

    root, cells = _root(dataset), _cells(axes, preset, fields, seeds=seeds, scale_lr=scale_lr)
    folder = study_folder(Path(runs), root, name=name)
    study = make_study(root, cells, folder, cluster=cluster)
    if study.failure is not None:
        raise study.failure
    return study.result


def plan_ablate(
    dataset: Dataset | str | Path,
    axes: Mapping[str, Sequence[object]],
    *,
    preset: str | None = None,
    seeds: int = 1,
    scale_lr: Literal["none", "linear", "sqrt"] = "none",
    name: str | None = None,
    runs: str | Path = "runs",
    cluster: str | None = None,
    **fields: object,
) -> "list[RunFolder]":
    """Return the run of each setting and seed, having checked all, and train none: ``img2gps ablate --dry-run``.

    >>> from train import plan_ablate
    >>> runs = plan_ablate("quad", {"lr": [1e-3, 3e-3]}, preset="quick", seeds=2)
    >>> len(runs)
    4
    """
    from train.study.runs import plan_study, study_folder

    root, cells = _root(dataset), _cells(axes, preset, fields, seeds=seeds, scale_lr=scale_lr)
    folder = study_folder(Path(runs), root, name=name)
    return plan_study(root, cells, folder, cluster=cluster)


def export(
    run: str | PathLike[str],
    out: str | PathLike[str],
    *,
    format: str = "onnx",  # noqa: A002  the option's name
    half: bool = False,
    heads: str | None = None,
    round_m: float = 0.0,
    thumbnails: bool = True,
    fold: int | None = None,
    onnxruntime_web: str | PathLike[str] | None = None,
    license: str | None = None,  # noqa: A002  the Hub's word
    push: str | None = None,
    private: bool = False,
) -> "ExportResult":
    """Write the model of a run for use without torch into the folder `out`: what ``img2gps export`` does.

    `format` is one of:

    - ``onnx``: the model for use without torch;
    - ``space``: a container with the service and its page;
    - ``page``: a static page that computes on the phone, with the package onnxruntime-web from the folder
      `onnxruntime_web`, else from npm;
    - ``hub``: a model repository, under a `license` of the Hub's list. `push` is its ``OWNER/NAME``, and needs the
      extra ``hub``.

    `out` is absent, empty or an earlier export. `heads` keeps only these heads, and `round_m` blurs positions.
    `thumbnails` adds small pictures of the training photos to a gallery. `half` stores weights in 16 bits. Raises
    UsageError, NotFoundError, InvalidCheckpointError, and QualityGateError where `half` moves positions by too much.

        >>> from train import check_export, export
        >>> export("runs/quick-001", "OUT").parity_m < 0.1
        True
        >>> check_export("OUT", "campus/photos").is_within_limits
        True
    """
    from img2gps.hub.repository import push_folder
    from train.exporting.formats import check_push, export_run
    from train.exporting.options import ExportOptions

    options = ExportOptions(half=half, heads=heads, round_m=round_m, thumbnails=thumbnails, fold=fold, license=license)
    if onnxruntime_web is not None:
        options = dataclasses.replace(options, onnxruntime_web=Path(onnxruntime_web))
    if push is not None:
        check_push(push, format_name=format)
    result = export_run(Path(run), Path(out), format_name=format, options=options)
    if push is None:
        return result
    return dataclasses.replace(result, pushed=push_folder(result.out, push, private=private, kind="model"))


def plan_export(
    run: str | PathLike[str],
    out: str | PathLike[str],
    *,
    format: str = "onnx",  # noqa: A002  the option's name
    half: bool = False,
    heads: str | None = None,
    round_m: float = 0.0,
    thumbnails: bool = True,
    fold: int | None = None,
    license: str | None = None,  # noqa: A002  the Hub's word
    push: str | None = None,
) -> Mapping[str, Any]:
    """Return what `export` would write, having loaded the model, and write nothing: ``img2gps export --dry-run``.

    The keys: run, out, format, heads, gallery_photos (training photos whose places it would hold) and cells. The
    format ``hub`` adds files and push.

        >>> from train import plan_export
        >>> plan_export("runs/quick-001", "OUT", heads="heat_map")["gallery_photos"]
        0
    """
    from train.exporting.formats import check_push
    from train.exporting.formats import plan_export as plan
    from train.exporting.options import ExportOptions

    options = ExportOptions(half=half, heads=heads, round_m=round_m, thumbnails=thumbnails, fold=fold, license=license)
    if push is not None:
        check_push(push, format_name=format)
    planned = plan(Path(run), Path(out), format_name=format, options=options)
    return planned if push is None else {**planned, "push": push}


def check_export(
    out: str | PathLike[str], photos: str | Path | Sequence[str | Path], *, run: str | PathLike[str] | None = None
) -> "CheckResult":
    """Return how far an export is from its run on `photos` (files or folders): what ``img2gps export --check`` does.

    Without `run`, it is looked for in ``runs``. Raises NotFoundError, UsageError, InvalidCheckpointError.

    `export` shows it in its example.
    """
    from train.exporting.check import check_export as check

    inputs = [photos] if isinstance(photos, str | Path) else photos
    return check(Path(out), list(map(Path, inputs)), run=None if run is None else Path(run))


def _root(dataset: Dataset | str | Path) -> Path:
    return dataset.root if isinstance(dataset, Dataset) else local_root(dataset)


def _chosen(
    dataset: Dataset | str | Path | None,
    config: "TrainConfig | str | Path | None",
    preset: str | None,
    fields: Mapping[str, object],
) -> "tuple[Path, TrainConfig, bool]":
    """Return the dataset, the config and whether a config file asks for folds."""
    from train.config.options import resolve
    from train.config.schema import TrainConfig
    from train.config.values import changed

    file_dataset, by_fold = None, False
    if isinstance(config, TrainConfig):
        if preset is not None:
            raise UsageError("train() takes a whole config or a preset: give one of them.")
        chosen: TrainConfig = changed(config, fields, where="train()") if fields else config
    else:
        path = None if config is None else Path(config)
        chosen, file_dataset, by_fold = resolve(preset_name=preset, options=fields, assignments=(), config_path=path)
    root = dataset or file_dataset
    if root is None:
        raise UsageError("No dataset: give the folder that `img2gps ingest` made.")
    return _root(root), chosen, by_fold


def _cells(
    axes: Mapping[str, Sequence[object]],
    preset: str | None,
    fields: Mapping[str, object],
    *,
    seeds: int,
    scale_lr: Literal["none", "linear", "sqrt"],
) -> "list[Cell]":
    """Return the runs of a grid."""
    from train.config.options import study_base
    from train.study.grid import study_cells

    base = study_base(preset, models=[str(model) for model in axes.get("model", ())], options=fields)
    return study_cells(base, {field: tuple(values) for field, values in axes.items()}, seeds=seeds, scale_lr=scale_lr)
