"""Positions from a CSV file, for photos whose EXIF is gone, under any usual spelling of the columns."""

import csv
import dataclasses
import io
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from img2gps.errors import NotFoundError, UsageError
from img2gps.files import canonical_json, sha256_bytes
from img2gps.text import safe_path, safe_text

__all__ = ["Label", "Labels", "NamedFile", "read_labels"]

_SPELLINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "name": (
        *("file_name", "filename", "file", "image", "image_name", "image_file", "image_path", "img", "img_name"),
        *("path", "file_path", "filepath", "name", "photo", "photo_name", "picture", "sourcefile", "source_name"),
    ),
    "lat": ("latitude", "lat", "latitude_deg", "lat_deg", "gps_lat", "gps_latitude", "gpslatitude", "y"),
    "lon": (
        *("longitude", "lon", "lng", "long", "longitude_deg", "lon_deg", "gps_lon", "gps_lng", "gps_long"),
        *("gps_longitude", "gpslongitude", "x"),
    ),
    "captured_at": (
        *("captured_at", "timestamp", "datetime", "date_time", "time", "taken_at", "capture_time", "created_at"),
        *("datetime_original", "datetimeoriginal"),
    ),
    "accuracy_m": (
        *("accuracy_m", "accuracy", "gps_accuracy_m", "gps_accuracy", "horizontal_accuracy", "accuracy_meters"),
        *("gpshpositioningerror", "hdop_m"),
    ),
    "heading_deg": ("heading_deg", "heading", "bearing", "yaw", "azimuth", "direction", "compass", "gpsimgdirection"),
    "device": ("device", "camera", "phone", "device_id", "model", "camera_id"),
}
_REQUIRED: Final = ("name", "lat", "lon")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One row: degrees (NaN where the cell is no number), and what else the file says about the photo.

    `captured_at` is aware where the row gives an offset, else naive: local time at the site.
    """

    row: int
    lon: float
    lat: float
    captured_at: datetime | None = None
    accuracy_m: float | None = None
    heading_deg: float | None = None
    device: str | None = None

    @property
    def digest(self) -> str:
        """A hash of what the label says, so that a rejection is judged again when its label changes."""
        values = dataclasses.asdict(self) | {"row": 0, "lon": repr(self.lon), "lat": repr(self.lat)}
        return sha256_bytes(canonical_json(values | {"captured_at": str(self.captured_at)}))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file to be labelled: its name relative to the input it was found under, and its size."""

    name: str
    size: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The rows of a label file by normalised name, the first row of each name; `notes` for a person."""

    by_name: Mapping[str, Label]
    notes: tuple[str, ...] = ()

    def match(self, files: Sequence[NamedFile]) -> tuple[list[Label | None], list[str]]:
        """Return the label of each file, by its relative path or else its base name, and notes for a person.

        A base name that several different files bear is nobody's label: positions are never guessed.
        """
        sizes: dict[str, set[int]] = {}
        for file in files:
            sizes.setdefault(_base(file.name), set()).add(file.size)
        used: set[str] = set()
        found: list[Label | None] = []
        ambiguous: Counter[str] = Counter()
        for file in files:
            key = next((key for key in self._keys(file.name) if key in self.by_name), None)
            if key is not None and key == _base(file.name) and "/" not in key and len(sizes[key]) > 1:
                ambiguous[key] += 1
                key = None
            used |= {key} if key else set()
            found.append(self.by_name[key] if key else None)
        return found, [*self._ambiguity_notes(ambiguous), *self._unused_note(used | set(ambiguous))]

    @staticmethod
    def _keys(name: str) -> list[str]:
        """Return the full relative path, each shorter tail of it, and at last the base name."""
        parts = _normal(name).split("/")
        return ["/".join(parts[start:]) for start in range(len(parts))]

    @staticmethod
    def _ambiguity_notes(ambiguous: Counter[str]) -> list[str]:
        return [
            f"{count} different files are called {safe_text(name)}: give their folders in the label file to tell them "
            "apart; none of them takes its label."
            for name, count in sorted(ambiguous.items())
        ]

    def _unused_note(self, used: set[str]) -> list[str]:
        unused = [name for name in self.by_name if name not in used]
        if not unused:
            return []
        return [f"{len(unused):,} of {len(self.by_name):,} labels match no file, such as {safe_text(unused[0])}."]


def read_labels(path: Path) -> Labels:
    """Return the labels of a CSV file (comma, semicolon or tab; UTF-8).

    Raises NotFoundError where there is none, UsageError naming the column that is missing.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFoundError(f"No label file {safe_path(path)}: check the path given to --labels.") from error
    except OSError as error:
        raise UsageError(f"Cannot read the label file {safe_path(path)}: {error.strerror}.") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    header = text.splitlines()[0] if text.strip() else ""
    delimiter = max(",;\t", key=header.count)
    rows = csv.reader(io.StringIO(text.replace("\0", ""), newline=""), delimiter=delimiter)
    try:
        columns = _columns(next(rows, []), path)
        return _collect(rows, columns, decimal_comma=delimiter == ";")
    except csv.Error as error:
        raise UsageError(f"{safe_path(path)} is not a CSV file ({error}): save it as CSV, UTF-8.") from error


