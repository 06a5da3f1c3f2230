"""The runs of a study trained by a cluster: each is a job, and ends as it does where one process trains them all."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from rich.markup import escape

from img2gps.cluster_jobs import JobCluster, SharedFile, await_file, tell
from img2gps.dataset import Dataset
from img2gps.errors import Img2GPSError
from img2gps.progress import stderr
from train.data.training_data import read_photos, select_split
from train.runs.folder import RunFolder
from train.study.attempt import StudyRun, attempt, predictions_path
from train.study.grid import Cell

__all__ = ["CellJob", "check_study_shared", "train_cell", "train_cells"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CellJob:
    """One run of a study, and its dataset, in folders that all machines share."""

    root: Path
    cell: Cell
    run: Path


def check_study_shared(root: Path, workers: JobCluster, folder: Path | None = None) -> list[SharedFile]:
    """Return the files that workers need. Raises UsageError where one that is here does not find the same."""
    paths = [Dataset.open(root).manifest_path, *([] if folder is None else [folder / ".lock"])]
    needs = [SharedFile.of(path) for path in paths]
    workers.check_shared(needs)
    return needs


def train_cells(
    root: Path, cells: Sequence[Cell], runs: Mapping[Cell, RunFolder], folder: Path, workers: JobCluster
) -> Iterator[StudyRun]:
    """Yield the run of each cell in order, trained on a worker; one that fails, or ends its workers, is recorded.

    Raises UsageError where a worker does not find the dataset or the study in `folder`.
    """
    needs = check_study_shared(root, workers, folder)
    jobs = [CellJob(root=root.resolve(), cell=cell, run=runs[cell].root.resolve()) for cell in cells]
    for number, (job, answer) in enumerate(workers.answers(train_cell, jobs, doing="Training runs", needs=needs), 1):
        stderr().print(escape(f"Run {number} of {len(cells)}: {job.cell.setting}, seed {job.cell.seed}"))
        tell(answer)
        error = answer.result if answer.error is None else answer.error
        if error is None:
            await_file(predictions_path(runs[job.cell]))
        elif not isinstance(error, Img2GPSError | OSError):
            raise error
        yield StudyRun(cell=job.cell, run=runs[job.cell], error=error)


def train_cell(job: CellJob) -> Img2GPSError | OSError | None:
    """Train one run of a study, or go on with it; called on a worker of a cluster. Returns what went wrong."""
    val = select_split(read_photos(job.root)).val
    assert val is not None  # or the study had not begun
    return attempt(job.root, job.cell, RunFolder(root=job.run), val).error
