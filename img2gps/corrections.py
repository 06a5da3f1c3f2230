"""Label corrections: an append-only chain of lines beside the manifest.

Every line is one action of a person on one photo and carries a digest over itself and the line before,
so that a changed, lost or reordered line is found. The newest line of a photo holds; undoing is
another line. The position of ingest stays in the manifest and is never overwritten.
"""

import csv
import dataclasses
import io
from pathlib import Path
from typing import Final, Literal, get_args

from img2gps.errors import InvalidDatasetError
from img2gps.files import append_line, canonical_json, sha256_bytes
from img2gps.text import safe_path

__all__ = ["FIELDS", "Action", "Correction", "append_corrections", "newest", "read_corrections"]

Action = Literal["move", "unsure", "exclude", "confirm", "reset"]
"""move: a new position or heading; unsure, exclude: a mark; confirm: looked at, right; reset: back to ingest."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One line: who did what to which photo, when and why. Positions in degrees, None where not moved."""

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
    digest: str = ""


FIELDS: Final = tuple(field.name for field in dataclasses.fields(Correction))
_NUMBERS = ("from_lon", "from_lat", "lon", "lat", "heading_deg")


def read_corrections(path: Path) -> list[Correction]:
    """Return every line in order, an empty list where the file does not exist.

    Raises InvalidDatasetError naming the line whose digest does not fit. A last line that a crash
    cut short (no newline) was never acknowledged to anybody and is left out.
    """
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8")
    complete = text[: text.rfind("\n") + 1]
    corrections: list[Correction] = []
    previous = ""
    for number, row in enumerate(csv.DictReader(io.StringIO(complete, newline="")), start=2):
        correction = _parse(row, path, number)
        if correction.digest != _digest(correction, previous):
            raise InvalidDatasetError(
                f"{safe_path(path)}, row {number}, was changed after it was written, or a row before it is missing: "
                "restore the file from a backup."
            )
        corrections.append(correction)
        previous = correction.digest
    return corrections


def append_corrections(path: Path, corrections: list[Correction]) -> list[Correction]:
    """Append lines in one fsynced write and return them with their digests; the caller holds the dataset's lock."""
    existing = read_corrections(path)
    previous = existing[-1].digest if existing else ""
    chained: list[Correction] = []
    for correction in corrections:
        digest = _digest(correction, previous)
        chained.append(dataclasses.replace(correction, digest=digest))
        previous = digest
    _drop_incomplete_tail(path)
    header = [] if path.exists() and path.stat().st_size else [",".join(FIELDS)]
    if chained:
        append_line(path, "\n".join([*header, *(_format(correction) for correction in chained)]))
    return chained


def newest(corrections: list[Correction]) -> dict[str, Correction]:
    """Return the line that holds for each photo id; photos that were reset are left out."""
    latest = {correction.photo_id: correction for correction in corrections}
    return {photo_id: correction for photo_id, correction in latest.items() if correction.action != "reset"}


def _parse(row: dict[str, str], path: Path, number: int) -> Correction:
    try:
        values: dict[str, object] = {name: row[name] for name in FIELDS}
        if None in row or values["action"] not in get_args(Action):
            raise ValueError
        values |= {name: float(row[name]) if row[name] else None for name in _NUMBERS}
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


def _digest(correction: Correction, previous: str) -> str:
    fields = dataclasses.asdict(correction) | {"digest": previous}
    return sha256_bytes(canonical_json(fields))


def _drop_incomplete_tail(path: Path) -> None:
    """Cut a half-written last line off, or the next append would be glued to it."""
    if not path.exists():
        return
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        with path.open("r+b") as file:
            file.truncate(end)