def _columns(header: Sequence[str], path: Path) -> dict[str, int]:
    names = [re.sub(r"[^a-z0-9]+", "_", cell.strip().lower()).strip("_") for cell in header]
    columns: dict[str, int] = {}
    for field, spellings in _SPELLINGS.items():
        at = next((names.index(spelling) for spelling in spellings if spelling in names), None)
        if at is not None:
            columns[field] = at
    for field in _REQUIRED:
        if field not in columns:
            usual = ", ".join(_SPELLINGS[field][:3])
            raise UsageError(f"{safe_path(path)} has no column for the {field} of a photo: name one {usual}.")
    return columns


def _collect(rows: "csv._reader", columns: Mapping[str, int], *, decimal_comma: bool) -> Labels:  # type: ignore[name-defined]
    by_name: dict[str, Label] = {}
    notes: list[str] = []
    for row_number, row in enumerate(rows, start=2):
        cells = {field: row[at].strip() if at < len(row) else "" for field, at in columns.items()}
        name = _normal(cells["name"])
        if not name:
            continue
        if decimal_comma:
            cells |= {field: cells.get(field, "").replace(",", ".") for field in ("lat", "lon", "accuracy_m")}
        label = _label(cells, row_number)
        first = by_name.setdefault(name, label)
        if (first.lon, first.lat) != (label.lon, label.lat):
            notes.append(
                f"Rows {first.row} and {row_number} of the labels place {safe_text(cells['name'])} differently: "
                f"row {first.row} stands."
            )
    return Labels(by_name=by_name, notes=tuple(notes))


def _label(cells: Mapping[str, str], row: int) -> Label:
    heading = _number(cells.get("heading_deg", ""))
    accuracy = _number(cells.get("accuracy_m", ""))
    return Label(
        row=row,
        lon=_number(cells["lon"]),
        lat=_number(cells["lat"]),
        captured_at=_moment(cells.get("captured_at", "")),
        accuracy_m=accuracy if math.isfinite(accuracy) and accuracy > 0 else None,
        heading_deg=heading % 360 if math.isfinite(heading) else None,
        device=cells.get("device") or None,
    )


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan


def _moment(cell: str) -> datetime | None:
    exif_style = re.fullmatch(r"(\d{4}):(\d\d):(\d\d)[ T](.+)", cell)
    try:
        moment = datetime.fromisoformat("{}-{}-{}T{}".format(*exif_style.groups()) if exif_style else cell)
    except ValueError:
        return None
    return moment if 1990 <= moment.year < 2100 else None


def _normal(name: str) -> str:
    """Return a name that is equal across systems: macOS decomposes letters, Windows ignores case, turns slashes."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).casefold().removeprefix("./").lstrip("/")


def _base(name: str) -> str:
    return _normal(name).rsplit("/", 1)[-1]
