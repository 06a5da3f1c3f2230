"""Ingests into a dataset that exists: what is known is recognised, and nothing depends on the order."""

import dataclasses
import json
import os
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import piexif
import pytest
from ingest_runs import fingerprint, rows, run_ingest
from photos import (
    FIRST_PHOTO_AT,
    exif_bytes,
    image_bytes,
    photo_bytes,
    scene,
    write_photo,
    write_site,
    write_walk,
)

from collect.ingestion import photo_reader as photo_file
from collect.splits.split import split_dataset
from collect.verification import verify_dataset
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.errors import UsageError
from img2gps.rejected import read_rejected


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
    run_ingest(tmp_path / "nothing", tmp_path / "ds", site=tmp_path / "smaller.geojson", allow_shrink=True)
    photos = rows(tmp_path / "ds")
    assert {name: photo.site_relation for name, photo in photos.items()} == {"IMG_0000.jpg": "inside"}
    assert [row.reason for row in read_rejected(tmp_path / "ds/rejected.csv").values()] == ["outside_site"] * 2
    assert verify_dataset(tmp_path / "ds").problems == ()
    assert verify_dataset(tmp_path / "ds").orphans == ()
    # the wide site again: what fell out comes back without its sources
    outcomes = run_ingest(tmp_path / "nothing", tmp_path / "ds", site=tmp_path / "square.geojson")
    assert "2 photos of an earlier site came back." in outcomes.notes
    assert not (tmp_path / "ds/outside.parquet").exists()
    assert run_ingest(tmp_path / "in", tmp_path / "ds").unchanged == 3
    assert {photo.device for photo in rows(tmp_path / "ds").values()} == devices
    assert read_rejected(tmp_path / "ds/rejected.csv") == {}


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_polygon_that_would_empty_a_dataset_is_refused_with_the_numbers(tmp_path: Path, dry_run: bool) -> None:
    write_walk(tmp_path / "in", 12)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    before = fingerprint(tmp_path / "ds")
    elsewhere = json.loads((tmp_path / "square.geojson").read_text())
    ring = elsewhere["features"][0]["geometry"]["coordinates"][0]
    elsewhere["features"][0]["geometry"]["coordinates"] = [[[lon + 1, lat] for lon, lat in ring]]
    (tmp_path / "elsewhere.geojson").write_text(json.dumps(elsewhere))
    with pytest.raises(
        UsageError, match=r"12 of 12 photos \(100%\) lie outside .* nothing was changed.*--allow-shrink"
    ):
        run_ingest(tmp_path / "in", tmp_path / "ds", site=tmp_path / "elsewhere.geojson", dry_run=dry_run)
    assert fingerprint(tmp_path / "ds") == before


def test_what_fell_out_comes_back_whole_with_its_corrections(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 12)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    dataset = Dataset.open(tmp_path / "ds")
    split_dataset(dataset, by="random", val=3, test=3)
    made: dict[str, Any] = {"at": "2025-06-03T00:00:00Z", "by": "me", "from_lon": 8.0, "from_lat": 50.0}
    moved = Correction(photo_id=dataset.frame()["id"][3], action="move", lon=8.001, lat=50.001, **made)
    append_corrections(dataset.corrections_path, [moved])
    before = dataset.frame()
    elsewhere = json.loads((tmp_path / "square.geojson").read_text())
    ring = elsewhere["features"][0]["geometry"]["coordinates"][0]
    elsewhere["features"][0]["geometry"]["coordinates"] = [[[lon + 1, lat] for lon, lat in ring]]
    (tmp_path / "elsewhere.geojson").write_text(json.dumps(elsewhere))
    shutil.rmtree(tmp_path / "in")
    (tmp_path / "in").mkdir()
    run_ingest(tmp_path / "in", tmp_path / "ds", site=tmp_path / "elsewhere.geojson", allow_shrink=True)
    assert len(dataset.frame()) == 0
    assert verify_dataset(tmp_path / "ds").problems == ()
    run_ingest(tmp_path / "in", tmp_path / "ds", site=tmp_path / "square.geojson")
    after = dataset.frame()
    assert after.equals(before)
    assert verify_dataset(tmp_path / "ds").problems == ()
    assert read_rejected(tmp_path / "ds/rejected.csv") == {}


