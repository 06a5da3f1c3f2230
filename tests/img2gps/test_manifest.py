"""The manifest: what is written is read back, and what is broken is named."""

import dataclasses
from datetime import UTC, datetime
from pathlib import Path

import geopandas as gpd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import as_schema, make_dataset, make_photo

from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset, frame_info
from img2gps.errors import DatasetLockedError, InvalidDatasetError, NotFoundError
from img2gps.files import sha256_bytes, write_json
from img2gps.manifest import (
    COLUMNS,
    SCHEMA_VERSION,
    ManifestInfo,
    is_info_intact,
    photos_of,
    read_table,
    rows_digest,
    write_manifest,
)
from img2gps.site import load_site
from img2gps.splits import split_hashes
from img2gps.types import Photo

OPTIONAL = {
    "gps_accuracy_m": 4.5,
    "gps_dop": 2.0,
    "utc_offset_min": -240,
    "time_source": "gps",
    "clock_local": "2026-05-01T08:01:00.250",
    "clock_offset_min": -240,
    "gps_at": datetime(2026, 5, 1, 12, 1, tzinfo=UTC),
    "gps_status": "A",
    "gps_method": "GPS",
    "declination_deg": -12.1,
    "traits": ("small", "dark"),
    "fix_age_s": 1.0,
    "heading_deg": 12.0,
    "heading_ref": "T",
    "altitude_m": 20.0,
    "make": "Make",
    "model": "Model",
    "burst": "b1",
    "split_reason": "r",
    "fold": 1,
}
INFO = ManifestInfo(site_name="quad", site_sha256="s", device_salt="s")


def photo(number: int, **changes: object) -> Photo:
    photo_id = sha256_bytes(str(number).encode())
    full = Photo(
        id=photo_id,
        file_name=f"photos/{photo_id[:2]}/{photo_id}.jpg",
        photo_sha256=sha256_bytes(b"copy"),
        lon=-75.1914 + number * 1e-5,
        lat=39.9517,
        gps_source="exif",
        width=60,
        height=80,
        phash="0" * 16,
        source_name=f"IMG_{number:04}.jpg",
        bytes=1000,
        site_relation="inside",
        device="d1",
        flags=("accuracy_unknown", "heading_unknown"),
        captured_at=datetime(2026, 5, 1, 12, number, tzinfo=UTC),
        walk="w1",
        group=f"g{number}",
        split="train" if number % 2 else "test",
        ingested_at=datetime(2026, 5, 2, tzinfo=UTC),
        ingest="i1",
    )
    return dataclasses.replace(full, **changes)


def dataset(tmp_path: Path, photos: list[Photo]) -> Dataset:
    write_json(tmp_path / "site.geojson", load_site("penn-engineering-quad").to_geojson())
    write_manifest(tmp_path / "manifest.parquet", photos, INFO)
    return Dataset.open(tmp_path)


def test_photo_and_schema_have_the_same_fields() -> None:
    fields = {field.name for field in dataclasses.fields(Photo)}
    assert fields == {column.name for column in COLUMNS} - {"geometry"} | {"lon", "lat"}


def test_round_trip_in_any_order(tmp_path: Path) -> None:
    photos = [photo(number) for number in range(5)]
    photos[2] = dataclasses.replace(
        photos[2], flags=(), captured_at=None, gps_accuracy_m=4.5, fold=3, burst="b", traits=("small",)
    )
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_manifest(first, photos, INFO)
    write_manifest(second, reversed(photos), INFO)
    table, info = read_table(first)
    assert photos_of(table) == photos
    assert info.rows_sha256 == rows_digest(table)
    assert first.read_bytes() == second.read_bytes()


