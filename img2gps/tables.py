"""Parquet files of ours: one way to write them, one to read them, with a digest that tells damage from content.

The digest covers every byte of the file, and stands in the file's own metadata. It is computed with zeros in its place,
then put there. It is compared before the file is parsed, so that damage never reaches the Parquet reader unnoticed.
Files of earlier versions have none and are read as they are; so are files that another program rewrote, which carry the
zeros along.
"""

import dataclasses
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from img2gps.errors import Img2GPSError
from img2gps.files import sha256_bytes, write_atomic
from img2gps.text import safe_path, safe_text

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "DamagedTableError",
    "StoredTable",
    "frame_table",
    "load_table",
    "pieces_of",
    "read_rows",
    "save_pieces",
    "save_table",
]

_KEY: Final = b"img2gps.file_sha256"
_ZEROS: Final = b"0" * 64
_PIECE_ROWS: Final = 1 << 16


class DamagedTableError(Exception):
    """A Parquet file that is missing, unreadable or not as it was written; the text is what is wrong with it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredTable:
    """The content of a file. `intact` tells whether every byte is as it was written, None where no digest tells."""

    table: "pa.Table"
    intact: bool | None


def save_table(path: Path, table: "pa.Table") -> None:
    """Replace `path` with `table` (zstd) in one step; equal tables give equal bytes. Raises the OSError of a disk."""
    save_pieces(path, table.schema, pieces_of(table))


def pieces_of(table: "pa.Table") -> "Iterator[pa.Table]":
    """Yield the rows of a table in pieces short enough to be changed one after the other; one if it is empty."""
    for start in range(0, max(1, len(table)), _PIECE_ROWS):
        yield table.slice(start, _PIECE_ROWS)


def save_pieces(path: Path, schema: "pa.Schema", pieces: "Iterable[pa.Table]") -> None:
    """Replace `path` as `save_table` does, with rows that never are in memory as a whole."""
    import pyarrow.parquet as pq

    marked = schema.with_metadata(dict(schema.metadata or {}) | {_KEY: _ZEROS})
    file = io.BytesIO()
    with pq.ParquetWriter(file, marked, compression="zstd") as writer:
        for piece in pieces:
            writer.write_table(piece.replace_schema_metadata(marked.metadata))
    content = file.getvalue()  # no copy, as long as it goes before the next change
    place, digest = _place_of_digest(content), sha256_bytes(content)
    del content
    assert place is not None
    file.seek(place)
    file.write(digest.encode())
    write_atomic(path, file.getbuffer())


def load_table(path: Path, *, schema: "pa.Schema | None" = None) -> StoredTable:
    """Return what the Parquet file at `path` holds; with `schema`, its columns as those. Raises DamagedTableError.

    The reader's metadata lack the digest. A file that is not intact is returned where it can still be parsed, for the
    caller to say what is wrong with it.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DamagedTableError("is missing") from error
    except OSError as error:
        raise DamagedTableError(f"cannot be read ({error.strerror or type(error).__name__})") from error
    intact = _is_intact(content)
    try:
        # from memory: a path's text would be taken for an address where it has a colon
        table = pq.read_table(pa.BufferReader(content), schema=schema)
        table.validate(full=True)
    except Exception as error:  # a damaged file raises nearly anything; what it is makes no difference
        what = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise DamagedTableError(f"is not a readable Parquet file ({safe_text(what, limit=120)})") from error
    metadata = dict(table.schema.metadata or {})
    if metadata.pop(_KEY, None) is not None and intact is None and not _has_zeros(content):
        intact = False  # the digest itself was damaged: a copy of its name stands in the schema
    return StoredTable(table=table.replace_schema_metadata(metadata or None), intact=intact)


def read_rows(path: Path, *, error: type[Img2GPSError], remedy: str) -> "pa.Table":
    """Return the rows of a file that must be as it was written. Raises `error`, a sentence that ends with `remedy`."""
    try:
        stored = load_table(path)
    except DamagedTableError as damage:
        raise error(f"{safe_path(path)} {damage}: {remedy}.") from damage
    if stored.intact is False:
        raise error(f"{safe_path(path)} was damaged or changed after it was written: {remedy}.")
    return stored.table


def _is_intact(content: bytes) -> bool | None:
    place = _place_of_digest(content)
    if place is None or content[place : place + 64] == _ZEROS:
        return None
    return sha256_bytes(content[:place] + _ZEROS + content[place + 64 :]).encode() == content[place : place + 64]


def _has_zeros(content: bytes) -> bool:
    place = _place_of_digest(content)
    return place is not None and content[place : place + 64] == _ZEROS


def _place_of_digest(content: bytes) -> int | None:
    """Return where the digest stands: a key and its value in the Parquet footer, each with its length before it."""
    # Thrift's compact protocol: the key, then the byte of the value's field (0x18: a string, the next field), a length
    found = content.rfind(_KEY + b"\x18\x40")
    return None if found < 0 else found + len(_KEY) + 2


def frame_table(frame: Any) -> "pa.Table":
    """Return a pandas frame as a table, without its index."""
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False)
