"""Verification finds every changed byte, and calls nothing wrong that a killed ingest may leave."""

import json
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import shapely
from datasets import as_schema
from ingest_runs import rows, run_ingest
from photos import write_photo, write_walk

from collect.verification import Verification, corrections_problems, verify_dataset
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, NotFoundError
from img2gps.manifest import COLUMNS


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_walk(tmp_path / "in", 3, size=(64, 48))
    write_photo(tmp_path / "in/far.jpg", seed=50, lon=9.0, size=(64, 48))
    run_ingest(tmp_path / "in", tmp_path / "ds")
    return tmp_path / "ds"


def problems(root: Path) -> list[str]:
    return [f"{problem.where}: {problem.what}" for problem in verify_dataset(root).problems]


def test_every_flipped_bit_of_a_working_copy_is_found(root: Path) -> None:
    path = root / rows(root)["IMG_0001.jpg"].file_name
    data = path.read_bytes()
    for position in range(0, len(data) * 8, 397):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        assert len(problems(root)) == 1
    path.write_bytes(data)
    assert problems(root) == []
    path.unlink()
    assert "--rehash" in problems(root)[0]


def changed(column: str, values: list[Any], kind: pa.DataType) -> list[Any]:
    """Return the values with the last one changed to something else of its kind."""
    last = values[-1]
    if column == "geometry":
        return [*values[:-1], shapely.to_wkb(shapely.Point(8.0011, 50.0011))]
    if column in ("flags", "traits"):
        return [*values[:-1], ["edge"]]
    if isinstance(last, str):
        return [*values[:-1], last + "x"]
    if last is None:
        return [*values[:-1], "x" if kind == pa.string() else ["x"] if pa.types.is_list(kind) else 1]
    return [*values[:-1], last.replace(year=2000) if hasattr(last, "year") else last + 1]


@pytest.mark.parametrize("column", [column.name for column in COLUMNS])
def test_every_changed_value_of_the_manifest_is_found(column: str, root: Path) -> None:
    table = pq.read_table(root / "manifest.parquet")
    field = table.schema.field(column)
    values = pa.array(changed(column, table.column(column).to_pylist(), field.type), field.type)
    pq.write_table(table.set_column(table.column_names.index(column), field, values), root / "manifest.parquet")
    assert problems(root)


@pytest.mark.parametrize("key", ["device_salt", "short_side_px", "split", "site_name", "kept_splits"])
def test_what_the_manifest_says_about_itself_is_covered(key: str, root: Path) -> None:
    table = pq.read_table(root / "manifest.parquet")
    info = json.loads(table.schema.metadata[b"img2gps"])
    info[key] = {"device_salt": "x", "short_side_px": 64, "split": {"by": "cell"}, "site_name": "y"}.get(key, {"z": []})
    metadata = {**table.schema.metadata, b"img2gps": json.dumps(info).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), root / "manifest.parquet")
    assert "what it says about itself" in problems(root)[0]


def test_the_coordinates_of_the_manifest_are_covered(root: Path) -> None:
    table = pq.read_table(root / "manifest.parquet")
    pq.write_table(table.replace_schema_metadata({**table.schema.metadata, b"geo": b"{}"}), root / "manifest.parquet")
    assert "what it says about itself" in problems(root)[0]


def test_damaged_files_are_problems_and_not_tracebacks(root: Path) -> None:
    for name in ("manifest.parquet", "sources.parquet", "rejected.csv", "ingests.jsonl", "site.geojson"):
        path = root / name
        data = path.read_bytes()
        path.write_bytes(b"rubbish\n" + data[: len(data) // 2] + b"\n")
        assert name in problems(root)[0]
        path.write_bytes(data)
    assert problems(root) == []


def test_another_polygon_is_found(root: Path) -> None:
    site = json.loads((root / "site.geojson").read_text())
    site["features"][0]["geometry"]["coordinates"][0][2][0] += 1e-6
    (root / "site.geojson").write_text(json.dumps(site))
    assert problems(root) == ["site.geojson: it is not the polygon that the photos were judged by"]


@pytest.mark.slow
def test_every_flipped_bit_of_the_corrections_is_found(root: Path) -> None:
    photo = rows(root)["IMG_0001.jpg"]
    entry = Correction(
        at="2024-05-06T07:08:09+00:00", by="Ada", photo_id=photo.id, action="move", from_lon=photo.lon,
        from_lat=photo.lat, lon=8.00001e-05, lat=50.0, why='a, "b"',
    )  # fmt: skip
    path = root / "corrections.csv"
    append_corrections(path, [entry, entry])
    assert problems(root) == []
    data = path.read_bytes()
    for position in range(0, len(data) * 8, 3):
        flipped = bytearray(data)
        flipped[position // 8] ^= 1 << position % 8
        path.write_bytes(flipped)
        assert list(corrections_problems(Dataset(root=root))), position


def test_what_a_killed_ingest_leaves_is_reported_apart(root: Path) -> None:
    copy = next((root / "photos").glob("*/*.jpg"))
    (root / "photos/ff").mkdir(exist_ok=True)
    os.link(copy, root / "photos/ff" / ("ff" * 32 + ".jpg"))
    (root / "photos/ff/.tmp-1").write_bytes(b"half")
    (root / ".tmp-2").write_bytes(b"half")
    result = verify_dataset(root)
    assert (result.problems, len(result.orphans)) == ((), 3)


def test_a_folder_that_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        verify_dataset(tmp_path / "none")
    with pytest.raises(InvalidDatasetError):
        verify_dataset(tmp_path)


def test_the_result_is_json(root: Path) -> None:
    result = verify_dataset(root)
    assert isinstance(result, Verification)
    expected = {"ok": True, "photos": 3, "problems": [], "orphans": [], "to_forget": 0}
    assert json.loads(json.dumps(result.to_dict())) == expected


def test_a_dataset_of_an_earlier_schema_verifies_as_it_was_written(root: Path) -> None:
    as_schema(root / "manifest.parquet", 1)
    assert problems(root) == []
    table = pq.read_table(root / "manifest.parquet")
    lower = pa.array([value.replace("IMG", "img") for value in table.column("source_name").to_pylist()])
    at = table.column_names.index("source_name")
    pq.write_table(table.set_column(at, table.schema.field(at), lower), root / "manifest.parquet")
    assert problems(root) == ["manifest.parquet: its rows were changed after they were written"]
