"""An evaluation on one screen: the figures beside what needs no model, the walks, and what to do next."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

from img2gps.metrics import WITHIN_M
from img2gps.text import format_count, join_words
from train.evaluation.strata import ENOUGH_ALONE
from train.runs.remarks import familiarity_sentence, mean_position_sentence

__all__ = ["Table", "figures_beside", "figures_table", "headline", "next_steps", "remarks", "walks_table"]

_LENGTHS: Final = {"rmse_m": "RMSE", "mean_m": "mean", "median_m": "median", "p90_m": "P90"}
_BESIDE: Final = {
    "walks_together": "whole walks",
    "mean_predictor": "mean position",
    "nearest_thumbnail": "thumbnails",
    "oracle": "oracle",
}
_MOST_WALKS: Final = 12
# A few hundred photos of three walks are the least that beat the mean position clearly in docs/recipe.md.
_FEW_PHOTOS: Final = 300
_FEW_WALKS: Final = 3
_FEW_SCORED: Final = 60
_ENOUGH_FOR_NETWORKS: Final = 1000
_FEW_IN_TRAINING_M: Final = 25.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A titled table of plain text cells."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def headline(document: dict[str, Any]) -> str:
    """Return which photos were scored."""
    photos = format_count(document["photos"], "photo")
    what = "each by the model that had not seen its fold" if document["split"] == "folds" else document["split"]
    walks, days = len(document["per_walk"]), len(document["per_day"])
    spread = f"{format_count(walks, 'walk')} on {format_count(days, 'day')}"
    return f"{document['run']} on {document['dataset']}: {photos} ({what}), {spread}"


def figures_table(document: dict[str, Any]) -> Table:
    """Return the figures with their intervals beside whole walks, the mean predictor, the thumbnails and the oracle."""
    frame = figures_beside(document)
    beside = [key for key in _BESIDE if key in frame]
    bounds = document["intervals"]
    rows = []
    for key, noun in _LENGTHS.items():
        cells = [_metres(document[key]), _bounds(bounds and bounds[key], _metres)]
        rows.append([f"{noun} (m)", *cells, *(_metres(frame[other][key]) for other in beside)])
    for radius in map(str, WITHIN_M):
        cells = [_percent(document["within_m"][radius])]
        cells.append(_bounds(bounds and bounds["within_m"][radius], _percent))
        rows.append([f"within {radius} m", *cells, *(_percent(frame[other]["within_m"][radius]) for other in beside)])
    source = document["intervals_from"]
    columns = ["", "this run", "95 % interval", *(_BESIDE[key] for key in beside)]
    return Table(title=f"Errors (intervals over {source['count']} {source['unit']})", columns=columns, rows=rows)


def figures_beside(document: dict[str, Any]) -> dict[str, Any]:
    """Return the figures that stand beside those of the run: whole walks, where there are any, and the references."""
    whole = {"walks_together": document["walks_together"]} if document["walks_together"] else {}
    return whole | {key: part["figures"] for key, part in document["frame"].items()}


def walks_table(document: dict[str, Any]) -> Table:
    """Return a row per walk, the largest first, and the macro average; of many walks the worst by median."""
    walks = sorted(document["per_walk"], key=lambda row: -row["photos"])
    title = "Walks"
    if len(walks) > _MOST_WALKS:
        walks = sorted(walks, key=lambda row: -row["figures"]["median_m"])[:_MOST_WALKS]
        title = f"The {_MOST_WALKS} walks with the largest median error"
    columns = ["walk", "photos", "RMSE (m)", "median (m)", "95 % interval", "within 25 m", "mean position RMSE (m)"]
    rows = [_walk_cells(row["name"], row) for row in walks]
    macro = document["macro"]["walks"]
    if len(macro["of"]) > 1:
        of = f"average of {len(macro['of'])}"
        size = f" with {ENOUGH_ALONE}+ photos" if document["photos"] and len(macro["of"]) < len(walks) else ""
        rows.append(_walk_cells(of + size, {**macro, "photos": None, "intervals": None}))
    return Table(title=title, columns=columns, rows=rows)


def remarks(document: dict[str, Any]) -> list[str]:
    """Return what a reader of the figures must know: what was left out, skill, calibration, abstention, few walks."""
    lines = [f"Note: {note}." for note in document["notes"]]
    verdict = mean_position_sentence(document)
    if verdict:
        lines.append(verdict)
    skill = document["skill"].get("rmse_m")
    if skill:
        lines.append(f"Skill against the mean position (RMSE): {skill['value']:.2f}{_skill_bounds(skill['interval'])}.")
    if document["calibration"]:
        parts = [f"{row['observed']:.0%} of truths in the {row['claimed']:.0%} region" for row in _coverage(document)]
        lines.append(f"Calibration: {join_words(parts)}.")
    if document["familiarity"]:
        lines.append(_familiarity_line(document["familiarity"], document["walks_together"]))
        lines.append(familiarity_sentence(document["familiarity"].get("power")))
    if document["walks_together"]:
        lines.append(_together_line(document["walks_together"]))
    if document["abstain"]:
        lines.append(_abstain_line(document["abstain"]))
    if document["walks_together"] and document["walks_together"]["abstain"]:
        lines.append(f"As whole walks, {_abstain_line(document['walks_together']['abstain'])}")
    labels = document["labels"]
    if labels["corrected_share"]:
        error_m = labels["scores"]["moved"]["figures"]["median_m"]
        lines.append(
            f"Corrected labels: {labels['corrected_share']:.0%} of the photos, moved by a median of "
            f"{labels['moved_median_m']:.1f} m; median error on them {error_m:.1f} m."
        )
    if document["intervals_from"]["unit"] != "walks":
        lines.append(
            f"With {format_count(len(document['per_walk']), 'walk')} the intervals speak for these walks; "
            "another walk can lie outside them."
        )
    return lines


def next_steps(document: dict[str, Any]) -> list[str]:
    """Return the most useful next actions that the figures point to."""
    steps = [
        step
        for step in (_skill_step(document), _far_step(document), _unlike_step(document), _light_step(document))
        if step
    ]
    coverage = _coverage(document)
    if coverage and coverage[-1]["interval"] and coverage[-1]["interval"][1] < coverage[-1]["claimed"]:
        factor = coverage[-1]["inflation_needed"]
        steps.append(f"Its regions are too small (×{factor:.1f} would hold): trust the error table more.")
    steps.append(f"See the worst photos and the map: {document['report']}")
    return steps


def _skill_step(document: dict[str, Any]) -> str | None:
    """Return what would help a run that is not better than the mean position, by what it was made from."""
    if mean_position_sentence(document) is None:
        return None
    photos, walks = document["training_photos"], document.get("training_walks")
    helps = []
    if photos < _FEW_PHOTOS:
        source = f"{format_count(photos, 'photo')}" + (f" of {format_count(walks, 'walk')}" if walks else "")
        helps.append(
            f"more photos of more walks in training: it learned from {source}, some hundreds are where to begin"
        )
    elif walks is not None and walks < _FEW_WALKS:
        helps.append(f"more walks: it learned from {format_count(walks, 'walk')}, at other hours and in other light")
    if document["photos"] < _FEW_SCORED and document["split"] != "folds":
        helps.append(
            f"folds (`img2gps split DATASET --folds walk`, `img2gps train DATASET --folds`), which score every photo: "
            f"{format_count(document['photos'], 'photo')} can show little"
        )
    if document.get("method") == "network":
        little = photos < _ENOUGH_FOR_NETWORKS
        helps.append(
            "`--preset quick`, which needs fewer photos than a network of its own" if little else "training longer"
        )
    return f"What would help: {'; '.join(helps)}." if helps else None


def _far_step(document: dict[str, Any]) -> str | None:
    rows = document["strata"].get("nearest_train_m", [])
    far = [row for row in rows if row["name"].startswith(("over", f"{_FEW_IN_TRAINING_M:g}-"))]
    photos = sum(row["photos"] for row in far)
    if photos < 0.05 * document["photos"]:
        return None
    return (
        f"{photos / document['photos']:.0%} of the photos are over {_FEW_IN_TRAINING_M:g} m from any training photo: "
        "walk there (`img2gps audit` lists the places)."
    )


def _unlike_step(document: dict[str, Any]) -> str | None:
    found = document["familiarity"]
    if not found or not found["interval"] or found["interval"][0] <= 2 * found["below"]:
        return None
    return (
        f"{found['unfamiliar_share']:.0%} of the photos look unlike those in training: are they of this site? "
        "If so, walk where and when they were taken."
    )


def _light_step(document: dict[str, Any]) -> str | None:
    rows = [row for row in document["strata"].get("light", []) if row["photos"] >= ENOUGH_ALONE]
    if len(rows) < 2:
        return None
    worst = max(rows, key=lambda row: row["figures"]["median_m"])
    best = min(rows, key=lambda row: row["figures"]["median_m"])
    if worst["figures"]["median_m"] < 1.5 * best["figures"]["median_m"]:
        return None
    return (
        f"By {worst['name']} the median error is {worst['figures']['median_m']:.0f} m, by {best['name']} "
        f"{best['figures']['median_m']:.0f} m: the next walk should be by {worst['name']}."
    )


def _coverage(document: dict[str, Any]) -> list[dict[str, Any]]:
    return document["calibration"]["coverage"] if document["calibration"] else []


def _familiarity_line(found: dict[str, Any], together: dict[str, Any] | None) -> str:
    """Return how many photos the model takes for those of another place, by themselves and by their walks."""
    parts = [f"{found['unfamiliar_share']:.0%} of the photos (some {found['below']:.0%} expected)"]
    if found["unfamiliar"]["photos"] and found["familiar"]["photos"]:
        median_m, other_m = (found[kind]["median_m"] for kind in ("unfamiliar", "familiar"))
        parts.append(f"their median error {median_m:.1f} m, of the others {other_m:.1f} m")
    if together and together["unfamiliar_share"] is not None:
        parts.append(f"with each walk judged as one, {together['unfamiliar_share']:.0%} of the photos")
    return f"Unlike the site: {'; '.join(parts)}."


def _together_line(together: dict[str, Any]) -> str:
    """Return what is gained by locating the photos of a walk together."""
    less = together["minus_alone"]
    parts = [f"{_LENGTHS[name]} {together[name]:.1f} m ({_change(less, name)})" for name in ("rmse_m", "median_m")]
    regions = [f"{row['observed']:.0%} in the {row['claimed']:.0%} region" for row in together["calibration"]]
    source = together["intervals_from"]
    basis = f"{source['count']} {source['unit']}"
    basis = f"intervals over {basis}" if together["intervals"] else f"{basis}: too few for intervals"
    company = "" if together["with_company"] == together["photos"] else f", {together['with_company']:,} with company"
    return (
        f"Whole walks, each located together by capture times (`predict --walks`){company}: {join_words(parts)}; "
        f"{join_words(regions)} ({basis})."
    )


def _change(less: dict[str, Any], name: str) -> str:
    bounds = less["intervals"][name] if less["intervals"] else None
    spread = f", {bounds[0]:+.1f} to {bounds[1]:+.1f}" if bounds else ""
    return f"{less['differences'][name]:+.1f} m{spread}"


def _abstain_line(abstain: dict[str, Any]) -> str:
    start = f"--abstain {abstain['threshold_m']:g}: {abstain['answered_share']:.0%} of the photos answered"
    if not abstain["answered"]:
        return f"{start}."
    figures, rest = abstain["figures"], abstain["not_sure"]
    end = "" if rest["median_m"] is None else f" (the others would have {rest['median_m']:.1f} m)"
    return f"{start}, median {figures['median_m']:.1f} m, within 25 m {figures['within_m']['25']:.0%}{end}."


def _walk_cells(name: str, row: dict[str, Any]) -> list[str]:
    figures, bounds = row["figures"], row["intervals"]
    return [
        name,
        "" if row["photos"] is None else f"{row['photos']:,}",
        _metres(figures["rmse_m"]),
        _metres(figures["median_m"]),
        _bounds(bounds and bounds["median_m"], _metres),
        _percent(figures["within_m"]["25"]),
        _metres(row["mean_predictor"]["rmse_m"]),
    ]


def _skill_bounds(bounds: list[float] | None) -> str:
    return f" ({bounds[0]:.2f} to {bounds[1]:.2f})" if bounds else ""


def _bounds(bounds: list[float] | None, write: Any) -> str:
    return f"{write(bounds[0])} - {write(bounds[1])}" if bounds else ""


def _metres(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _percent(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"
