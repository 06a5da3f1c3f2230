"""An evaluation's report.html: the figures, the map of errors, and the worst photos, in one offline page."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from markupsafe import Markup

from img2gps.basemap.features import Basemap
from img2gps.basemap.file import usable_basemap
from img2gps.dataset import Dataset
from img2gps.files import write_atomic
from img2gps.manifest import ManifestInfo, read_table
from img2gps.metrics import WITHIN_M
from img2gps.report.charts import Series, line_chart, scatter_chart, share_bar
from img2gps.report.page import MAP_SCRIPTS, NARROW, as_metres, as_percent, render_page, with_code
from img2gps.report.thumbnails import make_thumbnails
from img2gps.text import safe_text
from train.evaluation.calibration import ReliabilityBin, RiskCoverage
from train.evaluation.causes import CAUSES, NONE, CauseFigures
from train.evaluation.explained import read_explained
from train.evaluation.forecast import forecast_lines
from train.evaluation.page_data import answers_in_words, inside_site, report_data
from train.evaluation.per_figure import Figures, Interval, Length, figures_of
from train.evaluation.result import ErrorCurves, EvaluationResult
from train.evaluation.strata import MacroAverage, Stratum
from train.evaluation.summary import few_walks_line, figures_beside, next_steps
from train.evaluation.truth import truth_lines

__all__ = ["write_report"]

_TEMPLATE: Final = Path(__file__).parent / "report.j2"
_WORST_LONG_SIDE_PX: Final = 224
_CURVES: Final = {
    "model": "This run",
    "walks_together": "Whole walks",
    "mean_predictor": "Mean position",
    "nearest_thumbnail": "Most similar thumbnail",
    "oracle": "Nearest training photo",
}
_LENGTHS: Final[Mapping[Length, str]] = {
    "median_m": "Median",
    "rmse_m": "RMSE",
    "mean_m": "Mean",
    "p90_m": "90th percentile",
}


def write_report(path: Path, result: EvaluationResult, *, dataset: Dataset) -> None:
    """Write the report of an evaluation to `path`.

    `dataset` is what was scored: its manifest and working copies. Photos outside the site's outline are counted, but
    their positions are not drawn. Raises OSError where `path` cannot be written.
    """
    table, info = read_table(dataset.manifest_path)
    names = dict(zip(table.column("id").to_pylist(), table.column("source_name").to_pylist(), strict=True))
    pictures = make_thumbnails(dataset.photo_paths(result.scores["id"]))
    groups = _groups(result)
    basemap = usable_basemap(dataset)
    html = render_page(
        _TEMPLATE,
        title=f"{safe_text(result.run)} on {safe_text(result.dataset)}",
        scripts=(*MAP_SCRIPTS, "evaluation.js"),
        data=report_data(result, pictures.images, names, basemap=basemap),
        result=result,
        note=pictures.note,
        outside=int((~inside_site(result)).sum()),
        few_walks=few_walks_line(result),
        next_steps=next_steps(result)[:-1],  # the last one points to this page
        figures=_figure_rows(result),
        truth_lines=truth_lines(result.truth),
        forecast_lines=forecast_lines(result.forecast, result.no_forecast),
        groups={title: [*map(_stratum_cells, rows), *_average_rows(macro)] for title, (rows, macro) in groups.items()},
        strong_rows={title: [len(rows)] if _average_rows(macro) else [] for title, (rows, macro) in groups.items()},
        labels=_label_rows(result),
        charts=_charts(result),
        worst=_by_cause(_worst(result, dataset, names, basemap)),
        causes=_cause_rows(result.causes),
        provenance=_provenance(result, info),
        explained=read_explained(result.folder),
        beside=[_CURVES[key] for key in _beside(result)],
        together_rows=_together_rows(result),
        share_bar=share_bar,
        interval=_interval,
    )
    write_atomic(path, html.encode("utf-8"))


def _beside(result: EvaluationResult) -> dict[str, Figures]:
    """Return the figures that stand beside those of the run, those of `_CURVES` in its order."""
    known = figures_beside(result)
    return {key: figures_of(known[key]) for key in _CURVES if key in known}


def _figure_rows(result: EvaluationResult) -> list[list[str]]:
    """Return the table of figures: one row per figure, the run beside what needs no model."""
    own, bounds, beside = figures_of(result.figures), result.intervals, _beside(result).values()
    rows = []
    for name, noun in _LENGTHS.items():
        cells = [as_metres(own.length(name)), _interval(bounds.length(name) if bounds else None)]
        rows.append([noun, *cells, *(as_metres(other.length(name)) for other in beside)])
    for radius in map(str, WITHIN_M):
        cells = [as_percent(own.within_m[radius]), _interval(bounds.within_m[radius] if bounds else None, percent=True)]
        rows.append([f"Within {radius} m", *cells, *(as_percent(other.within_m[radius]) for other in beside)])
    return rows


def _groups(result: EvaluationResult) -> dict[str, tuple[Sequence[Stratum], MacroAverage | None]]:
    """Return the parts of the photos under the title of their table, with the average over them where it is taken."""
    return {
        "By walk": (result.per_walk, result.macro_walks),
        "By day": (result.per_day, result.macro_days),
        "By device": (result.strata.device, None),
        "By light": (result.strata.light, None),
        "By distance to the nearest training photo": (result.strata.nearest_train_m, None),
    }


def _stratum_cells(row: Stratum) -> list[str]:
    bounds = row.intervals.median_m if row.intervals else None
    offset = f"{_signed(row.bias.east_m)}, {_signed(row.bias.north_m)}"
    start = [safe_text(row.name, limit=60), f"{row.photos:,}"]
    return [*start, *_group_cells(figures_of(row.figures), _interval(bounds), row.mean_predictor.rmse_m), offset]


def _average_rows(macro: MacroAverage | None) -> list[list[str]]:
    """Return the average over walks or days as one more row, where there is more than one."""
    if macro is None or len(macro.of) < 2:
        return []
    return [[f"average of {len(macro.of)}", "", *_group_cells(macro.figures, "", macro.mean_predictor.rmse_m), ""]]


def _group_cells(figures: Figures, median_interval: str, mean_rmse_m: float) -> list[str]:
    return [
        as_metres(figures.median_m),
        median_interval,
        as_metres(figures.rmse_m),
        as_percent(figures.within_m["25"]),
        as_metres(mean_rmse_m),
    ]


def _together_rows(result: EvaluationResult) -> list[list[str]]:
    """Return a row per walk: its figures located photo by photo, and together."""
    if result.whole_walks is None:
        return []
    alone = {row.name: row.figures for row in result.per_walk}
    rows = []
    for walk in result.whole_walks.per_walk:
        pair = (alone[walk.name], walk.figures)
        cells = [as_metres(part.median_m) for part in pair] + [as_metres(part.rmse_m) for part in pair]
        rows.append([walk.name, f"{walk.figures.photos:,}", *cells, *(as_percent(p.within_m["25"]) for p in pair)])
    return rows


def _label_rows(result: EvaluationResult) -> list[list[str]]:
    """Return the figures of labels as ingested, moved, confirmed and unsure; nothing where no label was touched."""
    kinds = result.labels.scores
    if set(kinds) <= {"as_ingested"}:
        return []
    return [
        [
            kind.replace("_", " "),
            f"{row.figures.photos:,}",
            as_metres(row.figures.median_m),
            _interval(row.intervals.median_m if row.intervals else None),
            as_metres(row.figures.rmse_m),
        ]
        for kind, row in kinds.items()
    ]


def _charts(result: EvaluationResult) -> dict[str, Markup]:
    charts = {"cdf": _curves_chart(result.curves)}
    if result.risk_coverage:
        charts["risk"] = _risk_chart(result.risk_coverage)
    if result.calibration:
        charts["reliability"] = _reliability_chart(result.calibration.reliability)
    inside = result.scores[inside_site(result)]
    for key, name in (("lat", "Latitude"), ("lon", "Longitude")):
        truth, answer = (inside[column].round(7).tolist() for column in (key, f"pred_{key}"))
        charts[key] = scatter_chart(
            truth, answer, title=f"{name}: answer against truth", x_label="truth (°)", y_label="answer (°)"
        )
    return charts


def _curves_chart(curves: ErrorCurves) -> Markup:
    share, error_m = curves.share, curves.error_m
    model, mean = error_m["model"], error_m["mean_predictor"]
    far = max(50.0, model[int(0.97 * (len(model) - 1))], mean[len(share) // 2])
    lines = [
        Series(
            name=name,
            x=[*error_m[key], max(far, error_m[key][-1])],
            y=[*share, 1.0],
            dashed=key not in ("model", "walks_together"),
        )
        for key, name in _CURVES.items()
        if key in error_m
    ]
    return line_chart(
        lines,
        title="Share of photos within each error",
        x_label="error (m)",
        y_label="share of photos",
        x_max=far,
        y_max=1,
        percent=True,
    )


def _risk_chart(curve: RiskCoverage) -> Markup:
    everyone = Series(name="mean error of all", x=[0.0, 1.0], y=[curve.area_random] * 2, dashed=True)
    lines = [
        Series(name="mean error", x=curve.coverage, y=curve.mean_m),
        Series(name="median error", x=curve.coverage, y=curve.median_m),
    ]
    return line_chart(
        [*lines, everyone],
        title="Error of the surest photos",
        x_label="share answered, surest first",
        y_label="error (m)",
        x_max=1,
    )


def _reliability_chart(rows: Sequence[ReliabilityBin]) -> Markup:
    stated, actual = [row.median_radius_m for row in rows], [row.median_error_m for row in rows]
    end = 1.05 * max([*stated, *actual, 1.0])
    lines = [
        Series(name="photos of like radius", x=stated, y=actual),
        Series(name="as stated", x=[0, end], y=[0, end], dashed=True),
    ]
    title = "Stated and actual error"
    return line_chart(
        lines, title=title, x_label="stated 50 % radius (m)", y_label="median error (m)", x_max=end, y_max=end
    )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _WorstCard:
    """A photo of the largest errors as its card shows it; `picture` is a JPEG in base64, None where there is none."""

    id: str
    picture: str | None
    name: str
    walk: str
    light: str
    error_m: float
    uncertainty_m: float | None
    nearest_train_m: float
    cause: str
    answer: str


def _worst(
    result: EvaluationResult, dataset: Dataset, names: Mapping[str, str], basemap: Basemap | None
) -> list[_WorstCard]:
    paths = dataset.photo_paths(photo.id for photo in result.worst)
    pictures = make_thumbnails(paths, long_side_px=_WORST_LONG_SIDE_PX)
    answers = dict(zip(result.scores["id"], answers_in_words(result, basemap) or [], strict=False))
    return [
        _WorstCard(
            id=photo.id[:12],
            picture=picture,
            name=safe_text(names.get(photo.id, photo.file_name), limit=80),
            walk=safe_text(photo.walk, limit=60),
            light=photo.light,
            error_m=photo.error_m,
            uncertainty_m=None if math.isnan(photo.uncertainty_m) else photo.uncertainty_m,
            nearest_train_m=photo.nearest_train_m,
            cause=photo.cause,
            answer=answers.get(photo.id, ""),
        )
        for photo, picture in zip(result.worst, pictures.images, strict=True)
    ]


def _by_cause(cards: Sequence[_WorstCard]) -> dict[str, list[_WorstCard]]:
    """Return the cards under their causes, in the order of the rules."""
    groups = {cause: [card for card in cards if card.cause == cause] for cause in (*CAUSES, NONE)}
    return {cause: group for cause, group in groups.items() if group}


def _cause_rows(causes: CauseFigures) -> list[list[str | Markup]]:
    """Return a row per cause: photos, their share with its interval, and what helps."""
    return [
        [
            one.cause,
            f"{one.photos:,}",
            as_percent(one.share),
            _interval(one.interval, percent=True),
            with_code(one.remedy),
        ]
        for one in causes.counts
    ]


def _provenance(result: EvaluationResult, info: ManifestInfo) -> dict[str, str]:
    scored = result.scored
    return {
        "Run": safe_text(scored.run),
        "Dataset": safe_text(scored.dataset),
        "Photos": f"{scored.split}: {result.photos:,} scored, {scored.training_photos:,} in training",
        "Site": f"{safe_text(info.site_name)}, SHA-256 {info.site_sha256}",
        "Manifest": f"SHA-256 of its rows {info.rows_sha256}, written by img2gps {safe_text(info.tool_version)}",
        **{safe_text(key): safe_text(value) for key, value in scored.provenance.items()},
    }


def _interval(bounds: Interval | None, *, percent: bool = False) -> str:
    if not bounds:
        return "–"
    low, high = (f"{100 * bound:.0f}" if percent else f"{bound:,.1f}" for bound in bounds)
    return f"{low} to {high}{NARROW}{'%' if percent else 'm'}"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "−")
