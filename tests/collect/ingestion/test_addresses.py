"""Photos in stores end as the same photos in a folder do; an unchanged store is not read again; no secret is told."""

import dataclasses
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_runs import rows, run_ingest
from object_store import SECRET, fake_s3, fill, web_listing
from photos import photo_bytes, write_photo, write_site, write_walk

from collect.api import ingest, validate
from collect.ingestion import photo_reader
from collect.ingestion.log import portable_command
from collect.reading import stores
from collect.reading.discover import discover
from collect.verification import verify_dataset
from img2gps import object_store
from img2gps.address import Address, place_of, without_secrets
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from img2gps.formats import HEAD_BYTES
from img2gps.rejected import read_rejected
from img2gps.types import Photo


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    """A folder with a walk, a copy, a photo without a position, one placed by a sidecar, a film and a text."""
    folder = tmp_path / "in"
    first = write_walk(folder / "monday #1", 3, size=(64, 48))[0]
    (folder / "copy ü.jpg").write_bytes(first.read_bytes())
    write_photo(folder / "none.jpg", lon=None, size=(64, 48), seed=8)
    write_photo(folder / "beside.jpg", lon=None, size=(64, 48), seed=9)
    (folder / "beside.jpg.json").write_text(
        json.dumps({"title": "beside.jpg", "geoData": {"latitude": 49.999, "longitude": 8.001}})
    )
    (folder / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(200_000))
    (folder / "notes.txt").write_text("none")
    (folder / ".trashed-1-old.jpg").write_bytes(first.read_bytes())
    write_site(tmp_path / "square.geojson")
    return folder


@pytest.fixture
def memory() -> Iterator[str]:
    yield "memory://walks"
    fsspec.filesystem("memory").store.clear()


def photos_in(root: Path) -> list[Photo]:
    return [dataclasses.replace(photo, ingested_at=None, ingest="") for photo in rows(root).values()]


def assert_equal_datasets(root: Path, other: Path) -> None:
    assert photos_in(root) == photos_in(other)
    assert read_rejected(root / "rejected.csv") == read_rejected(other / "rejected.csv")
    assert verify_dataset(root).problems == ()


def test_a_store_ends_as_a_folder_does(walk: Path, memory: str, tmp_path: Path) -> None:
    fill(memory, walk)
    of_folder = run_ingest(walk, tmp_path / "folder")
    outcomes = run_ingest([Address(memory)], tmp_path / "store")
    assert outcomes.to_report() == of_folder.to_report()
    assert outcomes.new == 4
    assert outcomes.duplicate == 1
    assert outcomes.left_out == {"trash": 1}
    assert_equal_datasets(tmp_path / "store", tmp_path / "folder")


def test_an_unchanged_store_is_not_read_again(
    walk: Path, memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(memory, walk)
    run_ingest([Address(memory)], tmp_path / "ds")
    read: list[str] = []
    original = stores._bytes_of
    monkeypatch.setattr(stores, "_bytes_of", lambda one, *span: read.append(one.key) or original(one, *span))
    again = run_ingest([Address(memory)], tmp_path / "ds")
    assert (again.new, again.unchanged, again.duplicate) == (0, 4, 1)
    assert read == []
    fsspec.filesystem("memory").pipe_file("/walks/none.jpg", photo_bytes(size=(64, 48), seed=77))
    changed = run_ingest([Address(memory)], tmp_path / "ds")
    assert (changed.new, changed.unchanged) == (1, 4)
    assert read == ["/walks/none.jpg"]


def test_one_object_and_a_folder_within_are_the_same_source(walk: Path, memory: str, tmp_path: Path) -> None:
    fill(memory, walk)
    assert run_ingest([Address(f"{memory}/beside.jpg")], tmp_path / "ds").found == 1
    assert [file.name for file in discover([Address(f"{memory}/monday #1")])] == [
        f"IMG_000{number}.jpg" for number in range(3)
    ]
    whole = [file.path for file in discover([Address(memory)])]
    assert {file.path for file in discover([Address(f"{memory}/monday #1")])} < set(whole)


def test_a_film_is_recognised_by_its_beginning(walk: Path, memory: str, tmp_path: Path) -> None:
    fill(memory, walk)
    spans: dict[str, list[tuple[int, int | None]]] = {}
    original = stores._bytes_of

    def counted(one: stores.StoredObject, start: int, end: int | None) -> bytes:
        spans.setdefault(one.key, []).append((start, end))
        return original(one, start, end)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores, "_bytes_of", counted)
        run_ingest([Address(memory)], tmp_path / "ds")
    assert spans["/walks/film.mp4"] == [(0, 4096)]
    # a sidecar is read for its photo, too
    assert {len(asked) for key, asked in spans.items() if not key.endswith(".json")} == {1}


