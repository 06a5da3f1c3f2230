"""rejected.csv: the latest outcome of each distinct file that was not accepted, with its remedy."""

import csv
import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from img2gps.errors import InvalidDatasetError
from img2gps.files import csv_bytes, sha256_bytes, sha256_file, write_atomic
from img2gps.progress import stderr
from img2gps.reasons import REASONS
from img2gps.text import safe_path, safe_text
from img2gps.types import Rejection

__all__ = ["RejectedFile", "is_changed", "read_rejected", "tell_changed", "write_rejected"]

_COLUMNS: Final = ("file", "reason", "detail", "remedy", "sha256")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class RejectedFile:
    """One row; `file` and `detail` are safe text, `sha256` is empty where the file could not be read to its end."""

    file: str
    reason: str
    detail: str = ""
    sha256: str = ""

    @classmethod
    def of(cls, rejection: Rejection, sha256: str | None) -> "RejectedFile":
        """Return the row of a rejection."""
        return cls(
            file=safe_text(rejection.path),
            reason=rejection.reason,
            detail=safe_text(rejection.detail),
            sha256=sha256 or "",
        )

    @property
    def key(self) -> str:
        """What makes files distinct: their bytes, or where those are unknown, their name."""
        return self.sha256 or f"name:{self.file}"


def read_rejected(path: Path) -> dict[str, RejectedFile]:
    """Return the rows by key, empty where there is no file. Raises InvalidDatasetError where it is damaged."""
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [
                RejectedFile(**{name: row[name] for name in _COLUMNS if name != "remedy"})
                for row in csv.DictReader(file)
            ]
        if any(row.reason not in REASONS or None in dataclasses.astuple(row) for row in rows):
            raise ValueError  # a row that was cut short lacks its last columns
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise InvalidDatasetError(
            f"{safe_path(path)} is damaged: delete it and ingest the rejected photos again."
        ) from error
    return {row.key: row for row in rows}


def is_changed(path: Path) -> bool:
    """Return whether the file is not one that was written here, as far as there are digests to tell by."""
    sums = path.with_suffix(".sha256")
    if not path.is_file() or not sums.is_file():
        return False
    return sha256_file(path) not in sums.read_text(encoding="ascii", errors="replace").split()


def tell_changed(path: Path) -> None:
    """Say on stderr where the file was changed: a person may have saved it from a spreadsheet."""
    if is_changed(path):
        stderr().print(f"{safe_path(path)} was changed after it was written: what it says now holds.", markup=False)


def write_rejected(path: Path, rows: Iterable[RejectedFile]) -> None:
    """Replace the file in one step, ordered by file and hash."""
    ordered = sorted(rows, key=lambda row: (row.file, row.sha256))
    rows_of_text = [dataclasses.asdict(row) | {"remedy": REASONS[row.reason].remedy} for row in ordered]
    content = csv_bytes(_COLUMNS, rows_of_text)
    # the digests first, of the file that is there and of the one to come: killed in between, either is as written
    sums = [*([sha256_file(path)] if path.is_file() else []), sha256_bytes(content)]
    write_atomic(path.with_suffix(".sha256"), "".join(f"{digest}\n" for digest in sums).encode())
    write_atomic(path, content)
