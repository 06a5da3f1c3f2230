"""Where and when a model errs: walks, days, devices, light, distance from the training photos, cells."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from img2gps.geo import FloatArray
from img2gps.metrics import metrics_of
from img2gps.sun import LIGHTS
from img2gps.text import safe_text
from train.evaluation.bootstrap import FIGURES, Clusters, figure_intervals, mean_interval, nested

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["CELL_M", "ENOUGH_ALONE", "bias", "cell_strata", "macro_average", "per", "strata", "worst"]

ENOUGH_ALONE: Final = 40
"""Photos a walk or day needs to count in a macro average; smaller ones pool, but do not stand alone."""

CELL_M: Final = 25.0
_DISTANCE_EDGES_M: Final = (5.0, 10.0, 25.0, 50.0)
_WORST: Final = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Stratum:
    """A part of the photos: its name and which rows it has."""

    name: str
    rows: Any


def strata(scores: "pd.DataFrame", clusters: Clusters) -> dict[str, list[dict[str, Any]]]:
    """Return the figures by device, light, distance to the nearest training photo and cell.

    `scores` has the columns of `train.evaluation.scores.scores_frame`; a kind of stratum that
    cannot be told (no time, no training photos at hand) is left out.
    """
    result = {
        "device": _figures_of(scores, _by_column(scores, "device_name"), clusters),
        "light": _figures_of(scores, _by_light(scores), clusters),
        "nearest_train_m": _figures_of(scores, _by_distance(scores), clusters),
        "cell": cell_strata(scores),
    }
    return {name: rows for name, rows in result.items() if rows}


def per(scores: "pd.DataFrame", column: str, clusters: Clusters) -> list[dict[str, Any]]:
    """Return the figures for every value of `column` (walk or day), each saying whether it stands alone."""
    rows = _figures_of(scores, _by_column(scores, column), clusters)
    return [{**row, "stands_alone": row["figures"]["photos"] >= ENOUGH_ALONE} for row in rows]


def _figures_of(scores: "pd.DataFrame", parts: Iterator[_Stratum], clusters: Clusters) -> list[dict[str, Any]]:
    """Return one row per stratum: its figures with intervals, and those of the mean predictor on the same photos."""
    errors = scores["error_m"].to_numpy(dtype=np.float64)
    means = scores["mean_predictor_m"].to_numpy(dtype=np.float64)
    return [
        {
            "name": part.name,
            "photos": int(np.size(errors[part.rows])),
            "figures": metrics_of(errors[part.rows]).to_dict(),
            "intervals": figure_intervals(errors[part.rows], clusters.take(part.rows)),
            "mean_predictor": metrics_of(means[part.rows]).to_dict(),
            "bias": _mean_offset(scores, part.rows),
        }
        for part in parts
    ]


def macro_average(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean of each figure over the walks or days that stand alone (all of them where none does)."""
    alone = [row for row in rows if row["stands_alone"]] or rows
    return {
        "of": [row["name"] for row in alone],
        "figures": _averaged([row["figures"] for row in alone]),
        "mean_predictor": _averaged([row["mean_predictor"] for row in alone]),
    }


def cell_strata(scores: "pd.DataFrame", cell_m: float = CELL_M) -> list[dict[str, Any]]:
    """Return photos, median and mean error per square cell of the truth, with its south-west corner in metres."""
    east = np.floor(scores["east_m"].to_numpy(dtype=np.float64) / cell_m)
    north = np.floor(scores["north_m"].to_numpy(dtype=np.float64) / cell_m)
    errors = scores["error_m"].to_numpy(dtype=np.float64)
    corners, codes = np.unique(np.stack([east, north], axis=1), axis=0, return_inverse=True)
    rows = []
    for index, (cell_east, cell_north) in enumerate(corners.tolist()):
        part = errors[codes.reshape(-1) == index]
        corner = {"east_m": cell_east * cell_m, "north_m": cell_north * cell_m, "size_m": cell_m}
        figures = {"median_m": float(np.median(part)), "mean_m": float(part.mean())}
        rows.append({"photos": int(part.size), **corner, **figures})
    return rows


def bias(scores: "pd.DataFrame", clusters: Clusters) -> dict[str, Any]:
    """Return the mean of prediction minus truth, east and north in metres, with intervals."""
    east, north = _offsets(scores)
    return {
        "east_m": float(east.mean()),
        "north_m": float(north.mean()),
        "east_interval_m": mean_interval(east, clusters),
        "north_interval_m": mean_interval(north, clusters),
    }


def worst(scores: "pd.DataFrame", count: int = _WORST) -> list[dict[str, Any]]:
    """Return the photos with the largest errors, largest first."""
    columns = ["id", "error_m", "uncertainty_m", "walk", "device_name", "light", "nearest_train_m"]
    columns += ["lon", "lat", "pred_lon", "pred_lat", "label_state"]
    rows = scores.nlargest(count, "error_m")
    names = [safe_text(str(name)) for name in rows["file_name"]]
    times = [None if time is None or time != time else time.isoformat() for time in rows["captured_at"]]
    records = rows[columns].to_dict("records")
    return [
        {**{str(key): value for key, value in record.items()}, "file_name": name, "captured_at": time}
        for record, name, time in zip(records, names, times, strict=True)
    ]


def _by_column(scores: "pd.DataFrame", column: str) -> Iterator[_Stratum]:
    values = scores[column].to_numpy(dtype=str)
    return (_Stratum(name=str(value), rows=values == value) for value in np.unique(values))


def _by_light(scores: "pd.DataFrame") -> Iterator[_Stratum]:
    values = scores["light"].to_numpy(dtype=str)
    return (_Stratum(name=light, rows=values == light) for light in LIGHTS if (values == light).any())


def _by_distance(scores: "pd.DataFrame") -> Iterator[_Stratum]:
    distances = scores["nearest_train_m"].to_numpy(dtype=np.float64)
    edges = (0.0, *_DISTANCE_EDGES_M, np.inf)
    for low, high in itertools.pairwise(edges):
        rows = (distances >= low) & (distances < high)
        if rows.any():
            yield _Stratum(name=f"over {low:g} m" if np.isinf(high) else f"{low:g}-{high:g} m", rows=rows)


def _offsets(scores: "pd.DataFrame") -> tuple[FloatArray, FloatArray]:
    east, north = (
        (scores[f"pred_{axis}_m"] - scores[f"{axis}_m"]).to_numpy(dtype=np.float64) for axis in ("east", "north")
    )
    return east, north


def _mean_offset(scores: "pd.DataFrame", rows: Any) -> dict[str, float]:
    east, north = _offsets(scores)
    return {"east_m": float(east[rows].mean()), "north_m": float(north[rows].mean())}


def _averaged(figures: list[dict[str, Any]]) -> dict[str, Any]:
    flat = [
        [row["within_m"][key[9:]] if key.startswith("within_m.") else row[key] for key in FIGURES] for row in figures
    ]
    return nested(np.mean(flat, axis=0).tolist())
