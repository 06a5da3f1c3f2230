"""Conditions: when, in what light, with what and looking where; and how unevenly devices and splits lie."""

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from collect.auditing.grid import Grid
from collect.auditing.photo_arrays import SECTORS, PhotoArrays
from img2gps.geo import FloatArray
from img2gps.sun import sun_elevation_deg

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Conditions", "Evenness", "GroupSpread", "SunBand", "conditions", "evenness"]

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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SunBand:
    """Photos with the sun from `low_deg` up to below `high_deg` degrees above the horizon."""

    name: str
    low_deg: float
    high_deg: float
    photos: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Counts of photos by local hour, sun elevation, season, device and heading sector, the unknown ones apart.

    `time_unknown` counts photos whose moment nothing tells, `clock_without_zone` those of them that have a clock time:
    it gives them an hour and a day. `hours_in_utc` counts the photos whose local time nothing tells: their hours are
    those of UTC.
    Seasons are the meteorological ones (three whole months) of the photo's hemisphere.
    """

    hours: tuple[int, ...]
    time_unknown: int
    clock_without_zone: int
    hours_in_utc: int
    sun_elevation: tuple[SunBand, ...]
    sun_unknown: int
    seasons: Mapping[str, int]
    days: int
    devices: Mapping[str, int]
    headings: tuple[int, ...]
    heading_unknown: int

    @property
    def after_dark(self) -> int:
        """Photos with the sun below the horizon."""
        return sum(band.photos for band in self.sun_elevation if band.high_deg <= 0)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class GroupSpread:
    """How the photos of a device or split lie over the site.

    `cells` is the share of the visited cells they reach. `unlike` is the total variation distance between where they
    and all photos lie (0: the same, 1: no place in common). It is None if they lie in no cell.
    """

    name: str
    photos: int
    cells: float
    unlike: float | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evenness:
    """How evenly photos lie over the cells; `gini` is 0 where all have equally many and near 1 where one has all."""

    gini: float
    devices: tuple[GroupSpread, ...]
    splits: tuple[GroupSpread, ...]


def conditions(arrays: PhotoArrays) -> Conditions:
    """Return when, in what light, with what and looking where the photos were taken."""
    frame = arrays.frame
    timed = frame["captured_at"].notna().to_numpy()
    known = arrays.hours >= 0
    sectors = arrays.sectors
    elevation_deg = sun_elevation_deg(frame["captured_at"], frame["lon"], frame["lat"])
    return Conditions(
        hours=tuple(np.bincount(arrays.hours[known], minlength=24).tolist()),
        time_unknown=int((~timed).sum()),
        clock_without_zone=0 if arrays.site.zone else _clocks_without_zone(frame, timed),
        hours_in_utc=0 if arrays.site.zone else int((timed & frame["utc_offset_min"].isna().to_numpy()).sum()),
        sun_elevation=_by_sun(elevation_deg),
        sun_unknown=int(np.isnan(elevation_deg).sum()),
        seasons=_by_season(arrays),
        days=len(np.unique(arrays.days[known])),
        devices=dict(Counter(arrays.devices).most_common()),
        headings=tuple(np.bincount(sectors[sectors >= 0], minlength=SECTORS).tolist()),
        heading_unknown=int((sectors < 0).sum()),
    )


def evenness(arrays: PhotoArrays, grid: Grid) -> Evenness:
    """Return how evenly photos lie over the site's cells, and how far each device and split is from the whole."""
    cell = grid.cell_of(arrays.east_north_m)
    cell[~arrays.inside] = -1
    counts = np.bincount(cell[cell >= 0], minlength=len(grid))
    splits = [str(split) for split in arrays.splits]
    return Evenness(
        gini=_gini(counts),
        devices=_spread(cell, counts, arrays.devices),
        splits=_spread(cell, counts, [split or "no split" for split in splits]),
    )


def _clocks_without_zone(frame: "pd.DataFrame", timed: NDArray[np.bool_]) -> int:
    """Count the clock times that wait for the site's zone; with an offset of its own, the clock was never set."""
    return int((~timed & frame["clock_local"].notna().to_numpy() & frame["clock_offset_min"].isna().to_numpy()).sum())


def _by_sun(elevation_deg: FloatArray) -> tuple[SunBand, ...]:
    return tuple(
        SunBand(
            name=name,
            low_deg=low,
            high_deg=high,
            photos=int(((elevation_deg >= low) & (elevation_deg < high)).sum()),
        )
        for name, low, high in _SUN
    )


def _by_season(arrays: PhotoArrays) -> dict[str, int]:
    known = arrays.days >= 0
    months = arrays.days[known].astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    turn = np.where(arrays.frame["lat"].to_numpy(dtype=np.float64)[known] < 0, 2, 0)
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


def _spread(cell: Numbers, counts: Numbers, names: Sequence[str]) -> tuple[GroupSpread, ...]:
    visited = max(1, int((counts > 0).sum()))
    total = max(1, int(counts.sum()))
    words, codes = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)
    rows = []
    for number, word in enumerate(words.tolist()):
        own = np.bincount(cell[(codes == number) & (cell >= 0)], minlength=len(counts))
        share = own / max(1, int(own.sum()))
        rows.append(
            GroupSpread(
                name=word,
                photos=int((codes == number).sum()),
                cells=float((own > 0).sum() / visited),
                unlike=float(np.abs(share - counts / total).sum() / 2) if own.sum() else None,
            )
        )
    return tuple(rows)
