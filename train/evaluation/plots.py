"""The plots of an evaluation as PNG files."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import shapely

from img2gps.basemap.features import Basemap
from img2gps.basemap.picture import draw_basemap
from img2gps.files import write_atomic
from img2gps.geo import FloatArray
from train.evaluation.result import EvaluationResult

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PLOTS", "write_plots"]

_TRUTH, _ANSWER, _QUIET = "#1b6ca8", "#d1495b", "#8a8f98"
_DPI: Final = 130


def write_plots(folder: Path, result: EvaluationResult, *, basemap: Basemap | None = None) -> list[Path]:
    """Write every plot that the result has the numbers for and return the paths; `basemap` lies under the maps."""
    written = []
    for name, draw in PLOTS.items():
        figure = _MAPS[name](result, basemap) if name in _MAPS else draw(result)
        path = folder / f"{name}.png"
        if figure is None:
            path.unlink(missing_ok=True)  # of an earlier evaluation under the same name
            continue
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=_DPI)
        write_atomic(path, buffer.getvalue(), sync_folder=False)
        written.append(path)
    return written


def positions(result: EvaluationResult, basemap: Basemap | None = None) -> "Figure":
    """Draw truth and prediction as latitude over longitude."""
    scores = result.scores
    figure, axes = _figure(*_map_size(_everything(result)))
    axes.scatter(scores["lon"], scores["lat"], s=9, c=_TRUTH, alpha=0.6, linewidths=0, label="truth")
    axes.scatter(
        scores["pred_lon"], scores["pred_lat"], s=11, c=_ANSWER, alpha=0.6, linewidths=0, marker="^", label="prediction"
    )
    axes.set_aspect(1 / np.cos(np.radians(result.site.frame.origin_lat)))
    draw_basemap(axes, basemap)
    axes.ticklabel_format(useOffset=False)
    axes.tick_params(axis="x", rotation=30)
    axes.set(xlabel="longitude (degrees)", ylabel="latitude (degrees)", title=_title(result, "truth and prediction"))
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def truth_against_prediction(result: EvaluationResult) -> "Figure":
    """Draw prediction over truth, latitude and longitude apart; a perfect model is the diagonal."""
    from matplotlib.figure import Figure

    scores = result.scores
    figure = Figure(figsize=(9.6, 4.9), layout="constrained")
    for axes, column, word in zip(figure.subplots(1, 2), ("lat", "lon"), ("latitude", "longitude"), strict=True):
        truth, answer = np.array(scores[column]), np.array(scores[f"pred_{column}"])
        ends = [min(truth.min(), answer.min()), max(truth.max(), answer.max())]
        axes.plot(ends, ends, color=_QUIET, linewidth=1)
        axes.scatter(truth, answer, s=9, c=_ANSWER, alpha=0.5, linewidths=0)
        axes.ticklabel_format(useOffset=False)
        axes.tick_params(axis="x", rotation=30)
        axes.set(xlabel=f"true {word} (degrees)", ylabel=f"predicted {word} (degrees)", aspect="equal")
    figure.suptitle(_title(result, "prediction over truth"))
    return figure


def arrows(result: EvaluationResult, basemap: Basemap | None = None) -> "Figure":
    """Draw an arrow from every truth to its prediction on the site's map in metres."""
    scores = result.scores
    east, north, to_east, to_north = (
        np.array(scores[name]) for name in ("east_m", "north_m", "pred_east_m", "pred_north_m")
    )
    size = _map_size(_everything(result))
    figure, axes = _figure(*size)
    for ring in _outline_m(result):
        axes.plot(ring[:, 0], ring[:, 1], color="black", linewidth=1)
    arrow = axes.quiver(
        *(east, north, to_east - east, to_north - north, np.minimum(scores["error_m"], 50)),
        angles="xy", scale_units="xy", scale=1, width=0.0018, cmap="viridis_r", clim=(0, 50), alpha=0.8,
    )  # fmt: skip
    axes.scatter(east, north, s=5, c="black", linewidths=0)
    draw_basemap(axes, basemap, frame=result.site.frame)
    figure.colorbar(
        arrow, ax=axes, label="error (m)", extend="max", shrink=0.5, location="bottom" if size[0] > size[1] else "right"
    )
    axes.set(xlabel="east (m)", ylabel="north (m)", aspect="equal", title=_title(result, "from truth to prediction"))
    return figure


