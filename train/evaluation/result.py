"""What an evaluation finds, as typed values; `train.evaluation.document` writes them as JSON.

Lengths are metres, shares are 0..1, positions are east/north metres of the site's frame unless named lon and
lat. Intervals hold 95 %; they are None where there are too few groups.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from img2gps.metrics import Metrics
from img2gps.site import Site
from train.evaluation.bootstrap import IntervalSource
from train.evaluation.calibration import Abstention, Coverage, FamiliarityFigures, ReliabilityBin, RiskCoverage
from train.evaluation.causes import CauseFigures
from train.evaluation.forecast import ForecastFigures
from train.evaluation.per_figure import FigureIntervals, Interval
from train.evaluation.strata import Bias, MacroAverage, Strata, Stratum, WorstPhoto
from train.evaluation.truth import TruthFigures
from train.evaluation.whole_walks import WholeWalks
from train.runs.remarks import BesideMean

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CalibrationFigures",
    "ErrorCurves",
    "EvaluationResult",
    "LabelErrors",
    "MeasuredErrors",
    "Reference",
    "Scored",
    "Skill",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Which photos of which dataset a run was scored on, and what it learned from.

    `dataset_root` is the folder of the dataset. `training_walks` is None where the dataset of training is not at hand.
    `left_out` counts the photos that the run has seen, by what matched; `notes` are sentences without a full stop.
    `folder` is where the evaluation is written.
    """

    run: str
    dataset: str
    split: str
    method: str
    training_photos: int
    training_walks: int | None
    left_out: Mapping[str, int]
    notes: tuple[str, ...]
    provenance: Mapping[str, str]
    folder: Path
    dataset_root: Path


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredErrors:
    """The figures of some photos with their intervals."""

    figures: Metrics
    intervals: FigureIntervals | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Reference(MeasuredErrors):
    """What is had without the model, on the same photos, and what it is."""

    meaning: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """1 - figure / figure of the mean predictor: 0 has learned nothing, 1 is perfect."""

    value: float
    interval: Interval | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LabelErrors:
    """The share of labels that a person moved, how far, and the figures of each kind of label apart.

    The kinds are as_ingested, moved, confirmed and unsure; one without photos is left out. The lengths are None
    where no label was moved.
    """

    corrected_share: float
    moved_median_m: float | None
    moved_p90_m: float | None
    scores: Mapping[str, MeasuredErrors]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationFigures:
    """Whether the stated regions are true: their coverage, and errors by the stated radius."""

    coverage: tuple[Coverage, ...]
    reliability: tuple[ReliabilityBin, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCurves:
    """The error in metres below which each share of photos lies: of the model, whole walks and each reference."""

    share: tuple[float, ...]
    error_m: Mapping[str, tuple[float, ...]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """One run's evaluation.

    `references` are under the keys of `train.evaluation.references.REFERENCES`; `skill` under rmse_m, mean_m and
    median_m, without those of which the mean predictor is never wrong. `calibration`, `risk_coverage`, `abstention` and
    `familiarity` are None if the model does not say how sure it is. `abstention` is also None if it was not asked for.
    `whole_walks` is None if walks cannot be located together, and `truth` if fewer than 20 photos are scored.
    `forecast` needs all folds of five walks or more; where a run has folds and yet none, `no_forecast` says why.
    `scores` has a row per photo (`train.evaluation.scores`).
    """

    scored: Scored
    site: Site
    figures: Metrics
    intervals: FigureIntervals | None
    intervals_from: IntervalSource
    references: Mapping[str, Reference]
    skill: Mapping[str, Skill]
    per_walk: tuple[Stratum, ...]
    per_day: tuple[Stratum, ...]
    macro_walks: MacroAverage
    macro_days: MacroAverage
    strata: Strata
    bias: Bias
    labels: LabelErrors
    calibration: CalibrationFigures | None
    risk_coverage: RiskCoverage | None
    abstention: Abstention | None
    familiarity: FamiliarityFigures | None
    whole_walks: WholeWalks | None
    truth: TruthFigures | None
    causes: CauseFigures
    curves: ErrorCurves
    worst: tuple[WorstPhoto, ...]
    scores: "pd.DataFrame"
    forecast: ForecastFigures | None = None
    no_forecast: str | None = None

    @property
    def run(self) -> str:
        """The run's name."""
        return self.scored.run

    @property
    def dataset(self) -> str:
        """The name of the dataset's folder."""
        return self.scored.dataset

    @property
    def split(self) -> str:
        """The split that was scored; ``folds`` where each photo was located by the model that had not seen its fold."""
        return self.scored.split

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader of the figures must know, sentences without a full stop."""
        return self.scored.notes

    @property
    def photos(self) -> int:
        """How many photos were scored."""
        return self.figures.photos

    @property
    def mean_predictor(self) -> Metrics:
        """The figures of always answering the mean position of the training photos."""
        return self.references["mean_predictor"].figures

    @property
    def beside_mean(self) -> BesideMean | None:
        """The run's RMSE beside that of the mean position; None where that is never wrong."""
        skill = self.skill.get("rmse_m")
        if skill is None:
            return None
        return BesideMean(
            rmse_m=self.figures.rmse_m,
            mean_rmse_m=self.mean_predictor.rmse_m,
            skill=skill.value,
            interval=skill.interval,
            groups=self.intervals_from.text,
        )

    @property
    def coverage(self) -> tuple[Coverage, ...]:
        """The coverage of the stated regions, the smaller first; none where the model states none."""
        return self.calibration.coverage if self.calibration else ()

    @property
    def folder(self) -> Path:
        """Where the evaluation is written."""
        return self.scored.folder

    @property
    def report(self) -> Path:
        """Its report for a browser."""
        return self.scored.folder / "report.html"
