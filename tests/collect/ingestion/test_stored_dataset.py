"""A dataset in a store: what one writes another reads; of two writers one fails; a kill loses nothing."""

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from ingest_runs import rows
from object_store import SECRET, fake_s3
from photos import write_site, write_walk

from collect.api import forget, ingest, split, verify
from collect.label.actions import Label
from collect.label.labelling import open_labelling
from img2gps import object_store, stored_dataset
from img2gps.cli import run
from img2gps.corrections import read_corrections
from img2gps.dataset import Dataset
from img2gps.errors import DatasetLockedError, InvalidDatasetError, NotFoundError, UsageError
from img2gps.object_store import Objects
from img2gps.stored_dataset import local_root
from img2gps.types import Photo

PHOTOS = 6
Machine = Callable[[str], None]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Move to a machine, which has a cache of its own."""

    def move(name: str) -> None:
        monkeypatch.setenv("IMG2GPS_CACHE", str(tmp_path / name))

    move("first")
    return move


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    write_walk(tmp_path / "in", PHOTOS, size=(64, 48))
    write_walk(tmp_path / "more", 2, size=(64, 48), first_seed=50, prefix="MORE_")
    write_site(tmp_path / "square.geojson")
    return tmp_path / "in"


@pytest.fixture
def quad() -> Iterator[str]:
    yield "memory://bucket/quad"
    fsspec.filesystem("memory").store.clear()


def new_dataset(walk: Path, place: "str | Path") -> Any:
    return ingest(walk, place, site=walk.parent / "square.geojson", jobs=0)


def photos_in(place: "str | Path") -> list[Photo]:
    found = rows(local_root(str(place))).values()
    return [dataclasses.replace(photo, ingested_at=None, ingest="") for photo in found]


def write_both(slower: Dataset, faster: Dataset) -> None:
    with slower.lock():
        with faster.lock():
            (faster.root / "basemap.parquet").write_bytes(b"x")
        (slower.root / "basemap.parquet").write_bytes(b"y")


def names_in(url: str) -> list[str]:
    return list(Objects(stored_dataset.Address(url)).names())


@pytest.mark.slow
def test_another_machine_reads_what_one_wrote_to_s3(
    walk: Path, tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with fake_s3(monkeypatch) as bucket:
        quad = f"{bucket}/quad"
        assert new_dataset(walk, quad).new == PHOTOS
        new_dataset(walk, tmp_path / "local")
        machine("second")
        assert photos_in(quad) == photos_in(tmp_path / "local")
        checked = verify(quad)
        assert (checked.photos, checked.problems, checked.orphans) == (PHOTOS, (), ())
        assert ingest(tmp_path / "more", quad, jobs=0).new == 2
        # both saw the same version: the second commit of its number fails, although no lock is shared
        second = Dataset.open(quad)
        machine("first")
        with pytest.raises(DatasetLockedError, match=r"^s3://bucket/quad was written by another process") as caught:
            write_both(Dataset.open(quad), second)
        assert caught.value.exit_code == 75
        assert (local_root(quad) / "basemap.parquet").read_bytes() == b"x"
        assert verify(quad).orphans == ()
    told = b"".join(path.read_bytes() for path in tmp_path.rglob("*.json*"))
    assert SECRET.encode() not in told


def test_commands_call_a_stored_dataset_by_its_address(
    walk: Path, tmp_path: Path, quad: str, machine: Machine, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["ingest", str(walk), quad]) == 2
    assert f"{quad} is new: say with --site" in capsys.readouterr().err
    new_dataset(walk, quad)
    assert run(["audit", quad]) == 0
    assert run(["split", quad, "--val", "2", "--test", "2"]) == 0
    told = capsys.readouterr()
    assert f"`img2gps split {quad}`" in told.out
    assert str(tmp_path / "first") not in told.err.replace(str(local_root(quad) / "audit"), "")


def test_an_ingest_commits_on_its_way_and_ends_as_in_a_folder(
    walk: Path, tmp_path: Path, quad: str, machine: Machine
) -> None:
    assert new_dataset(walk, quad).new == PHOTOS
    new_dataset(walk, tmp_path / "local")
    assert photos_in(quad) == photos_in(tmp_path / "local")
    assert len(names_in(f"{quad}/photos")) == PHOTOS
    before = names_in(quad)
    assert new_dataset(walk, quad).unchanged == PHOTOS
    assert [name for name in names_in(quad) if "ingests.jsonl" not in name and "commits/" not in name] == [
        name for name in before if "ingests.jsonl" not in name and "commits/" not in name
    ]
    machine("second")
    assert verify(quad).problems == ()


def test_of_two_coordinators_the_slower_ends_in_a_sentence_and_its_rerun_takes_in_the_rest(
    walk: Path, tmp_path: Path, quad: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_dataset(walk, quad)
    machine("second")
    original = stored_dataset.publish

    def overtaken(root: Path) -> None:
        if "second" in str(root):
            monkeypatch.setattr("img2gps.dataset.publish", original)
            machine("first")
            split(quad, val=1, test=1)
            machine("second")
        original(root)

    monkeypatch.setattr("img2gps.dataset.publish", overtaken)
    with pytest.raises(DatasetLockedError, match="memory://bucket/quad was written by another process meanwhile"):
        ingest(tmp_path / "more", quad, jobs=0)
    assert len(photos_in(quad)) == PHOTOS
    assert ingest(tmp_path / "more", quad, jobs=0).new == 2
    machine("first")
    assert len(photos_in(quad)) == PHOTOS + 2
    assert {photo.split for photo in photos_in(quad)} == {"train"}  # as the faster one split them
    assert (verify(quad).problems, verify(quad).orphans) == ((), ())


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("where", ["same machine", "another machine"])
def test_a_coordinator_killed_around_the_commit_loses_nothing(
    when: str,
    where: str,
    walk: Path,
    tmp_path: Path,
    quad: str,
    machine: Machine,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class KilledError(BaseException):
        pass

    create = Objects.create

    def die(self: Objects, name: str, data: bytes) -> bool:
        if name.startswith("commits/"):
            if when == "after":
                create(self, name, data)
            raise KilledError
        return create(self, name, data)

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "create", die)
        with pytest.raises(KilledError):
            new_dataset(walk, quad)
    if where == "another machine":
        machine("second")
    outcomes = new_dataset(walk, quad)
    assert outcomes.new + outcomes.unchanged == PHOTOS
    new_dataset(walk, tmp_path / "local")
    assert photos_in(quad) == photos_in(tmp_path / "local")
    machine("third")
    assert photos_in(quad) == photos_in(tmp_path / "local")
    assert (verify(quad).problems, verify(quad).orphans) == ((), ())


def test_a_lost_answer_to_the_commit_is_no_conflict(
    walk: Path, quad: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store keeps the object and breaks off: the second try finds one of this number, our own."""
    store = fsspec.get_filesystem_class("memory")
    original, broken = store.pipe_file, list[str]()

    def break_off(self: Any, key: str, data: bytes, **options: Any) -> None:
        original(self, key, data, **options)
        if "/commits/" in key and key not in broken:
            broken.append(key)
            raise OSError("connection reset")

    monkeypatch.setattr(object_store, "_PAUSE_S", 0.0)
    monkeypatch.setattr(store, "pipe_file", break_off)
    assert new_dataset(walk, quad).new == PHOTOS
    assert broken
    machine("second")
    assert verify(quad).problems == ()


