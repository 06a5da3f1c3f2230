"""Tables of positions: CSV as spreadsheets, QGIS, exiftool, Kobo and people write it, and OpenDroneMap's geo.txt.

`--labels` and `label --import` both read them here. A position is read right, or its row says what is wrong with it.
"""

import csv
import dataclasses
import io
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from collect.tables.columns import SPELLINGS, Columns, columns_of, missing
from collect.tables.decoding import Decoded, decode
from collect.tables.geo_txt import geo_rows, is_geo_txt
from collect.tables.rows import Row, best_name, row_of
from img2gps.errors import NotFoundError, UsageError
from img2gps.text import safe_path, safe_text

__all__ = ["LabelTable", "read_table"]

_MOST_BYTES: Final = 64 << 20
_HEADER_WITHIN: Final = 30
_DELIMITERS: Final = ",;\t|"
_PAIR: Final = re.compile(r"\s*\(?[+-]?\d{1,3}\.\d+\s*[,; ]\s*[+-]?\d{1,3}\.\d+\)?\s*")
_WORKBOOKS: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods, .xls
_SEPARATOR: Final = re.compile(r"sep=(.)\r?\n", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LabelTable:
    """The rows of a file in order. `where` is the file for a person."""

    where: str
    rows: tuple[Row, ...]


def read_table(path: Path, *, option: str) -> LabelTable:
    """Return the rows of a file of positions given to `option`.

    Raises NotFoundError, or UsageError where the file as a whole cannot be read: what is missing, and what to do.
    """
    where = safe_path(path)
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise UsageError(f"{where} is larger than {_MOST_BYTES >> 20} MiB: that is no list of positions.")
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"No label file {where}: check the path given to {option}.") from error
    except OSError as error:
        raise UsageError(f"Cannot read the label file {where}: {error.strerror}.") from error
    if content.startswith(_WORKBOOKS):
        raise UsageError(f"{where} is a spreadsheet's workbook or an archive, no CSV file: save it as CSV, UTF-8.")
    decoded = decode(content)
    try:
        if is_geo_txt(decoded.text):
            return LabelTable(where=where, rows=tuple(geo_rows(decoded, where)))
        return LabelTable(where=where, rows=tuple(_rows(decoded, where)))
    except csv.Error as error:
        raise UsageError(f"{where} is not a CSV file ({error}): save it as CSV, UTF-8.") from error


def _rows(decoded: Decoded, where: str) -> list[Row]:
    text, given = decoded.text, _SEPARATOR.match(decoded.text)
    delimiters = given.group(1) if given else _DELIMITERS
    if given:  # a line for Excel alone, which it does not count
        text = text[given.end() :]
    parsed = {delimiter: _cells(text, delimiter) for delimiter in delimiters if given or delimiter in text} or {
        ",": _cells(text, ",")
    }
    found = _header(parsed)
    if found is None:
        raise UsageError(_no_header(parsed, where, decoded))
    delimiter, at, columns = found
    if columns.problem:
        raise UsageError(f"{where} {columns.problem}.")
    body = [(number, cells) for number, cells in enumerate(parsed[delimiter], start=1) if number > at + 1]
    filled = [(number, cells) for number, cells in body if any(cell.strip() for cell in cells)]
    if not filled:
        note = "" if decoded.is_unicode else ", and is not UTF-8 text"
        raise UsageError(f"{where} holds no row below its header{note}: export the table again.")
    filled = _with_letters_told(columns, filled)
    name_at = best_name(columns, [cells for _, cells in filled])
    letters = _letter_columns(columns, [cells for _, cells in filled])
    return [row_of(cells, number, columns, name_at, letters, decoded, where) for number, cells in filled]


def _cells(text: str, delimiter: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def _header(parsed: Mapping[str, Sequence[Sequence[str]]]) -> tuple[str, int, Columns] | None:
    """Return delimiter, place and meaning of the first row that names a photo and a position."""
    for at in range(_HEADER_WITHIN):
        fit = [
            (len(columns.at) + len(columns.names), delimiter, columns)
            for delimiter, rows in parsed.items()
            if at < len(rows) and not missing(columns := columns_of(rows[at]))
        ]
        if fit:
            _, delimiter, columns = max(fit, key=lambda entry: entry[0])
            return delimiter, at, columns
    return None


def _no_header(parsed: Mapping[str, Sequence[Sequence[str]]], where: str, decoded: Decoded) -> str:
    """Return the sentence for a table in which no row is a header: what it lacks, by its likeliest header."""
    first = [next((row for row in rows if any(cell.strip() for cell in row)), []) for rows in parsed.values()]
    header = max(first, key=lambda row: (-len(missing(columns_of(row))), len(row)))
    columns = columns_of(header)
    if columns.problem:
        return f"{where} {columns.problem}."
    if len(header) >= 3 and any(re.fullmatch(r"\s*[+-]?\d+[.,]\d+\s*", cell) for cell in header):
        return (
            f"{where} has no header: row 1 holds values, and nothing says which column is the latitude; "
            "add a first row such as file_name,latitude,longitude."
        )
    absent = missing(columns)
    pair = _pair_column(parsed)
    if pair and "lat" in absent:
        return (
            f"{where}, row {pair[0]}, column {safe_text(pair[1], limit=40)} holds two numbers, and nothing tells "
            "which is the latitude: make two columns of it, latitude and longitude."
        )
    if absent == ["name"]:
        return (
            f"{where} has no column for the photo: add id, source_name, file_name, image, path or photo to the header."
        )
    axis = next((name for name in ("lon", "lat") if name in absent), "lat")
    note = "" if decoded.is_unicode else " (The file is not UTF-8 text and was read as Windows-1252.)"
    return f"{where} has no column {axis} ({', '.join(SPELLINGS[axis][:4])}) in its header: add it.{note}"


def _pair_column(parsed: Mapping[str, Sequence[Sequence[str]]]) -> tuple[int, str] | None:
    """Return the row and the header of a first cell that holds two numbers, None where there is none."""
    for rows in parsed.values():
        for number, (header, row) in enumerate(itertools.pairwise(rows), start=2):
            for title, cell in zip(header, row, strict=False):
                if _PAIR.fullmatch(cell):
                    return number, title.strip()
    return None


def _with_letters_told(columns: Columns, rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Return the rows with an O of the column of longitudes' letters as E or W, where the others tell its language."""
    at = columns.at.get("lon_ref")
    if at is None:
        return rows
    letters = {row[at].strip().upper() for _, row in rows if at < len(row)}
    other = {frozenset("OW"): "E", frozenset("OE"): "W"}.get(frozenset(letters - {""}))
    if other is None:
        return rows
    return [
        (number, [other if n == at and cell.strip().upper() == "O" else cell for n, cell in enumerate(row)])
        for number, row in rows
    ]


def _letter_columns(columns: Columns, rows: Sequence[Sequence[str]]) -> dict[str, int]:
    """Return the columns of hemisphere letters that no header names: what they say must not be passed over."""
    known = {*columns.at.values(), *columns.names}
    if "heading_deg" in columns.at and columns.title("heading_deg").lower() == "direction":
        known.discard(columns.at["heading_deg"])  # of the camera, or of the coordinate
    found: dict[str, int] = {}
    for number in range(len(columns.header)):
        words = {row[number].strip().casefold() for row in rows if number < len(row) and row[number].strip()}
        for axis, letters in (("lat", {"n", "s", "north", "south"}), ("lon", {"e", "w", "east", "west"})):
            if number not in known and words and words <= letters and f"{axis}_ref" not in columns.at:
                found[axis] = number
    return found
