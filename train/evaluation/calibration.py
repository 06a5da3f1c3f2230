"""Whether the stated uncertainty is true: coverage of the regions, abstention, the risk-coverage curve."""

import dataclasses
from typing import TYPE_CHECKING, Final

import numpy as np

from img2gps.geo import FloatArray
from img2gps.metrics import Metrics, metrics_of
from train.evaluation.bootstrap import Clusters, figure_intervals, mean_interval
from train.evaluation.per_figure import FigureIntervals, Interval
from train.models.localizer import UNFAMILIAR_BELOW

if TYPE_CHECKING:
    from train.models.familiarity import Power

from train.models.conformal import fit_inflation

__all__ = [
    "Abstention",
    "Coverage",
    "FamiliarityFigures",
    "ReliabilityBin",
    "RiskCoverage",
    "abstention",
    "area_under_risk",
    "coverage",
    "familiar_figures",
    "reliability",
    "risk_coverage",
]


_CURVE_POINTS: Final = 100
_RELIABILITY_BINS: Final = 8


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """The share of truths inside regions that claim `claimed`, and the factor on them that would keep the claim."""

    claimed: float
    observed: float
    interval: Interval | None
    median_radius_m: float
    inflation_needed: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ReliabilityBin:
    """Photos of like radius: what was stated, what their errors are, and the share of truths inside."""

    photos: int
    median_radius_m: float
    median_error_m: float
    inside: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Abstention:
    """The figures of the photos that `predict --abstain` is sure of, and of the others: NaN where there are none."""

    threshold_m: float
    photos: int
    answered: int
    answered_share: float
    figures: Metrics
    intervals: FigureIntervals | None
    not_sure: Metrics


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FamiliarityFigures:
    """The share of photos unlike the site (familiarity under `below`), and the figures of both kinds.

    `power` is what the model's familiarity finds out, None where that is not known.
    """

    below: float
    unfamiliar_share: float
    interval: Interval | None
    unfamiliar: Metrics
    familiar: Metrics
    power: "Power | None"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RiskCoverage:
    """The errors in metres of the surest photos, one value per share of photos answered, and the areas below."""

    coverage: tuple[float, ...]
    uncertainty_m: tuple[float, ...]
    mean_m: tuple[float, ...]
    median_m: tuple[float, ...]
    rmse_m: tuple[float, ...]
    area: float
    area_best: float
    area_random: float


def coverage(error_m: FloatArray, radius_m: FloatArray, level: float, clusters: Clusters) -> Coverage:
    """Return the share of truths inside regions that claim `level`, its interval, and the regions' typical size."""
    inside = (error_m <= radius_m).astype(np.float64)
    return Coverage(
        claimed=level,
        observed=float(inside.mean()),
        interval=mean_interval(inside, clusters),
        median_radius_m=float(np.median(radius_m)),
        inflation_needed=fit_inflation(radius_m, error_m, level),
    )


def reliability(error_m: FloatArray, radius_m: FloatArray) -> tuple[ReliabilityBin, ...]:
    """Return, for groups of photos of like `radius_m` (N,), the median radius and what their errors are.

    Where regions mean something, the error grows with the radius; a radius that is the same for every
    photo gives one group.
    """
    edges = np.unique(np.quantile(radius_m, np.linspace(0, 1, _RELIABILITY_BINS + 1)))
    groups = np.searchsorted(edges[1:-1], radius_m, side="left")
    members = [(error_m[groups == group], radius_m[groups == group]) for group in np.unique(groups)]
    return tuple(
        ReliabilityBin(
            photos=int(errors.size),
            median_radius_m=float(np.median(radii)),
            median_error_m=float(np.median(errors)),
            inside=float(np.mean(errors <= radii)),
        )
        for errors, radii in members
    )


def abstention(
    error_m: FloatArray, radius_90_m: FloatArray, familiarity: FloatArray, threshold_m: float, clusters: Clusters
) -> Abstention:
    """Return the share of photos that `predict --abstain` is sure of, and the figures of those alone.

    These have 90 % regions of at most `threshold_m` and are not unlike the site; NaN is not unlike it.
    """
    answered = (radius_90_m <= threshold_m) & ~(familiarity < UNFAMILIAR_BELOW)
    return Abstention(
        threshold_m=threshold_m,
        photos=int(error_m.size),
        answered=int(answered.sum()),
        answered_share=float(answered.mean()) if error_m.size else float("nan"),
        figures=metrics_of(error_m[answered]),
        intervals=figure_intervals(error_m[answered], clusters.take(answered)) if answered.any() else None,
        not_sure=metrics_of(error_m[~answered]),
    )


def familiar_figures(
    error_m: FloatArray, familiarity: FloatArray, clusters: Clusters, *, power: "Power | None" = None
) -> FamiliarityFigures:
    """Return how many photos look unlike the site to the model, its interval, and the figures of both kinds apart.

    On the site one in twenty is expected to (`UNFAMILIAR_BELOW`). More mean that the photos show something new: other
    places, light or cameras.
    """
    unfamiliar = familiarity < UNFAMILIAR_BELOW
    return FamiliarityFigures(
        below=UNFAMILIAR_BELOW,
        unfamiliar_share=float(unfamiliar.mean()),
        interval=mean_interval(unfamiliar.astype(np.float64), clusters),
        unfamiliar=metrics_of(error_m[unfamiliar]),
        familiar=metrics_of(error_m[~unfamiliar]),
        power=power,
    )


def risk_coverage(error_m: FloatArray, uncertainty_m: FloatArray) -> RiskCoverage:
    """Return the errors of the surest photos against the share of photos answered.

    Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017, with the error in metres as
    the risk. `area` is the mean over all coverages of the mean error of the answered. `area_best` is that of a model
    that ranks its photos by their true error. `area_random` is that of one whose uncertainty says nothing (the mean
    error). Photos of equal uncertainty are answered together.
    """
    order = np.argsort(uncertainty_m, kind="stable")
    errors, uncertainties = error_m[order], uncertainty_m[order]
    last_of_tie = np.flatnonzero(np.append(np.diff(uncertainties) > 0, True))
    picked = last_of_tie[np.unique(np.linspace(0, len(last_of_tie) - 1, _CURVE_POINTS).round().astype(int))]
    answered = [errors[: last + 1] for last in picked]
    return RiskCoverage(
        coverage=tuple(((picked + 1) / len(errors)).tolist()),
        uncertainty_m=tuple(uncertainties[picked].tolist()),
        mean_m=tuple(float(surest.mean()) for surest in answered),
        median_m=tuple(float(np.median(surest)) for surest in answered),
        rmse_m=tuple(float(np.sqrt(np.mean(surest**2))) for surest in answered),
        area=area_under_risk(error_m, uncertainty_m),
        area_best=area_under_risk(error_m, error_m),
        area_random=float(error_m.mean()),
    )


def area_under_risk(error_m: FloatArray, uncertainty_m: FloatArray) -> float:
    """Return the mean over k = 1..N of the mean error of the k surest photos; ties share their mean error."""
    values, ties = np.unique(uncertainty_m, return_inverse=True)
    sums = np.bincount(ties.reshape(-1), weights=error_m, minlength=len(values))
    counts = np.bincount(ties.reshape(-1), minlength=len(values))
    expected = np.repeat(sums / counts, counts)
    return float(np.mean(np.cumsum(expected) / np.arange(1, len(expected) + 1)))
