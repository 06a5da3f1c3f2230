"""Label corrections: an append-only chain of lines beside the manifest.

Every line is one action of a person on one photo. It carries a digest over itself and the line before, so a changed,
lost or reordered line is found. The newest line of a photo counts, and says everything about it. A photo that was moved
and then marked unsure carries its new position in both lines. Undoing is another line. The position of ingest stays in
the manifest and is never overwritten.

What people type may hold anything. A line whose `by` or `why` could act on a terminal or a spreadsheet has them escaped
(`img2gps.text.escape_text`), and its digest says so. Every other line is written as it always was.
"""

import csv
import dataclasses
import io
import math
from pathlib import Path
from typing import Final, Literal, get_args

from img2gps.errors import InvalidDatasetError
from img2gps.files import append_line, canonical_json, drop_incomplete_line, fsync_folder, sha256_bytes, write_atomic
from img2gps.progress import stderr
from img2gps.text import escape_text, safe_path, unescape_text

__all__ = [
    "FIELDS",
    "Action",
    "Correction",
    "append_corrections",
    "file_text",
    "histories",
    "is_end_whole",
    "newest",
    "read_corrections",
    "write_corrections",
]

Action = Literal["move", "unsure", "exclude", "confirm", "reset"]
"""move: a new position or heading; unsure, exclude: a mark; confirm: looked at, right; reset: back to ingest."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One line: who did what to which photo, when and why.

    `from_lon`, `from_lat` are where the photo was before, `lon`, `lat` where it is now (degrees; None: as ingested).
    `heading_deg` is its corrected heading, clockwise from true north. Lines that were written by one action on several
    photos share a `batch`; a line that takes another back names that line's digest in `undoes`.
    """

    at: str
    by: str
    photo_id: str
    action: Action
    from_lon: float
    from_lat: float
    lon: float | None = None
    lat: float | None = None
    heading_deg: float | None = None
    why: str = ""
    batch: str = ""
    undoes: str = ""
    digest: str = ""


FIELDS: Final = tuple(field.name for field in dataclasses.fields(Correction))
_NUMBERS = ("from_lon", "from_lat", "lon", "lat", "heading_deg")
_TEXTS: Final = ("by", "why")


def read_corrections(path: Path) -> list[Correction]:
    """Return every line in order, an empty list where the file does not exist.

    Raises InvalidDatasetError naming the line whose digest does not fit. A last line that a crash
    cut short (no newline) was never acknowledged to anybody and is left out.
    """
    written = _end_of(path)  # before the lines: another process may be adding one
    if not path.exists():
        _check_end(path, [], written, cut_short=False)
        return []
    data = path.read_bytes()
    try:
        complete = data[: data.rfind(b"\n") + 1].decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidDatasetError(f"{safe_path(path)} is not UTF-8 text: restore the file from a backup.") from error
    reader = csv.DictReader(io.StringIO(complete, newline=""))
    try:
        columns, rows = tuple(reader.fieldnames or ()), list(reader)
    except csv.Error as error:
        raise InvalidDatasetError(f"{safe_path(path)} is no CSV ({error}): restore the file from a backup.") from error
    if complete and columns != FIELDS:
        raise InvalidDatasetError(
            f"{safe_path(path)} does not start with the columns {', '.join(FIELDS)}: restore the file from a backup."
        )
    corrections: list[Correction] = []
    previous = ""
    for number, row in enumerate(rows, start=2):
        stored = _parse(row, path, number)
        plain = stored.digest == _digest(stored, previous)
        correction = stored if plain else _unescaped(stored)
        if not plain and correction.digest != _digest(correction, previous, escaped=True):
            raise InvalidDatasetError(
                f"{safe_path(path)}, row {number}, was changed after it was written, or a row before it is missing: "
                "restore the file from a backup."
            )
        corrections.append(correction)
        previous = correction.digest
    _check_end(path, corrections, written, cut_short=not data or not data.endswith(b"\n"))
    return corrections


