"""Training every run of a study that is not finished yet; one that fails is recorded and the next one begins."""

import dataclasses
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from img2gps.errors import Img2GPSError, InvalidDatasetError
from img2gps.files import canonical_json, sha256_bytes
from img2gps.progress import stderr
from img2gps.text import format_duration, safe_path, safe_text
from train.config import TrainConfig, config_values
from train.data import Photos, read_photos, select_split
from train.loading import load_localizer
from train.predict import locate_files
from train.predictions import predictions_frame, read_predictions, write_predictions
from train.run import RunFolder
from train.session import resume_run, start_run
from train.study.grid import Cell

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StudyRun", "run_study", "study_folder"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """A cell that was trained: its folder, or the sentence that says why it failed."""

    cell: Cell
    run: RunFolder
    failure: str | None = None

    def predictions(self) -> "pd.DataFrame":
        """Return the predictions of its model on the validation photos."""
        return read_predictions(_predictions_path(self.run))


def study_folder(runs: Path, root: Path, cells: Sequence[Cell], *, name: str | None = None) -> Path:
    """Return where a study lies: `name`, or a name that the same photos and grid always get, so that it resumes."""
    if name is not None:
        return runs / name
    source = read_photos(root)
    key = [source.hashes.ids, source.hashes.labels, [config_values(cell.config) for cell in cells]]
    return runs / f"study-{sha256_bytes(canonical_json(key))[:8]}"


def run_study(root: Path, cells: Sequence[Cell], folder: Path) -> list[StudyRun]:
    """Train the cells into `folder` on the dataset at `root`, and predict its validation photos with each.

    Raises InvalidDatasetError where the split has no validation photos to compare on.
    """
    val = select_split(read_photos(root)).val
    if val is None:
        raise InvalidDatasetError(
            f"{safe_path(root)} has no validation photos to compare runs on: split it with `img2gps split --val 60`."
        )
    finished: list[StudyRun] = []
    waiting = [cell for cell in cells if not _is_finished(folder, cell)]
    if len(waiting) < len(cells):
        _say(f"{len(cells) - len(waiting)} of {len(cells)} runs are finished already.")
    started = time.perf_counter()
    for cell in cells:
        if cell not in waiting:
            finished.append(StudyRun(cell=cell, run=RunFolder(root=folder / cell.name)))
            continue
        done = waiting.index(cell)
        left = (time.perf_counter() - started) / done * (len(waiting) - done) if done else None
        about = f", about {format_duration(left)} left" if left is not None else ""
        _say(f"Run {done + 1} of {len(waiting)}{about}: {cell.setting}, seed {cell.seed}")
        finished.append(_attempt(root, cell, folder, val))
    return finished


def mean_position_errors(root: Path) -> Mapping[str, float]:
    """Return by photo id the metres between each validation photo and the mean position of the training photos."""
    from img2gps.geo import geodesic_m

    data = select_split(read_photos(root))
    assert data.val is not None
    lon, lat = data.source.frame.to_lonlat(data.train.east_m.mean(), data.train.north_m.mean())
    errors = geodesic_m(data.val.lon, data.val.lat, lon, lat)
    return dict(zip(data.val.ids.tolist(), errors.tolist(), strict=True))


def _attempt(root: Path, cell: Cell, folder: Path, val: Photos) -> StudyRun:
    run = RunFolder(root=folder / cell.name)
    try:
        _train(root, cell.config, run)
        _predict(root, run, cell.config, val)
    except Img2GPSError as error:
        failure = str(error)
    except (RuntimeError, ValueError, OSError) as error:  # torch's own: an input too small for the network, a full disk
        failure = safe_text(f"{type(error).__name__}: {error}")
    else:
        return StudyRun(cell=cell, run=run)
    _say(f"Failed, the study goes on: {failure}")
    return StudyRun(cell=cell, run=run, failure=failure)


def _train(root: Path, config: TrainConfig, run: RunFolder) -> None:
    if run.config_path.is_file():
        resume_run(run.root)
        return
    if run.root.exists():  # killed before it wrote its first file
        shutil.rmtree(run.root)
    start_run(root, config, name=run.root.name, runs=run.root.parent)


def _predict(root: Path, run: RunFolder, config: TrainConfig, val: Photos) -> None:
    localizer = load_localizer(run.root, device=config.device)
    ids = [str(photo_id) for photo_id in val.ids]
    dataset = read_photos(root).dataset
    estimate = locate_files(localizer, [dataset.photo_path(photo_id) for photo_id in ids])
    rows = predictions_frame(ids=ids, lon=val.lon, lat=val.lat, estimate=estimate, frame=localizer.frame)
    write_predictions(_predictions_path(run), rows)


def _is_finished(folder: Path, cell: Cell) -> bool:
    return _predictions_path(RunFolder(root=folder / cell.name)).is_file()


def _predictions_path(run: RunFolder) -> Path:
    return run.root / "validation.parquet"


def _say(text: str) -> None:
    stderr().print(escape(text))
