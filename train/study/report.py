"""A study on paper: study.json, study.md to paste, plots, and one offline page."""

import base64
import io
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from markupsafe import Markup

from img2gps.console import jsonable
from img2gps.files import write_atomic, write_json
from img2gps.report.charts import Series, line_chart
from img2gps.report.page import as_metres, render_page
from img2gps.text import safe_path, safe_text
from train.study.grid import settings_of
from train.study.results import StudyResult, seeds_verdict
from train.study.runs import StudyRun

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["write_study"]

_TEMPLATE: Final = Path(__file__).parent / "study.j2"
_LINES: Final = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
# ink, truth, prediction: those of `report.css` on its light and dark grounds
_INKS: Final = {
    "paper": ("#000000", "#1b6ca8", "#d1495b"),
    "light": ("#1b1f24", "#1b6ca8", "#d1495b"),
    "dark": ("#e8eaed", "#6cb2f0", "#f0995a"),
}


def write_study(folder: Path, root: Path, runs: Sequence[StudyRun], result: StudyResult) -> Path:
    """Write ``study/`` in `folder` and return the path of its report.html."""
    study = folder / "study"
    write_json(study / "study.json", jsonable(result.to_dict() | {"dataset": str(root)}))
    write_atomic(study / "study.md", study_markdown(root, result).encode())
    positions = _maps_of_best(runs, result)
    if positions:
        write_atomic(study / "plots" / "positions.png", positions["paper"])
    html = render_page(
        _TEMPLATE,
        title=f"Study on {safe_text(root.name)}",
        result=result,
        tables=result.tables(),
        verdicts=_verdict_rows(result),
        failures=[f"{setting.name}: {text}" for setting in result.settings for text in setting.failures],
        charts=_charts(runs),
        positions={name: base64.b64encode(picture).decode() for name, picture in positions.items()},
        provenance=_provenance(folder, root, runs),
        metres=as_metres,
    )
    write_atomic(study / "report.html", html.encode())
    return study / "report.html"


