"""Training every run of a study that is not finished yet; one that fails is recorded and the next one begins."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from rich.markup import escape

from img2gps.cluster_jobs import JobCluster, jobs_of
from img2gps.errors import (
    Img2GPSError,
    InvalidCheckpointError,
    InvalidDatasetError,
    RunLockedError,
    UsageError,
)
from img2gps.files import canonical_json, sha256_bytes
from img2gps.locks import hold, is_held
from img2gps.progress import stderr
from img2gps.text import format_duration, safe_path, shell_path
from train.config.schema import TrainConfig
from train.config.values import changed, config_of
from train.data.training_data import DatasetPhotos, Photos, TrainingData, read_photos, select_split
from train.models.registry import check_model
from train.runs.checkpoint import STATE, read_checkpoint
from train.runs.folder import RunFolder
from train.runs.info import RunInfo
from train.runtime.devices import pick_device, use_threads
from train.runtime.distributed import started_processes
from train.study.attempt import StudyRun, attempt, predictions_path
from train.study.cluster_runs import check_study_shared, train_cells
from train.study.grid import Cell

__all__ = ["StudyRun", "plan_study", "run_study", "study_folder", "whole_failure"]


def study_folder(runs: Path, root: Path, *, name: str | None = None) -> Path:
    """Return where a study lies: `name`, or a name that the same photos, labels and split always get.

    A study that grows by values or seeds therefore finds the runs that it has.
    """
    if name is not None:
        return runs / name
    hashes = read_photos(root).hashes
    return runs / f"study-{sha256_bytes(canonical_json([hashes.ids, hashes.labels]))[:8]}"


def run_study(root: Path, cells: Sequence[Cell], folder: Path, *, cluster: str | None = None) -> list[StudyRun]:
    """Train the cells into `folder` on the dataset at `root`, and predict its validation photos with each.

    The workers of `cluster` (`img2gps.cluster`) take a run each. A run of `folder` serves a cell whose config it was
    made from. Raises InvalidDatasetError if the split has no validation photos to compare on. Raises UsageError if such
    a run saw other photos or labels than the dataset has today, or if torchrun started several processes. Raises
    RunLockedError if another process trains the study, and what `open_jobs` and `train_cells` raise.
    """
    with jobs_of(cluster, threads=torch.get_num_threads()) as workers:
        data, val = _compared(root)
        with held_study(folder):
            return _finished(root, cells, _runs_of(cells, folder, data.source), val, folder, workers)


@contextlib.contextmanager
def held_study(folder: Path) -> Iterator[None]:
    """Hold a study for writing while the block runs. Raises RunLockedError where another process holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    busy = f"The study {safe_path(folder)} is being trained by another process: wait until it has finished, or stop it."
    with hold(folder / ".lock", otherwise=RunLockedError(busy)):
        yield


def _finished(
    root: Path,
    cells: Sequence[Cell],
    runs: Mapping[Cell, RunFolder],
    val: Photos,
    folder: Path,
    workers: JobCluster | None,
) -> list[StudyRun]:
    """Train and predict what is not finished yet and return the run of every cell."""
    waiting = [cell for cell in cells if not _is_finished(runs[cell], cell.config)]
    if len(waiting) < len(cells):
        _say(f"{len(cells) - len(waiting)} of {len(cells)} runs are finished already.")
    if workers is None or not waiting:
        trained = _trained(root, waiting, runs, val)
    else:
        trained = train_cells(root, waiting, runs, folder, workers)
    done = dict(zip(waiting, trained, strict=True))
    return [done.get(cell, StudyRun(cell=cell, run=runs[cell])) for cell in cells]


def _trained(root: Path, waiting: Sequence[Cell], runs: Mapping[Cell, RunFolder], val: Photos) -> Iterator[StudyRun]:
    """Yield the run of each cell, trained in this process."""
    started = time.perf_counter()
    for done, cell in enumerate(waiting):
        left = (time.perf_counter() - started) / done * (len(waiting) - done) if done else None
        about = f", about {format_duration(left)} left" if left is not None else ""
        _say(f"Run {done + 1} of {len(waiting)}{about}: {cell.setting}, seed {cell.seed}")
        yield attempt(root, cell, runs[cell], val)


