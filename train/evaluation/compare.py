"""Whether two runs, scored on the same photos, differ by more than chance."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from img2gps.geo import FloatArray
from img2gps.text import format_count
from train.evaluation.bootstrap import LEVEL, Clusters, figure_samples, figure_values, interval
from train.evaluation.per_figure import FigureIntervals, Figures, Length
from train.runs.remarks import format_groups

__all__ = ["Comparison", "compare_errors", "compare_pairs"]

_NOUNS: Final[dict[Length, str]] = {
    "rmse_m": "RMSE",
    "mean_m": "mean error",
    "median_m": "median error",
    "p90_m": "90th percentile of the errors",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Figures of `run_a` minus those of `run_b` (negative metres: `run_a` is nearer the truth) on shared photos.

    `intervals` is None for fewer than five groups. `level` is the level of each interval: with several pairs it is
    raised (Bonferroni), so that all pairs together hold with 95 %.
    """

    run_a: str
    run_b: str
    photos: int
    unit: str
    clusters: int
    level: float
    figures_a: Figures
    figures_b: Figures
    differences: Figures
    intervals: FigureIntervals | None

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison with its verdict, for JSON."""
        return {**dataclasses.asdict(self), "sentence": self.sentence()}

    def sentence(self, figure: Length = "median_m") -> str:
        """Return the verdict on one figure in plain words."""
        noun = _NOUNS[figure]
        start = (
            f"The {noun} of {self.run_a} is {self.figures_a.length(figure):.1f} m, "
            f"that of {self.run_b} {self.figures_b.length(figure):.1f} m"
        )
        basis = f"{format_count(self.photos, 'photo')}, {format_groups(self.clusters, self.unit)}"
        bounds = self.intervals.length(figure) if self.intervals else None
        if bounds is None:
            return f"{start} ({basis}): too few groups to say whether that is more than chance."
        low, high = bounds
        spread = f"{100 * self.level:.3g} % interval {low:+.1f} to {high:+.1f} m"
        spread = f"difference {self.differences.length(figure):+.1f} m, {spread}"
        if low > 0 or high < 0:
            better = self.run_a if high < 0 else self.run_b
            return f"{start} ({spread}; {basis}): {better} is better by more than chance."
        return f"{start} ({spread}; {basis}): these photos do not tell the two apart."


def compare_errors(
    names: tuple[str, str],
    error_a_m: FloatArray,
    error_b_m: FloatArray,
    clusters: Clusters,
    *,
    level: float = LEVEL,
) -> Comparison:
    """Return the paired comparison of two runs' errors (N,) on the same photos in the same order."""
    samples = figure_samples(np.stack([error_a_m, error_b_m]), clusters)
    values_a, values_b = figure_values(error_a_m), figure_values(error_b_m)
    bounds = [interval(column, clusters.count, level=level) for column in (samples[0] - samples[1]).T]
    return Comparison(
        run_a=names[0],
        run_b=names[1],
        photos=len(error_a_m),
        unit=clusters.unit,
        clusters=clusters.count,
        level=level,
        figures_a=Figures.of(values_a.tolist()),
        figures_b=Figures.of(values_b.tolist()),
        differences=Figures.of((values_a - values_b).tolist()),
        intervals=None if bounds[0] is None else FigureIntervals.of(bounds),
    )


def compare_pairs(errors_m: Mapping[str, FloatArray], clusters: Clusters) -> list[Comparison]:
    """Return every pair of the runs named in `errors_m` (N,), later runs against earlier ones."""
    pairs = list(itertools.combinations(errors_m, 2))
    level = 1 - (1 - LEVEL) / max(1, len(pairs))
    return [
        compare_errors((later, earlier), errors_m[later], errors_m[earlier], clusters, level=level)
        for earlier, later in pairs
    ]
