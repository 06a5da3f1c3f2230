"""The page of a comparison: the figures of several runs on the same photos, their paired differences, their errors."""

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from markupsafe import Markup

from img2gps.files import write_atomic
from img2gps.geo import FloatArray
from img2gps.report.charts import Series, line_chart
from img2gps.report.page import NARROW, as_metres, as_percent, render_page
from img2gps.text import safe_text
from train.evaluation.compare import Comparison
from train.evaluation.per_figure import Figures, Interval, Length
from train.evaluation.result import EvaluationResult

__all__ = ["comparison_path", "write_comparison"]

_TEMPLATE: Final = Path(__file__).parent / "comparison.j2"
_FIGURES: Final[Mapping[Length, str]] = {
    "median_m": "Median",
    "rmse_m": "RMSE",
    "mean_m": "Mean",
    "p90_m": "90th percentile",
}
_NEAR_M: Final = "25"
_POINTS: Final = 200


def comparison_path(evaluations: Sequence[EvaluationResult]) -> Path:
    """Return where the page of a comparison lies: beside the evaluation of the run named first."""
    others = "-".join(re.sub(r"[^A-Za-z0-9._-]", "_", evaluation.run) for evaluation in evaluations[1:])
    return evaluations[0].folder / f"comparison-{others[:100]}.html"


def write_comparison(evaluations: Sequence[EvaluationResult], comparisons: Sequence[Comparison]) -> Path:
    """Write the page of two runs or more and their pairs, and return its path. Raises OSError."""
    path = comparison_path(evaluations)
    shared = set.intersection(*(set(evaluation.scores["id"]) for evaluation in evaluations))
    names = [safe_text(evaluation.run) for evaluation in evaluations]
    html = render_page(
        _TEMPLATE,
        title=" and ".join(names) if len(names) == 2 else f"{len(names)} runs",
        runs=names,
        photos=len(shared),
        whole_walks=all(evaluation.whole_walks for evaluation in evaluations),
        figures=_figure_rows(comparisons),
        pairs=[_pair(comparison) for comparison in comparisons],
        chart=_chart(evaluations, shared),
        provenance={safe_text(one.run): f"{one.dataset}, {one.split}" for one in evaluations},
    )
    write_atomic(path, html.encode("utf-8"))
    return path


def _figure_rows(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """Return a row per run, those of whole walks after those of photos alone."""
    figures: dict[str, Figures] = {}
    for comparison in comparisons:
        figures.setdefault(comparison.run_b, comparison.figures_b)
        figures.setdefault(comparison.run_a, comparison.figures_a)
    return [
        [safe_text(name), *(as_metres(own.length(key)) for key in _FIGURES), as_percent(own.within_m[_NEAR_M])]
        for name, own in figures.items()
    ]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """What the table of one pair shows."""

    title: str
    first: str
    second: str
    level: str
    rows: Sequence[Sequence[str]]
    sentences: Sequence[str]


def _pair(comparison: Comparison) -> _Pair:
    parts, bounds = (comparison.figures_a, comparison.figures_b, comparison.differences), comparison.intervals
    rows = [
        _row(name, [part.length(key) for part in parts], bounds.length(key) if bounds else None, as_metres)
        for key, name in _FIGURES.items()
    ]
    near = [part.within_m[_NEAR_M] for part in parts]
    spread = bounds.within_m[_NEAR_M] if bounds else None
    rows.append(_row(f"Within {_NEAR_M} m", near, spread, _points_of_percent))
    first, second = safe_text(comparison.run_a), safe_text(comparison.run_b)
    return _Pair(
        title=f"{first} against {second}",
        first=first,
        second=second,
        level=f"{100 * comparison.level:.3g}{NARROW}%",
        rows=rows,
        sentences=[safe_text(comparison.sentence(key), limit=1000) for key in ("rmse_m", "median_m")],
    )


def _row(name: str, values: Sequence[float], bounds: Interval | None, write: Callable[[float], str]) -> list[str]:
    """Return a row of a pair's table; `values` are both figures and their difference."""
    own, other, difference = values
    plain = as_percent if write is _points_of_percent else write
    verdict = "too few groups" if bounds is None else "yes" if bounds.low > 0 or bounds.high < 0 else "no"
    spread = "–" if bounds is None else f"{_signed(bounds.low, write)} to {_signed(bounds.high, write)}"
    return [name, plain(own), plain(other), _signed(difference, write), spread, verdict]


def _signed(value: float, write: Callable[[float], str]) -> str:
    text = write(value)
    return f"+{text}" if value > 0 else text


def _points_of_percent(value: float) -> str:
    return f"{100 * value:.0f}{NARROW}%".replace("-", "−")


def _chart(evaluations: Sequence[EvaluationResult], shared: set[str]) -> Markup:
    """Draw the share of the shared photos within each error, per run."""
    shares = np.linspace(0, 1, min(_POINTS, len(shared)) + 1)
    errors = [_errors(evaluation, shared) for evaluation in evaluations]
    far = max(50.0, *(float(np.quantile(own, 0.97)) for own in errors))
    series = []
    for evaluation, own in zip(evaluations, errors, strict=True):
        quantiles = np.quantile(own, shares).tolist()
        x, y = [*quantiles, max(far, quantiles[-1])], [*shares.tolist(), 1.0]
        series.append(Series(name=safe_text(evaluation.run), x=x, y=y))
    return line_chart(
        series,
        title="Share of photos within each error",
        x_label="error (m)",
        y_label="share of photos",
        x_max=far,
        y_max=1,
        percent=True,
    )


def _errors(evaluation: EvaluationResult, shared: set[str]) -> FloatArray:
    rows = evaluation.scores
    return np.asarray(rows.loc[rows["id"].isin(shared), "error_m"], dtype=np.float64)
