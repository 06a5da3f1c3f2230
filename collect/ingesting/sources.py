"""The index of sources: what was seen where, so that an unchanged file need not be read again.

An index and no more: every entry is believed only as far as the manifest bears it out, and the file can be deleted.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from img2gps.errors import InvalidDatasetError
from img2gps.tables import DamagedTableError, load_table, save_table
from img2gps.text import safe_path

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["SeenSource", "read_sources", "write_sources"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SeenSource:
    """One file as it was last read. `judged` is the digest of the rules that a rejection was judged by."""

    size: int
    mtime_ns: int
    inode: int
    sha256: str | None
    outcome: Literal["accepted", "rejected", "skipped"]
    reason: str | None = None
    detail: str | None = None
    judged: str | None = None

    @property
    def status(self) -> tuple[int, int, int]:
        """What tells an unchanged file without reading it."""
        return self.size, self.mtime_ns, self.inode


def _schema() -> "pa.Schema":
    import pyarrow as pa

    text, number = pa.string(), pa.int64()
    return pa.schema(
        [
            pa.field("path", pa.binary(), nullable=False),
            *(pa.field(name, number, nullable=False) for name in ("size", "mtime_ns")),
            # inodes of some file systems use all 64 bits
            pa.field("inode", pa.uint64(), nullable=False),
            pa.field("sha256", text),
            pa.field("outcome", text, nullable=False),
            *(pa.field(name, text) for name in ("reason", "detail", "judged")),
        ]
    )


def read_sources(path: Path) -> dict[bytes, SeenSource]:
    """Return the index by absolute path, empty where there is none. Raises InvalidDatasetError where it is damaged."""
    if not path.exists():
        return {}
    try:
        stored = load_table(path, schema=_schema())
        if stored.intact is False:
            raise DamagedTableError("was changed after it was written")
    except DamagedTableError as error:
        raise InvalidDatasetError(
            f"{safe_path(path)} is damaged: delete it; the next ingest reads the sources anew."
        ) from error
    columns: dict[str, list[Any]] = stored.table.to_pydict()
    paths = columns.pop("path")
    names = list(columns)
    rows = zip(*columns.values(), strict=True)
    return {path: SeenSource(**dict(zip(names, row, strict=True))) for path, row in zip(paths, rows, strict=True)}


def write_sources(path: Path, sources: Mapping[bytes, SeenSource]) -> None:
    """Replace the index in one step, ordered by path."""
    import pyarrow as pa

    ordered = sorted(sources)
    names = [field.name for field in dataclasses.fields(SeenSource)]
    columns: dict[str, list[Any]] = {name: [getattr(sources[path], name) for path in ordered] for name in names}
    table = pa.table({"path": ordered, **columns}, schema=_schema())
    save_table(path, table)
