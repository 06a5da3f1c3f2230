"""Figures against the true places, in one of two ways.

Where walks of the dataset share views, answers are held against refined positions (`img2gps.estimation.placed`). Else
the labels' own error is estimated and taken out (`img2gps.estimation.truth`).
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from img2gps.estimation.placed import OWN_SHARE, OWN_SHARES, PlacedErrors
from img2gps.estimation.reported import expected_spread_m
from img2gps.estimation.truth import ErrorWidths, drift_spread, error_widths, likeliest_factor
from img2gps.geo import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ASSUMPTIONS", "PLACED", "TruthFigures", "truth_figures", "truth_lines"]

ASSUMPTIONS: Final = {
    "places": "This assumes that labels drift around the truth, walk by walk, and that walks share views. "
    "If all phones err alike, or people placed the labels, it is wrong.",
    "labels": "This assumes that labels drift around the truth, walk by walk and independently of the model, as phones "
    "do. If all phones err alike, so does this estimate. The median is rough: on generated campuses it was up to 44 % "
    "off.",
}
"""What the figures rest on, by what they are held against."""

PLACED: Final = ("placed_east_m", "placed_north_m", "placed_spread_m")
"""Columns of scores: the refined position in metres of the site's frame, and its spread per axis (NaN: unknown)."""

_TOLD_M: Final = 1.5  # per axis, of a position that a person moved or confirmed
_FEWEST: Final = 20
_FEWEST_WALKS: Final = 5
_SAMPLES, _SAMPLE_ROUNDS = 120, 120
_WITHIN_M: Final = (5, 10, 25, 50)

_Drawn = Callable[[FloatArray, FloatArray, np.random.Generator], dict[str, float]]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TruthFigures:
    """Estimated errors against the true places, in metres; `intervals` by figure, None where walks are under five.

    `label_rmse_m` is how far labels are estimated to be off. `rmse_m` is None where answers and labels differ by no
    more than that: then nothing is left to tell the model's own error from. `whole_walks` are the same figures of
    photos located with their walk. `held_against` is ``places`` or ``labels``.
    """

    rmse_m: float | None
    median_m: float
    p90_m: float
    within_m: dict[str, float]
    label_rmse_m: float
    intervals: dict[str, tuple[float, float] | None]
    held_against: Literal["places", "labels"]
    whole_walks: "Self | None" = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        together = None if self.whole_walks is None else self.whole_walks.to_dict()
        found = {name: getattr(self, name) for name in ("rmse_m", "median_m", "p90_m", "label_rmse_m")}
        return {name: None if value is None else round(value, 3) for name, value in found.items()} | {
            "within_m": {name: round(share, 4) for name, share in self.within_m.items()},
            "intervals": {
                name: None if pair is None else [round(one, 3) for one in pair] for name, pair in self.intervals.items()
            },
            "walks_together": together,
            "held_against": self.held_against,
            "assumption": ASSUMPTIONS[self.held_against],
        }


def truth_figures(scores: "pd.DataFrame") -> TruthFigures | None:
    """Return the figures of scored photos (`train.evaluation.scores`) against the truth; None for fewer than 20.

    With scores of whole walks, theirs are among them.
    """
    if len(scores) < _FEWEST:
        return None
    placed = set(PLACED) <= set(scores.columns) and bool(np.isfinite(scores[list(PLACED)].to_numpy()).all())
    figures = _placed_figures if placed else _figures
    alone = figures(scores, "pred")
    if not scores["walk_error_m"].notna().all():
        return alone
    together = figures(scores, "walk")
    return dataclasses.replace(alone, whole_walks=together)


def truth_lines(truth: TruthFigures | None) -> list[str]:
    """Return the figures in words, with the assumption they rest on; nothing where there are none."""
    if truth is None:
        return []
    parts = [_words(truth)]
    if truth.whole_walks is not None:
        parts.append(f"whole walks {_words(truth.whole_walks)}")
    return [
        f"Against the truth, with labels {truth.label_rmse_m:.1f} m off (RMSE, estimated): {'; '.join(parts)}.",
        ASSUMPTIONS[truth.held_against],
    ]


def _words(truth: TruthFigures) -> str:
    figures = (("RMSE", "rmse_m"), ("median", "median_m"))
    words = []
    for noun, name in figures:
        pair = truth.intervals[name]
        bounds = "" if pair is None else f" ({pair[0]:.1f} to {pair[1]:.1f})"
        value = getattr(truth, name)
        told = "too small to tell from the labels' own" if value is None else f"{value:.1f} m"
        words.append(f"{noun} {told}{bounds}")
    return ", ".join(words)


def _placed_figures(scores: "pd.DataFrame", kind: str) -> TruthFigures:
    """Return the figures of answers ``kind`` against refined positions."""
    places, spread_m = scores[list(PLACED[:2])].to_numpy(dtype=np.float64), scores[PLACED[2]].to_numpy(dtype=np.float64)
    apart_m = np.hypot(*(_answers(scores, kind) - places).T)
    labels_m = scores[["east_m", "north_m"]].to_numpy(dtype=np.float64) - places
    errors = {share: PlacedErrors.of(apart_m, np.sqrt(share) * spread_m) for share in {OWN_SHARE, *OWN_SHARES}}
    found = _placed_values(errors[OWN_SHARE], np.ones(len(apart_m)))

    def drawn(counts: FloatArray, _times: FloatArray, rng: np.random.Generator) -> dict[str, float]:
        return _placed_values(errors[OWN_SHARES[int(rng.integers(len(OWN_SHARES)))]], counts)

    return TruthFigures(
        rmse_m=found["rmse_m"],
        median_m=found["median_m"],
        p90_m=found["p90_m"],
        within_m={str(metres): found[str(metres)] for metres in _WITHIN_M},
        label_rmse_m=float(np.sqrt(np.mean((labels_m**2).sum(axis=1) + 2 * spread_m**2))),
        intervals=_intervals(_walks(scores), drawn),
        held_against="places",
    )


