"""Working copies in a store: the rows of a dataset with its own, whatever the store does and whenever a kill comes."""

import dataclasses
import json
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import numpy as np
import pytest
from ingest_runs import fingerprint, rows, run_ingest
from object_store import SECRET, fake_s3
from photos import photo_bytes, write_photo, write_site, write_walk

from collect.api import forget, ingest, merge, verify
from collect.ingestion.dataset_writer import DatasetWriter
from collect.label.labelling import open_labelling
from img2gps import object_store
from img2gps.address import Address
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.files import sha256_bytes
from img2gps.manifest import photos_of, read_table
from img2gps.types import Photo

PHOTOS = 6


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IMG2GPS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """A folder with a walk, a copy of a photo, and one without a position."""
    first = write_walk(tmp_path / "in", PHOTOS, size=(64, 48))[0]
    (tmp_path / "in/z-copy.jpg").write_bytes(first.read_bytes())
    write_photo(tmp_path / "in/none.jpg", lon=None, size=(64, 48), seed=8)
    write_site(tmp_path / "square.geojson")
    return tmp_path / "in"


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://copies"
    fsspec.filesystem("memory").store.clear()


def photos_in(root: Path) -> list[Photo]:
    return [dataclasses.replace(photo, ingested_at=None, ingest="") for photo in rows(root).values()]


def stored_in(url: str) -> dict[str, bytes]:
    files, root = fsspec.core.url_to_fs(url, **({} if url.startswith("memory") else {"use_listings_cache": False}))
    return {name.removeprefix(root).lstrip("/"): files.cat_file(name) for name in files.find(root)}


def assert_as_local(root: Path, url: str, walk: Path) -> None:
    """The rows and the copies are those of a dataset in a folder, and `verify` finds each in its place."""
    local = walk.parent / "local"
    if not local.exists():
        run_ingest(walk, local)
    assert photos_in(root) == photos_in(local)
    found = {path.relative_to(local / "photos").as_posix(): path.read_bytes() for path in local.glob("photos/*/*")}
    assert stored_in(url) == found
    checked = verify(root)
    assert (checked.problems, checked.orphans) == ((), ())


