"""One run of a study: trained, or gone on with, and asked for the validation photos."""

import dataclasses
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape

from img2gps.errors import DeviceError, Img2GPSError
from img2gps.progress import stderr
from img2gps.text import safe_text
from train.config.schema import TrainConfig
from train.data.training_data import Photos, read_photos
from train.inference.load import load_localizer
from train.inference.locate import locate_files
from train.inference.predictions import predictions_frame, read_predictions, write_predictions
from train.runs.folder import RunFolder
from train.study.grid import Cell
from train.training.session import resume_run, start_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["StudyRun", "attempt", "predictions_path"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StudyRun:
    """A cell that was trained: its folder, and what went wrong where it failed."""

    cell: Cell
    run: RunFolder
    error: Img2GPSError | OSError | None = None

    @property
    def failure(self) -> str | None:
        """The sentence that says why it failed."""
        if self.error is None or isinstance(self.error, Img2GPSError):
            return None if self.error is None else str(self.error)
        return safe_text(f"{type(self.error).__name__}: {self.error}")

    def predictions(self) -> "pd.DataFrame":
        """Return the predictions of its model on the validation photos."""
        return read_predictions(predictions_path(self.run))


def attempt(root: Path, cell: Cell, run: RunFolder, val: Photos) -> StudyRun:
    """Train a cell into its folder and predict the validation photos; what goes wrong is said, and is in the result."""
    error: Img2GPSError | OSError
    try:
        _train(root, cell.config, run)
        _predict(root, run, cell.config, val)
    except (Img2GPSError, OSError) as caught:
        error = caught
    except (RuntimeError, ValueError) as caught:  # torch's own: an input too small for the network
        error = DeviceError(safe_text(f"{type(caught).__name__}: {caught}"))
    else:
        return StudyRun(cell=cell, run=run)
    failed = StudyRun(cell=cell, run=run, error=error)
    stderr().print(escape(f"Failed, the study goes on: {failed.failure}"))
    return failed


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
    estimate = locate_files(localizer, dataset.photo_paths(ids))
    rows = predictions_frame(ids=ids, lon=val.lon, lat=val.lat, estimate=estimate, frame=localizer.frame)
    write_predictions(predictions_path(run), rows)


def predictions_path(run: RunFolder) -> Path:
    """Return where the predictions of the validation photos lie."""
    return run.root / "validation.parquet"
