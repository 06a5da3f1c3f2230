"""An ingest by a cluster ends as one by two processes of this machine does, whatever becomes of its workers."""

import dataclasses
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cluster_faults import Workers, two_workers
from ingest_runs import rows, run_ingest
from object_store import fake_s3, fill, web_listing
from photos import photo_bytes, write_photo, write_site, write_walk
from worker_faults import read_or_hang

from collect.api import audit, ingest
from collect.ingestion.chunks import shards_of
from collect.ingestion.photo_reader import FileTask, Reading, ReadSettings
from collect.ingestion.shards import ShardSettings, read_shard
from collect.ingestion.workers import Failure
from collect.reading.found_files import FoundFile
from collect.reading.stores import StoredObject, check_reach
from collect.validation.rules import Rules
from collect.verification import verify_dataset
from img2gps.errors import UsageError
from img2gps.files import TEMPORARY_PREFIX
from img2gps.rejected import read_rejected
from img2gps.site import load_site
from img2gps.types import Photo, Rejection
from img2gps.working_copies import FolderCopies


@pytest.fixture(scope="module")
def workers() -> Iterator[Workers]:
    with two_workers() as cluster:
        yield cluster


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """A walk with a copy, a photo without a position, one far away, one cut off and a text."""
    folder = tmp_path / "in"
    first = write_walk(folder, 60, size=(64, 48), every_s=0.5)[0]
    (folder / "z-copy.jpg").write_bytes(first.read_bytes())
    write_photo(folder / "none.jpg", lon=None, size=(64, 48), seed=900)
    write_photo(folder / "far.jpg", lon=9.0, size=(64, 48), seed=901)
    (folder / "cut.jpg").write_bytes(photo_bytes(size=(64, 48), seed=902)[:-300])
    (folder / "notes.txt").write_text("none")
    write_site(tmp_path / "square.geojson")
    return folder


def shard_settings(folder: Path) -> ShardSettings:
    rules = Rules(site=load_site(write_site(folder / "square.geojson")), device_salt="salt")
    reading = ReadSettings(rules=rules, short_side_px=64, pixels="check")
    return ShardSettings(reading=reading, timeout_s=60, given_up=lambda *_: pytest.fail("no file was read"))


def test_a_worker_without_the_folder_of_the_photos_ends_the_ingest(tmp_path: Path) -> None:
    """One machine of many that lacks a mount would reject its share of the photos as unreadable."""
    task = FileTask(path=os.fsencode(tmp_path / "mount/a.jpg"), name="a.jpg")
    with pytest.raises(UsageError, match=r"^A worker on \S+ does not find \S+mount as it is here: --cluster needs"):
        read_shard([task], shard_settings(tmp_path))


def test_a_worker_without_the_folder_of_the_dataset_ends_the_ingest(tmp_path: Path) -> None:
    """It would write the working copies to a disk of its own."""
    task = FileTask(path=os.fsencode(write_photo(tmp_path / "a.jpg", size=(16, 12))), name="a.jpg")
    settings = shard_settings(tmp_path)
    copies = FolderCopies(tmp_path / "mount/quad/photos")
    elsewhere = dataclasses.replace(settings, reading=dataclasses.replace(settings.reading, copies=copies))
    with pytest.raises(
        UsageError, match=r"^A worker on \S+ does not find \S+mount/quad as it is here: --cluster needs"
    ):
        read_shard([task], elsewhere)


def test_a_worker_without_the_credentials_of_a_store_ends_the_ingest(tmp_path: Path) -> None:
    with web_listing(tmp_path, refuse=403) as (address, _):
        stored = StoredObject(store=address, key=f"{address}/a.jpg", size=5)
        task = FileTask(path=b"a.jpg", name="a.jpg", stored=stored)
        with pytest.raises(UsageError, match=r"^A worker on \S+: No permission to read http\S+ \(HTTP 403 Forbidden\)"):
            read_shard([task], shard_settings(tmp_path))


def test_an_object_that_is_gone_is_no_store_out_of_reach(tmp_path: Path) -> None:
    with web_listing(tmp_path) as (address, _):
        check_reach(StoredObject(store=address, key=f"{address}/a.jpg", size=5))


def photos_in(root: Path) -> list[Photo]:
    return [dataclasses.replace(photo, ingested_at=None, ingest="") for photo in rows(root).values()]


def assert_equal_datasets(root: Path, other: Path) -> None:
    assert photos_in(root) == photos_in(other)
    assert len(photos_in(root)) == 60
    assert read_rejected(root / "rejected.csv") == read_rejected(other / "rejected.csv")
    assert verify_dataset(root).problems == ()
    assert not list(root.rglob(f"{TEMPORARY_PREFIX}*"))


def once_copies_appear(root: Path, action: Callable[[], None]) -> threading.Thread:
    """Do something as soon as a worker has written a working copy."""

    def wait() -> None:
        until = time.monotonic() + 120
        while time.monotonic() < until and not any((root / "photos").glob("*/*")):
            time.sleep(0.01)
        action()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.mark.slow
