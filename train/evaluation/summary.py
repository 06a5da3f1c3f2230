"""An evaluation on one screen: the figures beside what needs no model, the walks, and what to do next."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from img2gps.metrics import WITHIN_M, Metrics
from img2gps.text import format_count, join_words, shell_path
from train.evaluation.bootstrap import IntervalSource
from train.evaluation.calibration import Abstention, FamiliarityFigures
from train.evaluation.causes import cause_lines
from train.evaluation.compare import Comparison
from train.evaluation.explained import read_explained
from train.evaluation.forecast import forecast_lines
from train.evaluation.per_figure import Figures, Interval, Length, figures_of
from train.evaluation.result import EvaluationResult
from train.evaluation.strata import ENOUGH_ALONE, MacroAverage, Stratum
from train.evaluation.truth import truth_lines
from train.evaluation.whole_walks import WholeWalks
from train.runs.remarks import TELLS_NO_STRANGERS, familiarity_sentence, mean_position_sentence

__all__ = [
    *("SummaryTable", "few_walks_line", "figures_beside", "figures_table", "headline", "next_steps", "remarks"),
    "walks_table",
]

_LENGTHS: Final[Mapping[Length, str]] = {"rmse_m": "RMSE", "mean_m": "mean", "median_m": "median", "p90_m": "P90"}
_BESIDE: Final = {
    "walks_together": "whole walks",
    "mean_predictor": "mean position",
    "nearest_thumbnail": "thumbnails",
    "oracle": "oracle",
}
_MOST_WALKS: Final = 12
# A few hundred photos of three walks are the least that beat the mean position clearly in docs/experiments/results.md.
_FEW_PHOTOS: Final = 300
_FEW_WALKS: Final = 3
_FEW_SCORED: Final = 60
_ENOUGH_FOR_NETWORKS: Final = 1000
_FEW_IN_TRAINING_M: Final = 25.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SummaryTable:
    """A titled table of plain text cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def headline(result: EvaluationResult) -> str:
    """Return which photos were scored."""
    photos = format_count(result.photos, "photo")
    what = "each by the model that had not seen its fold" if result.split == "folds" else result.split
    spread = f"{format_count(len(result.per_walk), 'walk')} on {format_count(len(result.per_day), 'day')}"
    return f"{result.run} on {result.dataset}: {photos} ({what}), {spread}"


def figures_table(result: EvaluationResult) -> SummaryTable:
    """Return the figures with their intervals beside whole walks, the mean predictor, the thumbnails and the oracle."""
    known = figures_beside(result)
    beside = {key: figures_of(known[key]) for key in _BESIDE if key in known}
    own, bounds = figures_of(result.figures), result.intervals
    rows = []
    for name, noun in _LENGTHS.items():
        cells = [_metres(own.length(name)), _bounds(bounds.length(name) if bounds else None, _metres)]
        rows.append([f"{noun} (m)", *cells, *(_metres(other.length(name)) for other in beside.values())])
    for radius in map(str, WITHIN_M):
        cells = [_percent(own.within_m[radius]), _bounds(bounds.within_m[radius] if bounds else None, _percent)]
        rows.append([f"within {radius} m", *cells, *(_percent(other.within_m[radius]) for other in beside.values())])
    columns = ["", "this run", "95 % interval", *(_BESIDE[key] for key in beside)]
    title = f"Errors ({_basis(result.intervals_from, known=bounds is not None)})"
    return SummaryTable(title=title, columns=columns, rows=rows)


def figures_beside(result: EvaluationResult) -> dict[str, Metrics]:
    """Return the figures that stand beside those of the run: whole walks, where there are any, and the references."""
    whole = {"walks_together": result.whole_walks.figures} if result.whole_walks else {}
    return whole | {key: reference.figures for key, reference in result.references.items()}


def walks_table(result: EvaluationResult) -> SummaryTable:
    """Return a row per walk, the largest first, and the macro average; of many walks the worst by median."""
    walks = sorted(result.per_walk, key=lambda row: -row.photos)
    title = "Walks"
    if len(walks) > _MOST_WALKS:
        walks = sorted(walks, key=lambda row: -row.figures.median_m)[:_MOST_WALKS]
        title = f"The {_MOST_WALKS} walks with the largest median error"
    columns = ["walk", "photos", "RMSE (m)", "median (m)", "95 % interval", "within 25 m", "mean position RMSE (m)"]
    rows = [_walk_cells(row) for row in walks]
    macro = result.macro_walks
    if len(macro.of) > 1:
        size = f" with {ENOUGH_ALONE}+ photos" if len(macro.of) < len(walks) else ""
        rows.append(_average_cells(f"average of {len(macro.of)}{size}", macro))
    return SummaryTable(title=title, columns=columns, rows=rows)


