"""Positions from tables for photos whose EXIF is gone: which row means which file, and which of several stands."""

import dataclasses
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from collect.reading.stores import StoredObject, read_object
from collect.tables.names import NameBook, is_absolute, normal, shared_end
from collect.tables.reader import read_table
from collect.tables.rows import Row
from img2gps.files import canonical_json, sha256_bytes, sha256_file
from img2gps.text import agree, format_count, safe_text

__all__ = ["LabelRow", "Labels", "NamedFile", "capitalised", "merge_labels", "read_labels"]

_ISO: Final = ": write times as 2025-06-02T14:30:00"
_SHOWN: Final = 3
_COARSE_DECIMALS: Final = 3
_SAME_DEG: Final = 1e-9


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LabelRow:
    """One row: degrees (None where both cells are empty, NaN with a `complaint`), and what else it says.

    `captured_at` is aware where the row gives an offset, else naive: local time at the site. `file` is the name of the
    label file where there are several.
    """

    row: int
    lon: float | None
    lat: float | None
    complaint: str = ""
    file: str = ""
    captured_at: datetime | None = None
    accuracy_m: float | None = None
    heading_deg: float | None = None
    device: str | None = None

    @property
    def position(self) -> tuple[float, float] | None:
        """Longitude and latitude as given, None where the row gives none."""
        return None if self.lon is None or self.lat is None else (self.lon, self.lat)

    @property
    def where(self) -> str:
        """The row for a person."""
        return f"row {self.row} of {self.file or 'the labels'}"

    @property
    def digest(self) -> str:
        """A hash of what the label says, so that a rejection is judged again when its label changes."""
        values = dataclasses.asdict(self) | {"row": 0, "file": "", "lon": repr(self.lon), "lat": repr(self.lat)}
        return sha256_bytes(canonical_json(values | {"captured_at": str(self.captured_at)}))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NamedFile:
    """A file to be labelled: its name relative to the input it was found under, its size and where it lies."""

    name: str
    size: int
    path: bytes
    stored: StoredObject | None = None

    @property
    def sha256(self) -> str:
        """The hash of its bytes. Raises OSError."""
        return (
            sha256_file(Path(os.fsdecode(self.path))) if self.stored is None else sha256_bytes(read_object(self.stored))
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The rows of a label file by normal name, the first row of each name; `notes` for a person.

    `aliases` lead from other spellings of a name to it. `absolute` are the names that are paths of some machine.
    `coarse` counts the positions that a spreadsheet has rounded, and `example` is one of them.
    """

    by_name: Mapping[str, LabelRow]
    notes: tuple[str, ...] = ()
    aliases: Mapping[str, str] = dataclasses.field(default_factory=dict)
    absolute: frozenset[str] = frozenset()
    coarse: int = 0
    example: LabelRow | None = None

    def match(self, files: Sequence[NamedFile]) -> tuple[list[LabelRow | None], list[str]]:
        """Return the label of each file and notes for a person; see `NameBook` for which name means which file.

        A name that several different files answer to is nobody's label, unless it is the whole path of one of them:
        positions are never guessed. Files are different where their bytes are, which are read where sizes are equal.
        """
        book = NameBook([*self.by_name, *self.aliases], absolute=self.absolute)
        claimants: dict[str, list[int]] = {}
        for number, file in enumerate(files):
            key = book.key(file.name, os.fsdecode(file.path))
            if key is not None:
                claimants.setdefault(self.aliases.get(key, key), []).append(number)
        found: list[LabelRow | None] = [None] * len(files)
        ambiguous: dict[str, int] = {}
        moved: list[str] = []
        for key, numbers in claimants.items():
            rightful = self._rightful(key, numbers, files)
            for number in numbers if _alike([files[number] for number in rightful]) else []:
                if number in rightful or _alike([files[rightful[0]], files[number]]):
                    found[number] = self.by_name[key]
                    if key in self.absolute and shared_end(key, normal(os.fsdecode(files[number].path))) == 1:
                        moved.append(key)
            without = sum(found[number] is None for number in numbers)
            if without:
                ambiguous[key] = without
        return found, [*_ambiguity_notes(ambiguous), *_moved_note(moved), *self._unused_note(set(claimants))]

    def unused(self, found: Sequence[LabelRow | None]) -> list[str]:
        """Return the names whose label no file took, in the order of the file."""
        taken = {id(label) for label in found if label is not None}
        return [name for name, label in self.by_name.items() if id(label) not in taken]

    def rounding_notes(self) -> list[str]:
        """Return what there is to say about positions with so few decimals that they place nothing."""
        if self.example is None:
            return []
        return [
            f"{format_count(self.coarse, 'label')} of {len(self.by_name):,} {agree(self.coarse, 'holds', 'hold')} "
            f"a position of {_COARSE_DECIMALS} decimals or fewer, such as {self.example.where}, {self.example.lat:g}, "
            f"{self.example.lon:g}. A spreadsheet may have rounded it by 50 m and more. Export the table again with "
            "6 decimals."
        ]

    def _rightful(self, key: str, numbers: Sequence[int], files: Sequence[NamedFile]) -> list[int]:
        """Return which of the files that answer to a name have the best right to it."""
        names = {number: normal(files[number].name) for number in numbers}
        for fits in (
            [number for number in numbers if names[number] == key],
            [number for number in numbers if names[number].casefold() == key.casefold()],
        ):
            if fits:
                return fits
        if key not in self.absolute:
            return list(numbers)
        shared = {number: shared_end(key, normal(os.fsdecode(files[number].path))) for number in numbers}
        return [number for number in numbers if shared[number] == max(shared.values())]

    def _unused_note(self, used: set[str]) -> list[str]:
        unused = [name for name in self.by_name if name not in used]
        if not unused:
            return []
        shown = ", ".join(safe_text(name) for name in unused[:_SHOWN])
        return [f"{len(unused):,} of {len(self.by_name):,} labels match no file, such as {shown}."]


def _ambiguity_notes(ambiguous: Mapping[str, int]) -> list[str]:
    return [
        f"The label {safe_text(name)} matches several different files, of which {count} take no label: "
        "give their folders in the label file."
        for name, count in sorted(ambiguous.items())
    ]


def _moved_note(moved: Sequence[str]) -> list[str]:
    if not moved:
        return []
    return [
        f"{format_count(len(moved), 'label')} with a path from elsewhere, such as {safe_text(moved[0])}, were matched "
        "by the file's name alone: check that the photos are those."
    ]


def _alike(files: Sequence[NamedFile]) -> bool:
    """Return whether all files have the same bytes; one that cannot be read is like no other."""
    if len({file.size for file in files}) > 1:
        return False
    try:
        return len(files) < 2 or len({file.sha256 for file in files}) == 1
    except OSError:
        return False


def read_labels(path: Path, *, file: str = "") -> Labels:
    """Return the labels of a table (see `collect.tables.reader`); `file` names it where there are several.

    Raises NotFoundError where there is none, UsageError naming the column that is missing.
    """
    by_name: dict[str, LabelRow] = {}
    notes: list[str] = []
    unread: Counter[str] = Counter()
    others: dict[str, str] = {}
    absolute: set[str] = set()
    coarse: list[LabelRow] = []
    for row in read_table(path, option="--labels").rows:
        key = normal(row.names[0]) if row.names else ""
        if not key:
            continue
        label = _label(row, file)
        unread.update(row.unread)
        first = by_name.setdefault(key, label)
        others |= {alias: key for name in row.names[1:] if (alias := normal(name))}
        if is_absolute(row.names[0]):
            absolute.update(normal(name) for name in row.names)
        if first is label and row.decimals is not None and row.decimals <= _COARSE_DECIMALS:
            coarse.append(label)
        if not _same_place(first, label):
            notes.append(
                f"{capitalised(first.where)} and row {label.row} place {safe_text(row.names[0])} differently: "
                f"row {first.row} stands."
            )
    notes += [
        f"{format_count(count, 'label')} of {len(by_name):,} {agree(count, 'holds', 'hold')} a {field} that "
        f"cannot be read, which is left out{_ISO if field == 'captured_at' else ''}."
        for field, count in sorted(unread.items())
    ]
    return Labels(
        by_name=by_name,
        notes=tuple(notes),
        aliases={alias: key for alias, key in others.items() if alias not in by_name},
        absolute=frozenset(absolute),
        coarse=len(coarse),
        example=coarse[0] if coarse else None,
    )


def merge_labels(earlier: LabelRow | None, later: LabelRow | None) -> tuple[LabelRow | None, bool]:
    """Return one label of two files' for the same photo, and whether they place it differently.

    What the later file says stands; what it leaves open, the earlier fills in.
    """
    if earlier is None or later is None:
        return later or earlier, False
    if later.position is None and not later.complaint:
        given = {
            field: value
            for field in ("captured_at", "heading_deg", "device")
            if (value := getattr(later, field)) is not None
        }
        return dataclasses.replace(earlier, **given), False
    filled = {
        field: getattr(earlier, field)
        for field in ("captured_at", "heading_deg", "device")
        if getattr(later, field) is None
    }
    contradict = earlier.position is not None and not _same_place(earlier, later)
    return dataclasses.replace(later, **filled), contradict


def capitalised(text: str) -> str:
    """Return a sentence's beginning with a capital, the rest as it is: names of files are in it."""
    return text[:1].upper() + text[1:]


def _same_place(one: LabelRow, other: LabelRow) -> bool:
    if one.position is None or other.position is None or one.complaint or other.complaint:
        return one.complaint == other.complaint and one.position == other.position
    return all(abs(a - b) <= _SAME_DEG for a, b in zip(one.position, other.position, strict=True))


def _label(row: Row, file: str) -> LabelRow:
    return LabelRow(
        row=row.row,
        lon=math.nan if row.complaint else row.lon,
        lat=math.nan if row.complaint else row.lat,
        complaint=row.complaint,
        file=file,
        captured_at=row.captured_at,
        accuracy_m=row.accuracy_m,
        heading_deg=None if row.heading_deg is None else row.heading_deg % 360,
        device=row.device or None,
    )
