"""From the scores of single photos to the result of an evaluation."""

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from img2gps.geo import FloatArray
from img2gps.metrics import metrics_of
from img2gps.site import Site
from train.evaluation import calibration, strata
from train.evaluation.bootstrap import Clusters, clusters_of, figure_intervals, figure_samples, figure_values, interval
from train.evaluation.calibration import Abstention, FamiliarityFigures, RiskCoverage
from train.evaluation.causes import cause_figures
from train.evaluation.references import REFERENCES, ReferenceErrors
from train.evaluation.result import (
    CalibrationFigures,
    ErrorCurves,
    EvaluationResult,
    LabelErrors,
    MeasuredErrors,
    Reference,
    Scored,
    Skill,
)
from train.evaluation.truth import truth_figures
from train.evaluation.whole_walks import whole_walks
from train.models.conformal import LEVELS
from train.models.familiarity import Power

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["evaluation_result", "skill_against"]

_CDF_POINTS: Final = 200


def evaluation_result(
    scores: "pd.DataFrame",
    references: ReferenceErrors,
    site: Site,
    scored: Scored,
    *,
    abstain_m: float | None = None,
    power: Power | None = None,
) -> EvaluationResult:
    """Return everything that follows from the scores of `train.evaluation.scores`.

    `power` is what the familiarity of the run's model finds out, where that is known.
    """
    clusters = clusters_of(scores)
    errors = scores["error_m"].to_numpy(dtype=np.float64)
    of_walks = whole_walks(scores, abstain_m=abstain_m)
    per_walk, per_day = (strata.per(scores, column, clusters) for column in ("walk", "day"))
    uncertainty = _uncertainty(scores, clusters, abstain_m, power)
    return EvaluationResult(
        scored=scored,
        site=site,
        figures=metrics_of(errors),
        intervals=figure_intervals(errors, clusters),
        intervals_from=clusters.source,
        references=_references(references, clusters),
        skill=skill_against(references.errors_m["mean_predictor"], errors, clusters),
        per_walk=per_walk,
        per_day=per_day,
        macro_walks=strata.macro_average(per_walk),
        macro_days=strata.macro_average(per_day),
        strata=strata.strata(scores, clusters),
        bias=strata.bias(scores, clusters),
        labels=_labels(scores, clusters),
        calibration=uncertainty.calibration,
        risk_coverage=uncertainty.risk_coverage,
        abstention=uncertainty.abstention,
        familiarity=uncertainty.familiarity,
        whole_walks=of_walks,
        truth=truth_figures(scores),
        causes=cause_figures(scores["cause"].tolist(), clusters),
        curves=_curves(errors, references, scores["walk_error_m"] if of_walks else None),
        worst=strata.worst(scores),
        scores=scores,
    )


def skill_against(mean_error_m: FloatArray, error_m: FloatArray, clusters: Clusters) -> dict[str, Skill]:
    """Return the skill of errors (N,) against those of the mean predictor, by RMSE, mean and median.

    The form of a skill score (Murphy, Monthly Weather Review 116 (1988)), on the errors themselves.
    """
    samples = figure_samples(np.stack([error_m, mean_error_m]), clusters)
    own, reference = figure_values(error_m), figure_values(mean_error_m)
    result: dict[str, Skill] = {}
    for index, name in enumerate(("rmse_m", "mean_m", "median_m")):
        if reference[index] > 0:
            ratios = 1 - samples[0, :, index] / samples[1, :, index]
            value = float(1 - own[index] / reference[index])
            result[name] = Skill(value=value, interval=interval(ratios, clusters.count))
    return result


def _references(references: ReferenceErrors, clusters: Clusters) -> dict[str, Reference]:
    return {
        key: Reference(
            meaning=REFERENCES[key], figures=metrics_of(errors), intervals=figure_intervals(errors, clusters)
        )
        for key, errors in references.errors_m.items()
    }


class _Uncertainty(NamedTuple):
    calibration: CalibrationFigures | None = None
    risk_coverage: RiskCoverage | None = None
    abstention: Abstention | None = None
    familiarity: FamiliarityFigures | None = None


def _uncertainty(
    scores: "pd.DataFrame", clusters: Clusters, abstain_m: float | None, power: Power | None
) -> _Uncertainty:
    names = ("error_m", "radius_50_m", "radius_90_m", "uncertainty_m", "familiarity")
    errors, radius_50, radius_90, uncertainty, familiarity = (scores[name].to_numpy(dtype=np.float64) for name in names)
    if not np.isfinite(uncertainty).all() or not np.isfinite(radius_90).all():
        return _Uncertainty()
    known = np.isfinite(familiarity).all()
    coverage = tuple(
        calibration.coverage(errors, radius, level, clusters)
        for radius, level in zip((radius_50, radius_90), LEVELS, strict=True)
    )
    answered = (
        None if abstain_m is None else calibration.abstention(errors, radius_90, familiarity, abstain_m, clusters)
    )
    return _Uncertainty(
        calibration=CalibrationFigures(coverage=coverage, reliability=calibration.reliability(errors, radius_50)),
        risk_coverage=calibration.risk_coverage(errors, uncertainty),
        abstention=answered,
        familiarity=calibration.familiar_figures(errors, familiarity, clusters, power=power) if known else None,
    )


def _labels(scores: "pd.DataFrame", clusters: Clusters) -> LabelErrors:
    state = scores["label_state"].to_numpy(dtype=str)
    errors, distance = (scores[name].to_numpy(dtype=np.float64) for name in ("error_m", "moved_m"))
    moved = (state == "move") & (distance > 0)
    kinds = {"as_ingested": state == "", "moved": moved, "confirmed": state == "confirm", "unsure": state == "unsure"}
    return LabelErrors(
        corrected_share=float(moved.mean()),
        moved_median_m=float(np.median(distance[moved])) if moved.any() else None,
        moved_p90_m=float(np.quantile(distance[moved], 0.9)) if moved.any() else None,
        scores={
            kind: MeasuredErrors(
                figures=metrics_of(errors[rows]), intervals=figure_intervals(errors[rows], clusters.take(rows))
            )
            for kind, rows in kinds.items()
            if rows.any()
        },
    )


def _curves(error_m: FloatArray, references: ReferenceErrors, together_m: "pd.Series[float] | None") -> ErrorCurves:
    shares = np.linspace(0, 1, min(_CDF_POINTS, len(error_m)) + 1)
    curves: dict[str, FloatArray] = {"model": error_m, **references.errors_m}
    if together_m is not None:
        curves["walks_together"] = np.asarray(together_m, dtype=np.float64)
    return ErrorCurves(
        share=tuple(shares.tolist()),
        error_m={name: tuple(np.round(np.quantile(errors, shares), 2).tolist()) for name, errors in curves.items()},
    )
