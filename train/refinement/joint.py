"""All photos of a dataset placed together: labels that drift, and photos of different walks that show one view.

Each walk's drift is a first-order Gauss-Markov process (`img2gps.estimation.drift`), so its labels tie its photos to
each other. Each match ties photos of two walks. The estimate minimises the squared tension of all these springs. It is
a pose graph (Lu and Milios, "Globally consistent range scan alignment for environment mapping", 1997).

Some matches are false, and false ones pull far. So a match of length r counts 1 / (1 + r^2 / c^2)^2. This is an
estimator of Geman and McClure ("Statistical methods for tomographic image reconstruction", 1987). It is found by
iteratively reweighted least squares (Holland and Welsch, Communications in Statistics 6, 1977).

How far to trust matches at all is measured. Photos are first placed with springs of a usual length. True matches then
lie close together, false ones stay apart. The springs get the length that half of the matches keep.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.estimation.drift import Drift
from img2gps.geo import FloatArray
from img2gps.walks import evidence_weights
from train.refinement.matches import Matches
from train.refinement.posterior import AS_TOLD_M, RADIUS_50, RADIUS_90, ErrorModel, LabelledWalk, Positions

if TYPE_CHECKING:
    from scipy.sparse import csc_matrix

__all__ = ["joint_positions"]

_USUAL_M: Final = 4.0  # per axis, how far apart two photos of one view are taken, before it is measured
_LEAST_M: Final = 2.5  # the same where all matches agree: they are nearer, but their errors are alike
_FALSE_FROM_M: Final = 9.0  # the length c of a match beyond which it is likely false
_ROUNDS: Final = 8  # of weighing matches anew
_ALIKE: Final = 3.0  # so much less matches tell than they would if their errors knew nothing of each other
_LEAST_STEP_M: Final = 0.3  # what two labels of one moment may differ by
_AT_ONCE: Final = 256


def joint_positions(
    walks: Sequence[LabelledWalk], errors: ErrorModel, start: Positions, matches: Matches
) -> tuple[Positions, float]:
    """Return the positions of N photos placed together, and the length of their matches per axis in metres.

    They are placed from `start`, where each walk was placed by itself. `walks` hold every photo once. Which labels are
    grossly wrong is taken over from `start`.
    """
    count = len(start.xy)
    springs, pull = _label_springs(walks, errors, count)
    counts = _counts(walks, count)

    def placed(length_m: float) -> tuple[FloatArray, FloatArray]:
        return _placed(springs, pull, start.xy, matches, counts, length_m)

    xy, _ = placed(_USUAL_M)
    length_m = max(_LEAST_M, (matches.apart_m(xy) or 0.0) / RADIUS_50)
    xy, weight = placed(length_m)
    unsure = _factored(springs + _match_springs(matches, weight / _ALIKE, count))
    spread_m = np.sqrt(_diagonal_of_inverse(unsure, count))
    found = dataclasses.replace(start, xy=xy, radius_50_m=RADIUS_50 * spread_m, radius_90_m=RADIUS_90 * spread_m)
    return found, length_m


def _placed(
    springs: "csc_matrix", pull: FloatArray, xy: FloatArray, matches: Matches, counts: FloatArray, length_m: float
) -> tuple[FloatArray, FloatArray]:
    """Return the positions (N, 2) under least tension, found from `xy`, and the weights (M,) of matches there."""
    first, second = matches.rows.T
    full = np.sqrt(counts[first] * counts[second]) / length_m**2
    for _ in range(_ROUNDS):
        square = ((xy[first] - xy[second]) ** 2).sum(axis=1)
        weight = full / (1 + square / _FALSE_FROM_M**2) ** 2
        whole = _factored(springs + _match_springs(matches, weight, len(xy)))
        xy = np.asarray(whole.solve(pull), dtype=np.float64)
    return xy, weight


def _counts(walks: Sequence[LabelledWalk], count: int) -> FloatArray:
    """Return what each photo counts in a match: photos of one moment show, and err, alike."""
    counts = np.ones(count)
    for walk in walks:
        counts[walk.rows] = evidence_weights(walk.seconds)
    return counts


def _label_springs(walks: Sequence[LabelledWalk], errors: ErrorModel, count: int) -> tuple["csc_matrix", FloatArray]:
    """Return the precision (N, N) of positions by their labels, and its product with these labels, (N, 2)."""
    from scipy.sparse import coo_matrix

    entries: list[tuple[NDArray[np.int64], NDArray[np.int64], FloatArray]] = []
    pull = np.zeros((count, 2))
    for walk in walks:
        middle, beside = _drift_precision(walk.seconds, errors.drift(walk))
        rows = walk.rows
        entries += [(rows, rows, middle), (rows[1:], rows[:-1], beside), (rows[:-1], rows[1:], beside)]
        pull[rows] += middle[:, None] * walk.labels_m
        pull[rows[1:]] += beside[:, None] * walk.labels_m[:-1]
        pull[rows[:-1]] += beside[:, None] * walk.labels_m[1:]
        told = np.isfinite(walk.errors_m[:, 0])
        sure = np.full(int(told.sum()), 1 / AS_TOLD_M**2)
        entries.append((rows[told], rows[told], sure))
        pull[rows[told]] += sure[:, None] * (walk.labels_m - walk.errors_m)[told]
    row, column, value = (np.concatenate(part) for part in zip(*entries, strict=True))
    return coo_matrix((value, (row, column)), shape=(count, count)).tocsc(), pull


def _drift_precision(seconds: FloatArray, drift: Drift) -> tuple[FloatArray, FloatArray]:
    """Return the precision of a drift at N moments in order: its diagonal (N,), and what is beside it (N - 1,)."""
    kept = np.exp(-np.maximum(np.diff(seconds), 0.0) / drift.lasting_s)
    step = np.maximum(drift.spread_m**2 * (1 - kept**2), _LEAST_STEP_M**2)
    middle = np.zeros(len(seconds))
    middle[0] = 1 / drift.spread_m**2
    middle[1:] += 1 / step
    middle[:-1] += kept**2 / step
    return middle, -kept / step


def _match_springs(matches: Matches, weight: FloatArray, count: int) -> "csc_matrix":
    """Return the precision (N, N) of matched photos lying together: a graph's Laplacian."""
    from scipy.sparse import coo_matrix

    first, second = matches.rows.T
    row, column = np.concatenate([first, second, first, second]), np.concatenate([first, second, second, first])
    value = np.concatenate([weight, weight, -weight, -weight])
    return coo_matrix((value, (row, column)), shape=(count, count)).tocsc()


def _factored(precision: "csc_matrix"):  # type: ignore[no-untyped-def]  # SuperLU has no public type
    from scipy.sparse.linalg import splu

    return splu(precision.tocsc())


def _diagonal_of_inverse(whole, count: int) -> FloatArray:  # type: ignore[no-untyped-def]
    """Return the variances (N,) of positions per axis, some columns of the inverse at a time."""
    found = np.empty(count)
    for start in range(0, count, _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, count))
        unit = np.zeros((count, len(rows)))
        unit[rows, np.arange(len(rows))] = 1.0
        found[rows] = whole.solve(unit)[rows, np.arange(len(rows))]
    return np.maximum(found, 0.0)
