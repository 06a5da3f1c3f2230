"""One row of a table: the cells of the columns that matter, as values or as what is wrong with them."""

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final

from collect.tables.angles import Axis, angle, decimals, hemisphere, is_bare, number
from collect.tables.columns import Columns, plain_name
from collect.tables.decoding import Decoded
from collect.tables.names import has_photo_suffix
from img2gps.crs import to_wgs84, utm_crs
from img2gps.errors import UsageError
from img2gps.text import safe_text

__all__ = ["Row", "best_name", "row_of"]

_DEGREES: Final = ("4326", "epsg:4326", "crs84", "wgs84", "wgs 84", "wgs-84", "wgs_84")
_NONE: Final = ("na", "n/a", "#n/a", "#nv", "nan", "null", "none", "-")
_SAME_DEG: Final = 1e-4  # 11 m
_BANDS: Final = "cdefghjklmnpqrstuvwx"  # of UTM and MGRS, from the south; n and later are north


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a table, numbered as a spreadsheet does.

    `names` are the photo's name as each likely encoding reads it. Degrees are None where the cells are empty, and then
    or with a `complaint` (words about the row) there is no position. `unread` names columns that hold something else.
    `texts` is what a table says of how its names and reasons are written (see `collect.label.entries`).
    `decimals` is how many the finer of the two coordinates has, None where they are no plain degrees.
    """

    row: int
    names: tuple[str, ...] = ()
    lon: float | None = None
    lat: float | None = None
    captured_at: datetime | None = None
    accuracy_m: float | None = None
    heading_deg: float | None = None
    device: str = ""
    photo_id: str = ""
    action: str = ""
    why: str = ""
    texts: str = ""
    complaint: str = ""
    unread: tuple[str, ...] = ()
    decimals: int | None = None


class _BadCellError(Exception):
    """Words about a row whose position cannot be told."""


def best_name(columns: Columns, rows: Sequence[Sequence[str]]) -> int | None:
    """Return the column of names that says most: one with suffixes of photos before one without (QGIS has both)."""
    if not columns.names:
        return None

    def share(at: int) -> float:
        cells = [row[at] for row in rows if at < len(row) and row[at].strip()]
        return sum(has_photo_suffix(cell) for cell in cells) / len(rows) if cells else -1.0

    return max(columns.names, key=lambda at: (share(at), -columns.names.index(at)))


def row_of(
    cells: Sequence[str],
    number_: int,
    columns: Columns,
    name_at: int | None,
    letters: Mapping[str, int],
    decoded: Decoded,
    where: str,
) -> Row:
    """Return one row; `letters` are columns of hemisphere letters that no header names."""
    got = {field: cells[at].strip() if at < len(cells) else "" for field, at in columns.at.items()}
    _join_parts(got)
    name = cells[name_at].strip() if name_at is not None and name_at < len(cells) else ""
    row = Row(
        row=number_,
        names=decoded.spellings(name) if name else (),
        device=got.get("device", ""),
        photo_id=got.get("photo_id", ""),
        action=got.get("action", ""),
        why=got.get("why", ""),
        texts=got.get("texts", ""),
    )
    row = _with_extras(row, got)
    try:
        if any(cell.strip() for cell in cells[len(columns.header) :]):
            raise _BadCellError(
                f"it has {len(cells)} cells, but the header has {len(columns.header)}: decimal commas must be in quotes"
            )
        lon, lat = _position(got, columns, letters, cells, where)
    except _BadCellError as error:
        return dataclasses.replace(row, complaint=str(error))
    counts = [decimals(got.get(axis, "")) for axis in ("lat", "lon")] if lon is not None else [None]
    finer = None if None in counts else max(count for count in counts if count is not None)
    return dataclasses.replace(row, lon=lon, lat=lat, decimals=finer)


def _join_parts(got: dict[str, str]) -> None:
    """Put degrees, minutes and seconds of columns of their own into one cell, and empty cells that say "none"."""
    for axis in ("lat", "lon"):
        if got.get(axis, "").casefold() in _NONE:
            got[axis] = ""
        minutes, seconds = (got.get(f"{axis}_{part}", "").removesuffix(".0") for part in ("min", "sec"))
        if got.get(axis) and (minutes or seconds):
            got[axis] = " ".join([got[axis].removesuffix(".0"), minutes or "0", *([seconds] if seconds else [])])


def _with_extras(row: Row, got: Mapping[str, str]) -> Row:
    heading, accuracy = (number(got.get(name, "")) for name in ("heading_deg", "accuracy_m"))
    values = {
        "captured_at": _moment(got.get("captured_at", "")),
        "accuracy_m": accuracy if math.isfinite(accuracy) and accuracy > 0 else None,
        "heading_deg": heading if math.isfinite(heading) else None,
    }
    unread = tuple(field for field, value in values.items() if got.get(field) and value is None)
    return dataclasses.replace(row, unread=unread, **values)  # type: ignore[arg-type]


def _position(
    got: Mapping[str, str], columns: Columns, letters: Mapping[str, int], cells: Sequence[str], where: str
) -> tuple[float | None, float | None]:
    first, second = ("easting", "northing") if columns.projected else ("lon", "lat")
    if not (got[first] or got[second]):
        return None, None
    if not (got[first] and got[second]):
        empty = first if not got[first] else second
        title = safe_text(columns.title(empty), limit=40)
        raise _BadCellError(f"it has only one of lon and lat: column {title} is empty")
    datum = re.sub(r"[^a-z0-9]", "", got.get("datum", "").lower())
    if datum not in ("", "wgs84", "wgs1984", "epsg4326", "worldgeodeticsystem1984"):
        raise _BadCellError(f"column {columns.title('datum')}: {_shown(got['datum'])} is not WGS 84")
    crs = _crs_of(got, columns)
    if columns.projected or crs:
        return _reprojected(got[first], got[second], crs, columns, where)
    lat = _angle(got, "lat", columns)
    lon = _angle(got, "lon", columns)
    _check_signs(got, columns)
    _check_others(lon, lat, columns, cells)
    _check_letters({"lat": lat, "lon": lon}, columns, letters, cells)
    return lon, lat


def _angle(got: Mapping[str, str], axis: Axis, columns: Columns) -> float:
    """Return a coordinate in degrees with the sign of its hemisphere."""
    cell, ref = got[axis], f"{axis}_ref"
    letter = ""
    if got.get(ref):
        try:
            letter = hemisphere(got[ref], axis)
        except ValueError as error:
            raise _BadCellError(f"column {columns.title(ref)}: {_shown(got[ref])} {error}") from error
    try:
        value = angle(cell, axis, letter)
    except ValueError as error:
        title = safe_text(columns.title(axis), limit=40)
        raise _BadCellError(f"column {title} holds {_shown(cell)} where a number should be: it {error}") from error
    if ref in columns.at and not letter and value > 0 and not re.search(r"[nsew]", cell, re.IGNORECASE):
        raise _BadCellError(f"its column {columns.title(ref)} is empty: the hemisphere of {_shown(cell)} is not known")
    return value


def _check_signs(got: Mapping[str, str], columns: Columns) -> None:
    """Refuse degrees and minutes of which nothing tells the hemisphere; a minus of the other shows that signs count."""
    lettered = {axis: bool(got.get(f"{axis}_ref")) for axis in ("lat", "lon")}
    signed = any(got[axis].lstrip("'").startswith(("-", "−", "+")) for axis in ("lat", "lon"))
    for axis in ("lat", "lon"):
        of_exif = plain_name(columns.title(axis)).startswith("exif_") and number(got[axis]) > 0
        if (is_bare(got[axis]) or of_exif) and not lettered[axis] and not signed:
            title = safe_text(columns.title(axis), limit=40)
            letters = "N or S" if axis == "lat" else "E or W"
            raise _BadCellError(f"column {title}: {_shown(got[axis])} lacks its hemisphere; write {letters} behind it")


def _check_others(lon: float, lat: float, columns: Columns, cells: Sequence[str]) -> None:
    """Refuse a row that has another position under another usual name, and elsewhere."""
    for lat_at, lon_at in columns.others:
        if max(lat_at, lon_at) < len(cells):
            apart = max(abs(number(cells[lat_at]) - lat), abs(number(cells[lon_at]) - lon))
            if apart > _SAME_DEG:
                title, other = (
                    safe_text(name.strip(), limit=40) for name in (columns.title("lat"), columns.header[lat_at])
                )
                raise _BadCellError(f"columns {title} and {other} name different places; keep one pair")


def _check_letters(
    position: Mapping[str, float], columns: Columns, letters: Mapping[str, int], cells: Sequence[str]
) -> None:
    """Refuse a row whose letters, in a column that does not say what it is, contradict the signs."""
    for axis, at in letters.items():
        word = cells[at].strip().casefold()[:1] if at < len(cells) else ""
        if (word in ("s", "w") and position[axis] > 0) or (word in ("n", "e") and position[axis] < 0):
            title = safe_text(columns.header[at].strip(), limit=40)
            raise _BadCellError(
                f"column {title} says {word.upper()}, column {safe_text(columns.title(axis), limit=40)} "
                f"{'nothing' if position[axis] > 0 else 'a minus'} of it: call it {axis}_ref if it is the hemisphere"
            )


def _crs_of(got: Mapping[str, str], columns: Columns) -> str:
    """Return the system that a row names for its coordinates, "" where they are degrees of WGS 84."""
    named = got.get("crs", "")
    if named:
        if named.casefold() in _DEGREES and not columns.projected:
            return ""
        return f"EPSG:{named.removesuffix('.0')}" if re.fullmatch(r"\d+(\.0)?", named) else named
    zone = got.get("zone", "")
    grid = columns.projected or ("zone" in columns.at and columns.title("lon").lower() == "x")
    if not grid or not zone:
        return ""
    return _zone_crs(zone, got.get("zone_hemisphere", ""), columns)


def _zone_crs(zone: str, half: str, columns: Columns) -> str:
    found = re.fullmatch(r"(?:utm\s*)?(?:zone\s*)?(\d{1,2})\s*([a-z]*)", zone.strip(), re.IGNORECASE)
    title = safe_text(columns.title("zone"), limit=40)
    if not found or not 1 <= int(found.group(1)) <= 60:
        raise _BadCellError(f"column {title}: {_shown(zone)} is no UTM zone")
    letter = found.group(2).casefold()
    word = half.strip().casefold()
    if word in ("n", "north", "s", "south"):
        return utm_crs(int(found.group(1)), south=word.startswith("s"))
    if letter == "s":
        raise _BadCellError(f"column {title}: {_shown(zone)} may be south or a band of the north; write its epsg")
    if letter in ("south", "north") or (len(letter) == 1 and letter in _BANDS):
        return utm_crs(int(found.group(1)), south=letter == "south" or (len(letter) == 1 and letter < "n"))
    raise _BadCellError(f"column {title}: {_shown(zone)} does not say north or south; write 18N, or its epsg")


def _reprojected(easting: str, northing: str, crs: str, columns: Columns, where: str) -> tuple[float, float]:
    first, second = ("easting", "northing") if columns.projected else ("lon", "lat")
    if not crs:
        raise _BadCellError(
            f"column {safe_text(columns.title(first), limit=40)}: {_shown(easting)} is of a map grid that no column "
            "names; add a column epsg (such as 32618) or utm_zone (such as 18N)"
        )
    values = []
    for field, cell in ((first, easting), (second, northing)):
        value = _metres(cell)
        if not math.isfinite(value):
            title = safe_text(columns.title(field), limit=40)
            raise _BadCellError(f"column {title}: {_shown(cell)} is no coordinate of a map grid")
        values.append(value)
    try:
        lon, lat = to_wgs84(crs, [values[0]], [values[1]], where="it")
    except UsageError as error:
        raise _BadCellError(str(error).rstrip(".")) from error
    return float(lon[0]), float(lat[0])


def _metres(cell: str) -> float:
    """Return metres of a grid; commas or points that part thousands are read where nothing else is possible."""
    text = cell.strip().replace("\u00a0", "").replace(" ", "")
    if re.fullmatch(r"[+-]?\d{1,3}(,\d{3})+\.\d+", text):
        text = text.replace(",", "")
    elif re.fullmatch(r"[+-]?\d{1,3}(\.\d{3})+,\d+", text):
        text = text.replace(".", "")
    elif re.fullmatch(r"[+-]?\d{1,3},\d{3}", text):  # 483,634: metres or kilometres
        return math.nan
    return number(text)


def _moment(cell: str) -> datetime | None:
    """Return a time of a table, None where it is none, as a day is: aware where the cell gives an offset."""
    text = cell.strip()
    if _is_day(text):
        return None
    year_first = re.fullmatch(r"(\d{4})[:/](\d\d)[:/](\d\d)[ T](.+)", text)
    try:
        found = datetime.fromisoformat("{}-{}-{}T{}".format(*year_first.groups()) if year_first else text)
    except ValueError:
        return None
    return found if 1990 <= found.year < 2100 else None


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _shown(cell: str) -> str:
    return repr(safe_text(cell, limit=40).removeprefix("'"))