def _end_path(path: Path) -> Path:
    """Return the file beside the corrections that names the digest of the last line that was acknowledged."""
    return path.with_suffix(".sha256")


def _end_of(path: Path) -> tuple[int, str]:
    """Return how many lines were acknowledged and the digest of the last; (0, "") where none was yet."""
    try:
        count, _, digest = _end_path(path).read_text(encoding="ascii", errors="replace").strip().partition(" ")
    except FileNotFoundError:
        return 0, ""
    return (int(count), digest) if count.isdecimal() and len(count) < 10 else (1, f"{count} {digest}".strip())


def _check_end(path: Path, corrections: list[Correction], written: tuple[int, str], *, cut_short: bool) -> None:
    """Raise InvalidDatasetError where lines are missing at the end: a chain alone does not tell that.

    Where the last line is there in part, which a crash may leave, that is said and no more.
    """
    count, digest = written
    if not digest or any(correction.digest == digest for correction in corrections):
        return
    if cut_short and len(corrections) == count - 1:
        stderr().print(f"{safe_path(path)} ends in a damaged line, which is left out.", markup=False)
        return
    raise InvalidDatasetError(
        f"{safe_path(path)} lacks lines at its end that were written: restore the file from a backup, or delete "
        f"{safe_path(_end_path(path))} to go on with what is left."
    )


def is_end_whole(path: Path, corrections: list[Correction]) -> bool:
    """Return whether the file that names the last line acknowledged, if there is one, names one of `corrections`."""
    try:
        text = _end_path(path).read_text(encoding="ascii", errors="replace")
    except FileNotFoundError:
        return True
    # a line before the last, too: a kill may have come between the two files
    return any(text == f"{count} {entry.digest}\n" for count, entry in enumerate(corrections, start=1))


def append_corrections(path: Path, corrections: list[Correction]) -> list[Correction]:
    """Append lines in one fsynced write and return them with their digests; the caller holds the dataset's lock."""
    existing = read_corrections(path)
    previous = existing[-1].digest if existing else ""
    chained: list[Correction] = []
    for correction in map(_normalised, corrections):
        digest = _digest(correction, previous, escaped=_escaped(correction) != correction)
        chained.append(dataclasses.replace(correction, digest=digest))
        previous = digest
    drop_incomplete_line(path)
    header = [] if path.exists() and path.stat().st_size else [",".join(FIELDS)]
    if chained:
        append_line(path, "\n".join([*header, *(_format(_escaped(correction)) for correction in chained)]))
        # after the lines: killed in between, the file names a line before the last, which is as good
        end = f"{len(existing) + len(chained)} {previous}\n"
        write_atomic(_end_path(path), end.encode(), sync_folder=False)
    if header:
        fsync_folder(path.parent)  # the file is new: its name must be durable too
    return chained


def write_corrections(path: Path, corrections: list[Correction]) -> list[Correction]:
    """Replace the file by these lines, chained anew, and return them; the caller holds the dataset's lock.

    For what may not merely be appended: photos that are forgotten, datasets that are merged. A line that takes another
    back names that line's new digest, or none where it is not among these. After a kill at any point the file is the
    old or the new one. The file that names its last line is absent meanwhile, as if an earlier version had written it.
    """
    chained: list[Correction] = []
    renamed: dict[str, str] = {}
    previous = ""
    for correction in map(_normalised, corrections):
        line = dataclasses.replace(correction, undoes=renamed.get(correction.undoes, ""))
        digest = _digest(line, previous, escaped=_escaped(line) != line)
        if correction.digest:
            renamed[correction.digest] = digest
        chained.append(dataclasses.replace(line, digest=digest))
        previous = digest
    _end_path(path).unlink(missing_ok=True)
    if not chained:
        path.unlink(missing_ok=True)
        fsync_folder(path.parent)
        return []
    fsync_folder(path.parent)
    write_atomic(path, file_text(chained).encode())
    write_atomic(_end_path(path), f"{len(chained)} {previous}\n".encode())
    return chained