def test_geopandas_reads_it_as_geoparquet(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.parquet", [photo(0)], INFO)
    frame = gpd.read_parquet(tmp_path / "m.parquet")
    assert frame.crs.to_epsg() == 4326
    assert (frame.geometry.x[0], frame.geometry.y[0]) == (-75.1914, 39.9517)


def test_an_empty_manifest_is_valid(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.parquet", [], INFO)
    assert photos_of(read_table(tmp_path / "m.parquet")[0]) == []


@pytest.mark.parametrize("column", [column.name for column in COLUMNS])
def test_the_digest_sees_every_column(column: str, tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.parquet", [photo(0), photo(1, **OPTIONAL)], INFO)
    table, _ = read_table(tmp_path / "m.parquet")
    index = table.column_names.index(column)
    swapped = pa.chunked_array([table.column(column).combine_chunks().take(pa.array([1, 0]))])
    if swapped != table.column(column):
        assert rows_digest(table.set_column(index, table.schema.field(column), swapped)) != rows_digest(table)
    else:
        values = pa.array([None, None], type=table.schema.field(column).type)
        assert rows_digest(table.set_column(index, column, values)) != rows_digest(table)


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda table: table.drop_columns(["phash"]), "lacks the column phash"),
        (
            lambda table: table.set_column(
                table.column_names.index("width"), "width", table.column("width").cast(pa.int64())
            ),
            "width as int64, not int32",
        ),
        (
            lambda table: table.set_column(
                1, "file_name", pa.chunked_array([pa.array([None] * table.num_rows, pa.string())])
            ),
            "2 empty values in the column file_name",
        ),
        (lambda table: pa.concat_tables([table, table]), "same photo twice in the column id"),
        (lambda table: table.replace_schema_metadata({}), "not a manifest that img2gps wrote"),
        (lambda table: table.replace_schema_metadata({b"img2gps": b'{"x": 1}'}), "damaged img2gps metadata"),
    ],
)
def test_broken_manifests_are_named(damage, complaint: str, tmp_path: Path) -> None:
    path = tmp_path / "manifest.parquet"
    write_manifest(path, [photo(0), photo(1)], INFO)
    pq.write_table(damage(pq.read_table(path)), path)
    with pytest.raises(InvalidDatasetError, match=complaint):
        read_table(path)