def remarks(result: EvaluationResult) -> list[str]:
    """Return what a reader of the figures must know: what was left out, skill, calibration, abstention, few walks."""
    return [
        *(f"Note: {note}." for note in result.notes),
        *_skill_lines(result),
        *truth_lines(result.truth),
        *forecast_lines(result.forecast, result.no_forecast),
        *cause_lines(result.causes),
        *_uncertainty_lines(result),
        *_label_lines(result),
        *_explained_lines(result),
        *filter(None, [few_walks_line(result)]),
    ]


def _explained_lines(result: EvaluationResult) -> Iterator[str]:
    explained = read_explained(result.folder)
    if explained is not None and explained.leans_on_moving:
        yield explained.warning


def _skill_lines(result: EvaluationResult) -> Iterator[str]:
    verdict = mean_position_sentence(result.beside_mean)
    if verdict:
        yield verdict
    skill = result.skill.get("rmse_m")
    if skill:
        bounds = f" ({skill.interval.low:.2f} to {skill.interval.high:.2f})" if skill.interval else ""
        yield f"Skill against the mean position (RMSE): {skill.value:.2f}{bounds}."


def _uncertainty_lines(result: EvaluationResult) -> Iterator[str]:
    whole = result.whole_walks
    if result.coverage:
        parts = [f"{row.observed:.0%} of truths in the {row.claimed:.0%} region" for row in result.coverage]
        yield f"Calibration: {join_words(parts)}."
    if result.familiarity:
        power = result.familiarity.power
        yield _familiarity_line(result.familiarity, whole)
        yield familiarity_sentence(power and dataclasses.asdict(power))
    else:
        yield TELLS_NO_STRANGERS
    if whole:
        yield _whole_walks_line(whole)
    if result.abstention:
        yield _abstain_line(result.abstention)
    if whole and whole.abstention:
        yield f"As whole walks, {_abstain_line(whole.abstention)}"


def _label_lines(result: EvaluationResult) -> Iterator[str]:
    labels = result.labels
    if labels.corrected_share:
        error_m = labels.scores["moved"].figures.median_m
        yield (
            f"Corrected labels: {labels.corrected_share:.0%} of the photos, moved by a median of "
            f"{labels.moved_median_m:.1f} m; median error on them {error_m:.1f} m."
        )


def few_walks_line(result: EvaluationResult) -> str | None:
    """Return what the figures do not say of other walks; None where there are walks enough to tell."""
    source = result.intervals_from
    if result.intervals is None:
        return f"Too few photos for intervals ({source.text}): other walks can lie far from these figures."
    if source.unit == "walks":
        return None
    walks = format_count(len(result.per_walk), "walk")
    these = "this walk" if len(result.per_walk) == 1 else "these walks"
    return f"With {walks} the intervals speak for {these}; another walk can lie outside them."


def next_steps(result: EvaluationResult) -> list[str]:
    """Return the most useful next actions that the figures point to."""
    found = (_skill_step(result), _far_step(result), _unlike_step(result), _light_step(result), _region_step(result))
    return [*filter(None, found), f"See the worst photos and the map: {result.report}"]


def _skill_step(result: EvaluationResult) -> str | None:
    """Return what would help a run that is not better than the mean position, by what it was made from."""
    if mean_position_sentence(result.beside_mean) is None:
        return None
    photos, walks = result.scored.training_photos, result.scored.training_walks
    dataset = shell_path(result.scored.dataset_root)
    helps = []
    if photos < _FEW_PHOTOS:
        source = f"{format_count(photos, 'photo')}" + (f" of {format_count(walks, 'walk')}" if walks else "")
        helps.append(f"more photos of more walks in training: it learned from {source}; some hundreds are a good start")
    elif walks is not None and walks < _FEW_WALKS:
        helps.append(f"more walks: it learned from {format_count(walks, 'walk')}, at other hours and in other light")
    if result.photos < _FEW_SCORED and result.split != "folds":
        helps.append(
            f"folds (`img2gps split {dataset} --folds walk`, `img2gps train {dataset} --folds`), which score "
            f"every photo: {format_count(result.photos, 'photo')} can show little"
        )
    if result.scored.method == "network":
        little = photos < _ENOUGH_FOR_NETWORKS
        helps.append(
            "`--preset quick`, which needs fewer photos than a network of its own" if little else "training longer"
        )
    return f"What would help: {'; '.join(helps)}." if helps else None


def _far_step(result: EvaluationResult) -> str | None:
    rows = result.strata.nearest_train_m
    photos = sum(row.photos for row in rows if row.bounds and row.bounds.low >= _FEW_IN_TRAINING_M)
    if photos < 0.05 * result.photos:
        return None
    return (
        f"{photos / result.photos:.0%} of the photos are over {_FEW_IN_TRAINING_M:g} m from any training photo: "
        f"walk there (`img2gps audit {shell_path(result.scored.dataset_root)}` lists the places)."
    )


