"""Positions from a CSV file, for photos whose EXIF is gone, under any usual spelling of the columns."""

import csv
import dataclasses
import io
import math
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from img2gps.errors import NotFoundError, UsageError
from img2gps.files import canonical_json, sha256_bytes, sha256_file
from img2gps.text import format_count, safe_path, safe_text

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
_NUMBERS: Final = ("lat", "lon", "accuracy_m", "heading_deg")
_OPTIONAL: Final = ("captured_at", "accuracy_m", "heading_deg")
_ISO: Final = ": write times as 2025-06-02T14:30:00"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One row: degrees (None where both cells are empty, NaN where one is no number), and what else it says.

    `captured_at` is aware where the row gives an offset, else naive: local time at the site.
    """

    row: int
    lon: float | None
    lat: float | None
    captured_at: datetime | None = None
    accuracy_m: float | None = None
    heading_deg: float | None = None
    device: str | None = None

    @property
    def position(self) -> tuple[float, float] | None:
        """Longitude and latitude as given, None where the row gives none."""
        return None if self.lon is None or self.lat is None else (self.lon, self.lat)

    @property
    def digest(self) -> str:
        """A hash of what the label says, so that a rejection is judged again when its label changes."""
        values = dataclasses.asdict(self) | {"row": 0, "lon": repr(self.lon), "lat": repr(self.lat)}
        return sha256_bytes(canonical_json(values | {"captured_at": str(self.captured_at)}))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file to be labelled: its name relative to the input it was found under, its size and where it lies."""

    name: str
    size: int
    path: bytes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The rows of a label file by normalised name, the first row of each name; `notes` for a person."""

    by_name: Mapping[str, Label]
    notes: tuple[str, ...] = ()

    def match(self, files: Sequence[NamedFile]) -> tuple[list[Label | None], list[str]]:
        """Return the label of each file, by its relative path, the end of it or its base name, and notes for a person.

        A name that several different files answer to is nobody's label, unless it is the whole path of one of them:
        positions are never guessed. Files are different where their bytes are, which are read where sizes are equal.
        """
        folded: dict[str, list[str]] = {}
        for name in self.by_name:
            folded.setdefault(name.casefold(), []).append(name)
        keys = [self._key(file.name, folded) for file in files]
        claimants: dict[str, list[int]] = {}
        for number, key in enumerate(keys):
            if key is not None:
                claimants.setdefault(key, []).append(number)
        found: list[Label | None] = [None] * len(files)
        ambiguous: dict[str, int] = {}
        for key, numbers in claimants.items():
            named = [number for number in numbers if _normal(files[number].name) == key]
            named = named or [number for number in numbers if _normal(files[number].name).casefold() == key.casefold()]
            rightful = named or numbers
            for number in numbers if _alike([files[number] for number in rightful]) else []:
                if number in rightful or _alike([files[rightful[0]], files[number]]):
                    found[number] = self.by_name[key]
            without = sum(found[number] is None for number in numbers)
            if without:
                ambiguous[key] = without
        return found, [*self._ambiguity_notes(ambiguous), *self._unused_note(set(claimants))]

    def _key(self, name: str, folded: Mapping[str, Sequence[str]]) -> str | None:
        """Return the row's name that fits a file's: its whole path, then each shorter end of it.

        Letters' case counts as long as it tells names apart: cameras and Windows write it as they like.
        """
        parts = _normal(name).split("/")
        for end in ("/".join(parts[start:]) for start in range(len(parts))):
            if end in self.by_name:
                return end
            alike = folded.get(end.casefold(), ())
            if alike:
                return alike[0] if len(alike) == 1 else None
        return None

    @staticmethod
    def _ambiguity_notes(ambiguous: Mapping[str, int]) -> list[str]:
        return [
            f"Files of different bytes answer to the name {safe_text(name)}, of which {count} take no label: "
            "give their folders in the label file to tell them apart."
            for name, count in sorted(ambiguous.items())
        ]

    def _unused_note(self, used: set[str]) -> list[str]:
        unused = [name for name in self.by_name if name not in used]
        if not unused:
            return []
        return [f"{len(unused):,} of {len(self.by_name):,} labels match no file, such as {safe_text(unused[0])}."]


def _alike(files: Sequence[NamedFile]) -> bool:
    """Return whether all files have the same bytes; one that cannot be read is like no other."""
    if len({file.size for file in files}) > 1:
        return False
    try:
        return len(files) < 2 or len({sha256_file(Path(os.fsdecode(file.path))) for file in files}) == 1
    except OSError:
        return False


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
    unread: Counter[str] = Counter()
    for row_number, row in enumerate(rows, start=2):
        cells = {field: row[at].strip() if at < len(row) else "" for field, at in columns.items()}
        name = _normal(cells["name"])
        if not name:
            continue
        if decimal_comma:
            cells |= {field: cells.get(field, "").replace(",", ".") for field in _NUMBERS}
        label = _label(cells, row_number)
        unread.update(field for field in _OPTIONAL if cells.get(field) and getattr(label, field) is None)
        first = by_name.setdefault(name, label)
        if first.position != label.position:
            notes.append(
                f"Rows {first.row} and {row_number} of the labels place {safe_text(cells['name'])} differently: "
                f"row {first.row} stands."
            )
    notes += [
        f"{format_count(count, 'label')} of {len(by_name):,} hold a {field} that cannot be read, which is left out"
        f"{_ISO if field == 'captured_at' else ''}."
        for field, count in sorted(unread.items())
    ]
    return Labels(by_name=by_name, notes=tuple(notes))


def _label(cells: Mapping[str, str], row: int) -> Label:
    heading = _number(cells.get("heading_deg", ""))
    accuracy = _number(cells.get("accuracy_m", ""))
    placed = bool(cells["lon"] or cells["lat"])
    return Label(
        row=row,
        lon=_number(cells["lon"]) if placed else None,
        lat=_number(cells["lat"]) if placed else None,
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
    """Return a name that is equal across systems but for case: macOS decomposes letters, Windows turns slashes."""
    return unicodedata.normalize("NFC", name.strip().replace("\\", "/")).removeprefix("./").lstrip("/")
