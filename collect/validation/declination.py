"""Compass headings turned from magnetic to true north, by the World Magnetic Model (NOAA, five-year epochs)."""

import dataclasses
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Final

from img2gps.types import Photo

if TYPE_CHECKING:
    from pygeomag import GeoMag

__all__ = ["declination_deg", "with_true_heading"]

_FIRST_EPOCH, _LAST_EPOCH, _EPOCH_YEARS = 2010, 2025, 5
_LEAST_HORIZONTAL_NT: Final = (
    2_000.0  # nearer to the magnetic poles a compass shows nothing (the model's blackout zone)
)


def declination_deg(lon: float, lat: float, moment: datetime) -> float | None:
    """Return what to add to a magnetic bearing at sea level, degrees east of north; None where no compass works.

    The model covers 2010 to 2030. Before and after, the nearest end of its range counts, about 0.1 degrees a year off
    in most places.
    """
    year = moment.year + (moment.timetuple().tm_yday - 1) / 366
    year = min(max(year, float(_FIRST_EPOCH)), float(_LAST_EPOCH + _EPOCH_YEARS))
    epoch = min(_LAST_EPOCH, int(year - _FIRST_EPOCH) // _EPOCH_YEARS * _EPOCH_YEARS + _FIRST_EPOCH)
    field = _model(epoch).calculate(glat=lat, glon=lon, alt=0.0, time=year, allow_date_outside_lifespan=True)
    return float(field.d) if field.h >= _LEAST_HORIZONTAL_NT else None


def with_true_heading(photo: Photo) -> Photo:
    """Return the photo with its heading from true north, where the file's is magnetic and its date is known.

    A declination that was added before is taken off first: the date, or the position, may be another one now.
    """
    if photo.heading_ref != "M" or photo.heading_deg is None:
        return photo
    magnetic_deg = photo.heading_deg - (photo.declination_deg or 0.0)
    added_deg = None if photo.captured_at is None else declination_deg(photo.lon, photo.lat, photo.captured_at)
    if added_deg is not None:
        added_deg = round(added_deg, 3)
    if added_deg == photo.declination_deg:
        return photo
    heading_deg = round((magnetic_deg + (added_deg or 0.0)) % 360.0, 6) % 360.0
    return dataclasses.replace(photo, heading_deg=heading_deg, declination_deg=added_deg)


@cache
def _model(epoch: int) -> "GeoMag":
    from pygeomag import GeoMag  # 40 ms, and most phones write true headings

    return GeoMag(coefficients_file=f"wmm/WMM_{'2015v2' if epoch == 2015 else epoch}.COF")