@pytest.mark.slow
def test_a_store_holds_what_a_folder_would(walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_s3(monkeypatch) as bucket:
        url = f"{bucket}/copies"
        outcomes = ingest(walk, tmp_path / "ds", site=tmp_path / "square.geojson", copies=url, jobs=0)
        assert (outcomes.new, outcomes.duplicate) == (PHOTOS, 1)
        assert json.loads((tmp_path / "ds/photos.json").read_text()) == {"address": url}
        assert not (tmp_path / "ds/photos").exists()
        assert_as_local(tmp_path / "ds", url, walk)
        before = fingerprint(tmp_path / "ds")
        assert ingest(walk, tmp_path / "ds", jobs=0).unchanged == PHOTOS
        assert ingest(walk, tmp_path / "ds", copies=f"{url}/", rehash=True, jobs=0).unchanged == PHOTOS
        assert fingerprint(tmp_path / "ds") == before
        assert_as_local(tmp_path / "ds", url, walk)
    assert SECRET not in "".join(path.read_text(errors="replace") for path in (tmp_path / "ds").glob("*.json*"))


@pytest.mark.slow
def test_a_store_that_stumbles_costs_nothing_but_time(
    walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers each object's first request with 503, its second with half an object, and others late."""
    asked: dict[str, int] = {}

    def fault(method: str, path: str) -> str | None:
        key = f"{method} {path}"
        asked[key] = asked.get(key, 0) + 1
        if ".jpg" not in path:
            return None
        time.sleep(0.01)
        return {1: "503", 2: "half" if method == "GET" else None}.get(asked[key])

    monkeypatch.setattr(object_store, "_PAUSE_S", 0.0)
    with fake_s3(monkeypatch, fault) as bucket:
        url = f"{bucket}/copies"
        ingest(walk, tmp_path / "ds", site=tmp_path / "square.geojson", copies=url, jobs=0)
        dataset = Dataset.open(tmp_path / "ds")
        photos = photos_of(read_table(dataset.manifest_path)[0])
        assert [sha256_bytes(path.read_bytes()) for path in dataset.photo_paths(photo.id for photo in photos)] == [
            photo.photo_sha256 for photo in photos
        ]
        assert_as_local(tmp_path / "ds", url, walk)
    assert max(asked.values()) >= 3


@pytest.mark.slow
def test_a_store_that_refuses_ends_the_ingest(walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was committed stays; the rest follows once the store answers again."""
    refuses = True
    monkeypatch.setattr(object_store, "_PAUSE_S", 0.0)
    monkeypatch.setattr("s3fs.core.S3FileSystem.retries", 1)
    with fake_s3(monkeypatch, lambda method, path: "503" if refuses and ".jpg" in path else None) as bucket:
        url = f"{bucket}/copies"
        with pytest.raises(OSError, match="Slow Down") as caught:
            ingest(walk, tmp_path / "ds", site=tmp_path / "square.geojson", copies=url, jobs=0)
        assert str(caught.value.filename).startswith("s3://bucket/copies/")
        refuses = False
        ingest(walk, tmp_path / "ds", jobs=0)
        assert_as_local(tmp_path / "ds", url, walk)


def test_a_coordinator_killed_between_copies_and_rows_loses_nothing(
    walk: Path, memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(DatasetWriter, "_write_manifest", die)
        with pytest.raises(KilledError):
            run_ingest(walk, tmp_path / "ds", copies=Address(memory))
    assert len(stored_in(memory)) == PHOTOS
    assert rows(tmp_path / "ds") == {}
    assert verify(tmp_path / "ds").orphans == tuple(sorted(f"photos/{name}" for name in stored_in(memory)))
    # a copy that another version of Pillow made; and one that is cut off
    names = sorted(stored_in(memory))
    files = fsspec.filesystem("memory")
    files.pipe_file(f"/copies/{names[0]}", photo_bytes(size=(16, 12)))
    files.pipe_file(f"/copies/{names[1]}", stored_in(memory)[names[1]][:-100])
    assert run_ingest(walk, tmp_path / "ds").new == PHOTOS
    assert_as_local(tmp_path / "ds", memory, walk)


def test_a_copy_that_is_gone_is_told_and_made_again(walk: Path, memory: str, tmp_path: Path) -> None:
    run_ingest(walk, tmp_path / "ds", copies=Address(memory))
    gone = sorted(stored_in(memory))[0]
    fsspec.filesystem("memory").rm_file(f"/copies/{gone}")
    (problem,) = verify(tmp_path / "ds").problems
    assert problem.where == f"photos/{gone}"
    path = Dataset.open(tmp_path / "ds").photo_path(gone[3:-4])
    assert not path.is_file()
    with pytest.raises(FileNotFoundError):
        path.read_bytes()
    run_ingest(walk, tmp_path / "ds", rehash=True)
    assert_as_local(tmp_path / "ds", memory, walk)


def test_a_copy_of_other_bytes_than_its_row_is_not_put_in_its_place(
    walk: Path, memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade of Pillow: a copy that is there stays, one that is gone stays gone, as in a folder."""
    run_ingest(walk, tmp_path / "ds", copies=Address(memory))
    before = stored_in(memory)
    gone = sorted(before)[0]
    fsspec.filesystem("memory").rm_file(f"/copies/{gone}")
    monkeypatch.setattr("collect.reading.working_copy.QUALITY", 80)
    assert run_ingest(walk, tmp_path / "ds", rehash=True).unchanged == PHOTOS
    assert stored_in(memory) == {name: data for name, data in before.items() if name != gone}


def test_commands_read_stored_copies_as_local_ones(walk: Path, memory: str, tmp_path: Path, cache: Path) -> None:
    from img2gps.pixels import PixelSpec
    from train.data.photo_dataset import PhotoDataset
    from train.data.pixel_cache import cached_pixels
    from train.data.training_data import read_photos

    local = tmp_path / "local"
    run_ingest(walk, local)
    run_ingest(walk, tmp_path / "ds", copies=Address(memory))
    spec = PixelSpec(height=24, width=32, fit="squash")
    pixels = [cached_pixels(read_photos(root), spec) for root in (local, tmp_path / "ds")]
    assert np.array_equal(*pixels)
    images = [PhotoDataset(root, "all")[0][0].numpy() for root in (local, tmp_path / "ds")]
    assert np.array_equal(*images)
    photo_id = next(iter(rows(local).values())).id
    shown = open_labelling(tmp_path / "ds").page.photo_file(photo_id)
    assert shown is not None
    assert shown.is_relative_to(cache)
    assert shown.read_bytes() == Dataset.open(local).photo_path(photo_id).read_bytes()
    run_ingest(write_walk(tmp_path / "other", 2, size=(64, 48), first_seed=50)[0].parent, tmp_path / "second")
    merge(tmp_path / "ds", tmp_path / "second", into=tmp_path / "both")
    assert verify(tmp_path / "both").problems == ()
    assert verify(tmp_path / "both").photos == PHOTOS + 2


def test_a_cache_that_is_older_than_the_store_is_read_anew(
    walk: Path, memory: str, tmp_path: Path, cache: Path
) -> None:
    run_ingest(walk, tmp_path / "ds", copies=Address(memory))
    dataset, photos = Dataset.open(tmp_path / "ds"), list(rows(tmp_path / "ds").values())
    ids, digests = [photo.id for photo in photos], [photo.photo_sha256 for photo in photos]
    assert dataset.changed_copies(ids, digests) == []
    (kept,) = cache.rglob(f"{ids[0]}.jpg")
    kept.write_bytes(photo_bytes(size=(16, 12)))
    assert dataset.changed_copies(ids, digests) == []
    assert sha256_bytes(kept.read_bytes()) == digests[0]
    fsspec.filesystem("memory").pipe_file(f"/copies/{ids[1][:2]}/{ids[1]}.jpg", photo_bytes(size=(16, 12)))
    next(cache.rglob(f"{ids[1]}.jpg")).unlink()
    assert dataset.changed_copies(ids, digests) == [dataset.photo_path(ids[1])]


def test_a_forgotten_photo_is_gone_from_store_and_cache(walk: Path, memory: str, tmp_path: Path, cache: Path) -> None:
    run_ingest(walk, tmp_path / "ds", copies=Address(memory))
    dataset = Dataset.open(tmp_path / "ds")
    ids = [photo.id for photo in rows(dataset.root).values()]
    assert all(path.stat().st_size for path in dataset.photo_paths(ids))
    forget(dataset, ids=[ids[0]])
    assert {name[3:-4] for name in stored_in(memory)} == set(ids[1:])
    assert not list(cache.rglob(f"{ids[0]}*"))
    assert verify(dataset).problems == ()
    assert run_ingest(walk, tmp_path / "ds").rejected["forgotten"] == 1


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("https://host/copies", "https://host/copies cannot be written to"),
        ("zip://copies.zip", "cannot be written to"),
        (f"s3://me:{SECRET}@host/copies", "give its user and password in the environment"),
        ("memory://walks/copies", "may not lie among the photos"),
        ("memory://full", "memory://full holds files already"),
    ],
)
def test_a_place_that_takes_no_copies_is_told_in_a_sentence(
    place: str, words: str, memory: str, tmp_path: Path
) -> None:
    fsspec.filesystem("memory").pipe_file("/full/a.jpg", b"x")
    fsspec.filesystem("memory").pipe_file("/walks/a.jpg", photo_bytes(size=(64, 48)))
    with pytest.raises(UsageError, match=words) as caught:
        run_ingest([Address("memory://walks")], tmp_path / "ds", copies=Address(place))
    assert SECRET not in str(caught.value)
    assert not (tmp_path / "ds").exists()


def test_the_copies_of_a_dataset_do_not_move(walk: Path, memory: str, tmp_path: Path) -> None:
    run_ingest(walk, tmp_path / "ds", copies=Address(memory))
    with pytest.raises(UsageError, match="lie at memory://copies: leave --photos out"):
        run_ingest(walk, tmp_path / "ds", copies=tmp_path / "elsewhere")
    (tmp_path / "ds/photos.json").write_text('{"address": 3}')
    with pytest.raises(InvalidDatasetError, match=r"photos\.json does not name where"):
        Dataset.open(tmp_path / "ds")


def test_a_shared_folder_holds_the_copies(walk: Path, tmp_path: Path) -> None:
    shared = tmp_path / "share/copies"
    run_ingest(walk, tmp_path / "ds", copies=shared)
    assert not (tmp_path / "ds/photos").exists()
    assert_as_local(tmp_path / "ds", f"file://{shared}", walk)
    assert Dataset.open(tmp_path / "ds").photo_path("ab12") == shared / "ab/ab12.jpg"
