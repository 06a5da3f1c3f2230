"""Answers and regions of distributions over the cells of a site: what `train.models.distribution` says, in numpy."""

from typing import Final

import numpy as np

from img2gps.geo import FloatArray

__all__ = ["answer_points", "region_radii"]

_STEPS: Final = 60
_NEAR_M: Final = 0.5  # the median stops here short of dividing by a distance of zero
LEVELS: Final = (0.5, 0.9)


def answer_points(probs: FloatArray, centres: FloatArray, kind: str, *, bandwidth_m: float) -> FloatArray:
    """Return the point (N, 2) that stands for each distribution (N, C): its ``mean``, ``median`` or ``mode``.

    `centres` (C, 2) are the places of the cells, east and north in metres. Raises ValueError for another kind.
    """
    if kind == "mean":
        return probs @ centres
    if kind == "median":
        return _median_points(probs, centres)
    if kind == "mode":
        return _mode_points(probs, centres, bandwidth_m)
    raise ValueError(f"an answer of the unknown kind {kind!r}")


def _median_points(probs: FloatArray, centres: FloatArray) -> FloatArray:
    """Return the geometric medians: Weiszfeld's iteration (Tohoku Mathematical Journal 43, 1937) from the mean."""
    point: FloatArray = probs @ centres
    for _ in range(_STEPS):
        pull = probs / np.maximum(_distances(point, centres), _NEAR_M)
        point = (pull @ centres) / pull.sum(axis=1, keepdims=True)
    return point


def _mode_points(probs: FloatArray, centres: FloatArray, bandwidth_m: float) -> FloatArray:
    """Return the modes under a Gaussian kernel: mean shift (Comaniciu and Meer, PAMI 24, 2002) from the best cell."""
    point: FloatArray = centres[probs.argmax(axis=1)]
    for _ in range(_STEPS // 3):
        closeness = -np.square(_distances(point, centres)) / (2 * bandwidth_m**2)
        pull = probs * np.exp(closeness - closeness.max(axis=1, keepdims=True))
        point = (pull @ centres) / pull.sum(axis=1, keepdims=True)
    return point


def region_radii(probs: FloatArray, centres: FloatArray, point: FloatArray, *, cell_m: float) -> FloatArray:
    """Return the radii (N, 2) of the smallest discs around `point` (N, 2) that hold 50 % and 90 % of each distribution.

    No radius is smaller than that of a disc as large as one cell of side `cell_m`.
    """
    distance = _distances(point, centres)
    order = np.argsort(distance, axis=1, kind="stable")
    distance = np.take_along_axis(distance, order, axis=1)
    held = np.take_along_axis(probs, order, axis=1).cumsum(axis=1)
    columns = [(held < level * held[:, -1:]).sum(axis=1, keepdims=True) for level in LEVELS]
    last = distance.shape[1] - 1
    radii = [np.take_along_axis(distance, np.minimum(column, last), axis=1) for column in columns]
    whole: FloatArray = np.maximum(np.concatenate(radii, axis=1), cell_m / np.sqrt(np.pi))
    return whole


def _distances(points: FloatArray, centres: FloatArray) -> FloatArray:
    """Return the distances (N, C) between points (N, 2) and centres (C, 2)."""
    distance: FloatArray = np.hypot(points[:, None, 0] - centres[None, :, 0], points[:, None, 1] - centres[None, :, 1])
    return distance
