"""Rows that lie in columns behave as those of a dictionary."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.ingestion import packed_rows
from collect.ingestion.packed_rows import PackedRows, Packing
from img2gps.manifest import pack_photos, unpack_photos
from tests.datasets import NOON, four_walks, make_photo


def pack(rows: Mapping[str, int]) -> pa.Table:
    words = pa.array([f"word {value % 3}" for value in rows.values()], pa.string()).dictionary_encode()
    schema = pa.schema(  # a column that holds no null says so, as those of files do
        [pa.field("key", pa.string()), pa.field("value", pa.int64(), nullable=False), pa.field("word", words.type)]
    )
    return pa.table(
        [pa.array(list(rows), pa.string()), pa.array(list(rows.values()), pa.int64()), words], schema=schema
    )


PACKING: Packing[str, int] = Packing(
    pack=pack,
    unpack=lambda table: table.column("value").to_pylist(),
    keys=lambda table: table.column("key").to_pylist(),
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("_RECENT", 4), ("_CHUNK", 16), ("_BLOCK", 3), ("_LATE", 16)):
        monkeypatch.setattr(packed_rows, name, value)


ACTIONS = st.tuples(st.sampled_from(["set", "set", "set", "delete", "table", "sort", "replace"]), st.integers(0, 60))


@pytest.mark.usefixtures("small")
@settings(max_examples=100)
@given(st.lists(ACTIONS, max_size=150))
def test_whatever_is_done_the_rows_are_those_of_a_dictionary(actions: list[tuple[str, int]]) -> None:
    packed, plain = PackedRows(PACKING), dict[str, int]()
    for number, (action, at) in enumerate(actions):
        key = f"key {at}"
        if action == "set":
            packed[key] = plain[key] = number
        elif action == "delete":
            assert packed.pop(key, None) == plain.pop(key, None)
        elif action == "table":
            assert dict(zip(*packed.table().select(["key", "value"]).to_pydict().values(), strict=True)) == plain
        elif action == "sort":
            packed.sort_by(["value"])
            assert packed.table().column("value").to_pylist() == sorted(plain.values())
        else:
            values = [value + 1000 for value in packed.table().column("value").to_pylist()]
            packed.replace_columns({"value": pa.array(values, pa.int64())})
            plain = {key: value + 1000 for key, value in plain.items()}
        assert packed.get(key) == plain.get(key)
        assert (key in packed) == (key in plain)
    assert len(packed) == len(plain)
    assert dict(zip(packed, packed.values(), strict=True)) == plain


def test_each_of_many_keys_is_found_again() -> None:
    rows = {f"{number}": number for number in range(3000)}  # some of their digests end with a zero
    packed = PackedRows(PACKING, pack(rows))
    assert all(packed[key] == value for key, value in rows.items())
    assert "none of them" not in packed
    with pytest.raises(KeyError):
        packed["none of them"]


def test_photos_come_back_as_they_were() -> None:
    fields: dict[str, Any] = {
        "flags": ("edge", "stale_fix"), "traits": ("panorama",), "group": "g-another", "file_name": "photos/elsewhere",
        "gps_at": NOON, "clock_local": "2025-06-02T12:00:00.25", "fold": 3, "split": "val", "altitude_m": -0.0,
    }  # fmt: skip
    photos = [*four_walks(), make_photo("odd", **fields)]
    assert unpack_photos(pack_photos(photos)) == photos
    assert unpack_photos(pack_photos([])) == []
    assert np.array_equal(pack_photos(photos).column("lon").to_numpy(), [photo.lon for photo in photos])
