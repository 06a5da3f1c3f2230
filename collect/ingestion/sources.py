"""The index of sources: what was seen where, so that an unchanged file need not be read again.

An index and no more: every entry is believed only as far as the manifest bears it out, and the file can be deleted. The
file names no folder above the inputs: a path is relative to its input. `place`, a salted hash of the whole path, tells
the files of several inputs apart.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from collect.ingestion.packed_rows import PackedRows, Packing
from img2gps.errors import InvalidDatasetError
from img2gps.files import sha256_bytes
from img2gps.tables import DamagedTableError, load_table, pieces_of, save_pieces
from img2gps.text import safe_path

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "PackedSources",
    "SeenSource",
    "holds_whole_paths",
    "load_sources",
    "no_sources",
    "read_sources",
    "source_key",
    "told_sources",
    "write_sources",
]

_KEY_DIGITS: Final = 32
_SHARED: Final = ("outcome", "reason", "judged")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SeenSource:
    """One file as it was last read. `judged` is the digest of the rules that a rejection was judged by.

    `path` is relative to the input that the file was found in.
    """

    path: bytes
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
            # null in files of before, whose paths are absolute
            pa.field("place", pa.binary()),
            pa.field("path", pa.binary(), nullable=False),
            *(pa.field(name, number, nullable=False) for name in ("size", "mtime_ns")),
            # inodes of some file systems use all 64 bits
            pa.field("inode", pa.uint64(), nullable=False),
            pa.field("sha256", text),
            pa.field("outcome", text, nullable=False),
            *(pa.field(name, text) for name in ("reason", "detail", "judged")),
        ]
    )


def source_key(path: bytes, salt: str) -> bytes:
    """Return what an absolute path is known by in the index: a hash of it, salted so that datasets do not share it."""
    return sha256_bytes(b"\0".join((b"source", salt.encode(), path)))[:_KEY_DIGITS].encode()


def read_sources(path: Path, *, salt: str = "") -> dict[bytes, SeenSource]:
    """Return the index by `source_key`, empty where there is none. Raises InvalidDatasetError where it is damaged.

    `salt` makes the keys of a file of before, which holds absolute paths; of each of these the name alone is kept.
    """
    if not path.exists():
        return {}
    table = _read(path)
    names = [
        (source_key(name, salt), name.rpartition(b"/")[2]) if place is None else (place, name)
        for place, name in zip(table.column("place").to_pylist(), table.column("path").to_pylist(), strict=True)
    ]
    return {
        key: dataclasses.replace(seen, path=shown) for (key, shown), seen in zip(names, _unpack(table), strict=True)
    }


def load_sources(path: Path, *, salt: str) -> "PackedSources":
    """Return what `read_sources` returns, packed: for who remembers millions of files."""
    table = _read(path) if path.exists() else None
    if table is not None and not table.column("place").null_count:
        return PackedRows(_PACKING, _shared(table))
    packed = no_sources()
    packed.update(read_sources(path, salt=salt))
    return packed


def no_sources() -> "PackedSources":
    """Return an empty index."""
    return PackedRows(_PACKING)


def told_sources(sources: "PackedSources") -> dict[bytes, SeenSource]:
    """Return the files of which the index tells a detail."""
    table = sources.table()
    told = table.filter(table.column("detail").is_valid())
    return dict(zip(_keys(told), _unpack(told), strict=True))


def _pack(sources: Mapping[bytes, SeenSource]) -> "pa.Table":
    import pyarrow as pa

    names = [field.name for field in dataclasses.fields(SeenSource)]
    columns = {name: [getattr(seen, name) for seen in sources.values()] for name in names}
    return _shared(pa.table({"place": list(sources), **columns}, schema=_schema()))


def _shared(table: "pa.Table") -> "pa.Table":
    """Return the table with the words that many files share stored once."""
    for name in _SHARED:
        place = table.column_names.index(name)
        table = table.set_column(place, name, table.column(name).dictionary_encode())
    return table


def _unpack(table: "pa.Table") -> list[SeenSource]:
    names = [field.name for field in dataclasses.fields(SeenSource)]
    columns = [table.column(name).to_pylist() for name in names]
    return [SeenSource(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def _keys(table: "pa.Table") -> list[bytes]:
    keys: list[bytes] = table.column("place").to_pylist()
    return keys


PackedSources = PackedRows[bytes, SeenSource]
_PACKING: Final = Packing(pack=_pack, unpack=_unpack, keys=_keys)


def holds_whole_paths(path: Path) -> bool:
    """Return whether an index that can be read was written by an earlier version, with absolute paths."""
    import pyarrow.parquet as pq

    if not path.exists():
        return False
    with path.open("rb") as file:
        return "place" not in pq.read_schema(file).names


def _read(path: Path) -> "pa.Table":
    try:
        stored = load_table(path, schema=_schema())
        if stored.intact is False:
            raise DamagedTableError("was changed after it was written")
    except DamagedTableError as error:
        raise InvalidDatasetError(
            f"{safe_path(path)} is damaged: delete it; the next ingest reads the sources anew."
        ) from error
    return stored.table


def write_sources(path: Path, sources: Mapping[bytes, SeenSource]) -> None:
    """Replace the index in one step, ordered by path."""
    if isinstance(sources, PackedRows):
        sources.sort_by(("path", "place"))
        table = sources.table()
    else:
        ordered = sorted(sources, key=lambda key: (sources[key].path, key))
        table = _pack({key: sources[key] for key in ordered})
    save_pieces(path, _schema(), (piece.cast(_schema()) for piece in pieces_of(table)))
