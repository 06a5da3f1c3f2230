"""The evaluation as one document: what evaluation.json holds and report.html shows.

Lengths are metres, shares are 0..1, positions are east/north metres of the site's frame unless named lon and
lat. `intervals` and everything named so hold 95 % intervals as [low, high], null where there are too few groups.
"""

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import shapely

from img2gps.geo import FloatArray
from img2gps.metrics import metrics_of
from img2gps.site import Site
from img2gps.text import safe_text
from train.evaluation import calibration, strata
from train.evaluation.bootstrap import (
    LEVEL,
    Clusters,
    clusters_of,
    figure_intervals,
    figure_samples,
    figure_values,
    interval,
)
from train.evaluation.references import REFERENCES, ReferenceErrors
from train.evaluation.whole_walks import walks_together
from train.runs.remarks import against_mean

if TYPE_CHECKING:
    import pandas as pd
from train.models.conformal import LEVELS

__all__ = ["CONTRACT", "contract_of", "evaluation_document"]

CONTRACT: Final = (
    *("run", "dataset", "split", "photos", "rmse_m", "mean_m", "median_m", "p90_m", "within_m"),
    *(
        "intervals",
        "intervals_from",
        "mean_predictor",
        "skill",
        "against_mean",
        "frame",
        "macro",
        "calibration",
        "abstain",
    ),
    *("familiarity", "walks_together"),
    *("left_out", "notes", "report"),
)
"""The keys that ``evaluate --json`` prints; evaluation.json has more."""

_CDF_POINTS: Final = 200


def evaluation_document(
    scores: "pd.DataFrame", references: ReferenceErrors, site: Site, *, abstain_m: float | None = None
) -> dict[str, Any]:
    """Return everything that follows from the scores of `train.evaluation.scores`; the caller adds what they are of."""
    clusters = clusters_of(scores)
    errors = scores["error_m"].to_numpy(dtype=np.float64)
    together = walks_together(scores, abstain_m=abstain_m)
    skill = _skill(errors, references.errors_m["mean_predictor"], clusters)
    per_walk, per_day = (strata.per(scores, column, clusters) for column in ("walk", "day"))
    return {
        **metrics_of(errors).to_dict(),
        "intervals": figure_intervals(errors, clusters),
        "intervals_from": {"unit": clusters.unit, "count": clusters.count, "level": LEVEL},
        "mean_predictor": metrics_of(references.errors_m["mean_predictor"]).to_dict(),
        "skill": skill,
        "against_mean": against_mean(skill.get("rmse_m") or {}),
        "frame": _frame(references, clusters),
        "per_walk": per_walk,
        "per_day": per_day,
        "macro": {"walks": strata.macro_average(per_walk), "days": strata.macro_average(per_day)},
        "strata": strata.strata(scores, clusters),
        "bias": strata.bias(scores, clusters),
        "labels": _labels(scores, clusters),
        **_uncertainty(scores, clusters, abstain_m),
        "walks_together": together,
        "cdf": _cdf(errors, references, scores["walk_error_m"] if together else None),
        "worst": strata.worst(scores),
        "site": _site(site),
        "points": _points(scores),
    }


def contract_of(document: dict[str, Any]) -> dict[str, Any]:
    """Return what ``evaluate --json`` prints of an evaluation."""
    return {key: document[key] for key in CONTRACT if key in document}


def _skill(error_m: FloatArray, mean_error_m: FloatArray, clusters: Clusters) -> dict[str, Any]:
    """Return 1 - figure / figure of the mean predictor: 0 has learned nothing, 1 is perfect.

    The form of a skill score (Murphy, Monthly Weather Review 116 (1988)), on the errors themselves.
    """
    samples = figure_samples(np.stack([error_m, mean_error_m]), clusters)
    own, reference = figure_values(error_m), figure_values(mean_error_m)
    result: dict[str, Any] = {}
    for index, name in enumerate(("rmse_m", "mean_m", "median_m")):
        if reference[index] > 0:
            ratios = 1 - samples[0, :, index] / samples[1, :, index]
            value = float(1 - own[index] / reference[index])
            result[name] = {"value": value, "interval": interval(ratios, clusters.count)}
    return result


def _frame(references: ReferenceErrors, clusters: Clusters) -> dict[str, Any]:
    return {
        key: {
            "meaning": REFERENCES[key],
            "figures": metrics_of(errors).to_dict(),
            "intervals": figure_intervals(errors, clusters),
        }
        for key, errors in references.errors_m.items()
    }