def test_a_photo_that_was_outside_for_a_while_keeps_its_split(tmp_path: Path) -> None:
    for hour in range(6):
        taken_at = FIRST_PHOTO_AT + timedelta(hours=hour)
        write_walk(tmp_path / "in", 1, first_at=taken_at, first_seed=hour, prefix=f"{hour}_")
    run_ingest(tmp_path / "in", tmp_path / "ds")
    split_dataset(Dataset.open(tmp_path / "ds"), val=1, test=1, folds="walk")
    before = {name: (photo.split, photo.fold) for name, photo in rows(tmp_path / "ds").items()}
    assert {split for split, _ in before.values()} == {"train", "val", "test"}
    nowhere = json.loads((tmp_path / "square.geojson").read_text())
    ring = nowhere["features"][0]["geometry"]["coordinates"][0]
    nowhere["features"][0]["geometry"]["coordinates"] = [[[lon + 1, lat] for lon, lat in ring]]
    (tmp_path / "nowhere.geojson").write_text(json.dumps(nowhere))
    run_ingest(tmp_path / "in", tmp_path / "ds", site=tmp_path / "nowhere.geojson", allow_shrink=True)
    assert rows(tmp_path / "ds") == {}
    run_ingest(tmp_path / "in", tmp_path / "ds", site=tmp_path / "square.geojson")
    assert {name: (photo.split, photo.fold) for name, photo in rows(tmp_path / "ds").items()} == before
    assert verify_dataset(tmp_path / "ds").problems == ()


def test_a_photo_that_comes_back_to_a_walk_of_another_split_is_set_aside(tmp_path: Path) -> None:
    for hour in range(6):
        taken_at = FIRST_PHOTO_AT + timedelta(hours=hour)
        write_walk(tmp_path / "in", 1, first_at=taken_at, first_seed=hour, prefix=f"{hour}_")
    run_ingest(tmp_path / "in", tmp_path / "ds")
    split_dataset(Dataset.open(tmp_path / "ds"), val=1, test=1)
    name, out = next((name, photo) for name, photo in rows(tmp_path / "ds").items() if photo.split == "test")
    square = json.loads((tmp_path / "square.geojson").read_text())
    ring = square["features"][0]["geometry"]["coordinates"][0]
    moved = [[[lon + 0.006, lat] for lon, lat in ring]]
    square["features"][0]["geometry"]["coordinates"] = moved
    (tmp_path / "moved.geojson").write_text(json.dumps(square))
    run_ingest(tmp_path / "in", tmp_path / "ds", site=tmp_path / "moved.geojson", allow_shrink=True)
    east = max(lon for lon, _ in moved[0]) - 1e-4
    assert out.captured_at is not None
    write_photo(tmp_path / "late/late.jpg", seed=9, lon=east, taken_at=out.captured_at + timedelta(minutes=5))
    run_ingest(tmp_path / "late", tmp_path / "ds")
    split_dataset(Dataset.open(tmp_path / "ds"), val=1, test=1)
    assert rows(tmp_path / "ds")["late.jpg"].split == "train"
    world = {"type": "Polygon", "coordinates": [[[7, 49], [9, 49], [9, 51], [7, 51], [7, 49]]]}
    (tmp_path / "world.geojson").write_text(json.dumps(world))
    run_ingest([tmp_path / "in", tmp_path / "late"], tmp_path / "ds", site=tmp_path / "world.geojson")
    back = rows(tmp_path / "ds")
    assert back[name].walk == back["late.jpg"].walk
    assert (back["late.jpg"].split, back[name].split) == ("train", "excluded")
    assert back[name].split_reason == "joined: it would join test and train"


