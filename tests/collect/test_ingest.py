"""Photos become a dataset: every file has one outcome, and doing it again changes nothing."""

import dataclasses
import io
import json
import os
import shutil
from datetime import timedelta
from pathlib import Path

import piexif
import pytest
from ingest_runs import fingerprint, rows, run_ingest
from photos import (
    EAST_CAMPUS,
    FIRST_PHOTO_AT,
    exif_bytes,
    image_bytes,
    photo_bytes,
    scene,
    write_photo,
    write_site,
    write_walk,
)
from PIL import Image

from collect.ingesting.rejected import read_rejected
from collect.ingesting.run import IngestOptions, ingest, validate
from collect.verify import verify_dataset
from img2gps.dataset import Dataset
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


def test_the_same_ingest_again_changes_no_file_but_the_log(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 4)
    write_photo(tmp_path / "in/far.jpg", seed=50, lon=9.0)
    shutil.copy(tmp_path / "in/IMG_0001.jpg", tmp_path / "in/copy.jpg")
    (tmp_path / "in/notes.txt").write_text("no photo")
    first = run_ingest(tmp_path / "in", tmp_path / "ds")
    before = fingerprint(tmp_path / "ds")
    second = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert fingerprint(tmp_path / "ds") == before
    assert (first.new, first.duplicate, first.rejected["outside_site"], first.skipped, first.found) == (4, 1, 1, 1, 7)
    assert (second.new, second.unchanged, second.duplicate, second.found) == (0, 4, 1, 7)
    assert second.rejected == first.rejected
    assert len((tmp_path / "ds/ingests.jsonl").read_text().splitlines()) == 2