def _uncertainty(scores: "pd.DataFrame", clusters: Clusters, abstain_m: float | None) -> dict[str, Any]:
    """Return calibration, risk_coverage, abstain and familiarity: None where the model states no such thing."""
    names = ("error_m", "radius_50_m", "radius_90_m", "uncertainty_m", "familiarity")
    errors, radius_50, radius_90, uncertainty, familiarity = (scores[name].to_numpy(dtype=np.float64) for name in names)
    if not np.isfinite(uncertainty).all() or not np.isfinite(radius_90).all():
        return dict.fromkeys(("calibration", "risk_coverage", "abstain", "familiarity"))
    known = np.isfinite(familiarity).all()
    familiar = calibration.familiar_figures(errors, familiarity, clusters) if known else None
    coverage = [
        calibration.coverage(errors, radius, level, clusters)
        for radius, level in zip((radius_50, radius_90), LEVELS, strict=True)
    ]
    answered = (
        None if abstain_m is None else calibration.abstention(errors, radius_90, familiarity, abstain_m, clusters)
    )
    return {
        "calibration": {"coverage": coverage, "reliability": calibration.reliability(errors, radius_50)},
        "risk_coverage": calibration.risk_coverage(errors, uncertainty),
        "abstain": answered,
        "familiarity": familiar,
    }


def _labels(scores: "pd.DataFrame", clusters: Clusters) -> dict[str, Any]:
    """Return how many labels a person touched, how far they moved, and the figures of each kind apart."""
    state = scores["label_state"].to_numpy(dtype=str)
    moved = (state == "move") & (scores["moved_m"].to_numpy(dtype=np.float64) > 0)
    errors, distance = (scores[name].to_numpy(dtype=np.float64) for name in ("error_m", "moved_m"))
    kinds = {"as_ingested": state == "", "moved": moved, "confirmed": state == "confirm", "unsure": state == "unsure"}
    figures = {
        kind: {
            "figures": metrics_of(errors[rows]).to_dict(),
            "intervals": figure_intervals(errors[rows], clusters.take(rows)),
        }
        for kind, rows in kinds.items()
        if rows.any()
    }
    return {
        "corrected_share": float(moved.mean()),
        "moved_median_m": float(np.median(distance[moved])) if moved.any() else None,
        "moved_p90_m": float(np.quantile(distance[moved], 0.9)) if moved.any() else None,
        "scores": figures,
    }


def _cdf(error_m: FloatArray, references: ReferenceErrors, together_m: "pd.Series[float] | None") -> dict[str, Any]:
    """Return the error below which each share of photos lies, for the model, whole walks and the references."""
    shares = np.linspace(0, 1, min(_CDF_POINTS, len(error_m)) + 1)
    curves: dict[str, FloatArray] = {"model": error_m, **references.errors_m}
    if together_m is not None:
        curves["walks_together"] = np.asarray(together_m, dtype=np.float64)
    return {"share": shares.tolist()} | {
        name: np.round(np.quantile(errors, shares), 2).tolist() for name, errors in curves.items()
    }


def _site(site: Site) -> dict[str, Any]:
    rings = [
        np.round(np.asarray(part.exterior.coords), 2).tolist()
        for part in shapely.get_parts(site.local_polygon).tolist()
    ]
    origin = {"lon": site.frame.origin_lon, "lat": site.frame.origin_lat}
    return {"name": site.name, "title": site.title, "origin": origin, "outline_m": rings}


def _points(scores: "pd.DataFrame") -> dict[str, Any]:
    """Return every photo as columns, for maps: centimetres are enough."""
    lengths = ("east_m", "north_m", "pred_east_m", "pred_north_m", "error_m", "radius_50_m", "radius_90_m")
    columns: dict[str, Any] = {"id": scores["id"].tolist()}
    columns["file_name"] = [safe_text(str(name)) for name in scores["file_name"]]
    columns |= {name: scores[name].round(2).tolist() for name in (*lengths, "nearest_train_m", "uncertainty_m")}
    columns |= {name: scores[name].round(7).tolist() for name in ("lon", "lat", "pred_lon", "pred_lat")}
    columns |= {name: scores[name].tolist() for name in ("walk", "day", "light", "device_name", "label_state", "fold")}
    return columns
