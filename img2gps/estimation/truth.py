"""Errors against the truth, from errors against labels that are off themselves.

What is measured is the distance between an answer and a label. Both err: m = e - d, with the error e of the answer and
the error d of the label. These are independent if the walk was held out. So the mean squares add up, and that of the
label can be subtracted. For medians and shares e is taken to be round, a mixture of Gaussians of all widths with the
likeliest shares. This is the nonparametric maximum likelihood of Kiefer and Wolfowitz (Annals of Mathematical
Statistics 27, 1956), by the EM algorithm of Laird (JASA 73, 1978).

How far labels are off is estimated from themselves. If answers of many walks are right on average, what a walk's labels
have in common beyond a minute is drift (`Drift`). What single answers get wrong is not.
"""

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np

from img2gps.estimation.drift import Drift, drift_offsets, walk_log_likelihood
from img2gps.geo import FloatArray

__all__ = ["FACTORS", "ErrorWidths", "drift_spread", "error_widths", "likeliest_factor"]

FACTORS: Final = np.exp(np.linspace(np.log(0.4), np.log(2.0), 12))
"""What the expected spread of labels is multiplied by."""

_COUNT, _WIDEST_M = 20, 400.0  # widths of errors per axis that are told apart
_NARROWEST: Final = 0.4  # of the labels' spread: what is narrower cannot be told from it
_LEAST_M: Final = 0.5
_KNOWN: Final = 0.15  # standard deviation of the factor's logarithm, beforehand
_ALIKE_S: Final = 15.0
_ROUNDS: Final = 300
_LEAST: Final = 1e-300


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorWidths:
    """A distribution of errors: Gaussians of `width_m` (K,) per axis with `share` (K,), and the mean square apart.

    The mean square is that of the errors less the labels', which needs no distribution.
    """

    share: FloatArray
    mean_square_m2: float
    width_m: FloatArray

    @property
    def rmse_m(self) -> float:
        """The root of the mean square."""
        return float(np.sqrt(self.mean_square_m2))

    def within(self, metres: float) -> float:
        """Return the share of errors within so many metres."""
        return float(self.share @ (1 - np.exp(-(metres**2) / (2 * self.width_m**2))))

    def quantile(self, level: float) -> float:
        """Return the metres that a share `level` of errors stays within, by bisection."""
        low, high = 0.0, 10 * float(self.width_m[-1])
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if self.within(middle) < level else (low, middle)
        return high


def error_widths(
    apart_m: FloatArray, label_spread_m: FloatArray, counts: FloatArray | None = None, rounds: int = _ROUNDS
) -> ErrorWidths:
    """Return the errors against the truth of N answers `apart_m` (N,) metres from their labels.

    `label_spread_m` (N,) is the labels' error per axis, `counts` (N,) how often each counts (1).
    """
    weight = np.ones(len(apart_m)) if counts is None else counts
    narrowest_m = max(_LEAST_M, _NARROWEST * float(np.median(label_spread_m)))
    width_m = np.exp(np.linspace(np.log(narrowest_m), np.log(_WIDEST_M), _COUNT))
    variance = width_m[None] ** 2 + label_spread_m[:, None] ** 2
    density = np.exp(-(apart_m[:, None] ** 2) / (2 * variance)) / variance
    share = np.full(_COUNT, 1 / _COUNT)
    for _ in range(rounds):
        held = density * share
        held *= (weight / np.maximum(held.sum(axis=1), _LEAST))[:, None]
        share = held.sum(axis=0) / weight.sum()
    square = float(weight @ (apart_m**2 - 2 * label_spread_m**2) / weight.sum())
    return ErrorWidths(share=share, mean_square_m2=max(square, 0.0), width_m=width_m)


def drift_spread(
    walks: Sequence[tuple[FloatArray, FloatArray, FloatArray]], widths: ErrorWidths, *, lasting_s: float = 90.0
) -> FloatArray:
    """Return the log-likelihood (W, F) of the labels of W walks under factors `FACTORS` on their expected spread.

    Each walk has label less answer (N, 2), seconds (N,) in order, and the expected spread of its labels per axis (N,).
    """
    table = np.zeros((len(walks), len(FACTORS)))
    for row, (apart_m, seconds, expected_m) in enumerate(walks):
        usual_m = float(np.median(expected_m))
        offsets_m = drift_offsets(usual_m)
        kept = _apart_in_time(seconds)
        likelihood = np.stack([_shown(point, offsets_m, widths) for point in apart_m[kept]])
        for column, factor in enumerate(FACTORS):
            drift = Drift(spread_m=factor * usual_m, lasting_s=lasting_s)
            table[row, column] = walk_log_likelihood(likelihood, seconds[kept], drift, offsets_m)
    return table


def likeliest_factor(table: FloatArray, counts: FloatArray | None = None) -> float:
    """Return the factor that walks (each `counts` times) and what is known beforehand make likeliest."""
    total = (np.ones(len(table)) if counts is None else counts) @ table
    total = total - 0.5 * (np.log(FACTORS) / _KNOWN) ** 2
    best = int(np.argmax(total))
    if not 0 < best < len(FACTORS) - 1:
        return float(FACTORS[best])
    logs = np.log(FACTORS[best - 1 : best + 2])
    bend, slope, _ = np.polyfit(logs - logs[1], total[best - 1 : best + 2], 2)
    return float(np.exp(logs[1] + np.clip(-slope / (2 * bend), logs[0] - logs[1], logs[2] - logs[1])))


def _shown(apart_m: FloatArray, offsets_m: FloatArray, widths: ErrorWidths) -> FloatArray:
    """Return the density (G, G) of an answer's error where the drift is each of the grid's."""
    square = (apart_m[0] - offsets_m)[:, None] ** 2 + (apart_m[1] - offsets_m)[None] ** 2
    variance = widths.width_m**2
    used = widths.share > 1e-6
    terms = [
        share / (2 * np.pi * own) * np.exp(-square / (2 * own))
        for share, own in zip(widths.share[used], variance[used], strict=True)
    ]
    return np.asarray(np.sum(terms, axis=0), dtype=np.float64)


def _apart_in_time(seconds: FloatArray) -> list[int]:
    """Return rows that are `_ALIKE_S` and more apart: photos within that show, and err, alike."""
    kept = [0]
    for row in range(1, len(seconds)):
        if seconds[row] - seconds[kept[-1]] >= _ALIKE_S:
            kept.append(row)
    return kept
