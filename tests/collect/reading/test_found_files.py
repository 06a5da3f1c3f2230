"""Files found, as objects or in columns: the same either way."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from collect.ingestion.labelled import LabelledFiles
from collect.reading import found_files
from collect.reading.discover import discover
from collect.reading.found_files import FoundFile, FoundFiles
from collect.reading.sidecars import Sidecar
from collect.reading.stores import StoredObject


@pytest.fixture(params=["objects", "columns"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "columns":
        monkeypatch.setattr(found_files, "_FEW", 3)
        monkeypatch.setattr(found_files, "_BLOCK", 2)
    return str(request.param)


def entries() -> Iterator[FoundFile]:
    """Yield files of a folder and of a store, some of them odd; one comes twice."""
    for number in (5, 3, 11):
        yield FoundFile(
            path=b"/in/b/%d.jpg" % number, name=f"b/{number}.jpg", size=number, mtime_ns=-1, inode=2**64 - 1
        )
    yield FoundFile(path=b"/in/b/3.jpg", name="3.jpg", size=99)
    yield FoundFile(path=b"/in/a/3.jpg", name="a/3.jpg", left_out="trash")
    yield FoundFile(path=b"/in/\xff.jpg", name="\\xff.jpg", obstacle="a named pipe")
    yield FoundFile(path=b"/in/shut", name="shut", unlistable="Permission denied")
    for number, version in ((1, "abc"), (2, None)):
        stored = StoredObject(store="s3://bucket/walks", key=f"bucket/walks/{number}.jpg", size=number, version=version)
        yield FoundFile(path=b"s3://bucket/walks/%d.jpg" % number, name=f"{number}.jpg", stored=stored)
    yield FoundFile(path=b"/in/\xed\xb2\x80", name="x", stored=StoredObject(store="file://in", key="in/\udc80"))


def expected() -> list[FoundFile]:
    first = {entry.path: entry for entry in reversed(list(entries()))}
    return sorted(first.values(), key=lambda entry: (entry.path.rsplit(b"/", 1)[-1], entry.path))


@pytest.mark.usefixtures("kind")
def test_files_come_once_by_name_then_path_and_as_they_were_found() -> None:
    files = FoundFiles.gather(entries())
    assert list(files) == expected()
    assert len(files) == 9
    assert [files[row] for row in range(9)] == expected()
    assert files[-1] == expected()[-1]
    assert files[2:7:2] == expected()[2:7:2]
    with pytest.raises(IndexError):
        files[9]
    assert list(FoundFiles.gather([])) == []


@pytest.mark.usefixtures("kind")
def test_files_keep_what_stands_beside_them() -> None:
    beside = (Sidecar(path=b"/in/a/3.jpg.xmp", kind="sidecar", state="1-2"),)
    files = FoundFiles.gather(entries()).with_sidecars({b"/in/a/3.jpg": beside})
    assert {file.path: file.sidecars for file in files if file.sidecars} == {b"/in/a/3.jpg": beside}
    assert [file.sidecars for file in files[:]] == [file.sidecars for file in files]


@pytest.mark.usefixtures("kind")
def test_some_of_the_files_go_with_their_labels() -> None:
    files = FoundFiles.gather(entries())
    some = LabelledFiles(files, [None] * len(files), np.array([1, 4, 8]))
    assert list(some) == [(files[row], None) for row in (1, 4, 8)]
    assert some[1:] == [(files[4], None), (files[8], None)]
    assert some[0] == (files[1], None)
    assert len(some) == 3


@pytest.mark.usefixtures("kind")
def test_a_walk_finds_the_same(tmp_path: Path) -> None:
    for name in ("b/1.jpg", "a/2.jpg", "c/1.jpg", "c/1.jpg.xmp", "a/.trash/x.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    found = discover([tmp_path / "c", tmp_path])
    assert [(file.name, len(file.sidecars)) for file in found] == [
        ("b/1.jpg", 0), ("1.jpg", 1), ("1.jpg.xmp", 0), ("a/2.jpg", 0), ("a/.trash/x.jpg", 0)
    ]  # fmt: skip
