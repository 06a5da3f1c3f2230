"""Photos become a dataset: every file has one outcome, and doing it again changes nothing."""

import io
import shutil
from pathlib import Path

import piexif
import pytest
from ingest_runs import fingerprint, rows, run_ingest
from photos import (
    EAST_CAMPUS,
    write_photo,
    write_site,
    write_walk,
)
from PIL import Image

from collect.ingestion.options import IngestOptions
from collect.ingestion.pipeline import ingest
from collect.verification import verify_dataset
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.manifest import read_table


def test_a_walk_is_taken_in_and_the_dataset_verifies(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 5)
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert outcomes.to_dict() == {
        "found": 5, "new": 5, "unchanged": 0, "duplicate": 0, "rejected": {}, "skipped": 0, "flags": {}
    }  # fmt: skip
    result = verify_dataset(tmp_path / "ds")
    assert (result.photos, result.problems, result.orphans) == (5, (), ())
    photos = rows(tmp_path / "ds")
    assert len({photo.walk for photo in photos.values()}) == 1
    first = photos["IMG_0000.jpg"]
    assert (first.lon, first.lat) == pytest.approx(EAST_CAMPUS)
    assert (first.gps_source, first.time_source, first.utc_offset_min) == ("exif", "gps", 120)
    assert first.file_name == f"photos/{first.id[:2]}/{first.id}.jpg"


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_every_format_is_read_whatever_the_file_is_called(kind: str, tmp_path: Path) -> None:
    write_photo(tmp_path / "in/photo.dat", format=kind, accuracy_m=7.5, heading_deg=12.0, altitude_m=-3.0)
    assert run_ingest(tmp_path / "in", tmp_path / "ds").new == 1
    photo = rows(tmp_path / "ds")["photo.dat"]
    assert (photo.lon, photo.lat) == pytest.approx(EAST_CAMPUS)
    assert (photo.gps_accuracy_m, photo.heading_deg, photo.altitude_m) == (7.5, 12.0, -3.0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_working_copies_are_upright_small_and_hold_nothing_but_the_picture(kind: str, tmp_path: Path) -> None:
    options = {"comment": b"secret"} if kind == "JPEG" else {}
    write_photo(tmp_path / "in/a", format=kind, size=(1600, 1200), orientation=6, image_options=options)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    photo = rows(tmp_path / "ds")["a"]
    data = (tmp_path / "ds" / photo.file_name).read_bytes()
    copy = Image.open(io.BytesIO(data))
    assert (copy.size, copy.size) == ((512, 683), (photo.width, photo.height))
    assert set(copy.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert not copy.getexif()
    assert not [marker for marker in (b"Exif", b"ICC_PROFILE", b"http://ns.adobe", b"secret") if marker in data]


def test_the_short_side_is_the_datasets_for_good(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg", size=(800, 600))
    run_ingest(tmp_path / "in", tmp_path / "ds", short_side_px=256)
    write_photo(tmp_path / "in/b.jpg", size=(800, 600), seed=1)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert {min(photo.width, photo.height) for photo in rows(tmp_path / "ds").values()} == {256}
    with pytest.raises(UsageError, match="256 px"):
        run_ingest(tmp_path / "in", tmp_path / "ds", short_side_px=512)


def test_originals_are_never_touched(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    before = fingerprint(tmp_path / "in")
    for path in (tmp_path / "in").iterdir():
        path.chmod(0o444)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert fingerprint(tmp_path / "in") == before


def test_a_dry_run_counts_and_writes_nothing(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    assert run_ingest(tmp_path / "in", tmp_path / "ds", dry_run=True).new == 3
    assert not (tmp_path / "ds").exists()
    run_ingest(tmp_path / "in", tmp_path / "ds")
    write_photo(tmp_path / "in/more.jpg", seed=9)
    before = fingerprint(tmp_path / "ds", without=())
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", dry_run=True)
    assert (outcomes.new, outcomes.unchanged) == (1, 3)
    assert fingerprint(tmp_path / "ds", without=()) == before


def test_a_dataset_inside_the_photos_is_not_walked(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 2)
    run_ingest(tmp_path / "in", tmp_path / "in/ds", site=write_site(tmp_path / "site.geojson"))
    assert run_ingest(tmp_path / "in", tmp_path / "in/ds").found == 2


def test_inputs_that_overlap_count_once(tmp_path: Path) -> None:
    write_walk(tmp_path / "in/sub", 2)
    outcomes = run_ingest([tmp_path / "in", tmp_path / "in/sub", tmp_path / "in/sub/IMG_0000.jpg"], tmp_path / "ds")
    assert (outcomes.found, outcomes.new) == (2, 2)


def test_devices_are_told_apart_and_salted_by_the_site(tmp_path: Path) -> None:
    for name, model, serial in (("a", "P1", None), ("b", "P1", "7"), ("c", "P2", None), ("d", "P1", None)):
        write_photo(tmp_path / f"in/{name}.jpg", seed=ord(name), model=model, serial=serial)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    run_ingest(tmp_path / "in", tmp_path / "same-site")
    run_ingest(tmp_path / "in", tmp_path / "other", site=write_site(tmp_path / "o.geojson", time_zone=None))
    devices = {name: photo.device for name, photo in rows(tmp_path / "ds").items()}
    assert len(set(devices.values())) == 3
    assert devices["a.jpg"] == devices["d.jpg"]
    assert devices == {name: photo.device for name, photo in rows(tmp_path / "same-site").items()}
    assert not set(devices.values()) & {photo.device for photo in rows(tmp_path / "other").values()}


def test_bad_invocations_are_sentences_and_leave_nothing_behind(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 1)
    with pytest.raises(NotFoundError, match="nothere"):
        run_ingest(tmp_path / "nothere", tmp_path / "ds")
    with pytest.raises(UsageError, match="--site"):
        ingest([tmp_path / "in"], tmp_path / "ds", IngestOptions(jobs=0))
    with pytest.raises(UsageError, match="other files"):
        run_ingest(tmp_path / "in", tmp_path / "in")
    with pytest.raises(UsageError, match="is a file"):
        run_ingest(tmp_path / "in", tmp_path / "in/IMG_0000.jpg")
    (tmp_path / "labels.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="no column"):
        run_ingest(tmp_path / "in", tmp_path / "ds", labels=tmp_path / "labels.csv")
    assert not (tmp_path / "ds").exists()


def test_a_dataset_without_its_manifest_is_not_started_anew(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 1)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    (tmp_path / "ds/manifest.parquet").unlink()
    with pytest.raises(InvalidDatasetError, match="restore"):
        run_ingest(tmp_path / "in", tmp_path / "ds", site=tmp_path / "square.geojson")


def test_too_little_space_is_said_before_the_work_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_walk(tmp_path / "in", 2)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9, 1000))
    with pytest.raises(OSError, match="Too little free space") as caught:
        run_ingest(tmp_path / "in", tmp_path / "ds")
    assert caught.value.errno == 28
    assert not list((tmp_path / "ds").glob("photos/*/*"))


def test_batches_commit_midway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collect.ingestion import dataset_writer

    commits = []
    original = dataset_writer.write_packed

    def counting(path: Path, photos: object, info: object) -> object:
        result = original(path, photos, info)  # type: ignore[arg-type]
        commits.append(read_table(path)[0].num_rows)
        return result

    monkeypatch.setattr(dataset_writer, "_FIRST_COMMIT", 4)
    monkeypatch.setattr(dataset_writer, "write_packed", counting)
    write_walk(tmp_path / "in", 20, size=(64, 48))
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert commits == [4, 12, 20]


def test_the_camera_serial_is_hashed_and_never_stored(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg", serial="SERIAL-4711", exif={piexif.ExifIFD.CameraOwnerName: b"Ada"})
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert not [path for path in (tmp_path / "ds").rglob("*") if path.is_file() and b"SERIAL-4711" in path.read_bytes()]
