"""What models that did not see a photo say about it: the out-of-fold predictions of a run, read as plain Parquet."""

import dataclasses
from pathlib import Path
from typing import Any, Final

import numpy as np

from img2gps.errors import InvalidCheckpointError, NotFoundError, UsageError
from img2gps.geo import FloatArray, LocalFrame
from img2gps.tables import read_rows
from img2gps.text import safe_path

__all__ = ["FoldPrediction", "PredictionEvidence", "prediction_evidence", "read_predictions"]

_NEEDED: Final = ("id", "pred_lon", "pred_lat")
_RADII: Final = ("radius_50_m", "radius_90_m")

# Radii of discs that hold half and nine tenths of a round Gaussian, in standard deviations per axis.
_HALF, _NINE_TENTHS = float(np.sqrt(2 * np.log(2))), float(np.sqrt(2 * np.log(10)))
_FAILURE_M: Final = 60.0
_DEFAULT_LABEL_NOISE_M: Final = 9.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoldPrediction:
    """Where a model places a photo it was not trained on (degrees), and its discs of 50 % and 90 % in metres."""

    lon: float
    lat: float
    radius_50_m: float | None = None
    radius_90_m: float | None = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PredictionEvidence:
    """For N photos, each of shape (N,): NaN distances and neutral ratios where there is no prediction."""

    distance_m: FloatArray
    spread_m: FloatArray
    log_ratio: FloatArray


def read_predictions(run: Path) -> dict[str, FoldPrediction]:
    """Return the out-of-fold prediction of each photo id of ``run/folds/predictions.parquet``.

    Raises NotFoundError where there is no such run, UsageError where it has no folds, InvalidCheckpointError where the
    file is damaged.
    """
    if not run.is_dir():
        raise NotFoundError(f"No run {safe_path(run)}: give a folder that `img2gps train` made.")
    path = run / "folds" / "predictions.parquet"
    if not path.is_file():
        raise UsageError(
            f"{safe_path(run)} has no out-of-fold predictions: make a run that has, with "
            "`img2gps split DATASET --folds walk && img2gps train DATASET --folds`."
        )
    columns = _read_columns(path)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return {
        str(row["id"]): FoldPrediction(
            lon=float(row["pred_lon"]),
            lat=float(row["pred_lat"]),
            **{name: _finite(row.get(name)) for name in _RADII},
        )
        for row in rows
        if _finite(row["pred_lon"]) is not None and _finite(row["pred_lat"]) is not None
    }


def _read_columns(path: Path) -> dict[str, list[Any]]:
    table = read_rows(
        path,
        error=InvalidCheckpointError,
        remedy="train the folds again, or delete the file and run `img2gps train --resume`",
    )
    missing = [name for name in _NEEDED if name not in table.column_names]
    if missing:
        raise InvalidCheckpointError(
            f"{safe_path(path)} lacks the column {', '.join(missing)}: train the folds again with this version."
        )
    return {name: table.column(name).to_pylist() for name in (*_NEEDED, *_RADII) if name in table.column_names}


def _finite(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and np.isfinite(value) else None


def prediction_evidence(
    predictions: list[FoldPrediction | None], position_m: FloatArray, label_noise_m: FloatArray, frame: LocalFrame
) -> PredictionEvidence:
    """Return how each label agrees with its prediction, weighed by the model's own uncertainty.

    `position_m` (N, 2) are the labels in metres of `frame`, `label_noise_m` (N,) their ordinary noise per axis (NaN:
    not known). Stated radii are scaled by one factor so that half of the labels lie within them. Otherwise a model that
    is too sure would report every label. A model can also fail outright. How often is the share of labels far beyond
    their radii, less the expected share of gross labels.
    """
    from collect.label.track import GROSS_M, GROSS_SHARE, log_ratio

    known = np.array([prediction is not None for prediction in predictions], dtype=bool)
    count = len(predictions)
    if not known.any():
        empty = np.full(count, np.nan)
        return PredictionEvidence(distance_m=empty, spread_m=empty, log_ratio=np.zeros(count))
    given = [prediction for prediction in predictions if prediction is not None]
    east_m, north_m = frame.to_local([p.lon for p in given], [p.lat for p in given])
    distance = np.hypot(position_m[known, 0] - east_m, position_m[known, 1] - north_m)
    noise = np.where(np.isfinite(label_noise_m[known]), label_noise_m[known], _DEFAULT_LABEL_NOISE_M)
    spread = _honest_spread(given, distance, noise)
    failing = float(np.clip(np.mean(distance > 3.5 * spread) - GROSS_SHARE, 0.02, 0.5))
    ratio_gross = log_ratio(distance, spread, np.hypot(spread, GROSS_M))
    ratio_failed = log_ratio(distance, spread, np.hypot(spread, _FAILURE_M))
    ratio = ratio_gross - np.logaddexp(np.log(1 - failing), np.log(failing) + ratio_failed)
    filled = {name: np.full(count, fill) for name, fill in (("distance_m", np.nan), ("spread_m", np.nan))}
    filled["log_ratio"] = np.zeros(count)
    for name, values in (("distance_m", distance), ("spread_m", spread), ("log_ratio", ratio)):
        filled[name][known] = values
    return PredictionEvidence(**filled)


def _honest_spread(predictions: list[FoldPrediction], distance_m: FloatArray, label_noise_m: FloatArray) -> FloatArray:
    """Return the standard deviation per axis of label minus prediction, scaled so that half lie within the promise."""
    stated = np.array([_stated_spread(prediction) for prediction in predictions])
    usual = float(np.median(distance_m)) / _HALF
    model = np.where(np.isfinite(stated), stated, usual)
    spread = np.hypot(model, label_noise_m)
    factor = float(np.median(distance_m / spread)) / _HALF
    return np.asarray(np.maximum(spread * np.clip(factor, 0.5, 4.0), 1.0), dtype=np.float64)


def _stated_spread(prediction: FoldPrediction) -> float:
    stated = [
        radius / scale
        for radius, scale in ((prediction.radius_50_m, _HALF), (prediction.radius_90_m, _NINE_TENTHS))
        if radius is not None
    ]
    return max(stated, default=float("nan"))
