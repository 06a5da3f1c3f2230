"""Photos as columns: objects of a million photos would take over a gigabyte, packed columns take a third of that.

A packed table has the manifest's columns but for these. `lon` and `lat` (degrees) stand for `geometry`. Words that many
photos share are stored once. A list of words is one word, joined by commas. What follows from the id (the names of the
file and of a group of its own) is null.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray
from img2gps.manifest_schema import COLUMNS, arrow_schema

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "codes_of",
    "floats_of",
    "group_names",
    "group_of_its_own",
    "groups_of_their_own",
    "manifest_table",
    "micros_of",
    "pack_groups",
    "pack_table",
    "ranks_of",
    "tells",
]

_GROUP_DIGITS: Final = 16
_OWN: Final = frozenset({"id", "photo_sha256", "file_name", "phash", "source_name", "burst", "group", "clock_local"})


def group_of_its_own(photo_id: str) -> str:
    """Return the name of the group whose earliest photo is this one."""
    return f"g-{photo_id[:_GROUP_DIGITS]}"


def groups_of_their_own(ids: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Return the names of `group_of_its_own` for a column of ids."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise("g", pc.utf8_slice_codeunits(ids, 0, _GROUP_DIGITS), "-")


def pack_table(table: "pa.Table") -> "pa.Table":
    """Return a packed table of the rows of one with the manifest's columns."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import shapely

    points = shapely.from_wkb(table.column("geometry").to_numpy())
    implied = _implied(table.column("id"))
    packed: dict[str, Any] = {"lon": pa.array(shapely.get_x(points)), "lat": pa.array(shapely.get_y(points))}
    for column in COLUMNS:
        if column.name == "geometry":
            continue
        values = table.column(column.name)
        if column.kind == "strings":
            values = pc.binary_join(values, ",")
        if column.name in implied:
            values = _without(values, implied[column.name])
        shared = column.kind in ("string", "strings") and column.name not in _OWN
        packed[column.name] = values.dictionary_encode() if shared else values
    return pa.table(packed)


def manifest_table(packed: "pa.Table") -> "pa.Table":
    """Return the rows of a packed table with the manifest's columns, in its schema."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import shapely

    schema = arrow_schema()
    implied = _implied(packed.column("id"))
    arrays: list[Any] = []
    for column in COLUMNS:
        if column.name == "geometry":
            points = shapely.points(packed.column("lon").to_numpy(), packed.column("lat").to_numpy())
            arrays.append(pa.array(shapely.to_wkb(points), pa.binary()))
        elif column.kind == "strings":
            arrays.append(_lists(packed.column(column.name)))
        elif column.name in implied:
            arrays.append(pc.coalesce(packed.column(column.name), implied[column.name]))
        else:
            arrays.append(packed.column(column.name).cast(schema.field(column.name).type))
    return pa.Table.from_arrays(arrays, schema=schema)


def _implied(ids: "pa.ChunkedArray") -> "dict[str, pa.ChunkedArray]":
    import pyarrow.compute as pc

    folder = pc.binary_join_element_wise("photos", pc.utf8_slice_codeunits(ids, 0, 2), ids, "/")
    return {
        "file_name": pc.binary_join_element_wise(folder, "jpg", "."),
        "group": groups_of_their_own(ids),
    }


def _without(values: "pa.ChunkedArray", implied: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Return the texts, null where they are the implied ones; these are not kept behind the nulls either."""
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = np.arange(len(values))
    is_implied = pc.fill_null(pc.equal(values, implied), fill_value=False)
    return values.take(pa.array(rows, mask=is_implied.to_numpy()))


def group_names(packed: "pa.Table") -> "pa.ChunkedArray":
    """Return the names of the groups of the rows of a packed table, which leaves out those that follow from ids."""
    import pyarrow.compute as pc

    return pc.coalesce(packed.column("group"), groups_of_their_own(packed.column("id")))


def pack_groups(packed: "pa.Table", names: "pa.Array") -> "pa.ChunkedArray":
    """Return what a packed table with these ids holds of groups of these names."""
    import pyarrow as pa

    return _without(pa.chunked_array([names]), groups_of_their_own(packed.column("id")))


def _lists(joined: "pa.ChunkedArray") -> "pa.Array":
    import pyarrow as pa

    codes, words = codes_of(joined)
    lists = pa.array([word.split(",") if word else [] for word in words], pa.list_(pa.string()))
    return lists.take(pa.array(codes, mask=codes < 0))


def codes_of(column: "pa.ChunkedArray") -> tuple[NDArray[np.int64], list[str]]:
    """Return a number for each text of a column, -1 for none, shape (N,), and the texts by number."""
    import pyarrow as pa

    encoded = column.unify_dictionaries() if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    whole = encoded.combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.DictionaryArray.from_arrays(pa.array([], pa.int32()), [])
    return whole.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64), whole.dictionary.to_pylist()


def tells(column: "pa.ChunkedArray", test: Callable[[str], bool]) -> NDArray[np.bool_]:
    """Return for which rows a test holds of the column's word, shape (N,); few words make many rows."""
    codes, words = codes_of(column)
    return np.array([*(test(word) for word in words), False])[codes]


def ranks_of(column: "pa.ChunkedArray") -> NDArray[np.int64]:
    """Return the rank of each text of a column among all of its texts, equal for equal ones, shape (N,)."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        ranks: NDArray[np.uint64] = pc.rank(column, sort_keys="ascending", tiebreaker="dense").to_numpy()
        return ranks.astype(np.int64)
    codes, words = codes_of(column)
    places = np.empty(len(words) + 1, dtype=np.int64)
    places[sorted(range(len(words)), key=words.__getitem__)] = np.arange(len(words))
    places[-1] = -1  # for those without a text
    return places[codes]


def floats_of(column: "pa.ChunkedArray") -> FloatArray:
    """Return the numbers of a column, NaN for none, shape (N,)."""
    import pyarrow as pa

    values = column.cast(pa.float64()).to_numpy()
    return np.asarray(values, dtype=np.float64)


def micros_of(column: "pa.ChunkedArray") -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the times of a column in microseconds since 1970 (0 for none), and which there are, shape (N,) each."""
    import pyarrow as pa

    known = column.is_valid().to_numpy()
    return column.cast(pa.int64()).fill_null(0).to_numpy(), known