def test_a_cluster_with_a_worker_killed_ends_as_two_processes_do(workers: Workers, walk: Path, tmp_path: Path) -> None:
    of_processes = run_ingest(walk, tmp_path / "processes", jobs=2)
    killer = once_copies_appear(tmp_path / "cluster", workers.kill_one)
    outcomes = run_ingest(walk, tmp_path / "cluster", cluster=workers.address)
    killer.join()
    assert outcomes.to_report() == of_processes.to_report()
    assert_equal_datasets(tmp_path / "cluster", tmp_path / "processes")
    assert run_ingest(walk, tmp_path / "cluster").unchanged == 60


@pytest.mark.slow
def test_a_cluster_of_its_own_reads_an_object_store(
    walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_ingest(walk, tmp_path / "processes", jobs=2)
    with fake_s3(monkeypatch) as bucket:
        fill(f"{bucket}/walks", walk)
        monkeypatch.chdir(tmp_path)
        ingest(f"{bucket}/walks", "cluster", site="square.geojson", cluster="local:2")
    assert_equal_datasets(tmp_path / "cluster", tmp_path / "processes")


@pytest.mark.slow
def test_a_lost_scheduler_costs_a_second_run(walk: Path, tmp_path: Path) -> None:
    run_ingest(walk, tmp_path / "processes", jobs=2)
    with two_workers() as cluster:
        killer = once_copies_appear(tmp_path / "cluster", cluster.kill_scheduler)
        with pytest.raises(OSError, match="The cluster is lost"):
            run_ingest(walk, tmp_path / "cluster", cluster=cluster.address)
        killer.join()
    assert verify_dataset(tmp_path / "cluster").problems == ()
    run_ingest(walk, tmp_path / "cluster", jobs=2)
    assert_equal_datasets(tmp_path / "cluster", tmp_path / "processes")


@pytest.mark.slow
def test_a_file_that_takes_too_long_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collect.ingestion.shards.read_files", read_or_hang)
    first, second, third = write_walk(tmp_path / "in", 3, size=(64, 48))
    hanging = second.rename(second.with_name("hang.jpg"))
    reading = ReadSettings(
        rules=Rules(site=load_site(write_site(tmp_path / "square.geojson")), device_salt="s"),
        short_side_px=64,
        pixels="check",
    )
    tasks = [FileTask(path=os.fsencode(path), name=path.name) for path in (first, hanging, third)]
    read = read_shard(tasks, ShardSettings(reading=reading, timeout_s=2.0, given_up=given_up))
    assert [type(one.outcome) for one in read] == [Photo, Rejection, Photo]
    assert isinstance(read[1].outcome, Rejection)
    assert read[1].outcome.reason == "timed_out"


def given_up(task: FileTask, failure: Failure, detail: str) -> Reading:
    return Reading(outcome=Rejection(path=task.name, reason=failure, detail=detail))


@pytest.mark.slow
def test_a_cluster_verifies_and_audits_as_this_machine_does(workers: Workers, walk: Path, tmp_path: Path) -> None:
    root = tmp_path / "ds"
    run_ingest(walk, root)
    first, second, *_ = sorted((root / "photos").glob("*/*"))
    first.write_bytes(b"changed")
    second.unlink()
    here = verify_dataset(root)
    assert len(here.problems) == 2
    assert verify_dataset(root, cluster=workers.address) == here
    reports = []
    for cluster in (None, workers.address):
        audit(root, cluster=cluster)
        reports.append({path.name: path.read_bytes() for path in sorted((root / "audit").iterdir())})
    assert reports[0] == reports[1]
    assert b"58 thumbnails for 60 photos" in reports[0]["report.html"]


def test_photos_in_the_memory_of_this_process_are_not_for_a_cluster(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 1, size=(32, 24))
    write_site(tmp_path / "square.geojson")
    fill("memory://for-a-cluster", tmp_path / "in")
    with pytest.raises(UsageError, match="known to this process alone"):
        ingest("memory://for-a-cluster", tmp_path / "ds", site=tmp_path / "square.geojson", cluster="local:2")


@pytest.mark.parametrize(("files", "jobs"), [(1, 8), (24, 2), (1000, 1), (5000, 2), (100_000, 16)])
def test_shards_hold_every_file_once_and_end_small(files: int, jobs: int) -> None:
    work = [(FoundFile(path=b"%d" % number, name=str(number)), None) for number in range(files)]
    shards = list(shards_of(work, again=False, jobs=jobs))
    assert [task.name for shard in shards for task in shard] == [str(number) for number in range(files)]
    assert max(map(len, shards)) <= 1000
    assert len(shards[-1]) <= 24 or len(shards) == 1
    assert len(shards) <= files // 1000 + 40 * jobs
