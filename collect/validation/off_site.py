"""Where a photo off the site lies, told so that nobody finds the place: homes are off the site, too."""

import math
import re
from typing import Final

from img2gps.geo import azimuth_deg
from img2gps.site import Site

__all__ = ["coarse_detail", "off_site", "without_digits"]

_WINDS: Final = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")
_EXACT: Final = re.compile(r"([\d,]+) m outside (.*), at lat (-?\d+\.\d+), lon (-?\d+\.\d+)$", re.DOTALL)
_POSITION: Final = re.compile(r", at lat -?\d.*$", re.DOTALL)
_DIGITS: Final = re.compile(r"(\d[.,]\d)\d+|(\d{3})\d{3,}")


def off_site(site: Site, lon: float, lat: float, *, exact: bool = False) -> str:
    """Return distance and direction of a place from the nearest of the site, to two digits and eight winds.

    `exact` gives the distance to the metre, and the position.
    """
    if exact:
        return f"{site.distance_m(lon, lat):,.0f} m outside {site.name}, at lat {lat:.6f}, lon {lon:.6f}"
    wind = _WINDS[round(azimuth_deg(*site.nearest(lon, lat), lon, lat) / 45.0) % len(_WINDS)]
    return f"{_two_digits(site.distance_m(lon, lat))} m {wind} of {site.name}"


def without_digits(text: str) -> str:
    """Return words about a position that is none, with the first digits of its numbers only: they may be nearly one."""
    return _DIGITS.sub(lambda found: f"{found[1] or found[2]}…", text)


def coarse_detail(reason: str, detail: str, site: Site) -> str:
    """Return the detail of a rejection that an earlier version wrote, without the exact position in it."""
    if reason in ("gps_out_of_range", "gps_not_finite"):
        return without_digits(detail)
    if reason != "outside_site":
        return detail
    found = _EXACT.search(detail)
    if found is None:
        return _POSITION.sub("", detail)
    told = f"{_two_digits(float(found[1].replace(',', '')))} m from {found[2]}"
    if found[2] == site.name and site.distance_m(lon := float(found[4]), lat := float(found[3])):
        told = off_site(site, lon, lat)
    return detail[: found.start()] + told


def _two_digits(number: float) -> str:
    rounded = round(number, 1 - math.floor(math.log10(number))) if number > 0 else 0.0
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"
