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

from img2gps.text import safe_text

__all__ = [
    "SUMS",
    "TEMPORARY_PREFIX",
    "append_line",
    "append_record",
    "canonical_json",
    "changed_files",
    "csv_bytes",
    "drop_incomplete_line",
    "fsync_folder",
    "is_digested",
    "read_json_lines",
    "replace_records",
    "sha256_bytes",
    "sha256_file",
    "write_atomic",
    "write_csv",
    "write_json",
    "write_sums",
]

SUMS = "SHA256SUMS"

TEMPORARY_PREFIX = ".tmp-"
_CHUNK_BYTES = 1 << 20
_DIGEST = "digest"
_DIGEST_LETTERS = 16  # 64 bits: against damage, not against a forger


def write_atomic(
    target: Path, content: bytes | memoryview | Callable[[BinaryIO], object], *, sync_folder: bool = True
) -> None:
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
    write_atomic(target, csv_bytes(columns, rows))


def csv_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, object]]) -> bytes:
    """Return a CSV of `columns`, UTF-8; what cannot be encoded is escaped."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(columns), lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def append_record(path: Path, record: Mapping[str, Any]) -> None:
    """Append a JSON line with a digest of itself, which `read_json_lines` compares; NaN raises ValueError."""
    line = dict(record) | {_DIGEST: _record_digest(record)}
    append_line(path, json.dumps(line, allow_nan=False, separators=(",", ":")))


def is_digested(path: Path) -> bool:
    """Return whether every line of a JSON-lines file has its digest: those of earlier versions had none."""
    return all(_DIGEST in json.loads(line) for line in path.read_bytes().split(b"\n")[:-1] if line.strip())


def replace_records(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Replace a JSON-lines file in one step, each line with a digest of itself."""
    lines = [dict(record) | {_DIGEST: _record_digest(record)} for record in records]
    text = "".join(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n" for line in lines)
    write_atomic(path, text.encode("utf-8"))


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Return the complete lines of a JSON-lines file; a last line cut by a crash is left out.

    Raises ValueError naming the line that is no JSON object, or not as `append_record` wrote it.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]
    return [_record(line, number) for number, line in enumerate(lines, start=1) if line.strip()]


def _record(line: bytes, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {number} is not JSON") from error
    if not isinstance(record, dict):
        raise ValueError(f"line {number} is no JSON object")
    digest = record.pop(_DIGEST, None)
    if digest is not None and digest != _record_digest(record):
        raise ValueError(f"line {number} was changed after it was written")
    return record


def _record_digest(record: Mapping[str, Any]) -> str:
    return sha256_bytes(canonical_json(record))[:_DIGEST_LETTERS]


def canonical_json(value: object) -> bytes:
    """Return JSON bytes that are equal for equal values: sorted keys, no spaces, shortest floats."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def sha256_bytes(data: bytes) -> str:
    """Return the SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path, *, until: int | None = None) -> str:
    """Return the SHA-256 of a file's bytes, read in pieces of one MiB; a negative `until` leaves its last bytes out."""
    digest = hashlib.sha256()
    left = path.stat().st_size + (until or 0)
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES if until is None else min(_CHUNK_BYTES, left)):
            digest.update(chunk)
            left -= len(chunk)
    return digest.hexdigest()


def write_sums(folder: Path) -> None:
    """Write ``SHA256SUMS`` over every file below `folder`, in the format of sha256sum(1)."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SUMS)
    kept = [path for path in files if not path.name.startswith(TEMPORARY_PREFIX)]
    lines = [f"{sha256_file(path)}  {path.relative_to(folder).as_posix()}\n" for path in kept]
    write_atomic(folder / SUMS, "".join(lines).encode("utf-8", "surrogateescape"))


def changed_files(folder: Path) -> list[tuple[str, str]]:
    """Return each file of ``SHA256SUMS`` that is not as it was, with what is wrong; nothing where there are no sums."""
    if not (folder / SUMS).is_file():
        return []
    found: list[tuple[str, str]] = []
    for line in (folder / SUMS).read_text(encoding="utf-8", errors="replace").splitlines():
        digest, _, name = line.partition("  ")
        path = folder / name
        if not name or "\0" in name or ".." in Path(name).parts or Path(name).is_absolute():
            found.append((SUMS, "a line of it is no sum of a file"))
        elif not path.is_file():
            found.append((SUMS, f"it names {safe_text(name)}, which is missing"))
        elif sha256_file(path) != digest:
            found.append((name, "it was changed after it was written"))
    return found
