"""What a walk over the inputs found: some thousand files as objects, more of them in columns, a fifth of the memory."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, overload

import numpy as np
from numpy.typing import NDArray

from collect.reading.sidecars import Sidecar
from collect.reading.stores import StoredObject

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FoundFile", "FoundFiles"]

_FEW: Final = 1 << 13
_BLOCK: Final = 2048


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoundFile:
    """One name found below the inputs.

    `path` is absolute; `name` is relative to the argument it was found under, with slashes. `obstacle` says why the
    file must not be opened (a link, a FIFO, a device ...). `unlistable` says that it is a folder that could not be
    read. `left_out` says why it is no photo of the walk (a code of `collect.reading.left_out.LEFT_OUT`). `sidecars` are
    the files beside it that may say where it was taken. `stored` is the object of a store that stands for a file of
    this machine: `path` is then its whole address.
    """

    path: bytes
    name: str
    size: int = 0
    mtime_ns: int = 0
    inode: int = 0
    obstacle: str | None = None
    unlistable: str | None = None
    left_out: str | None = None
    sidecars: tuple[Sidecar, ...] = ()
    stored: StoredObject | None = None

    @property
    def status(self) -> tuple[int, int, int]:
        """What tells an unchanged file without reading it: size, mtime_ns, inode."""
        return self.size, self.mtime_ns, self.inode


class FoundFiles(Sequence[FoundFile]):
    """Files, each path once, ordered by file name, then path."""

    def __init__(
        self,
        some: "Sequence[FoundFile] | pa.Table",
        sidecars: Mapping[bytes, tuple[Sidecar, ...]] | None = None,
    ) -> None:
        self._some = some
        self._sidecars = sidecars or {}

    @classmethod
    def gather(cls, entries: Iterable[FoundFile]) -> "FoundFiles":
        """Return entries in order; of several with one path, the first stands. Their sidecars are left out."""
        rest = iter(entries)
        few = list(islice(rest, _FEW))
        if len(few) < _FEW:
            first = {entry.path: entry for entry in reversed(few)}
            return cls(sorted(first.values(), key=lambda entry: (_base(entry.path), entry.path)))
        return cls(_in_order([_pack(few), *_packed(rest)]))

    def with_sidecars(self, sidecars: Mapping[bytes, tuple[Sidecar, ...]]) -> "FoundFiles":
        """Return the files with what stands beside some of them, by path."""
        return FoundFiles(self._some, sidecars)

    def at(self, rows: NDArray[np.int64]) -> list[FoundFile]:
        """Return some of the files, by their places."""
        if isinstance(self._some, Sequence):
            return [self._whole(self._some[row]) for row in rows.tolist()]
        import pyarrow as pa

        return self._unpacked(self._some.take(pa.array(rows)))

    def __len__(self) -> int:
        return len(self._some)

    @overload
    def __getitem__(self, index: int) -> FoundFile: ...
    @overload
    def __getitem__(self, index: slice) -> list[FoundFile]: ...

    def __getitem__(self, index: int | slice) -> FoundFile | list[FoundFile]:
        if isinstance(index, slice):
            return self.at(np.arange(len(self))[index])
        [file] = self.at(np.array([range(len(self))[index]], dtype=np.int64))
        return file

    def __iter__(self) -> Iterator[FoundFile]:
        if isinstance(self._some, Sequence):
            yield from map(self._whole, self._some)
            return
        for start in range(0, len(self), _BLOCK):
            yield from self._unpacked(self._some.slice(start, _BLOCK))

    def _whole(self, file: FoundFile) -> FoundFile:
        beside = self._sidecars.get(file.path)
        return dataclasses.replace(file, sidecars=beside) if beside else file

    def _unpacked(self, table: "pa.Table") -> list[FoundFile]:
        columns = [table.column(name).to_pylist() for name in _COLUMNS]
        return [self._unpack(*row) for row in zip(*columns, strict=True)]

    def _unpack(self, path: bytes, name_length: int | None, name: bytes | None, *rest: Any) -> FoundFile:
        size, mtime_ns, inode, obstacle, unlistable, left_out, *of_store = rest
        return FoundFile(
            path=path,
            name=_text(path, name_length, name),
            size=size,
            mtime_ns=mtime_ns,
            inode=inode,
            obstacle=obstacle,
            unlistable=unlistable,
            left_out=left_out,
            sidecars=self._sidecars.get(path, ()),
            stored=None if of_store[0] is None else _unpack_stored(path, *of_store),
        )


_WORDS: Final = ("obstacle", "unlistable", "left_out")
_COLUMNS: Final = [
    "path",
    *("name_length", "name", "size", "mtime_ns", "inode", *_WORDS),
    *("store", "key_length", "key", "object_size", "version"),
]


def _packed(entries: Iterator[FoundFile]) -> "Iterator[pa.Table]":
    while block := list(islice(entries, _FEW)):
        yield _pack(block)


def _pack(files: Sequence[FoundFile]) -> "pa.Table":
    import pyarrow as pa

    paths = [file.path for file in files]
    stored = [file.stored for file in files]
    numbers = {"size": pa.int64(), "mtime_ns": pa.int64(), "inode": pa.uint64()}
    words = {name: [getattr(file, name) for file in files] for name in _WORDS}
    words["store"] = [None if one is None else one.store for one in stored]
    return pa.table(
        {
            "path": pa.array(paths, pa.large_binary()),  # of ten million, more than 2 GiB
            "base": pa.array(map(_base, paths), pa.binary()),
            **_ends("name", paths, [file.name for file in files]),
            **{name: pa.array([getattr(file, name) for file in files], kind) for name, kind in numbers.items()},
            **{name: pa.array(values, pa.string()).dictionary_encode() for name, values in words.items()},
            **_ends("key", paths, [None if one is None else one.key for one in stored]),
            "object_size": pa.array([None if one is None else one.size for one in stored], pa.int64()),
            "version": pa.array([None if one is None else one.version for one in stored], pa.string()),
        }
    )


def _ends(column: str, paths: Sequence[bytes], texts: "Sequence[str | None]") -> "dict[str, pa.Array]":
    """Return columns of texts: of those that paths end with, the number of bytes alone."""
    import pyarrow as pa

    encoded = [None if text is None else text.encode("utf-8", "surrogatepass") for text in texts]
    lengths = [
        len(text) if text is not None and path.endswith(text) else None
        for path, text in zip(paths, encoded, strict=True)
    ]
    others = [text if length is None else None for text, length in zip(encoded, lengths, strict=True)]
    return {f"{column}_length": pa.array(lengths, pa.int32()), column: pa.array(others, pa.binary())}


def _text(path: bytes, length: int | None, text: bytes | None) -> str:
    encoded = text if length is None else path[len(path) - length :]
    assert encoded is not None
    return encoded.decode("utf-8", "surrogatepass")


def _unpack_stored(
    path: bytes, store: str, key_length: int | None, key: bytes | None, size: int | None, version: str | None
) -> StoredObject:
    return StoredObject(store=store, key=_text(path, key_length, key), size=size, version=version)


def _in_order(tables: "list[pa.Table]") -> "pa.Table":
    """Return the rows by file name, then path, each path once: the first of them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = pa.concat_tables(tables).unify_dictionaries()
    tables.clear()
    order = pc.sort_indices(table.select(["base", "path"]), sort_keys=[("base", "ascending"), ("path", "ascending")])
    table = table.drop_columns(["base"]).take(order)
    paths = table.column("path")
    is_first = np.concatenate([[True], pc.not_equal(paths[1:], paths[:-1]).to_numpy()])
    return table if is_first.all() else table.filter(pa.array(is_first))


def _base(path: bytes) -> bytes:
    return path.rsplit(b"/", 1)[-1]
