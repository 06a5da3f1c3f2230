"""Files that are either the old or the new version, never half of one.

Order of every write: a temporary file beside the target, its bytes fsynced, renamed over the target,
the folder fsynced. A process killed at any point leaves at most a temporary file behind, whose name
(`TEMPORARY_PREFIX`) marks it as safe to delete.
"""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

__all__ = [
    "TEMPORARY_PREFIX",
    "append_line",
    "canonical_json",
    "drop_incomplete_line",
    "fsync_folder",
    "read_json_lines",
    "sha256_bytes",
    "sha256_file",
    "write_atomic",
    "write_csv",
    "write_json",
]

TEMPORARY_PREFIX = ".tmp-"
_CHUNK_BYTES = 1 << 20


def write_atomic(target: Path, content: bytes | Callable[[BinaryIO], object], *, sync_folder: bool = True) -> None:
    """Replace `target` with `content` (bytes, or a function that writes to a binary file) in one step.

    Raises OSError where the folder is read-only or the disk is full; the target is then untouched.
    `sync_folder=False` leaves the folder's fsync to the caller, who writes many files to it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.parent / f"{TEMPORARY_PREFIX}{uuid4().hex}"
    try:
        with temporary.open("wb") as file:
            if callable(content):
                content(file)
            else:
                file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if sync_folder:
        fsync_folder(target.parent)


def fsync_folder(folder: Path) -> None:
    """Make the names in `folder` durable; a no-op where a folder cannot be opened (Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def append_line(path: Path, line: str) -> None:
    """Append one line to `path` and fsync it; a line that a crash cut short is dropped first."""
    drop_incomplete_line(path)
    with path.open("a", encoding="utf-8", newline="") as file:
        file.write(line + "\n")
        file.flush()
        os.fsync(file.fileno())


def drop_incomplete_line(path: Path) -> None:
    """Cut a half-written last line off, or the next append would be glued to it."""
    if not path.exists():
        return
    data = path.read_bytes()
    end = data.rfind(b"\n") + 1
    if end < len(data):
        with path.open("r+b") as file:
            file.truncate(end)


def write_json(target: Path, value: object) -> None:
    """Replace `target` with indented JSON; NaN and infinity raise ValueError (they are not JSON)."""
    write_atomic(target, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_csv(target: Path, columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> None:
    """Replace `target` with a CSV of `columns`."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(target, text.getvalue().encode("utf-8", "backslashreplace"))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a JSON-lines file; a last line cut by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n") and line.strip()]


def canonical_json(value: object) -> bytes:
    """Return JSON bytes that are equal for equal values: sorted keys, no spaces, shortest floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in pieces of one MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