def error_cdf(result: EvaluationResult) -> "Figure":
    """Draw the share of photos within each distance, beside the references."""
    curves = result.curves
    styles = {
        "model": (_ANSWER, "-", result.run),
        "walks_together": (_ANSWER, "--", "whole walks, each located together"),
        "mean_predictor": (_QUIET, "--", "mean position"),
        "nearest_thumbnail": (_TRUTH, ":", "nearest colour thumbnail"),
        "oracle": ("black", "-.", "nearest training photo (oracle)"),
    }
    figure, axes = _figure(6.4, 4.4)
    for name, (colour, style, label) in styles.items():
        if name in curves.error_m:
            width = 2 if name == "model" else 1.3
            axes.plot(curves.error_m[name], curves.share, style, color=colour, label=label, linewidth=width)
    axes.set(xlim=(0, max(50.0, float(np.quantile(curves.error_m["model"], 0.97)))), ylim=(0, 1))
    axes.set(xlabel="error (m)", ylabel="share of photos", title=_title(result, "errors"))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower right")
    return figure


def risk_coverage(result: EvaluationResult) -> "Figure | None":
    """Draw the error of the photos answered over their share, where the model states an uncertainty."""
    curve = result.risk_coverage
    if curve is None:
        return None
    figure, axes = _figure(6.4, 4.4)
    axes.plot(curve.coverage, curve.mean_m, color=_ANSWER, label="mean error")
    axes.plot(curve.coverage, curve.median_m, color=_TRUTH, label="median error")
    axes.axhline(curve.area_random, color=_QUIET, linestyle="--", linewidth=1, label="mean error of all")
    axes.set(xlim=(0, 1), ylim=(0, None), xlabel="share of photos answered, surest first", ylabel="error (m)")
    axes.set_title(_title(result, "risk and coverage"))
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    return figure


def calibration(result: EvaluationResult) -> "Figure | None":
    """Draw the error that photos of like stated radius have over that radius."""
    if result.calibration is None:
        return None
    stated = [row.median_radius_m for row in result.calibration.reliability]
    actual = [row.median_error_m for row in result.calibration.reliability]
    figure, axes = _figure(5.0, 4.6)
    end = 1.05 * max(*stated, *actual)
    axes.plot([0, end], [0, end], color=_QUIET, linewidth=1, label="as stated")
    axes.plot(stated, actual, "o-", color=_ANSWER, label="photos of like radius")
    axes.set(xlim=(0, end), ylim=(0, end), xlabel="stated 50 % radius (m)", ylabel="median error (m)")
    axes.set_title(_title(result, "stated and actual error"))
    axes.legend(frameon=False)
    return figure


PLOTS: Final[dict[str, Callable[[EvaluationResult], "Figure | None"]]] = {
    "positions": positions,
    "truth-against-prediction": truth_against_prediction,
    "arrows": arrows,
    "error-cdf": error_cdf,
    "risk-coverage": risk_coverage,
    "calibration": calibration,
}
"""File name, without its suffix, and the function that draws it; one that returns None has nothing to show."""

_MAPS: Final = {"positions": positions, "arrows": arrows}


def _figure(width_in: float, height_in: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure  # not pyplot: no global state, no window

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    return figure, figure.subplots()


def _everything(result: EvaluationResult) -> FloatArray:
    """Return all that a map must show, in metres, shape (K, 2)."""
    scores = result.scores
    ends = [np.stack([scores[f"{kind}east_m"], scores[f"{kind}north_m"]], axis=1) for kind in ("", "pred_")]
    return np.concatenate([*ends, *_outline_m(result)])


def _outline_m(result: EvaluationResult) -> list[FloatArray]:
    """Return the outer rings of the site in metres, each of shape (K, 2)."""
    return [np.asarray(part.exterior.coords) for part in shapely.get_parts(result.site.local_polygon).tolist()]


def _map_size(shown_m: FloatArray) -> tuple[float, float]:
    """Return width and height in inches of a map that shows these points, with room for its labels."""
    width, height = np.maximum(np.ptp(shown_m, axis=0), 1.0)
    inner = 8.0 if width > height else max(3.5, 8.0 * width / height)
    return inner + 0.8, float(np.clip(inner * height / width, 1.8, 9.0)) + 1.8


def _title(result: EvaluationResult, what: str) -> str:
    return f"{result.run} on {result.dataset} ({result.split}): {what}"