def newest(corrections: list[Correction]) -> dict[str, Correction]:
    """Return the line that holds for each photo id; photos that were reset are left out."""
    latest = {correction.photo_id: correction for correction in corrections}
    return {photo_id: correction for photo_id, correction in latest.items() if correction.action != "reset"}


def histories(corrections: list[Correction]) -> dict[str, list[Correction]]:
    """Return for each photo id the lines that still count, oldest first: an undone line and its undoing drop out.

    The last of a photo's lines is its state, and an undo goes back to the one before. A photo with every line undone
    has an empty list.
    """
    stacks: dict[str, list[Correction]] = {}
    for correction in corrections:
        stack = stacks.setdefault(correction.photo_id, [])
        if not correction.undoes:
            stack.append(correction)
        elif stack and stack[-1].digest == correction.undoes:
            stack.pop()
    return stacks


def _normalised(correction: Correction) -> Correction:
    """Return the correction as reading it back would give it, or the chain would break on an int."""
    numbers = {name: getattr(correction, name) for name in _NUMBERS}
    values = {name: None if value is None else float(value) for name, value in numbers.items()}
    if not _plausible(values):
        raise ValueError(f"not a correction that can be stored: {correction}")
    return dataclasses.replace(correction, **values)  # type: ignore[arg-type]  # floats by the names of the fields


def _plausible(numbers: dict[str, float | None]) -> bool:
    """Return whether the numbers of a line can be positions and a heading: finite, in range, lon and lat together."""
    lons, lats = (numbers["from_lon"], numbers["lon"]), (numbers["from_lat"], numbers["lat"])
    return (
        None not in (lons[0], lats[0])
        and (lons[1] is None) == (lats[1] is None)
        and all(value is None or math.isfinite(value) for value in numbers.values())
        and all(value is None or abs(value) <= 360 for value in (*lons, numbers["heading_deg"]))
        and all(value is None or abs(value) <= 90 for value in lats)
    )


def file_text(corrections: list[Correction]) -> str:
    """Return the text of a file that holds `corrections` and nothing else, as `append_corrections` writes it."""
    stored, previous = [], ""
    for entry in corrections:
        stored.append(entry if entry.digest == _digest(entry, previous) else _escaped(entry))
        previous = entry.digest
    return "".join(f"{line}\n" for line in [",".join(FIELDS), *(_format(entry) for entry in stored)])


def _escaped(correction: Correction) -> Correction:
    return dataclasses.replace(correction, **{name: escape_text(getattr(correction, name)) for name in _TEXTS})  # type: ignore[arg-type]  # texts by the names of the fields


def _unescaped(stored: Correction) -> Correction:
    """Return the correction of an escaped line; one that `_escaped` would not have written so stays as it is."""
    found = dataclasses.replace(stored, **{name: unescape_text(getattr(stored, name)) for name in _TEXTS})  # type: ignore[arg-type]  # texts by the names of the fields
    return found if found != stored and _escaped(found) == stored else stored


def _parse(row: dict[str, str], path: Path, number: int) -> Correction:
    try:
        values: dict[str, object] = {name: row[name] for name in FIELDS}
        if None in row or values["action"] not in get_args(Action):
            raise ValueError
        numbers = {name: float(row[name]) if row[name] else None for name in _NUMBERS}
        if not _plausible(numbers):
            raise ValueError
        values |= numbers
        return Correction(**values)  # type: ignore[arg-type]  # checked field by field above
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidDatasetError(
            f"{safe_path(path)}, row {number}, is malformed: restore the file from a backup."
        ) from error


def _format(correction: Correction) -> str:
    text = io.StringIO(newline="")
    values = ["" if value is None else value for value in dataclasses.astuple(correction)]
    csv.writer(text, lineterminator="").writerow(values)
    return text.getvalue()


def _digest(correction: Correction, previous: str, *, escaped: bool = False) -> str:
    fields = dataclasses.asdict(correction) | {"digest": previous}
    if escaped:  # so that a line of before, whose reason happens to look escaped, is never taken for one of these
        fields["texts"] = "escaped"
    return sha256_bytes(canonical_json(fields))
