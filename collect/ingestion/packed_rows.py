"""Rows by key, packed into columns: what a coordinator remembers of a million photos without an object for each."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence, ValuesView
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from collect.ingestion.digest_set import DigestSet, digest_of, digests_of

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["PackedRows", "Packing"]

Key = TypeVar("Key", str, bytes)
Row = TypeVar("Row")

_RECENT: Final = 4096
_CHUNK: Final = 1 << 17
_LATE: Final = 1 << 15
_BLOCK: Final = 2048


@dataclass(frozen=True, kw_only=True)
class Packing(Generic[Key, Row]):
    """How rows become columns and back, in order, and what the keys of packed rows are."""

    pack: "Callable[[Mapping[Key, Row]], pa.Table]"
    unpack: "Callable[[pa.Table], list[Row]]"
    keys: "Callable[[pa.Table], list[Key]]"


class PackedRows(MutableMapping[Key, Row]):
    """A dictionary whose rows lie in columns, but for the last some thousand that came.

    A row that is replaced moves to the end. Iteration unpacks some thousand rows at a time: change nothing meanwhile.
    """

    def __init__(self, packing: Packing[Key, Row], table: "pa.Table | None" = None) -> None:
        self._packing: Packing[Key, Row] = packing
        self._recent: dict[Key, Row] = {}
        self._chunks: list[pa.Table] = []
        self._starts: list[int] = []
        self._digests = digests_of([])
        self._alive = np.empty(0, dtype=np.bool_)
        self._order = np.empty(0, dtype=np.int64)  # of the digests that are sorted: the first of all
        self._late: dict[Key, int] = {}  # the rows behind those
        self._count = 0
        if table is not None:
            for start in range(0, len(table), _CHUNK):
                self._append(table.slice(start, _CHUNK))
            self._sort_digests()

    def __len__(self) -> int:
        return self._count + len(self._recent)

    def __contains__(self, key: object) -> bool:
        return key in self._recent or self._row(key) is not None

    def __getitem__(self, key: Key) -> Row:
        if key in self._recent:
            return self._recent[key]
        row = self._row(key)
        if row is None:
            raise KeyError(key)
        chunk = bisect_right(self._starts, row) - 1
        return self._packing.unpack(self._chunks[chunk].slice(row - self._starts[chunk], 1))[0]

    def __setitem__(self, key: Key, value: Row) -> None:
        self._bury(key)
        self._recent[key] = value
        if len(self._recent) >= _RECENT:
            self._pack()

    def __delitem__(self, key: Key) -> None:
        if key in self._recent:
            del self._recent[key]
        elif not self._bury(key):
            raise KeyError(key)

    def __iter__(self) -> Iterator[Key]:
        for block in self._blocks():
            yield from self._packing.keys(block)
        yield from self._recent

    def values(self) -> ValuesView[Row]:
        """Return the rows; few of them are unpacked at a time."""
        return _Unpacked(self)

    def unpacked(self) -> Iterator[Row]:
        """Yield the rows in order."""
        for block in self._blocks():
            yield from self._packing.unpack(block)
        yield from self._recent.values()

    def table(self) -> "pa.Table":
        """Return all rows as a packed table, which `replace_columns` refers to."""
        import pyarrow as pa

        self._pack()
        if not self._alive.all():
            self._compact()
        return pa.concat_tables(self._chunks) if self._chunks else self._packing.pack({})

    def among(self, keys: DigestSet) -> NDArray[np.bool_]:
        """Return which rows of `table` have keys of a set, shape (N,)."""
        return keys.holds(self._digests)

    def replace_columns(self, columns: "Mapping[str, pa.Array | pa.ChunkedArray]") -> None:
        """Replace columns of all rows, those of `table`, by others of the same lengths and types."""
        for number, (start, chunk) in enumerate(zip(self._starts, self._chunks, strict=True)):
            for name, values in columns.items():
                place = chunk.column_names.index(name)
                chunk = chunk.set_column(place, chunk.schema.field(place), values.slice(start, len(chunk)))
            self._chunks[number] = chunk

    def sort_by(self, names: Sequence[str]) -> None:
        """Bring the rows into order of columns, one column at a time: two copies of all would be too much."""
        import pyarrow as pa
        import pyarrow.compute as pc

        table = self.table()
        order = pc.sort_indices(table.select(names), sort_keys=[(name, "ascending") for name in names]).to_numpy()
        if np.all(order[1:] > order[:-1]):
            return
        schema = table.schema
        columns = {name: table.column(name) for name in table.column_names}
        del table
        self._chunks.clear()
        ordered = {}
        for name in list(columns):
            column = columns.pop(name)
            whole = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column
            ordered[name] = whole.combine_chunks().take(pa.array(order))
        whole_table = pa.table(ordered, schema=schema)
        self._starts = list(range(0, len(order), _CHUNK))
        self._chunks = [whole_table.slice(start, _CHUNK) for start in self._starts]
        self._digests, self._alive = self._digests[order], self._alive[order]
        self._sort_digests()

    def _blocks(self) -> "Iterator[pa.Table]":
        import pyarrow as pa

        for first, chunk in zip(list(self._starts), list(self._chunks), strict=True):
            for start in range(0, len(chunk), _BLOCK):
                block = chunk.slice(start, _BLOCK)
                alive = self._alive[first + start : first + start + len(block)]
                yield block if alive.all() else block.filter(pa.array(alive))

    def _row(self, key: object) -> int | None:
        """Return the number of the packed row of a key, None where there is none."""
        row = self._late.get(key)  # type: ignore[call-overload]
        if row is None and len(self._order):
            digest = np.array(digest_of(key), dtype=self._digests.dtype)
            place = int(np.searchsorted(self._digests[: len(self._order)], digest, sorter=self._order))
            if place < len(self._order) and self._digests[self._order[place]] == digest:
                row = int(self._order[place])
        return row if row is not None and self._alive[row] else None

    def _bury(self, key: Key) -> bool:
        row = self._row(key)
        if row is None:
            return False
        self._alive[row] = False
        self._late.pop(key, None)
        self._count -= 1
        return True

    def _pack(self) -> None:
        if not self._recent:
            return
        first = len(self._digests)
        self._append(self._packing.pack(self._recent))
        self._late.update({key: first + number for number, key in enumerate(self._recent)})
        self._recent.clear()
        if len(self._late) > max(_LATE, len(self._order) // 8):
            self._sort_digests()

    def _append(self, table: "pa.Table") -> None:
        """Append rows; chunks that grew to one size are joined, so that few remain."""
        import pyarrow as pa

        if self._chunks:  # a file may say of fewer columns than rows do that they hold no null
            table = table.cast(self._chunks[0].schema)
        digests = digests_of(self._packing.keys(table))
        self._starts.append(len(self._digests))
        self._chunks.append(table)
        self._digests = np.concatenate([self._digests, digests])
        self._alive = np.concatenate([self._alive, np.ones(len(digests), dtype=np.bool_)])
        self._count += len(digests)
        while len(self._chunks) > 1 and len(self._chunks[-2]) <= len(self._chunks[-1]) < _CHUNK:
            last = self._chunks.pop()
            self._starts.pop()
            self._chunks[-1] = pa.concat_tables([self._chunks[-1], last]).unify_dictionaries().combine_chunks()

    def _compact(self) -> None:
        """Drop the rows that were replaced or deleted."""
        import pyarrow as pa

        for number, (start, chunk) in enumerate(zip(self._starts, self._chunks, strict=True)):
            self._chunks[number] = chunk.filter(pa.array(self._alive[start : start + len(chunk)]))
        self._chunks = [chunk for chunk in self._chunks if len(chunk)]
        self._starts = [int(end) for end in np.cumsum([0, *(len(chunk) for chunk in self._chunks)])[:-1]]
        self._digests = self._digests[self._alive]
        self._alive = np.ones(len(self._digests), dtype=np.bool_)
        self._sort_digests()

    def _sort_digests(self) -> None:
        alive = np.flatnonzero(self._alive)
        if len(alive) < len(self._alive):  # a buried row may share its digest with the one that took its place
            self._compact()
            return
        self._order = np.argsort(self._digests)
        self._late.clear()


class _Unpacked(ValuesView[Row]):
    """The rows of a `PackedRows`, unpacked in blocks and not one by one."""

    _mapping: PackedRows[Any, Row]

    def __iter__(self) -> Iterator[Row]:
        return self._mapping.unpacked()
