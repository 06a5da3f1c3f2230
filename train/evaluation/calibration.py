"""Whether the stated uncertainty is true: coverage of the regions, abstention, the risk-coverage curve."""

from typing import Any, Final

import numpy as np

from img2gps.geo import FloatArray
from img2gps.metrics import metrics_of
from train.evaluation.bootstrap import Clusters, figure_intervals, mean_interval
from train.models.conformal import fit_inflation
from train.models.localizer import UNFAMILIAR_BELOW

__all__ = [
    "abstention",
    "area_under_risk",
    "coverage",
    "familiar_figures",
    "reliability",
    "risk_coverage",
]


_CURVE_POINTS: Final = 100
_RELIABILITY_BINS: Final = 8


def coverage(error_m: FloatArray, radius_m: FloatArray, level: float, clusters: Clusters) -> dict[str, Any]:
    """Return the share of truths inside regions that claim `level`, its interval, and the regions' typical size."""
    inside = (error_m <= radius_m).astype(np.float64)
    return {
        "claimed": level,
        "observed": float(inside.mean()),
        "interval": mean_interval(inside, clusters),
        "median_radius_m": float(np.median(radius_m)),
        "inflation_needed": fit_inflation(radius_m, error_m, level),
    }


def reliability(error_m: FloatArray, radius_m: FloatArray) -> list[dict[str, float]]:
    """Return, for groups of photos of like `radius_m` (N,), the median radius and what their errors are.

    Where regions mean something, the error grows with the radius; a radius that is the same for every
    photo gives one group.
    """
    edges = np.unique(np.quantile(radius_m, np.linspace(0, 1, _RELIABILITY_BINS + 1)))
    groups = np.searchsorted(edges[1:-1], radius_m, side="left")
    rows = []
    for group in np.unique(groups):
        errors, radii = error_m[groups == group], radius_m[groups == group]
        row = {"photos": int(errors.size), "median_radius_m": float(np.median(radii))}
        row |= {"median_error_m": float(np.median(errors)), "inside": float(np.mean(errors <= radii))}
        rows.append(row)
    return rows


def abstention(
    error_m: FloatArray, radius_90_m: FloatArray, familiarity: FloatArray, threshold_m: float, clusters: Clusters
) -> dict[str, Any]:
    """Return the share of photos that `predict --abstain` is sure of, and the figures of those alone.

    These have 90 % regions of at most `threshold_m` and are not unlike the site; NaN is not unlike it.
    """
    answered = (radius_90_m <= threshold_m) & ~(familiarity < UNFAMILIAR_BELOW)
    result: dict[str, Any] = {"threshold_m": threshold_m, "photos": int(error_m.size), "answered": int(answered.sum())}
    result["answered_share"] = float(answered.mean()) if error_m.size else float("nan")
    result["figures"] = metrics_of(error_m[answered]).to_dict()
    result["intervals"] = figure_intervals(error_m[answered], clusters.take(answered)) if answered.any() else None
    result["not_sure"] = metrics_of(error_m[~answered]).to_dict()
    return result


def familiar_figures(error_m: FloatArray, familiarity: FloatArray, clusters: Clusters) -> dict[str, Any]:
    """Return how many photos look unlike the site to the model, its interval, and the figures of both kinds apart.

    On the site one in twenty is expected to (`UNFAMILIAR_BELOW`); more say that the photos show what the training
    photos did not: other places, light or cameras.
    """
    unfamiliar = familiarity < UNFAMILIAR_BELOW
    return {
        "below": UNFAMILIAR_BELOW,
        "unfamiliar_share": float(unfamiliar.mean()),
        "interval": mean_interval(unfamiliar.astype(np.float64), clusters),
        "unfamiliar": metrics_of(error_m[unfamiliar]).to_dict(),
        "familiar": metrics_of(error_m[~unfamiliar]).to_dict(),
    }


def risk_coverage(error_m: FloatArray, uncertainty_m: FloatArray) -> dict[str, Any]:
    """Return the errors of the surest photos against the share of photos answered.

    Geifman and El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017, with the error
    in metres as the risk. `area` is the mean over all coverages of the mean error of the answered;
    `area_best` that of a model that ranks its photos by their true error, `area_random` that of one whose
    uncertainty says nothing (the mean error). Photos of equal uncertainty are answered together.
    """
    order = np.argsort(uncertainty_m, kind="stable")
    errors, uncertainties = error_m[order], uncertainty_m[order]
    last_of_tie = np.flatnonzero(np.append(np.diff(uncertainties) > 0, True))
    picked = last_of_tie[np.unique(np.linspace(0, len(last_of_tie) - 1, _CURVE_POINTS).round().astype(int))]
    return {
        "coverage": ((picked + 1) / len(errors)).tolist(),
        "uncertainty_m": uncertainties[picked].tolist(),
        "mean_m": [float(errors[: last + 1].mean()) for last in picked],
        "median_m": [float(np.median(errors[: last + 1])) for last in picked],
        "rmse_m": [float(np.sqrt(np.mean(errors[: last + 1] ** 2))) for last in picked],
        "area": area_under_risk(error_m, uncertainty_m),
        "area_best": area_under_risk(error_m, error_m),
        "area_random": float(error_m.mean()),
    }


def area_under_risk(error_m: FloatArray, uncertainty_m: FloatArray) -> float:
    """Return the mean over k = 1..N of the mean error of the k surest photos; ties share their mean error."""
    values, ties = np.unique(uncertainty_m, return_inverse=True)
    sums = np.bincount(ties.reshape(-1), weights=error_m, minlength=len(values))
    counts = np.bincount(ties.reshape(-1), minlength=len(values))
    expected = np.repeat(sums / counts, counts)
    return float(np.mean(np.cumsum(expected) / np.arange(1, len(expected) + 1)))