def test_files_that_are_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError, match="is missing"):
        read_table(tmp_path / "absent.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(InvalidDatasetError, match="not a readable Parquet file"):
        read_table(tmp_path / "text.parquet")


def test_a_newer_schema_asks_for_an_upgrade(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write_manifest(path, [photo(0)], INFO)
    table = pq.read_table(path)
    newer = table.schema.metadata[b"img2gps"].replace(b'"schema_version":2', b'"schema_version":99')
    pq.write_table(table.replace_schema_metadata({b"img2gps": newer}), path)
    with pytest.raises(InvalidDatasetError, match="upgrade img2gps"):
        read_table(path)


NEW_COLUMNS = ("clock_local", "clock_offset_min", "gps_at", "gps_status", "gps_method", "declination_deg", "traits")


def test_a_manifest_of_the_first_schema_opens_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    photos = [photo(0), photo(1, **OPTIONAL)]
    write_manifest(path, photos, INFO)
    as_schema(path, 1)
    table, info = read_table(path)
    # both digests as the program of that schema wrote them
    assert info.rows_sha256 == "a17e85954674cb68e59c73b48b6f958ad5bc3024e8bf619efb28109be1d66561"
    assert info.info_sha256 == "012cfec658577b90fd7c81a1fabd4269f1aa177bc65a392ab98e223628c4162b"
    assert (info.schema_version, rows_digest(table, 1), is_info_intact(table)) == (1, info.rows_sha256, True)
    without = {name: () if name == "traits" else None for name in NEW_COLUMNS}
    assert photos_of(table) == [photo(0), photo(1, **OPTIONAL | without)]
    assert table.column_names == [column.name for column in COLUMNS]


def test_a_manifest_of_the_first_schema_is_written_as_the_newest(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write_manifest(path, [photo(0), photo(1, **OPTIONAL)], INFO)
    as_schema(path, 1)
    table, info = read_table(path)
    write_manifest(path, photos_of(table), info)
    again, info = read_table(path)
    assert (info.schema_version, info.rows_sha256) == (SCHEMA_VERSION, rows_digest(again))
    assert photos_of(again) == photos_of(table)
    assert set(NEW_COLUMNS) <= set(pq.read_table(path).column_names)


def test_a_column_that_the_schema_did_not_have_is_not_believed(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    write_manifest(path, [photo(0)], INFO)
    as_schema(path, 1)
    table = pq.read_table(path)
    pq.write_table(table.append_column("clock_local", pa.array(["2020-01-01T00:00:00"])), path)
    assert photos_of(read_table(path)[0])[0].clock_local is None


def test_columns_of_later_schemas_may_be_null() -> None:
    assert all(column.nullable for column in COLUMNS if column.since > 1)
    assert {column.name for column in COLUMNS if column.since == 2} == set(NEW_COLUMNS)


def test_opening_what_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        Dataset.open(tmp_path / "absent")
    with pytest.raises(InvalidDatasetError, match=r"site\.geojson is missing"):
        Dataset.open(tmp_path)
    opened = dataset(tmp_path, [photo(0)])
    (tmp_path / "site.geojson").write_text("{}")
    with pytest.raises(InvalidDatasetError, match="no GeoJSON polygon"):
        opened.site()


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    first = dataset(tmp_path, [photo(0)])
    with first.lock(), pytest.raises(DatasetLockedError), Dataset.open(tmp_path).lock():
        pytest.fail("two writers held the dataset")
    with first.lock():  # free again
        assert first.manifest_path.exists()


def test_frame_applies_the_newest_correction(tmp_path: Path) -> None:
    opened = dataset(tmp_path, [photo(0), photo(1), photo(2), photo(3)])

    def line(number: int, action: str, **changes: object) -> Correction:
        held = photo(number)
        return Correction(
            at="2026-05-03T00:00:00+00:00",
            by="test",
            photo_id=held.id,
            action=action,
            from_lon=held.lon,
            from_lat=held.lat,
            **changes,
        )

    lines = [
        line(0, "move", lon=-75.1913, lat=39.9518, heading_deg=90.0),
        line(1, "move", lon=-75.1913, lat=39.9518),
        line(1, "reset"),
        line(2, "exclude"),
    ]
    append_corrections(opened.corrections_path, lines)
    frame = opened.frame()
    assert frame["lon"].tolist() == [-75.1913, photo(1).lon, photo(2).lon, photo(3).lon]
    assert frame["ingest_lon"].tolist() == [photo(number).lon for number in range(4)]
    assert frame["label_state"].tolist() == ["move", "", "exclude", ""]
    assert frame["gps_source"].tolist() == ["correction", "exif", "exif", "exif"]
    assert frame["split"].tolist() == ["test", "train", "excluded", "train"]
    assert frame["moved_m"].round(1).tolist() == [14.0, 0.0, 0.0, 0.0]
    assert frame.loc[0, "heading_deg"] == 90.0
    assert frame.geometry.y[0] == 39.9518
    assert frame_info(frame).site_name == "quad"


def test_split_hashes_tell_photos_from_labels(tmp_path: Path) -> None:
    frame = dataset(tmp_path, [photo(number) for number in range(6)]).frame()
    before = split_hashes(frame)
    assert split_hashes(frame.sample(frac=1, random_state=1)) == before
    moved = frame.copy()
    moved.loc[0, "lon"] += 1e-4  # row 0 is a test photo
    after = split_hashes(moved)
    assert after.ids == before.ids
    assert after.labels["test"] != before.labels["test"]
    assert after.labels["train"] == before.labels["train"]
    assert split_hashes(frame.iloc[1:]).ids["test"] != before.ids["test"]


def test_the_file_itself_says_where_corrections_are(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path, [make_photo("a")])
    note = pq.read_schema(dataset.manifest_path).metadata[b"description"].decode()
    assert "corrections.csv" in note
    assert ".frame()" in note
    assert len(gpd.read_parquet(dataset.manifest_path)) == 1
