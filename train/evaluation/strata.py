"""Where and when a model errs: walks, days, devices, light, distance from the training photos, cells."""

import dataclasses
import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.metrics import Metrics, metrics_of
from img2gps.sun import LIGHT_ELEVATIONS_DEG, LIGHTS
from img2gps.text import safe_text
from train.evaluation.bootstrap import Clusters, figure_intervals, mean_interval
from train.evaluation.per_figure import FigureIntervals, Figures, Interval, figures_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "CELL_M",
    "ENOUGH_ALONE",
    "Bias",
    "Bounds",
    "CellErrors",
    "MacroAverage",
    "Offset",
    "Strata",
    "Stratum",
    "WorstPhoto",
    "bias",
    "cell_strata",
    "macro_average",
    "per",
    "strata",
    "worst",
]

ENOUGH_ALONE: Final = 40
"""Photos a walk or day needs to count in a macro average; smaller ones pool, but do not stand alone."""

CELL_M: Final = 25.0
_DISTANCE_EDGES_M: Final = (5.0, 10.0, 25.0, 50.0)
_WORST: Final = 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Between what values of a quantity a stratum lies: `high` is None where there is no upper end.

    The unit is ``m`` of a distance, which is at least `low` and less than `high`, and ``deg`` of the sun's elevation.
    """

    low: float
    high: float | None
    unit: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """The mean of prediction minus truth in metres."""

    east_m: float
    north_m: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Bias(Offset):
    """The mean offset of all photos with its intervals."""

    east_interval_m: Interval | None
    north_interval_m: Interval | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """A part of the photos: its figures with intervals, and those of the mean predictor on the same photos.

    `bounds` say what the photos of a stratum by distance or light have in common; others have a name alone.
    """

    name: str
    bounds: Bounds | None
    figures: Metrics
    intervals: FigureIntervals | None
    mean_predictor: Metrics
    bias: Offset

    @property
    def photos(self) -> int:
        """How many photos it has."""
        return self.figures.photos

    @property
    def stands_alone(self) -> bool:
        """Whether it has enough photos to count in a macro average."""
        return self.photos >= ENOUGH_ALONE


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CellErrors:
    """A square cell of the truth, by its south-west corner, and the errors of the photos taken in it."""

    photos: int
    east_m: float
    north_m: float
    size_m: float
    median_m: float
    mean_m: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Strata:
    """The strata of each kind; none of a kind that cannot be told (no time, no training photos at hand)."""

    device: tuple[Stratum, ...]
    light: tuple[Stratum, ...]
    nearest_train_m: tuple[Stratum, ...]
    cell: tuple[CellErrors, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MacroAverage:
    """The mean of each figure over the walks or days named in `of`."""

    of: tuple[str, ...]
    figures: Figures
    mean_predictor: Figures


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WorstPhoto:
    """A photo with one of the largest errors; NaN is not known, `captured_at` is in ISO 8601.

    `cause` is one of `train.evaluation.causes.CAUSES`, empty for a small error.
    """

    id: str
    error_m: float
    uncertainty_m: float
    walk: str
    device_name: str
    light: str
    nearest_train_m: float
    lon: float
    lat: float
    pred_lon: float
    pred_lat: float
    label_state: str
    cause: str
    file_name: str
    captured_at: str | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    name: str
    rows: NDArray[np.bool_]
    bounds: Bounds | None = None


def strata(scores: "pd.DataFrame", clusters: Clusters) -> Strata:
    """Return the figures by device, light, distance to the nearest training photo and cell.

    `scores` has the columns of `train.evaluation.scores.scores_frame`.
    """
    return Strata(
        device=_figures_of(scores, _by_column(scores, "device_name"), clusters),
        light=_figures_of(scores, _by_light(scores), clusters),
        nearest_train_m=_figures_of(scores, _by_distance(scores), clusters),
        cell=cell_strata(scores),
    )


def per(scores: "pd.DataFrame", column: str, clusters: Clusters) -> tuple[Stratum, ...]:
    """Return the figures for every value of `column` (walk or day)."""
    return _figures_of(scores, _by_column(scores, column), clusters)


def _figures_of(scores: "pd.DataFrame", parts: Iterable[_Part], clusters: Clusters) -> tuple[Stratum, ...]:
    errors = scores["error_m"].to_numpy(dtype=np.float64)
    means = scores["mean_predictor_m"].to_numpy(dtype=np.float64)
    return tuple(
        Stratum(
            name=part.name,
            bounds=part.bounds,
            figures=metrics_of(errors[part.rows]),
            intervals=figure_intervals(errors[part.rows], clusters.take(part.rows)),
            mean_predictor=metrics_of(means[part.rows]),
            bias=_mean_offset(scores, part.rows),
        )
        for part in parts
    )


def macro_average(rows: Sequence[Stratum]) -> MacroAverage:
    """Return the mean of each figure over the walks or days that stand alone (all of them where none does)."""
    alone = [row for row in rows if row.stands_alone] or rows
    return MacroAverage(
        of=tuple(row.name for row in alone),
        figures=_averaged([row.figures for row in alone]),
        mean_predictor=_averaged([row.mean_predictor for row in alone]),
    )


def cell_strata(scores: "pd.DataFrame", cell_m: float = CELL_M) -> tuple[CellErrors, ...]:
    """Return the photos and errors of each square cell of the truth that has any."""
    east = np.floor(scores["east_m"].to_numpy(dtype=np.float64) / cell_m)
    north = np.floor(scores["north_m"].to_numpy(dtype=np.float64) / cell_m)
    errors = scores["error_m"].to_numpy(dtype=np.float64)
    corners, codes = np.unique(np.stack([east, north], axis=1), axis=0, return_inverse=True)
    members = [errors[codes.reshape(-1) == index] for index in range(len(corners))]
    return tuple(
        CellErrors(
            photos=int(part.size),
            east_m=cell_east * cell_m,
            north_m=cell_north * cell_m,
            size_m=cell_m,
            median_m=float(np.median(part)),
            mean_m=float(part.mean()),
        )
        for (cell_east, cell_north), part in zip(corners.tolist(), members, strict=True)
    )


def bias(scores: "pd.DataFrame", clusters: Clusters) -> Bias:
    """Return the mean of prediction minus truth, east and north in metres, with intervals."""
    east, north = _offsets(scores)
    return Bias(
        east_m=float(east.mean()),
        north_m=float(north.mean()),
        east_interval_m=mean_interval(east, clusters),
        north_interval_m=mean_interval(north, clusters),
    )


def worst(scores: "pd.DataFrame", count: int = _WORST) -> tuple[WorstPhoto, ...]:
    """Return the photos with the largest errors, largest first."""
    given = [field.name for field in dataclasses.fields(WorstPhoto) if field.name not in ("file_name", "captured_at")]
    rows = scores.nlargest(count, "error_m")
    names = [safe_text(str(name)) for name in rows["file_name"]]
    times = [None if time is None or time != time else time.isoformat() for time in rows["captured_at"]]
    records = rows[given].to_dict("records")
    return tuple(
        WorstPhoto(**{str(key): value for key, value in record.items()}, file_name=name, captured_at=time)
        for record, name, time in zip(records, names, times, strict=True)
    )


def _by_column(scores: "pd.DataFrame", column: str) -> Iterator[_Part]:
    values = scores[column].to_numpy(dtype=str)
    return (_Part(name=str(value), rows=values == value) for value in np.unique(values))


def _by_light(scores: "pd.DataFrame") -> Iterator[_Part]:
    values = scores["light"].to_numpy(dtype=str)
    for light in LIGHTS:
        if (values == light).any():
            yield _Part(name=light, rows=values == light, bounds=_elevation_bounds(light))


def _elevation_bounds(light: str) -> Bounds | None:
    if light not in LIGHT_ELEVATIONS_DEG:
        return None
    low, high = LIGHT_ELEVATIONS_DEG[light]
    return Bounds(low=low, high=high, unit="deg")


def _by_distance(scores: "pd.DataFrame") -> Iterator[_Part]:
    distances = scores["nearest_train_m"].to_numpy(dtype=np.float64)
    lows = (0.0, *_DISTANCE_EDGES_M)
    for low, high in itertools.zip_longest(lows, lows[1:]):
        rows = (distances >= low) & (distances < (np.inf if high is None else high))
        if rows.any():
            name = f"over {low:g} m" if high is None else f"{low:g}-{high:g} m"
            yield _Part(name=name, rows=rows, bounds=Bounds(low=low, high=high, unit="m"))


def _offsets(scores: "pd.DataFrame") -> tuple[FloatArray, FloatArray]:
    east, north = (
        (scores[f"pred_{axis}_m"] - scores[f"{axis}_m"]).to_numpy(dtype=np.float64) for axis in ("east", "north")
    )
    return east, north


def _mean_offset(scores: "pd.DataFrame", rows: NDArray[np.bool_]) -> Offset:
    east, north = _offsets(scores)
    return Offset(east_m=float(east[rows].mean()), north_m=float(north[rows].mean()))


def _averaged(figures: Sequence[Metrics]) -> Figures:
    return Figures.of(np.mean([figures_of(part).values() for part in figures], axis=0).tolist())
