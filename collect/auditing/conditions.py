"""Conditions: when, in what light, with what and looking where; and how unevenly devices and splits lie."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collect.auditing.grid import Grid
from collect.auditing.photo_arrays import SECTORS, PhotoArrays
from img2gps.geo import FloatArray
from img2gps.sun import sun_elevation_deg

__all__ = ["conditions", "evenness"]

_SUN: Final = (
    ("night (below -6°)", -90.0, -6.0),
    ("twilight (-6° to 0°)", -6.0, 0.0),
    ("low (0° to 15°)", 0.0, 15.0),
    ("15° to 30°", 15.0, 30.0),
    ("30° to 45°", 30.0, 45.0),
    ("high (over 45°)", 45.0, 90.1),
)
_SEASONS: Final = ("winter", "spring", "summer", "autumn")

Numbers = NDArray[np.int64]


def conditions(subject: PhotoArrays) -> dict[str, Any]:
    """Return counts of photos by local hour, sun elevation, season, device and heading, the unknown ones apart.

    `time_unknown` counts photos whose moment nothing tells, `clock_without_zone` those of them that have a clock time:
    it gives them an hour and a day. `hours_in_utc` counts the photos whose local time nothing tells: their hours are
    those of UTC.
    Seasons are the meteorological ones (three whole months) of the photo's hemisphere.
    """
    frame = subject.frame
    timed = frame["captured_at"].notna().to_numpy()
    known = subject.hours >= 0
    sectors = subject.sectors
    return {
        "hours": np.bincount(subject.hours[known], minlength=24).tolist(),
        "time_unknown": int((~timed).sum()),
        "clock_without_zone": int((~timed & frame["clock_local"].notna().to_numpy()).sum()),
        "hours_in_utc": 0 if subject.site.zone else int((timed & frame["utc_offset_min"].isna().to_numpy()).sum()),
        "sun_elevation": _by_sun(sun_elevation_deg(frame["captured_at"], frame["lon"], frame["lat"])),
        "seasons": _by_season(subject),
        "days": len(np.unique(subject.days[known])),
        "devices": dict(Counter(subject.devices).most_common()),
        "headings": np.bincount(sectors[sectors >= 0], minlength=SECTORS).tolist(),
        "heading_unknown": int((sectors < 0).sum()),
    }


def evenness(subject: PhotoArrays, grid: Grid) -> dict[str, Any]:
    """Return how evenly photos lie over the site's cells, and how far each device and split is from the whole.

    `gini` is 0 where every cell has equally many photos and near 1 where one has all. Per device and split: the share
    of the visited cells it reaches, and `unlike`, the total variation distance between where its photos and all
    photos lie (0: alike, 1: nowhere in common).
    """
    cell = grid.cell_of(subject.east_north_m)
    cell[~subject.inside] = -1
    counts = np.bincount(cell[cell >= 0], minlength=len(grid))
    splits = [str(split) for split in subject.splits]
    return {
        "gini": _gini(counts),
        "devices": _unlike(cell, counts, subject.devices),
        "splits": _unlike(cell, counts, [split or "no split" for split in splits]),
    }


def _by_sun(elevation_deg: FloatArray) -> dict[str, int]:
    counts = {label: int(((elevation_deg >= low) & (elevation_deg < high)).sum()) for label, low, high in _SUN}
    unknown = int(np.isnan(elevation_deg).sum())
    return counts | ({"unknown": unknown} if unknown else {})


def _by_season(subject: PhotoArrays) -> dict[str, int]:
    known = subject.days >= 0
    months = subject.days[known].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    turn = np.where(subject.frame["lat"].to_numpy(dtype=np.float64)[known] < 0, 2, 0)
    seasons = ((months + 1) // 3 + turn) % 4  # December, January and February are 0
    counts = np.bincount(seasons, minlength=4).tolist()
    unknown = int((~known).sum())
    return dict(zip(_SEASONS, counts, strict=True)) | ({"unknown": unknown} if unknown else {})


def _gini(counts: Numbers) -> float:
    if not len(counts) or not counts.sum():
        return 0.0
    ordered = np.sort(counts)
    ranks = np.arange(1, len(ordered) + 1)
    return float(2 * (ranks * ordered).sum() / (len(ordered) * ordered.sum()) - (len(ordered) + 1) / len(ordered))


def _unlike(cell: Numbers, counts: Numbers, names: Sequence[str]) -> list[dict[str, Any]]:
    visited = max(1, int((counts > 0).sum()))
    total = max(1, int(counts.sum()))
    words, codes = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
    rows = []
    for number, word in enumerate(words.tolist()):
        own = np.bincount(cell[(codes == number) & (cell >= 0)], minlength=len(counts))
        share = own / max(1, int(own.sum()))
        rows.append(
            {
                "name": word,
                "photos": int((codes == number).sum()),
                "cells": float((own > 0).sum() / visited),
                "unlike": float(np.abs(share - counts / total).sum() / 2) if own.sum() else None,
            }
        )
    return rows
