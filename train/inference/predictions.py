"""Predictions at rest: one Parquet row per photo with its truth, the answer and the error."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike

from img2gps.errors import InvalidCheckpointError
from img2gps.geo import LocalFrame, geodesic_m
from img2gps.tables import frame_table, read_rows, save_table
from img2gps.text import safe_path

if TYPE_CHECKING:
    import pandas as pd

    from train.models.localizer import Estimate

__all__ = ["PREDICTION_COLUMNS", "predictions_frame", "read_predictions", "write_predictions"]

PREDICTION_COLUMNS: Final = (
    *("id", "lon", "lat", "pred_lon", "pred_lat", "mean_lon", "mean_lat", "mode_lon", "mode_lat"),
    *("error_m", "uncertainty_m", "radius_50_m", "radius_90_m", "familiarity", "label_share", "answer_share", "fold"),
    *("walk_lon", "walk_lat", "walk_radius_50_m", "walk_radius_90_m", "walk_familiarity", "walk_photos"),
)
"""Degrees and metres in float64, NaN where the model has none; `fold` is -1 outside a fold.

`uncertainty_m` is `radius_50_m`: half of the photos are expected to lie nearer than that. `familiarity` is the p-value
of a photo being of the site. `label_share` and `answer_share` are the probability within 15 m of the label and of the
answer. ``walk_`` begins what belongs to the answer for the photo located with the others of its
walk, `walk_photos` of them, itself included.
"""

_OF_WALKS: Final = tuple(name for name in PREDICTION_COLUMNS if name.startswith("walk_"))
_SHARES: Final = ("label_share", "answer_share")
_LATER: Final = ("familiarity", *_SHARES, *_OF_WALKS)  # earlier versions had none
_STATED: Final = ("radius_50_m", "radius_90_m", "familiarity")


def predictions_frame(
    *,
    ids: list[str],
    lon: ArrayLike,
    lat: ArrayLike,
    estimate: "Estimate",
    frame: LocalFrame,
    with_walks: "Estimate | None" = None,
    fold: int | None = None,
) -> "pd.DataFrame":
    """Return the predictions of N photos at (lon, lat) degrees as rows of `PREDICTION_COLUMNS`.

    `error_m` is the geodesic distance between truth and answer. `with_walks` are the positions of photos located with
    the others of their walks.
    """
    import pandas as pd

    pred_lon, pred_lat = frame.to_lonlat(estimate.east_m, estimate.north_m)
    missing = np.full(len(ids), np.nan)
    columns: dict[str, Any] = {"id": ids, "lon": np.asarray(lon, np.float64), "lat": np.asarray(lat, np.float64)}
    columns |= {"pred_lon": pred_lon, "pred_lat": pred_lat}
    for name in ("mean", "mode"):
        east_m, north_m = getattr(estimate, f"{name}_east_m"), getattr(estimate, f"{name}_north_m")
        given = east_m is not None and north_m is not None
        columns[f"{name}_lon"], columns[f"{name}_lat"] = frame.to_lonlat(east_m, north_m) if given else (missing,) * 2
    columns["error_m"] = geodesic_m(columns["lon"], columns["lat"], pred_lon, pred_lat)
    columns |= _stated(estimate, (*_STATED, *_SHARES))
    columns["uncertainty_m"] = columns["radius_50_m"]
    columns["fold"] = np.full(len(ids), -1 if fold is None else fold, dtype=np.int32)
    columns |= dict.fromkeys(_OF_WALKS, missing)
    if with_walks is not None:
        columns["walk_lon"], columns["walk_lat"] = frame.to_lonlat(with_walks.east_m, with_walks.north_m)
        columns |= {f"walk_{name}": values for name, values in _stated(with_walks, _STATED).items()}
        columns["walk_photos"] = np.ones(len(ids)) if with_walks.company is None else with_walks.company
    return pd.DataFrame({name: columns[name] for name in PREDICTION_COLUMNS})


def _stated(estimate: "Estimate", names: Sequence[str]) -> dict[str, Any]:
    """Return what the model says of its own answers, NaN where it does not."""
    given = {name: getattr(estimate, name) for name in names}
    return {name: np.full(len(estimate.east_m), np.nan) if part is None else part for name, part in given.items()}


def write_predictions(path: Path, predictions: "pd.DataFrame") -> None:
    """Replace `path` with the rows of `predictions` in one step; columns beyond the schema are kept."""
    save_table(path, frame_table(predictions))


def read_predictions(path: Path) -> "pd.DataFrame":
    """Return the rows of a predictions file. Raises InvalidCheckpointError where it is missing or damaged."""
    predictions: pd.DataFrame = read_rows(
        path, error=InvalidCheckpointError, remedy="delete it and make it again from its run"
    ).to_pandas()
    predictions = predictions.assign(**{name: np.nan for name in _LATER if name not in predictions.columns})
    lacking = [name for name in PREDICTION_COLUMNS if name not in predictions.columns]
    if lacking:
        raise InvalidCheckpointError(
            f"{safe_path(path)} lacks the column {lacking[0]}: make it again from its run with this version."
        )
    if not np.isfinite(predictions[["pred_lon", "pred_lat"]].to_numpy(dtype=np.float64)).all():
        raise InvalidCheckpointError(
            f"{safe_path(path)} is damaged, an answer in it is no position: delete it and make it again from its run."
        )
    return predictions
