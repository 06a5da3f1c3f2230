"""Walks: one device's photos without a gap of over ten minutes."""

import dataclasses
import math
from collections.abc import Sequence
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.exif import Capture
from img2gps.geo import FloatArray

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "WALK_GAP_S",
    "clock_seconds",
    "evidence_weights",
    "seconds_of",
    "walk_numbers",
    "walk_rows",
    "walk_weights",
    "walks_of",
]

WALK_GAP_S: Final = 600.0

_ALIKE_S: Final = 15.0  # photos taken within this show much the same, and err alike

Numbers = NDArray[np.int64]


def walk_numbers(devices: NDArray[Any], seconds: FloatArray) -> Numbers:
    """Return the number of each photo's walk, (N,), counted from 0, of photos in order of device and time.

    `seconds` are on any clock of the device, NaN where unknown (the last of their device: a walk of their own).
    """
    if not len(seconds):
        return np.zeros(0, dtype=np.int64)
    untimed = np.isnan(seconds)
    gap = np.diff(seconds) > WALK_GAP_S  # False beside a missing time: those photos are parted by `untimed`
    starts = (devices[1:] != devices[:-1]) | (untimed[1:] != untimed[:-1]) | gap
    return np.concatenate([[0], np.cumsum(starts)]).astype(np.int64)


def walk_rows(walks: NDArray[Any], seconds: FloatArray) -> list[Numbers]:
    """Return the rows of each walk of two photos and more, in order of time; those without a time are left out.

    `walks` (N,) names or numbers each photo's walk.
    """
    timed = np.flatnonzero(~np.isnan(seconds))
    order = timed[np.lexsort((seconds[timed], walks[timed]))]
    starts = np.flatnonzero(walks[order][1:] != walks[order][:-1]) + 1
    return [rows.astype(np.int64) for rows in np.split(order, starts) if len(rows) > 1]


def walks_of(captures: Sequence[Capture]) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the number of each photo's walk and its time in seconds by the camera's clock, NaN where unknown, (N,).

    Cameras that call themselves the same, or nothing, count as one.
    """
    cameras = np.asarray([repr(dataclasses.astuple(capture.camera)) for capture in captures], dtype=np.str_)
    # the clock's zone does not matter: only the time between two photos does
    times = [capture.local_time and capture.local_time.replace(tzinfo=UTC).timestamp() for capture in captures]
    seconds = np.asarray([math.nan if time is None else time for time in times], dtype=np.float64)
    order = np.lexsort((seconds, cameras))
    walks = np.empty(len(captures), dtype=np.int64)
    walks[order] = walk_numbers(cameras[order], seconds[order])
    return walks, seconds


def seconds_of(captured_at: "pd.Series[pd.Timestamp]") -> FloatArray:
    """Return capture times (N,) in UTC as seconds since 1970, NaN where there is none."""
    import pandas as pd

    times = pd.to_datetime(captured_at, utc=True)
    return np.asarray((times - pd.Timestamp(0, tz="UTC")).dt.total_seconds(), dtype=np.float64)


def clock_seconds(rows: "pd.DataFrame") -> FloatArray:
    """Return when rows (N) of a manifest were taken, in seconds by the camera's clock where it is known, NaN for never.

    A stale fix may have stopped the GPS time together with the position. Some photos have GPS time but not how far the
    camera was ahead of it. They count as far ahead as the others of their walk.
    """
    by_gps = (rows["time_source"] == "gps").fillna(False)
    ahead = rows["fix_age_s"].astype("Float64").where(by_gps)
    ahead = ahead.fillna(ahead.groupby(rows["walk"]).transform("median")).where(by_gps)
    return seconds_of(rows["captured_at"]) + np.asarray(ahead.fillna(0.0), dtype=np.float64)


def evidence_weights(seconds: FloatArray) -> FloatArray:
    """Return what each photo of a walk counts, (N,), the exponent of its evidence: what shows much the same is one.

    One over the number of such photos, where one that is t seconds away counts exp(-t / `_ALIKE_S`).
    """
    kept = np.exp(-np.diff(seconds) / _ALIKE_S)
    before, after = np.zeros(len(seconds)), np.zeros(len(seconds))
    for row, share in enumerate(kept, start=1):
        before[row] = share * (1 + before[row - 1])
    for row, share in reversed(list(enumerate(kept, start=1))):
        after[row - 1] = share * (1 + after[row])
    return 1 / (1 + before + after)


def walk_weights(walks: NDArray[Any], seconds: FloatArray) -> FloatArray:
    """Return what each photo counts among those of its walk, (N,): `evidence_weights`, and 1 without a time.

    `walks` (N,) names or numbers each photo's walk.
    """
    weights = np.ones(len(walks))
    for rows in walk_rows(walks, seconds):
        weights[rows] = evidence_weights(seconds[rows])
    return weights