def test_labels_tracks_and_site_may_lie_in_a_store(walk: Path, memory: str, tmp_path: Path) -> None:
    (walk / "labels.csv").write_text("file_name,latitude,longitude\nnone.jpg,50.0001,8.0001\n")
    fill(memory, walk)
    fill("memory://sites", write_site(tmp_path / "sites/square.geojson").parent)
    outcomes = ingest(
        memory, tmp_path / "ds", site="memory://sites/square.geojson", labels=f"{memory}/labels.csv", jobs=0
    )
    assert outcomes.new == 5
    assert rows(tmp_path / "ds")["none.jpg"].gps_source == "labels"
    with pytest.raises(NotFoundError, match=r"memory://walks/nowhere\.csv"):
        ingest(memory, tmp_path / "ds", labels=f"{memory}/nowhere.csv")
    with pytest.raises(UsageError, match=r"^memory://walks/notes\.txt") as caught:
        ingest(memory, tmp_path / "ds", labels=f"{memory}/notes.txt")
    assert "/tmp" not in str(caught.value)


def test_a_zip_is_a_folder(walk: Path, tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "walk"), "zip", walk)
    run_ingest(walk, tmp_path / "folder")
    outcomes = ingest(f"zip://{tmp_path}/walk.zip", tmp_path / "zip", site=tmp_path / "square.geojson", jobs=0)
    assert outcomes.new == 4
    assert_equal_datasets(tmp_path / "zip", tmp_path / "folder")
    assert ingest(f"zip://{tmp_path}/walk.zip", tmp_path / "zip", jobs=0).unchanged == 4


def test_a_web_listing_is_a_folder(walk: Path, tmp_path: Path) -> None:
    run_ingest(walk, tmp_path / "folder")
    with web_listing(walk) as (address, asked):
        outcomes = ingest(address, tmp_path / "web", site=tmp_path / "square.geojson", jobs=0)
        assert outcomes.new == 4
        assert_equal_datasets(tmp_path / "web", tmp_path / "folder")
        asked.clear()
        assert ingest(address, tmp_path / "web", jobs=0).unchanged == 4
        assert [path for method, path in asked if method == "GET" and not path.endswith("/")] == []


def test_names_that_only_stores_find_odd_are_kept(memory: str, tmp_path: Path) -> None:
    """A question mark, two keys that differ behind it, an empty object, and a photo without an ending."""
    folder = tmp_path / "in"
    for seed, name in enumerate(("q?a.jpg", "q?b.jpg", "hash#.jpg", "100%25.jpg", "a&b.jpg", "noending")):
        write_photo(folder / name, size=(400, 300), seed=seed)
    assert (folder / "noending").stat().st_size > HEAD_BYTES
    (folder / "empty_$folder$").touch()
    write_site(tmp_path / "square.geojson")
    fill(memory, folder)
    of_folder = run_ingest(folder, tmp_path / "folder")
    assert (of_folder.new, of_folder.skipped) == (6, 1)
    assert run_ingest([Address(memory)], tmp_path / "store").to_report() == of_folder.to_report()
    assert_equal_datasets(tmp_path / "store", tmp_path / "folder")
    with web_listing(folder) as (address, _):
        assert run_ingest([Address(address)], tmp_path / "web").to_report() == of_folder.to_report()
    assert_equal_datasets(tmp_path / "web", tmp_path / "folder")