def plan_study(root: Path, cells: Sequence[Cell], folder: Path, *, cluster: str | None = None) -> list[RunFolder]:
    """Return the run of each cell, having done all that `run_study` does but train; nothing is written.

    Raises what `run_study` would, and what the first run that cannot begin would.
    """
    with jobs_of(cluster, threads=torch.get_num_threads()) as workers:
        data, _ = _compared(root)
        if workers is not None:
            check_study_shared(root, workers)
    with held_study(folder) if is_held(folder / ".lock") else contextlib.nullcontext():  # raises
        runs = _runs_of(cells, folder, data.source)
    for config in dict.fromkeys(changed(cell.config, {"seed": 0}) for cell in cells):
        use_threads(config.threads)
        check_model(config, [data], device=pick_device(config.device))
    return [runs[cell] for cell in cells]


def _compared(root: Path) -> tuple[TrainingData, Photos]:
    """Return the photos of a study and those that its runs are compared on. Raises what `run_study` says."""
    if started_processes() > 1:
        raise UsageError("`img2gps ablate` trains its runs one by one in one process: start it without torchrun.")
    data = select_split(read_photos(root))
    if data.val is None:
        raise InvalidDatasetError(
            f"{safe_path(root)} has no validation photos to compare runs on: "
            f"split it with `img2gps split {shell_path(root)} --val 60`."
        )
    return data, data.val


def whole_failure(folder: Path, runs: Sequence[StudyRun]) -> Img2GPSError | OSError:
    """Return the error of a study of which every run failed: that of its first run, of the same kind."""
    first = runs[0].error
    assert first is not None
    if isinstance(first, OSError):
        return first
    return type(first)(f"Every run of {safe_path(folder)} failed; the first: {first}")


def _runs_of(cells: Sequence[Cell], folder: Path, source: DatasetPhotos) -> dict[Cell, RunFolder]:
    """Return the run of each cell: the one of `folder` with its config, else a new one. Raises UsageError."""
    known = _known_runs(folder)
    runs: dict[Cell, RunFolder] = {}
    for cell in cells:
        run, info = known.get(cell.config, (_free_folder(folder, cell.name), None))
        if info is not None and not _same_photos(info, source):
            raise UsageError(
                f"{safe_path(run.root)} was trained on other photos, labels or another split than "
                f"{safe_path(source.dataset.root)} has today: give another --name."
            )
        runs[cell] = run
    return runs


def _free_folder(folder: Path, name: str) -> RunFolder:
    """Return the folder of a new run: `name`, or one with a number where a run that was made longer has that."""
    run, number = RunFolder(root=folder / name), 2
    while run.config_path.is_file():
        run, number = RunFolder(root=folder / f"{name}-{number}"), number + 1
    return run


def _is_finished(run: RunFolder, config: TrainConfig) -> bool:
    """Return whether a run is trained to its end and its best model's predictions are there."""
    try:
        written = predictions_path(run).stat().st_mtime_ns
        best, last = (run.best / STATE).stat().st_mtime_ns, read_checkpoint(run.last)
        trained = config_of(last.state.get("config", {})) == config
        return written >= best and trained and (config.method == "probe" or last.epochs_done == config.epochs)
    except (OSError, Img2GPSError):
        return False


def _known_runs(folder: Path) -> dict[TrainConfig, tuple[RunFolder, RunInfo]]:
    known: dict[TrainConfig, tuple[RunFolder, RunInfo]] = {}
    for path in sorted(folder.glob("*/config.toml")):
        run = RunFolder(root=path.parent)
        with contextlib.suppress(InvalidCheckpointError):  # a damaged one serves no cell
            info = run.read_info()
            known[info.config] = run, info
    return known


def _same_photos(info: RunInfo, source: DatasetPhotos) -> bool:
    hashes = source.hashes
    return all(
        info.split_ids.get(name) == hashes.ids[name] and info.split_labels.get(name) == hashes.labels[name]
        for name in ("train", "val")
    )


def mean_position_errors(root: Path) -> Mapping[str, float]:
    """Return by photo id the metres between each validation photo and the mean position of the training photos."""
    from img2gps.geo import geodesic_m

    data = select_split(read_photos(root))
    assert data.val is not None
    lon, lat = data.source.frame.to_lonlat(data.train.east_m.mean(), data.train.north_m.mean())
    errors = geodesic_m(data.val.lon, data.val.lat, lon, lat)
    return dict(zip(data.val.ids.tolist(), errors.tolist(), strict=True))


def _say(text: str) -> None:
    stderr().print(escape(text))
