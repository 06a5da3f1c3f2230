"""Every name below the inputs is found once, and nothing is opened that could block."""

import errno
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ingest_runs import run_ingest
from photos import write_photo

from collect.reading.discover import discover
from img2gps.errors import NotFoundError, UsageError


def test_obstacles_are_counted_and_not_entered(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/a.jpg").write_bytes(b"x")
    (folder / "loop").symlink_to(folder, target_is_directory=True)
    (folder / "link.jpg").symlink_to(folder / "sub/a.jpg")
    (folder / "broken.jpg").symlink_to(folder / "nowhere")
    os.mkfifo(folder / "pipe.jpg")
    found = {file.name: file.obstacle for file in discover([folder])}
    assert found == {
        "sub/a.jpg": None,
        "loop": "a symbolic link",
        "link.jpg": "a symbolic link",
        "broken.jpg": "a symbolic link",
        "pipe.jpg": "a named pipe",
    }


def test_an_ingest_skips_obstacles_without_blocking(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg")
    os.mkfifo(tmp_path / "in/pipe.jpg")
    (tmp_path / "in/self").symlink_to(tmp_path / "in", target_is_directory=True)
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert (outcomes.new, outcomes.skipped, outcomes.found) == (1, 2, 3)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can make device files")
def test_devices_are_skipped(tmp_path: Path) -> None:
    try:
        os.mknod(tmp_path / "zero.jpg", stat.S_IFCHR | 0o600, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("this container may not make device files")
    assert discover([tmp_path])[0].obstacle == "a device"


def test_an_argument_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert [file.name for file in discover([tmp_path / "link", tmp_path / "real"])] == ["a.jpg"]


def test_files_come_by_name_then_path(tmp_path: Path) -> None:
    for name in ("b/1.jpg", "a/2.jpg", "c/1.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"")
    assert [file.name for file in discover([tmp_path])] == ["b/1.jpg", "c/1.jpg", "a/2.jpg"]


def test_the_excluded_folder_is_recognised_under_any_name(tmp_path: Path) -> None:
    (tmp_path / "in/ds").mkdir(parents=True)
    (tmp_path / "in/ds/x.jpg").write_bytes(b"")
    (tmp_path / "alias").symlink_to(tmp_path / "in/ds")
    assert not discover([tmp_path / "in"], exclude=tmp_path / "alias")


def test_deep_folders_do_not_exhaust_the_stack(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["d"] * 900)
    deep.mkdir(parents=True)
    (deep / "a.jpg").write_bytes(b"")
    assert len(discover([tmp_path])) == 1


def test_names_of_any_bytes_reach_the_dataset_and_stay_harmless(tmp_path: Path) -> None:
    names = [
        b"bad\xff.jpg",
        b"new\nline.jpg",
        "right\u202eleft.jpg".encode(),
        b"=cmd.jpg",
        b"[red]x[bold].jpg",
        b"\x1b[31m.jpg",
    ]
    (tmp_path / "in").mkdir()
    photo = write_photo(tmp_path / "in/ok.jpg", seed=99).read_bytes()
    for seed, name in enumerate(names):
        Path(os.fsdecode(bytes(tmp_path / "in") + b"/" + name)).write_bytes(photo[: -50 - seed])
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert (outcomes.new, outcomes.rejected) == (1, {"truncated": 6})
    written = (tmp_path / "ds/rejected.csv").read_text(encoding="utf-8")
    assert len(written.splitlines()) == 7
    assert not {"\u202e", "\x1b"} & set(written)
    assert "\n'=cmd.jpg" in written
    assert run_ingest(tmp_path / "in", tmp_path / "ds").rejected == {"truncated": 6}


@pytest.mark.skipif(os.getuid() == 0, reason="root can list every folder")
def test_a_folder_that_cannot_be_listed_is_reported(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    assert discover([tmp_path])[0].unlistable == "Permission denied"


def test_a_folder_that_cannot_even_be_looked_at_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in/shut/below").mkdir(parents=True)
    below, look, scan = os.fsencode(tmp_path / "in/shut/below"), os.stat, os.scandir

    def refused(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, **options: Any) -> Any:
            if path == below:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return real(path, *args, **options)

        return call

    monkeypatch.setattr(os, "stat", refused(look))
    monkeypatch.setattr(os, "scandir", refused(scan))
    assert [(file.name, file.unlistable) for file in discover([tmp_path / "in"])] == [
        ("shut/below", "Permission denied")
    ]


def test_an_archive_by_itself_is_no_photo(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg", size=(64, 48))
    archive = tmp_path / "my walk.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.write(tmp_path / "in/a.jpg", "a.jpg")
    with pytest.raises(UsageError, match=r"walk.zip' is a ZIP archive: give zip://"):
        discover([archive])
    assert len(discover([archive, tmp_path / "in"])) == 2  # among other files it is one that holds no photo
    both = tmp_path / "both.jpg"
    both.write_bytes((tmp_path / "in/a.jpg").read_bytes() + archive.read_bytes())
    assert zipfile.is_zipfile(both)
    assert len(discover([both])) == 1


def test_a_missing_input_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nothere"):
        discover([tmp_path / "nothere"])