def test_a_web_folder_with_a_dot_needs_no_slash(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/v1.0/a.jpg", size=(16, 12))
    with web_listing(tmp_path / "in") as (address, _):
        assert [file.name for file in discover([Address(f"{address}/v1.0")])] == ["a.jpg"]


def test_links_of_a_listing_are_written_in_html(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a&b.jpg", size=(16, 12))
    (tmp_path / "in/index.html").write_text('<a href="a&amp;b.jpg">a&amp;b.jpg</a>')  # as Apache writes it
    with web_listing(tmp_path / "in") as (address, _):
        assert [(file.name, file.unlistable) for file in discover([Address(address)])] == [("a&b.jpg", None)]


@pytest.mark.parametrize("path", ["walks/", "walk.jpg"])
def test_a_web_server_that_refuses_is_no_wrong_address(path: str, tmp_path: Path) -> None:
    with web_listing(tmp_path, refuse=403) as (address, _), pytest.raises(UsageError) as caught:
        discover([Address(f"{address}/{path}?signature={SECRET}")])
    told = f"No permission to read {address}/{path} (HTTP 403 Forbidden): check the credentials."
    assert str(caught.value) == told


def test_a_web_server_that_does_not_answer_is_no_wrong_address(tmp_path: Path) -> None:
    with web_listing(tmp_path) as (address, _):
        pass
    with pytest.raises(UsageError, match=f"^Cannot read {address}/a.jpg "):
        discover([Address(f"{address}/a.jpg")])


@pytest.mark.parametrize("address", [f"s3://key:{SECRET}@bucket/a", f"zip://::s3://key:a/{SECRET}@bucket/a.zip"])
def test_an_address_of_s3_with_a_password_is_refused_without_it(address: str) -> None:
    with pytest.raises(UsageError, match="takes no user and password: give the credentials in the env") as caught:
        discover([Address(address)])
    assert SECRET not in str(caught.value)
    assert "s3://bucket/a" in str(caught.value)


@pytest.mark.slow
def test_s3_by_workers_ends_as_a_folder_does(walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_ingest(walk, tmp_path / "folder")
    with fake_s3(monkeypatch) as bucket:
        fill(f"{bucket}/walks", walk)
        shutil.make_archive(str(tmp_path / "zips/walk"), "zip", walk)
        fill(bucket, tmp_path / "zips")
        site = str(tmp_path / "square.geojson")
        # a process of its own: workers have the environment of the first that this one started
        command = [sys.executable, "-m", "img2gps", "ingest", f"{bucket}/walks", str(tmp_path / "s3"), "--site", site]
        command += ["--photos", f"{bucket}/copies", "--jobs", "2", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert json.loads(done.stdout)["new"] == 4
        assert len(fsspec.filesystem("s3").find("bucket/copies")) == 4  # the workers put them there
        assert_equal_datasets(tmp_path / "s3", tmp_path / "folder")
        assert ingest(f"{bucket}/walks", tmp_path / "s3", jobs=0).unchanged == 4
        assert ingest(f"zip://::{bucket}/walk.zip", tmp_path / "s3", jobs=0).unchanged == 4
        with pytest.raises(NotFoundError, match="s3://nowhere"):
            validate("s3://nowhere/walks", site=site, jobs=0)
    told = (tmp_path / "s3/ingests.jsonl").read_text()
    assert SECRET not in told
    assert "img2gps ingest walks s3 --site square.geojson" in told


def test_an_object_that_is_refused_costs_itself(
    walk: Path, memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(memory, walk)
    original = stores._bytes_of

    def refused(one: stores.StoredObject, start: int, end: int | None) -> bytes:
        if one.key.endswith("IMG_0001.jpg"):
            raise PermissionError(13, "Access Denied")
        return original(one, start, end)

    monkeypatch.setattr(stores, "_bytes_of", refused)
    assert run_ingest([Address(memory)], tmp_path / "ds").new == 3
    told = {(one.reason, one.detail) for one in read_rejected(tmp_path / "ds/rejected.csv").values()}
    assert told == {("unreadable", "Access Denied"), ("no_gps", "")}


def test_a_server_that_refuses_from_the_first_object_on_refuses_all(tmp_path: Path) -> None:
    with web_listing(tmp_path, refuse=401) as (address, asked):
        with pytest.raises(UsageError, match=r"^No permission to read http\S+ \(HTTP 401 Unauthorized\): check"):
            stores.read_object(stores.StoredObject(store=address, key=f"{address}/a.jpg", size=5))
        assert len(asked) == 2  # a refusal is no stumble: each is asked once


@pytest.mark.slow
def test_credentials_that_expire_end_the_ingest_and_reject_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that refuses all after eight photos: the photos left are none that could not be read."""
    write_walk(tmp_path / "in", 18, size=(64, 48))
    site = str(write_site(tmp_path / "square.geojson"))
    given: set[str] = set()

    def fault(method: str, path: str) -> str | None:
        if method == "GET" and ".jpg" in path and len(given) < 8:
            given.add(path)
        return "403" if len(given) == 8 else None

    expired = True
    with fake_s3(monkeypatch, lambda method, path: fault(method, path) if expired else None) as bucket:
        fill(f"{bucket}/walks", tmp_path / "in")
        command = ["ingest", f"{bucket}/walks", str(tmp_path / "ds"), "--site", site, "--jobs", "2"]
        done = subprocess.run([sys.executable, "-m", "img2gps", *command], capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert "No permission to read s3://bucket/walks (The provided token has expired.)" in " ".join(
            done.stderr.split()
        )
        assert "Traceback" not in done.stderr
        kept = Dataset.open(tmp_path / "ds")
        assert not read_rejected(kept.root / "rejected.csv")
        expired = False
        assert ingest(f"{bucket}/walks", kept.root, jobs=0).found == 18
    run_ingest(tmp_path / "in", tmp_path / "folder")
    assert_equal_datasets(tmp_path / "ds", tmp_path / "folder")


def test_a_broken_connection_costs_nothing_but_time(
    walk: Path, memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half an object, and an error, twice for each object: the third answer counts."""
    fill(memory, walk)
    run_ingest(walk, tmp_path / "folder")
    original, asked = stores._bytes_of, dict[str, int]()

    def unsteady(one: stores.StoredObject, start: int, end: int | None) -> bytes:
        asked[one.key] = asked.get(one.key, 0) + 1
        if asked[one.key] == 1:
            raise OSError("503 Slow Down")
        data = original(one, start, end)
        return data[: len(data) // 2] if asked[one.key] == 2 else data

    monkeypatch.setattr(stores, "_bytes_of", unsteady)
    monkeypatch.setattr(object_store, "_PAUSE_S", 0.0)
    run_ingest([Address(memory)], tmp_path / "store")
    assert_equal_datasets(tmp_path / "store", tmp_path / "folder")


def test_an_object_that_never_comes_is_tried_again_by_the_next_ingest(
    walk: Path, memory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(memory, walk)
    run_ingest(walk, tmp_path / "folder")
    original = stores._bytes_of

    def gone(one: stores.StoredObject, start: int, end: int | None) -> bytes:
        if one.key.endswith("0001.jpg"):
            raise OSError(f"no answer from https://reader:{SECRET}@host/0001.jpg?X-Amz-Signature={SECRET}")
        return original(one, start, end)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stores, "_bytes_of", gone)
        patch.setattr(object_store, "_PAUSE_S", 0.0)
        outcomes = run_ingest([Address(memory)], tmp_path / "store")
    assert outcomes.rejected == {"no_gps": 1, "unreadable": 1}
    (told,) = [row for row in outcomes.rejections if row.reason == "unreadable"]
    assert told.detail == "no answer from https://host/0001.jpg"
    assert run_ingest([Address(memory)], tmp_path / "store").new == 1
    assert_equal_datasets(tmp_path / "store", tmp_path / "folder")


def test_an_object_that_shrank_since_the_listing_is_read_as_it_is(memory: str, tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/walks/a.jpg", b"x" * 5000)
    (file,) = discover([Address(memory)])
    assert file.stored is not None
    small = photo_bytes(size=(16, 12))
    files.pipe_file("/walks/a.jpg", small)
    assert stores.read_object(file.stored) == small


@pytest.mark.parametrize(
    ("given", "error", "sentence"),
    [
        ("memory://nothing", NotFoundError, "No photos at memory://nothing: check the address."),
        ("foo://bucket", UsageError, "Cannot read foo://bucket (Protocol not known: foo)."),
    ],
)
def test_an_address_without_photos_is_told_in_a_sentence(given: str, error: type, sentence: str) -> None:
    with pytest.raises(error) as caught:
        discover([Address(given)])
    assert str(caught.value) == sentence


def test_a_wrong_address_leaves_no_dataset(memory: str, tmp_path: Path) -> None:
    site = write_site(tmp_path / "square.geojson")
    with pytest.raises(NotFoundError):
        ingest(f"{memory}/nothing", tmp_path / "ds", site=site, jobs=0)
    assert not (tmp_path / "ds").exists()


def test_missing_credentials_are_told_with_the_way_into_a_public_bucket() -> None:
    with pytest.raises(UsageError) as caught, object_store.told(Address("s3://bucket/walks")):
        raise RuntimeError("Unable to locate credentials")
    assert str(caught.value) == (
        "No credentials for s3://bucket/walks: set them as its library expects them, "
        "or FSSPEC_S3_ANON=true for a public bucket."
    )


def test_a_missing_library_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    object_store.opened.cache_clear()
    monkeypatch.setitem(sys.modules, "gcsfs", None)
    with pytest.raises(UsageError, match=r"^gs:// needs a library that is missing: pip install 'img2gps\[cloud\]'\.$"):
        discover([Address("gs://bucket/walks")])
    with pytest.raises(UsageError, match=r"^gs:// needs a library"):
        discover([Address("zip://::gs://bucket/walk.zip")])
    monkeypatch.setitem(sys.modules, "paramiko", None)
    with pytest.raises(UsageError, match=r"^sftp:// needs a library that is missing: .*paramiko"):
        discover([Address("sftp://host/walks")])


def test_a_dataset_in_a_store_is_no_folder_of_photos(walk: Path, memory: str, tmp_path: Path) -> None:
    run_ingest(walk, tmp_path / "ds")
    fill(memory, tmp_path / "ds")
    with pytest.raises(UsageError, match="memory://walks is a dataset that img2gps made"):
        discover([Address(memory)])


def test_an_address_hides_what_is_secret() -> None:
    address = Address(f"https://reader:{SECRET}@host/walks/a.jpg?X-Amz-Signature={SECRET}")
    assert str(address) == "https://host/walks/a.jpg"
    assert SECRET not in repr(address)
    assert address.name == "a.jpg"
    command = f"img2gps ingest '{address.url}' quad --labels=s3://bucket/labels.csv"
    assert portable_command(command) == "img2gps ingest a.jpg quad --labels=labels.csv"


@given(
    st.from_regex(r"[a-zA-Z0-9]{1,8}", fullmatch=True),
    st.text(st.characters(categories=["L", "N", "P", "S"], exclude_characters="/"), min_size=9, max_size=20),
)
def test_no_text_keeps_a_password(user: str, password: str) -> None:
    shown = without_secrets(f"error at https://{user}:{password}@host/walks/a.jpg?token={password} twice")
    assert shown == "error at https://host/walks/a.jpg twice"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:a/b/c@bucket/walks", "s3://bucket/walks"),
        ("https://user:two words@host/a b.jpg?c d", "https://host/a b.jpg"),
        ("https://host/o'clock.jpg?sig='a'b", "https://host/o'clock.jpg"),
        ("https://host/a.jpg#token=b", "https://host/a.jpg"),
        ("zip://in::https://user:word@host/a.zip?sig=b", "zip://in::https://host/a.zip"),
        ("https://host:8080/a@b.jpg", "https://host:8080/a@b.jpg"),
        (
            "s3://arn:aws:s3:us-east-1:1:accesspoint/walks/a@b.jpg",
            "s3://arn:aws:s3:us-east-1:1:accesspoint/walks/a@b.jpg",
        ),
        ("s3://bucket/a?b#c@d:e.jpg", "s3://bucket/a?b#c@d:e.jpg"),
        ("zip://me@home.zip", "zip://me@home.zip"),
    ],
)
def test_an_address_is_shown_whole_but_for_its_secrets(url: str, shown: str) -> None:
    assert str(Address(url)) == shown


@pytest.mark.parametrize(
    ("given", "is_address"),
    [("s3://b/x", True), ("zip://a.zip", True), ("C:\\walks", False), ("walks/s3:/x", False), ("file:///w/a", False)],
)
def test_what_is_an_address(given: str, is_address: bool) -> None:
    place: Any = place_of(given)
    assert isinstance(place, Address) is is_address
    if given.startswith("file"):
        assert place == Path("/w/a")


def test_local_files_are_read_without_fsspec(walk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo_reader, "load_object", None)
    monkeypatch.setitem(sys.modules, "fsspec", None)
    assert run_ingest(walk, tmp_path / "ds").new == 4
