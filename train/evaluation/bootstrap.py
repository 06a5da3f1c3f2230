"""Intervals by resampling whole groups of photos, because photos of one burst or walk err together.

This is the cluster bootstrap: groups are drawn with replacement, with every photo of a drawn group. Source: Davison and
Hinkley, "Bootstrap Methods and their Application", 1997, ch. 3.8. Percentile intervals of few groups are too narrow, so
they are widened ("expanded percentile"). Source: Hesterberg, "What Teachers Should Know About the Bootstrap", The
American Statistician 69 (2015), sec. 5.3.
"""

import dataclasses
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.metrics import WITHIN_M, metrics_of
from train.evaluation.per_figure import FigureIntervals, Interval, figures_of
from train.runs.remarks import format_groups

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "Clusters",
    "IntervalSource",
    "clusters_of",
    "figure_intervals",
    "figure_samples",
    "figure_values",
    "interval",
    "mean_interval",
    "ratio_samples",
]

IntArray = NDArray[np.int64]

LEVEL: Final = 0.95
REPLICATES: Final = 2000
SEED: Final = 0
_ENOUGH_WALKS: Final = 8
_FEWEST_CLUSTERS: Final = 5
_CHUNK_CELLS: Final = 2_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class IntervalSource:
    """What the intervals resample: how many groups of photos of which kind, in the plural, and their level."""

    unit: str
    count: int
    level: float

    @property
    def text(self) -> str:
        """What is resampled, such as ``12 walks`` or ``1 walk``."""
        return format_groups(self.count, self.unit)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Clusters:
    """Which photos err together: `codes` (N,) in 0..count-1, and what the groups are, in the plural."""

    unit: str
    codes: IntArray
    count: int

    @classmethod
    def of(cls, unit: str, labels: Any) -> "Clusters":
        """Return the clusters of equal `labels`, shape (N,)."""
        values, codes = np.unique(np.asarray(labels), return_inverse=True)
        return cls(unit=unit, codes=codes.reshape(-1).astype(np.int64), count=len(values))

    @property
    def source(self) -> IntervalSource:
        """What intervals over these groups rest on."""
        return IntervalSource(unit=self.unit, count=self.count, level=LEVEL)

    def take(self, rows: Any) -> "Clusters":
        """Return the clusters of some photos (a mask or indices), numbered anew."""
        return Clusters.of(self.unit, self.codes[rows])


def clusters_of(frame: "pd.DataFrame") -> Clusters:
    """Return the walks of `frame` where there are eight or more, else its groups: bursts and shared positions.

    `frame` has the columns walk and group of the manifest. Intervals over the groups of few walks say how sure the
    figures are for these walks; another walk can lie outside them.
    """
    walks = Clusters.of("walks", frame["walk"].to_numpy(dtype=str))
    if walks.count >= _ENOUGH_WALKS:
        return walks
    return Clusters.of("bursts and positions", frame["group"].to_numpy(dtype=str))


def figure_values(error_m: FloatArray) -> FloatArray:
    """Return the figures of errors (N,) as an array, shape (8,), in the order of `PerFigure.of`."""
    return np.array(figures_of(metrics_of(error_m)).values())


def figure_samples(
    error_m: FloatArray, clusters: Clusters, *, replicates: int = REPLICATES, seed: int = SEED
) -> FloatArray:
    """Return the figures of `error_m` (N,) or (R, N) in every resample: (replicates, 8) or (R, replicates, 8).

    The R rows see the same resamples, so that their differences are paired.
    """
    rows = np.atleast_2d(np.asarray(error_m, dtype=np.float64))
    blocks = [
        np.stack([_resampled_figures(errors, clusters, drawn) for errors in rows])
        for drawn in _drawn(clusters, replicates, seed)
    ]
    samples = np.concatenate(blocks, axis=1)
    return samples if np.ndim(error_m) == 2 else samples[0]


def interval(samples: FloatArray, clusters: int, *, level: float = LEVEL) -> Interval | None:
    """Return the expanded percentile interval of `samples` (B,), None for fewer than five clusters."""
    if clusters < _FEWEST_CLUSTERS or not np.isfinite(samples).any():
        return None
    from scipy.stats import norm, t

    spread = math.sqrt(clusters / (clusters - 1)) * float(t.ppf((1 + level) / 2, clusters - 1))
    tail = float(norm.cdf(-spread))
    low, high = np.nanquantile(samples, [tail, 1 - tail])
    return Interval(float(low), float(high))


def figure_intervals(error_m: FloatArray, clusters: Clusters, *, level: float = LEVEL) -> FigureIntervals | None:
    """Return the interval of every figure of errors (N,), None for fewer than five clusters."""
    if clusters.count < _FEWEST_CLUSTERS:
        return None
    samples = figure_samples(error_m, clusters)
    bounds = FigureIntervals.of(interval(column, clusters.count, level=level) for column in samples.T)
    shares = {radius: _never_certain(share, clusters.count, level) for radius, share in bounds.within_m.items()}
    return dataclasses.replace(bounds, within_m=shares)