def study_markdown(root: Path, result: StudyResult) -> str:
    """Return the tables and verdicts as Markdown."""
    lines = [f"# Study on {safe_path(root.name)}", ""]
    lines += [f"Validation RMSE in metres ({result.photos} photos), mean ± standard deviation over seeds.", ""]
    for title, columns, rows in result.tables():
        lines += [f"**{title}**", "", "| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(row) + " |" for row in rows]
        lines.append("")
    lines += [f"Mean position of the training photos: {result.mean_predictor_rmse_m:.1f} m.", ""]
    lines += [f"- {verdict}" for verdict in result.verdicts]
    return "\n".join(lines) + "\n"


def _verdict_rows(result: StudyResult) -> list[list[str]]:
    """Return the comparisons as a table: against whom, both figures, the interval, what photos and seeds say."""
    named = {setting.name: setting for setting in result.settings}
    rows: list[list[str]] = []
    for comparison in result.comparisons:
        bounds = comparison.intervals.rmse_m if comparison.intervals else None
        spread = "–" if bounds is None else f"{bounds[0]:+.1f} to {bounds[1]:+.1f} m"
        by_photos = "too few groups"
        if bounds is not None:
            by_photos = "cannot tell" if bounds[0] <= 0 <= bounds[1] else "more than chance"
        difference = f"{comparison.differences.rmse_m:+.1f} m"
        by_seeds = seeds_verdict(named[comparison.run_a], named.get(comparison.run_b), result)
        theirs = as_metres(comparison.figures_b.rmse_m)
        rows.append([comparison.run_b, theirs, difference, spread, by_photos, by_seeds])
    return rows


def _charts(runs: Sequence[StudyRun]) -> list[tuple[str, str, Markup]]:
    """Return title, note and chart: the settings along each axis, all else as in the first setting."""
    charts: list[tuple[str, str, Markup]] = []
    working = [run for run in runs if run.failure is None and _has_epochs(run)]
    if not working:
        return charts
    first = dict(working[0].cell.values)
    for axis, word in (("lr", "learning rate"), ("model", "model")):
        rest = {name: value for name, value in first.items() if name != axis}
        along = [run for run in working if {n: v for n, v in run.cell.values if n != axis} == rest]
        groups = {
            name: [run for run in along if run.cell.setting == name] for name in settings_of([r.cell for r in along])
        }
        if len(groups) < 2:
            continue
        note = ", ".join(f"{name} {value}" for name, value in rest.items())
        for key, label in (("train/loss", "training loss"), ("val/rmse_m", "validation RMSE (m)")):
            series = [_curve(str(dict(members[0].cell.values)[axis]), members, key) for members in groups.values()]
            title = f"{label[0].upper()}{label[1:]} per epoch, by {word}"
            charts.append((title, note, line_chart(series, title=title, x_label="epoch", y_label=label, whole_x=True)))
    return charts


def _has_epochs(run: StudyRun) -> bool:
    """Return whether the run was trained and judged epoch by epoch; models on frozen features are not."""
    lines = run.run.read_metrics()
    return bool(lines) and all(line.get("val/rmse_m") is not None and "train/loss" in line for line in lines)


def _curve(name: str, runs: Sequence[StudyRun], key: str) -> Series:
    """Return the mean over seeds with the band from lowest to highest."""
    values = [[line.get(key) or float("nan") for line in run.run.read_metrics()] for run in runs]
    shortest = min(len(row) for row in values)
    table = np.asarray([row[:shortest] for row in values])
    band: Mapping[str, Any] = {"low": table.min(axis=0).tolist(), "high": table.max(axis=0).tolist()}
    epochs = [float(epoch) for epoch in range(1, shortest + 1)]
    return Series(name=name, x=epochs, y=table.mean(axis=0).tolist(), **(band if len(values) > 1 else {}))


def _maps_of_best(runs: Sequence[StudyRun], result: StudyResult) -> dict[str, bytes]:
    """Return a map of the best setting's first seed as PNG: on white, and clear for light and dark."""
    if result.best is None:
        return {}
    from matplotlib import rc_context

    chosen = next(run for run in runs if run.failure is None and run.cell.setting == result.best.name)
    maps: dict[str, bytes] = {}
    for name, (ink, truth, answer) in _INKS.items():
        lines: dict[Any, Any] = dict.fromkeys(_LINES, ink)
        with rc_context(lines | {"axes.facecolor": "none"}):
            buffer = io.BytesIO()
            _map(chosen, truth, answer).savefig(buffer, format="png", dpi=130, transparent=name != "paper")
        maps[name] = buffer.getvalue()
    return maps


def _map(chosen: StudyRun, truth: str, answer: str) -> "Figure":
    """Draw truth and prediction, latitude over longitude: bias shows as clustering."""
    from matplotlib.figure import Figure

    rows = chosen.predictions()
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    axes = figure.subplots()
    axes.scatter(rows["lon"], rows["lat"], s=12, c=truth, alpha=0.6, linewidths=0, label="truth")
    axes.scatter(
        rows["pred_lon"], rows["pred_lat"], s=14, c=answer, alpha=0.6, linewidths=0, marker="^", label="prediction"
    )
    axes.set_aspect(1 / np.cos(np.radians(float(rows["lat"].mean()))))
    axes.ticklabel_format(useOffset=False)
    axes.tick_params(axis="x", rotation=30)
    title = textwrap.fill(f"{chosen.cell.setting}, seed {chosen.cell.seed}", 70)
    axes.set(xlabel="longitude (degrees)", ylabel="latitude (degrees)", title=title)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _provenance(folder: Path, root: Path, runs: Sequence[StudyRun]) -> dict[str, str]:
    facts = {"Study": safe_path(folder), "Dataset": safe_path(root), "Runs": str(len(runs))}
    for run in runs:
        if run.failure is None:
            facts |= {name: safe_text(str(value)) for name, value in run.run.read_info().made_by.items()}
            break
    return facts