def test_a_photo_whose_time_is_mended_joins_no_walk_of_another_split(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    local = (FIRST_PHOTO_AT + timedelta(seconds=35)).replace(tzinfo=None)
    write_photo(tmp_path / "in/late.jpg", seed=8, taken_at=local)
    run_ingest(tmp_path / "in", tmp_path / "ds", site=write_site(tmp_path / "none.geojson", time_zone=None))
    dataset = Dataset.open(tmp_path / "ds")
    split_dataset(dataset, val=0, test=1)
    before = rows(tmp_path / "ds")
    assert {before["late.jpg"].split, before["IMG_0000.jpg"].split} == {"train", "test"}
    run_ingest(tmp_path / "in", tmp_path / "ds", site=write_site(tmp_path / "zone.geojson"), rehash=True)
    after = rows(tmp_path / "ds")
    assert after["late.jpg"].walk == after["IMG_0000.jpg"].walk
    assert after["late.jpg"].split == "excluded"
    assert after["IMG_0000.jpg"].split == before["IMG_0000.jpg"].split


def test_a_wrong_time_zone_is_mended_whole(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/clock.jpg", taken_at=datetime(2025, 6, 2, 14, 0), seed=1)
    aware = datetime(2025, 6, 2, 14, 0, tzinfo=timezone(timedelta(hours=-4)))
    write_photo(tmp_path / "in/own.jpg", taken_at=aware, seed=2)
    write_photo(tmp_path / "in/gps.jpg", taken_at=aware, exif={piexif.ExifIFD.OffsetTimeOriginal: b""}, seed=3)
    zones = {name: write_site(tmp_path / f"{name[:3]}.geojson", time_zone=name)
             for name in ("Europe/Berlin", "America/New_York")}  # fmt: skip
    times = ("captured_at", "utc_offset_min", "time_source", "fix_age_s")
    found = []
    for first, rehash in (("America/New_York", False), ("Europe/Berlin", False), ("Europe/Berlin", True)):
        root = tmp_path / f"{first[:3]}{rehash}"
        run_ingest(tmp_path / "in", root, site=zones[first])
        run_ingest(tmp_path / "in", root, site=zones["America/New_York"], rehash=rehash)
        found.append({name: [getattr(photo, time) for time in times] for name, photo in rows(root).items()})
    assert found[1] == found[2] == found[0]


def test_a_new_time_zone_times_photos_again(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg", taken_at=datetime(2025, 6, 2, 14, 0))
    sites = {zone: write_site(tmp_path / f"{zone}.geojson", time_zone=zone and f"Europe/{zone}") for zone in
             (None, "Berlin", "Lisbon")}  # fmt: skip
    run_ingest(tmp_path / "in", tmp_path / "ds", site=sites[None])
    assert rows(tmp_path / "ds")["a.jpg"].captured_at is None
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", site=sites["Berlin"])
    assert "--rehash are timed anew" in "".join(outcomes.notes)
    run_ingest(tmp_path / "in", tmp_path / "ds", rehash=True)
    berlin = rows(tmp_path / "ds")["a.jpg"]
    run_ingest(tmp_path / "in", tmp_path / "ds", site=sites["Lisbon"])
    lisbon = rows(tmp_path / "ds")["a.jpg"]
    assert berlin.captured_at is not None
    assert lisbon.captured_at == berlin.captured_at + timedelta(hours=1)
    run_ingest(tmp_path / "in", tmp_path / "fresh", site=sites["Lisbon"])
    fresh = rows(tmp_path / "fresh")["a.jpg"]
    assert (fresh.captured_at, fresh.utc_offset_min) == (lisbon.captured_at, lisbon.utc_offset_min)


@pytest.mark.parametrize("rehash", [False, True])
def test_labels_and_limits_that_come_later_are_told_and_not_applied(tmp_path: Path, rehash: bool) -> None:
    write_photo(tmp_path / "in/a.jpg", accuracy_m=30.0)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    before = rows(tmp_path / "ds")
    (tmp_path / "labels.csv").write_text("name,lat,lng\na.jpg,50.001,8.001\n")
    outcomes = run_ingest(
        tmp_path / "in", tmp_path / "ds", labels=tmp_path / "labels.csv", max_accuracy_m=10.0, rehash=rehash
    )
    assert outcomes.unchanged == 1
    assert any("1 label did not fit" in note and "label DATASET --import" in note for note in outcomes.notes)
    assert any("worse than --max-accuracy" in note for note in outcomes.notes)
    assert not any("the label stands" in note for note in outcomes.notes)
    assert rows(tmp_path / "ds") == before


def test_a_dry_run_leaves_a_damaged_index_alone(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg")
    run_ingest(tmp_path / "in", tmp_path / "ds")
    (tmp_path / "ds/sources.parquet").write_bytes(b"junk")
    before = fingerprint(tmp_path / "ds")
    run_ingest(tmp_path / "in", tmp_path / "ds", dry_run=True)
    assert fingerprint(tmp_path / "ds") == before


def test_a_dataset_may_have_any_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_photo(tmp_path / "in/a.jpg")
    write_site(tmp_path / "square.geojson")
    monkeypatch.chdir(tmp_path)
    for name in ("penn:v2", os.fsdecode(b"ds\xff")):
        for _ in range(2):
            run_ingest(tmp_path / "in", Path(name), site=tmp_path / "square.geojson")
        assert verify_dataset(Path(name)).problems == ()


def test_a_file_that_turned_into_something_else_leaves_the_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_photo(tmp_path / "in/a.jpg")
    monkeypatch.setattr(photo_file, "MAX_FILE_BYTES", 100)
    assert run_ingest(tmp_path / "in", tmp_path / "ds").rejected == {"too_large": 1}
    (tmp_path / "in/a.jpg").write_text("a note")
    assert run_ingest(tmp_path / "in", tmp_path / "ds").skipped == 1
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
    from collect.splits.split import split_dataset

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
