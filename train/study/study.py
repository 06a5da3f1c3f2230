"""A study from its grid to its report: every run trained, compared, written down."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from img2gps.errors import Img2GPSError
from train.study.grid import Cell
from train.study.report import write_study
from train.study.results import StudyResult, study_result
from train.study.runs import StudyRun, run_study, whole_failure

__all__ = ["Study", "make_study"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study in its folder: its runs, figures, report page, and the error of a study that has no run left."""

    folder: Path
    runs: tuple[StudyRun, ...]
    result: StudyResult
    report: Path
    failure: Img2GPSError | OSError | None


def make_study(root: Path, cells: Sequence[Cell], folder: Path, *, cluster: str | None = None) -> Study:
    """Train the cells on the dataset at `root`, compare them and write the report; raises what `run_study` raises."""
    runs = run_study(root, cells, folder, cluster=cluster)
    result = study_result(root, runs)
    report = write_study(folder, root, runs, result)
    failure = whole_failure(folder, runs) if result.best is None else None
    return Study(folder=folder, runs=tuple(runs), result=result, report=report, failure=failure)
