"""The time zone of a place, looked up on the map of zones that the extra ``zones`` brings (timezonefinder, offline)."""

from typing import Final

__all__ = ["ZONES_EXTRA", "zone_at"]

ZONES_EXTRA: Final = "pip install 'img2gps[zones]'"


def zone_at(lon: float, lat: float) -> str | None:
    """Return the IANA name of the zone at a place in degrees, None at sea or where the extra is not installed."""
    try:
        from timezonefinder import TimezoneFinder
    except ImportError:
        return None
    name = TimezoneFinder().timezone_at(lng=(lon + 180.0) % 360.0 - 180.0, lat=lat)
    return None if name is None or name.startswith("Etc/") else name