def test_rehashing_reads_every_file_and_ends_the_same(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    before = fingerprint(tmp_path / "ds")
    assert run_ingest(tmp_path / "in", tmp_path / "ds", rehash=True).unchanged == 3
    assert fingerprint(tmp_path / "ds") == before


def test_a_moved_or_touched_file_is_recognised_by_its_bytes(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    before = rows(tmp_path / "ds")
    (tmp_path / "in").rename(tmp_path / "elsewhere")
    os.utime(tmp_path / "elsewhere/IMG_0000.jpg", (1, 1))
    assert run_ingest(tmp_path / "elsewhere", tmp_path / "ds").unchanged == 3
    assert rows(tmp_path / "ds") == before


def test_a_photo_encoded_again_joins_the_group_of_the_original(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/original.jpg", seed=3)
    data = image_bytes(scene(seed=3), exif=exif_bytes(), quality=60)
    (tmp_path / "in/smaller.jpg").write_bytes(data)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert len({photo.group for photo in rows(tmp_path / "ds").values()}) == 1


@pytest.mark.parametrize("kind", ["JPEG", "MPO", "PNG", "WEBP", "TIFF", "HEIF", "AVIF"])
def test_every_format_is_read_whatever_the_file_is_called(kind: str, tmp_path: Path) -> None:
    write_photo(tmp_path / "in/photo.dat", format=kind, accuracy_m=7.5, heading_deg=12.0, altitude_m=-3.0)
    assert run_ingest(tmp_path / "in", tmp_path / "ds").new == 1
    photo = rows(tmp_path / "ds")["photo.dat"]
    assert (photo.lon, photo.lat) == pytest.approx(EAST_CAMPUS)
    assert (photo.gps_accuracy_m, photo.heading_deg, photo.altitude_m) == (7.5, 12.0, -3.0)


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


def test_validation_counts_as_an_ingest_would(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    write_photo(tmp_path / "in/far.jpg", seed=50, lon=9.0)
    write_photo(tmp_path / "in/cut.png", seed=51, format="PNG")
    (tmp_path / "in/cut.png").write_bytes((tmp_path / "in/cut.png").read_bytes()[:-100])
    site = write_site(tmp_path / "site.geojson")
    checked = validate([tmp_path / "in"], IngestOptions(site=site, jobs=0)).to_dict()
    assert checked == run_ingest(tmp_path / "in", tmp_path / "ds").to_dict()
    assert checked["rejected"] == {"truncated": 1, "outside_site": 1}


def test_a_dataset_inside_the_photos_is_not_walked(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 2)
    run_ingest(tmp_path / "in", tmp_path / "in/ds", site=write_site(tmp_path / "site.geojson"))
    assert run_ingest(tmp_path / "in", tmp_path / "in/ds").found == 2


def test_inputs_that_overlap_count_once(tmp_path: Path) -> None:
    write_walk(tmp_path / "in/sub", 2)
    outcomes = run_ingest([tmp_path / "in", tmp_path / "in/sub", tmp_path / "in/sub/IMG_0000.jpg"], tmp_path / "ds")
    assert (outcomes.found, outcomes.new) == (2, 2)


def test_redrawing_the_site_judges_accepted_rows_again(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    devices = {photo.device for photo in rows(tmp_path / "ds").values()}
    smaller = json.loads((tmp_path / "square.geojson").read_text())
    ring = smaller["features"][0]["geometry"]["coordinates"][0]
    for corner in ring[2:4]:
        corner[1] = 50.00025
    (tmp_path / "smaller.geojson").write_text(json.dumps(smaller))
    (tmp_path / "nothing").mkdir()
    run_ingest(tmp_path / "nothing", tmp_path / "ds", site=tmp_path / "smaller.geojson")
    photos = rows(tmp_path / "ds")
    assert {name: photo.site_relation for name, photo in photos.items()} == {"IMG_0000.jpg": "inside"}
    assert [row.reason for row in read_rejected(tmp_path / "ds/rejected.csv").values()] == ["outside_site"] * 2
    assert verify_dataset(tmp_path / "ds").problems == ()
    # the wide site again: rejections are judged again where their sources are given again
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", site=tmp_path / "square.geojson")
    assert (outcomes.new, outcomes.unchanged) == (2, 1)
    assert {photo.device for photo in rows(tmp_path / "ds").values()} == devices
    assert read_rejected(tmp_path / "ds/rejected.csv") == {}


def test_a_rejection_ends_when_its_cause_does(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg", lon=None)
    data = photo_bytes(seed=1)
    (tmp_path / "in/b.jpg").write_bytes(data[:-500])
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert outcomes.rejected == {"no_gps": 1, "truncated": 1}
    (tmp_path / "in/b.jpg").write_bytes(data)
    (tmp_path / "labels.csv").write_text("name;lat;lng\na.jpg;50,0;8,0\n")
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", labels=tmp_path / "labels.csv")
    assert (outcomes.new, outcomes.rejected) == (2, {})
    assert read_rejected(tmp_path / "ds/rejected.csv") == {}


def test_the_manifest_does_not_depend_on_the_order_of_ingests(tmp_path: Path) -> None:
    paths = write_walk(tmp_path / "in", 4, every_s=2.0)
    run_ingest(tmp_path / "in", tmp_path / "at-once")
    for path in reversed(paths):
        run_ingest(path, tmp_path / "one-by-one")

    def timeless(root: Path) -> list[object]:
        return [dataclasses.replace(photo, ingested_at=None, ingest="") for photo in rows(root).values()]

    assert timeless(tmp_path / "at-once") == timeless(tmp_path / "one-by-one")


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


def test_lost_rows_are_read_again_and_lost_copies_come_back(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    photo = rows(tmp_path / "ds")["IMG_0001.jpg"]
    (tmp_path / "ds" / photo.file_name).unlink()
    run_ingest(tmp_path / "in", tmp_path / "ds", rehash=True)
    assert verify_dataset(tmp_path / "ds").problems == ()


def test_a_damaged_index_of_sources_is_rebuilt(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    before = fingerprint(tmp_path / "ds")
    (tmp_path / "ds/sources.parquet").write_bytes(b"rubbish")
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert (outcomes.unchanged, len(outcomes.notes)) == (3, 1)
    assert fingerprint(tmp_path / "ds") == before


def test_photos_of_a_split_dataset_follow_their_group(tmp_path: Path) -> None:
    from collect.split import split_dataset

    for number in range(6):
        start = FIRST_PHOTO_AT + timedelta(hours=number)
        write_walk(tmp_path / "in", 5, first_at=start, first_seed=5 * number, prefix=f"walk{number}-")
    run_ingest(tmp_path / "in", tmp_path / "ds")
    split_dataset(Dataset.open(tmp_path / "ds"), by="walk", val=5, test=5, seed=0)
    before = {photo.id: photo.split for photo in rows(tmp_path / "ds").values()}
    known = rows(tmp_path / "ds")["walk0-0003.jpg"]
    again = image_bytes(scene(seed=3), exif=exif_bytes(lat=known.lat, taken_at=known.captured_at), quality=50)
    (tmp_path / "in/again.jpg").write_bytes(again)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    after = rows(tmp_path / "ds")
    assert {photo.id: photo.split for photo in after.values() if photo.id in before} == before
    assert after["again.jpg"].split == known.split


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
    from collect.ingesting import ledger

    commits = []
    original = ledger.write_manifest

    def counting(path: Path, photos: object, info: object) -> object:
        result = original(path, photos, info)  # type: ignore[arg-type]
        commits.append(read_table(path)[0].num_rows)
        return result

    monkeypatch.setattr(ledger, "_FIRST_COMMIT", 4)
    monkeypatch.setattr(ledger, "write_manifest", counting)
    write_walk(tmp_path / "in", 20, size=(64, 48))
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert commits == [4, 12, 20]


def test_the_camera_serial_is_hashed_and_never_stored(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg", serial="SERIAL-4711", exif={piexif.ExifIFD.CameraOwnerName: b"Ada"})
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert not [path for path in (tmp_path / "ds").rglob("*") if path.is_file() and b"SERIAL-4711" in path.read_bytes()]
