"""OpenDroneMap's geo.txt: a first line that names the coordinates, then name, x, y and more, parted by spaces.

https://docs.opendronemap.org/geo/: ``name geo_x geo_y [geo_z] [yaw pitch roll] [horizontal vertical accuracy]``.
"""

import math
import re
from collections.abc import Iterator
from typing import Final

from collect.tables.decoding import Decoded
from collect.tables.names import has_photo_suffix
from collect.tables.rows import Row
from img2gps.crs import declared_crs, to_wgs84, utm_crs
from img2gps.errors import UsageError
from img2gps.text import safe_text

__all__ = ["geo_rows", "is_geo_txt"]

_HEADER: Final = re.compile(r"(?:EPSG:\d+|\+proj=.*|\+init=.*|WGS84(?: UTM .*)?)\s*", re.IGNORECASE)
_UTM: Final = re.compile(r"WGS84 UTM (\d{1,2})\s*([NS])", re.IGNORECASE)
_ACCURACY_AT: Final = 6


def is_geo_txt(text: str) -> bool:
    """Return whether a text begins as a geo.txt does."""
    return bool(_HEADER.fullmatch(text.split("\n", 1)[0].strip()))


def geo_rows(decoded: Decoded, where: str) -> Iterator[Row]:
    """Yield the rows of a geo.txt. Raises UsageError where its first line names no system that can be used."""
    lines = decoded.text.splitlines()
    crs = _crs_of(lines[0].strip(), where)
    for number, line in enumerate(lines[1:], start=2):
        if line.strip():
            yield _row(line.split(), number, crs, decoded, where)


def _crs_of(line: str, where: str) -> str | None:
    """Return the system of the coordinates, None where they are degrees of WGS 84."""
    utm = _UTM.fullmatch(line)
    if utm:
        return utm_crs(int(utm.group(1)), south=utm.group(2).upper() == "S")
    if line.upper().startswith("WGS84 UTM"):
        raise UsageError(f"{where}, row 1, names a UTM zone without N or S: write it as WGS84 UTM 18N.")
    return None if line.upper() == "WGS84" else declared_crs(line, where=f"{where}, row 1,")


def _row(words: list[str], number: int, crs: str | None, decoded: Decoded, where: str) -> Row:
    """Return one row; a name may hold spaces, and ends in the suffix of a photo."""
    end = next((at + 1 for at, word in enumerate(words) if has_photo_suffix(word)), 1)
    names = decoded.spellings(" ".join(words[:end]))
    try:
        values = [float(word) for word in words[end:]]
    except ValueError:
        shown = safe_text(" ".join(words[end:]), limit=60)
        return Row(row=number, names=names, complaint=f"{shown!r} after the name is not x y and further numbers")
    if len(values) < 2 or (not has_photo_suffix(words[end - 1]) and len(values) != 2):
        return Row(row=number, names=names, complaint="it is not a name with its suffix, x and y")
    lon, lat = values[0], values[1]
    if crs is not None:
        try:
            lons, lats = to_wgs84(crs, [lon], [lat], where="it")
        except UsageError as error:
            return Row(row=number, names=names, complaint=str(error).rstrip("."))
        lon, lat = float(lons[0]), float(lats[0])
    accuracy = values[_ACCURACY_AT] if len(values) > _ACCURACY_AT else math.nan
    return Row(
        row=number,
        names=names,
        lon=lon,
        lat=lat,
        accuracy_m=accuracy if math.isfinite(accuracy) and accuracy > 0 else None,
    )