def mean_interval(values: FloatArray, clusters: Clusters, *, level: float = LEVEL, seed: int = SEED) -> Interval | None:
    """Return the interval of the mean of `values` (N,), None for fewer than five clusters.

    Of shares (values 0 and 1) that are all or nothing, the interval still leaves room for what was not seen.
    """
    if clusters.count < _FEWEST_CLUSTERS:
        return None
    sums, sizes = _cluster_sums(values[:, None], clusters), np.bincount(clusters.codes)
    samples = [drawn @ sums[:, 0] / (drawn @ sizes) for drawn in _drawn(clusters, REPLICATES, seed)]
    bounds = interval(np.concatenate(samples), clusters.count, level=level)
    is_share = bool(np.isin(values, (0.0, 1.0)).all())
    return _never_certain(bounds, clusters.count, level) if is_share else bounds


def ratio_samples(top: FloatArray, bottom: FloatArray, clusters: Clusters, *, seed: int = SEED) -> FloatArray:
    """Return sum(top) / sum(bottom) of photos (N,) in every resample, (replicates,); NaN where the bottom is zero.

    Equal seeds draw equal resamples, so that differences of two ratios are paired.
    """
    sums = _cluster_sums(np.stack([top, bottom], axis=1), clusters)
    drawn = np.concatenate([block @ sums for block in _drawn(clusters, REPLICATES, seed)])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: FloatArray = np.where(drawn[:, 1] > 0, drawn[:, 0] / drawn[:, 1], np.nan)
    return ratio


def _never_certain(bounds: Interval | None, clusters: int, level: float) -> Interval | None:
    """Widen the interval of a share that is 0 or 1 in every resample to the exact one of as many single photos.

    Resampling cannot show what no group has; Clopper and Pearson, Biometrika 26 (1934), give the bound.
    """
    room = 1 - ((1 - level) / 2) ** (1 / clusters)
    if bounds == (0.0, 0.0):
        return Interval(0.0, room)
    return Interval(1 - room, 1.0) if bounds == (1.0, 1.0) else bounds


def _drawn(clusters: Clusters, replicates: int, seed: int) -> Iterator[IntArray]:
    """Yield blocks of shape (b, clusters): how often each cluster is in each resample."""
    generator = np.random.default_rng(seed)
    block = max(1, _CHUNK_CELLS // max(1, len(clusters.codes)))
    even = np.full(clusters.count, 1 / clusters.count)
    for start in range(0, replicates, block):
        yield generator.multinomial(clusters.count, even, size=min(block, replicates - start))


def _resampled_figures(errors: FloatArray, clusters: Clusters, drawn: IntArray) -> FloatArray:
    """Return the figures of `errors` (N,) in each resample of `drawn` (b, clusters), shape (b, 8)."""
    within = [errors <= radius for radius in WITHIN_M]
    sums = _cluster_sums(np.stack([errors**2, errors, *within], axis=1), clusters)
    means = drawn @ sums / (drawn @ np.bincount(clusters.codes))[:, None]
    quantiles = _resampled_quantiles(errors, clusters, drawn, (0.5, 0.9))
    return np.concatenate([np.sqrt(means[:, :1]), means[:, 1:2], quantiles, means[:, 2:]], axis=1)


def _cluster_sums(values: FloatArray, clusters: Clusters) -> FloatArray:
    """Return the sum of `values` (N, V) over each cluster, shape (clusters, V)."""
    sums = np.zeros((clusters.count, values.shape[1]))
    np.add.at(sums, clusters.codes, values)
    return sums


def _resampled_quantiles(
    errors: FloatArray, clusters: Clusters, drawn: IntArray, shares: tuple[float, ...]
) -> FloatArray:
    """Return the type 7 quantiles of each resample, as `img2gps.metrics` takes them, without repeating any value."""
    order = np.argsort(errors, kind="stable")
    ordered = errors[order]
    cumulative = np.cumsum(drawn[:, clusters.codes[order]], axis=1)
    positions = (cumulative[:, -1:] - 1) * np.array(shares)
    # Each row is lifted above the one before: all rows are one sorted array, and one search serves them.
    rows = np.arange(len(drawn))[:, None]
    lift = rows * (int(cumulative[:, -1].max()) + 1)
    lifted = (cumulative + lift).ravel()
    low, high = (
        ordered[np.searchsorted(lifted, bound.astype(np.int64) + lift, side="right") - rows * len(ordered)]
        for bound in (np.floor(positions), np.ceil(positions))
    )
    blended: FloatArray = low + (high - low) * (positions - np.floor(positions))
    return blended