def test_what_came_by_half_is_fetched_again_and_what_was_changed_is_refused(
    walk: Path, quad: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_dataset(walk, quad)
    machine("second")
    read, halved = Objects.read, []

    def half(self: Objects, name: str, *, end: bytes = b"") -> bytes:
        data = read(self, name, end=end)
        if name.endswith("manifest.parquet") and name not in halved:
            halved.append(name)
            return data[: len(data) // 2]
        return data

    with monkeypatch.context() as patch:
        patch.setattr(Objects, "read", half)
        assert len(photos_in(quad)) == PHOTOS
    machine("third")
    fsspec.filesystem("memory").pipe_file(f"/bucket/quad/{halved[0]}", b"PAR1")
    with pytest.raises(InvalidDatasetError, match=r"manifest\.parquet was changed: restore it"):
        Dataset.open(quad)


def test_corrections_and_forgotten_photos_reach_every_machine(walk: Path, quad: str, machine: Machine) -> None:
    new_dataset(walk, quad)
    ids = [photo.id for photo in photos_in(quad)]
    open_labelling(local_root(quad)).store.apply_import(
        {ids[1]: Label(state="exclude")}, {ids[1]: "blurred"}, replace=False
    )
    machine("second")
    assert [line.photo_id for line in read_corrections(Dataset.open(quad).corrections_path)] == [ids[1]]
    forget(quad, ids=[ids[0]])
    machine("first")
    assert ids[0] not in {photo.id for photo in photos_in(quad)}
    left = names_in(quad)
    assert not [name for name in left if ids[0] in name]
    manifests = [name for name in left if name.endswith("manifest.parquet")]
    assert len(manifests) == 1  # no older one holds its row
    assert verify(quad).problems == ()


@pytest.mark.parametrize(
    ("place", "error", "words"),
    [
        (
            "memory://nowhere",
            NotFoundError,
            "No dataset at memory://nowhere: make one",
        ),
        ("https://host/quad", UsageError, "https://host/quad cannot be written to"),
        (f"s3://me:{SECRET}@bucket/quad", UsageError, "give its user and password in the environment"),
    ],
)
def test_an_address_without_a_dataset_is_told_in_a_sentence(
    place: str, error: type, words: str, machine: Machine
) -> None:
    with pytest.raises(error, match=words) as caught:
        Dataset.open(place)
    assert SECRET not in str(caught.value)


def test_commands_for_folders_say_so(capsys: pytest.CaptureFixture[str], machine: Machine) -> None:
    for words in (
        ["merge", "a", "b", "--into", "s3://bucket/both"],
        ["fetch", "published", "s3://bucket/quad"],
        ["publish", "quad", "s3://bucket/published"],
        ["simulate", "s3://bucket/campus"],
    ):
        assert run(words) == 2
        assert "takes a path of this machine alone" in " ".join(capsys.readouterr().err.split())


def test_the_record_of_a_cache_that_was_damaged_is_told(walk: Path, quad: str, machine: Machine) -> None:
    new_dataset(walk, quad)
    (local_root(quad) / stored_dataset.RECORD).write_text(json.dumps({"address": 3}))
    with pytest.raises(InvalidDatasetError, match=r"\.store\.json is damaged: delete this folder of the cache"):
        Dataset.open(quad)