def _unlike_step(result: EvaluationResult) -> str | None:
    found = result.familiarity
    if found is None or found.interval is None or found.interval.low <= 2 * found.below:
        return None
    return (
        f"{found.unfamiliar_share:.0%} of the photos look unlike those in training: are they of this site? "
        "If so, walk where and when they were taken."
    )


def _light_step(result: EvaluationResult) -> str | None:
    rows = [row for row in result.strata.light if row.photos >= ENOUGH_ALONE]
    if len(rows) < 2:
        return None
    worst = max(rows, key=lambda row: row.figures.median_m)
    best = min(rows, key=lambda row: row.figures.median_m)
    if worst.figures.median_m < 1.5 * best.figures.median_m:
        return None
    return (
        f"By {worst.name} the median error is {worst.figures.median_m:.0f} m, by {best.name} "
        f"{best.figures.median_m:.0f} m: the next walk should be by {worst.name}."
    )


def _region_step(result: EvaluationResult) -> str | None:
    widest = result.coverage[-1] if result.coverage else None
    if widest is None or widest.interval is None or widest.interval.high >= widest.claimed:
        return None
    return f"Its regions are too small (×{widest.inflation_needed:.1f} would hold): trust the error table more."


def _familiarity_line(found: FamiliarityFigures, whole: WholeWalks | None) -> str:
    """Return how many photos the model takes for those of another place, by themselves and by their walks."""
    parts = [f"{found.unfamiliar_share:.0%} of the photos (some {found.below:.0%} expected)"]
    if found.unfamiliar.photos and found.familiar.photos:
        median_m, other_m = found.unfamiliar.median_m, found.familiar.median_m
        parts.append(f"their median error {median_m:.1f} m, of the others {other_m:.1f} m")
    if whole and whole.unfamiliar_share is not None:
        parts.append(f"with each walk judged as one, {whole.unfamiliar_share:.0%} of the photos")
    return f"Unlike the site: {'; '.join(parts)}."


def _whole_walks_line(whole: WholeWalks) -> str:
    """Return what is gained by locating the photos of a walk together."""
    lengths: tuple[Length, Length] = ("rmse_m", "median_m")
    own = figures_of(whole.figures)
    parts = [f"{_LENGTHS[name]} {own.length(name):.1f} m ({_change(whole.minus_alone, name)})" for name in lengths]
    regions = [f"{row.observed:.0%} in the {row.claimed:.0%} region" for row in whole.coverage]
    basis = _basis(whole.intervals_from, known=whole.intervals is not None)
    company = "" if whole.with_company == whole.figures.photos else f", {whole.with_company:,} with company"
    return (
        f"Whole walks, each located together by capture times (`predict --walks`){company}: {join_words(parts)}; "
        f"{join_words(regions)} ({basis})."
    )


def _basis(source: IntervalSource, *, known: bool) -> str:
    return f"intervals over {source.text}" if known else f"{source.text}: too few for intervals"


def _change(less: Comparison, name: Length) -> str:
    bounds = less.intervals.length(name) if less.intervals else None
    spread = f", {bounds.low:+.1f} to {bounds.high:+.1f}" if bounds else ""
    return f"{less.differences.length(name):+.1f} m{spread}"


def _abstain_line(found: Abstention) -> str:
    start = f"--abstain {found.threshold_m:g}: {found.answered_share:.0%} of the photos answered"
    if not found.answered:
        return f"{start}."
    figures, rest = found.figures, found.not_sure
    end = f" (the others would have {rest.median_m:.1f} m)" if rest.photos else ""
    return f"{start}, median {figures.median_m:.1f} m, within 25 m {figures.within_m['25']:.0%}{end}."


def _walk_cells(row: Stratum) -> list[str]:
    bounds = row.intervals.median_m if row.intervals else None
    return _cells(row.name, f"{row.photos:,}", figures_of(row.figures), bounds, row.mean_predictor.rmse_m)


def _average_cells(name: str, macro: MacroAverage) -> list[str]:
    return _cells(name, "", macro.figures, None, macro.mean_predictor.rmse_m)


def _cells(name: str, photos: str, figures: Figures, median_bounds: Interval | None, mean_rmse_m: float) -> list[str]:
    return [
        name,
        photos,
        _metres(figures.rmse_m),
        _metres(figures.median_m),
        _bounds(median_bounds, _metres),
        _percent(figures.within_m["25"]),
        _metres(mean_rmse_m),
    ]


def _bounds(bounds: Interval | None, write: Callable[[float], str]) -> str:
    return f"{write(bounds.low)} - {write(bounds.high)}" if bounds else ""


def _metres(value: float) -> str:
    return f"{value:.1f}"


def _percent(value: float) -> str:
    return f"{value:.0%}"