def _placed_values(errors: PlacedErrors, counts: FloatArray) -> dict[str, float]:
    return {
        "rmse_m": errors.rmse_m(counts),
        "median_m": errors.quantile(0.5, counts),
        "p90_m": errors.quantile(0.9, counts),
        **{str(metres): errors.within(metres, counts) for metres in _WITHIN_M},
    }


def _answers(scores: "pd.DataFrame", kind: str) -> FloatArray:
    return np.asarray(scores[[f"{kind}_east_m", f"{kind}_north_m"]].to_numpy(dtype=np.float64))


def _figures(scores: "pd.DataFrame", kind: str) -> TruthFigures:
    """Return the figures of answers ``kind`` against labels, less the labels' own error."""
    apart_m = scores["error_m" if kind == "pred" else "walk_error_m"].to_numpy(dtype=np.float64)
    told = scores["label_state"].isin(("move", "confirm")).to_numpy()
    accuracy_m = scores["accuracy_m"].to_numpy(dtype=np.float64)
    expected_m = expected_spread_m(accuracy_m, scores["walk"].to_numpy(dtype=str))
    walks = _walks(scores)
    labels_off = scores[["east_m", "north_m"]].to_numpy(dtype=np.float64) - _answers(scores, kind)
    seconds = np.nan_to_num(scores["clock_s"].to_numpy(dtype=np.float64))
    drifting = [rows[~told[rows]] for rows in walks]
    parts = [(labels_off[rows], seconds[rows], expected_m[rows]) for rows in drifting if len(rows)]
    spread_m = np.where(told, _TOLD_M, expected_m)
    table = drift_spread(parts, error_widths(apart_m, spread_m))
    # twice: how wide errors are depends on how far labels are off, and the other way round
    widths = error_widths(apart_m, np.where(told, _TOLD_M, likeliest_factor(table) * expected_m))
    table = drift_spread(parts, widths)
    factor = likeliest_factor(table)
    spread_m = np.where(told, _TOLD_M, factor * expected_m)
    found = _values(error_widths(apart_m, spread_m))
    usable = table if len(parts) == len(walks) else None

    def drawn(counts: FloatArray, times: FloatArray, _rng: np.random.Generator) -> dict[str, float]:
        own = factor if usable is None else likeliest_factor(usable, times)
        spread = np.where(told, _TOLD_M, own * expected_m)
        return _values(error_widths(apart_m, spread, counts, rounds=_SAMPLE_ROUNDS))

    return TruthFigures(
        rmse_m=found["rmse_m"] or None,
        median_m=found["median_m"],
        p90_m=found["p90_m"],
        within_m={str(metres): found[str(metres)] for metres in _WITHIN_M},
        label_rmse_m=float(np.sqrt(2 * np.mean(spread_m**2))),
        intervals=_intervals(walks, drawn),
        held_against="labels",
    )


def _values(widths: ErrorWidths) -> dict[str, float]:
    return {
        "rmse_m": widths.rmse_m,
        "median_m": widths.quantile(0.5),
        "p90_m": widths.quantile(0.9),
        **{str(metres): widths.within(metres) for metres in _WITHIN_M},
    }


def _intervals(walks: list[NDArray[np.int64]], drawn: _Drawn) -> dict[str, tuple[float, float] | None]:
    """Return 95 % intervals: whole walks are drawn with replacement, and what is assumed anew with each draw.

    `drawn` gives the figures of how often each photo, and each walk, was drawn.
    """
    names = ("rmse_m", "median_m", "p90_m")
    if len(walks) < _FEWEST_WALKS:
        return dict.fromkeys(names)
    rng = np.random.default_rng(0)
    samples = []
    for _ in range(_SAMPLES):
        times = np.bincount(rng.integers(0, len(walks), len(walks)), minlength=len(walks)).astype(np.float64)
        counts = np.zeros(sum(len(rows) for rows in walks))
        for rows, count in zip(walks, times, strict=True):
            counts[rows] = count
        values = drawn(counts, times, rng)
        samples.append([values[name] for name in names])
    low, high = np.quantile(np.array(samples), (0.025, 0.975), axis=0)
    return {name: (float(low[k]), float(high[k])) for k, name in enumerate(names)}


def _walks(scores: "pd.DataFrame") -> list[NDArray[np.int64]]:
    """Return the rows of each walk in order of time."""
    seconds = np.nan_to_num(scores["clock_s"].to_numpy(dtype=np.float64))
    names = scores["walk"].to_numpy(dtype=str)
    found = [np.flatnonzero(names == name) for name in np.unique(names)]
    return [rows[np.argsort(seconds[rows], kind="stable")].astype(np.int64) for rows in found]
