"""What the audit looks at: the photos of a dataset as arrays, in metres and in local time."""

import dataclasses
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray, geocentric_m
from img2gps.report.columns import device_names, local_minutes
from img2gps.site import Site

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SECTORS", "SECTOR_DEG", "PhotoArrays", "sectors_of"]

SECTORS = 8
SECTOR_DEG = 360.0 / SECTORS

Numbers = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhotoArrays:
    """A frame of `Dataset.frame` and its site; every array has one entry per photo, shape (N,).

    Positions are the corrected ones. Without slots: the arrays are computed once, on first use.
    """

    frame: "pd.DataFrame"
    site: Site

    def __len__(self) -> int:
        return len(self.frame)

    @cached_property
    def east_north_m(self) -> FloatArray:
        """East and north in metres of the site's frame, shape (N, 2)."""
        lon, lat = self._numbers("lon"), self._numbers("lat")
        return np.stack(self.site.frame.to_local(lon, lat), axis=1)

    @cached_property
    def points_m(self) -> FloatArray:
        """Earth-centred coordinates in metres, shape (N, 3): true distances on a site of any size."""
        return geocentric_m(self._numbers("lon"), self._numbers("lat"))

    @cached_property
    def inside(self) -> NDArray[np.bool_]:
        """Whether the photo lies on the site, its boundary included."""
        return self.site.covers(self._numbers("lon"), self._numbers("lat"))

    @cached_property
    def minutes(self) -> FloatArray:
        """Minutes of local time since 1970, NaN without a time."""
        found = local_minutes(self.frame, self.site.zone)
        return np.array([np.nan if minute is None else minute for minute in found], dtype=np.float64)

    @cached_property
    def days(self) -> Numbers:
        """Local days since 1970, -1 without a time."""
        return np.where(np.isnan(self.minutes), -1, np.nan_to_num(self.minutes) // 1440).astype(np.int64)

    @cached_property
    def hours(self) -> Numbers:
        """Local hours 0..23, -1 without a time."""
        return np.where(np.isnan(self.minutes), -1, np.nan_to_num(self.minutes) % 1440 // 60).astype(np.int64)

    @cached_property
    def headings_deg(self) -> FloatArray:
        """Headings in degrees, NaN where unknown."""
        return self._numbers("heading_deg")

    @cached_property
    def sectors(self) -> Numbers:
        """Heading sectors 0..7 (0: north), -1 where the heading is unknown."""
        return sectors_of(self.headings_deg)

    @cached_property
    def walks(self) -> Numbers:
        """Walk numbers."""
        return self._codes("walk")

    @cached_property
    def splits(self) -> NDArray[np.object_]:
        """Names of splits, an empty string without one."""
        return np.array(self.frame["split"].fillna("").tolist(), dtype=object)

    @cached_property
    def devices(self) -> list[str]:
        """Names of devices as people know them."""
        names = device_names(self.frame)
        return [names[str(device)] for device in self.frame["device"]]

    def _numbers(self, column: str) -> FloatArray:
        return self.frame[column].to_numpy(dtype=np.float64, na_value=np.nan)

    def _codes(self, column: str) -> Numbers:
        return np.unique(self.frame[column].astype(str), return_inverse=True)[1].astype(np.int64)


def sectors_of(heading_deg: FloatArray) -> Numbers:
    """Return the sector 0..7 that each heading (N,) points into, centred on north, north-east, ...; NaN gives -1."""
    turned = np.nan_to_num(heading_deg) + SECTOR_DEG / 2
    return np.where(np.isnan(heading_deg), -1, turned % 360.0 // SECTOR_DEG).astype(np.int64)
