"""forgotten.txt: the hashes of photos that must not come back, and the day on which each was forgotten.

Only the hash is kept. It does not tell what a photo showed or where it was taken. Somebody with the file can tell that
it was here. The last line is a digest of the others.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from img2gps.errors import InvalidDatasetError
from img2gps.files import fsync_folder, sha256_bytes, write_atomic
from img2gps.text import safe_path

__all__ = ["read_forgotten", "write_forgotten"]

_HEAD: Final = "# photos that must not come back: the SHA-256 of the file, and the day it was forgotten\n"
_DIGEST: Final = "# sha256 of the lines above: "
_LINE: Final = re.compile(r"([0-9a-f]{64})  (\d{4}-\d{2}-\d{2})")


def read_forgotten(path: Path) -> dict[str, str]:
    """Return the day (ISO, UTC) by hash, empty where there is no file. Raises InvalidDatasetError where it is damaged.

    A file that lost a line would let a photo come back in silence, so it must be as it was written.
    """
    if not path.exists():
        return {}
    text = path.read_bytes().decode("utf-8", "replace")
    body, mark, digest = text.rpartition(_DIGEST)
    lines = [line for line in body.splitlines() if not line.startswith("#")]
    found = [_LINE.fullmatch(line) for line in lines]
    rows = {match[1]: match[2] for match in found if match}
    if not mark or digest != f"{sha256_bytes(body.encode())}\n" or len(rows) != len(lines):
        raise InvalidDatasetError(
            f"{safe_path(path)} was changed after it was written: restore it from a backup, or delete it and forget "
            "the photos again. Without it, an ingest brings them back."
        )
    return rows


def write_forgotten(path: Path, days: Mapping[str, str]) -> None:
    """Replace the file in one step, in order of the days; without hashes there is none."""
    if not days:
        path.unlink(missing_ok=True)
        fsync_folder(path.parent)
        return
    ordered = sorted(days.items(), key=lambda item: (item[1], item[0]))
    body = _HEAD + "".join(f"{digest}  {day}\n" for digest, day in ordered)
    write_atomic(path, f"{body}{_DIGEST}{sha256_bytes(body.encode())}\n".encode())
