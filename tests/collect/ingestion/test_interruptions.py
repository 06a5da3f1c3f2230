"""Killed, out of space, twice at once: the old state stays, and a rerun ends as if nothing had happened."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ingest_runs import rows, run_ingest
from interruptions import (
    Fault,
    assert_sound,
    content,
    fail_every_operation,
    failing_operation,
    kill_at_random_moments,
    write_input,
)
from photos import write_walk

from collect.ingestion import dataset_writer
from img2gps.cli import run
from img2gps.dataset import Dataset
from img2gps.errors import DatasetLockedError


@pytest.mark.slow
def test_kills_at_random_moments(tmp_path: Path) -> None:
    counts = kill_at_random_moments(tmp_path, kills=3, photos=12)
    assert counts["kills"] == 3


@pytest.mark.slow
def test_a_fault_in_every_kind_of_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_writer, "_FIRST_COMMIT", 8)
    assert fail_every_operation(tmp_path, step=9) > 10


@pytest.mark.slow
@pytest.mark.parametrize("back", [False, True])
def test_a_fault_while_the_site_is_redrawn_loses_no_photo(tmp_path: Path, back: bool) -> None:
    wide = write_input(tmp_path / "in", 4)
    small = tmp_path / "smaller.geojson"
    small.write_text(wide.read_text().replace("50.005", "50.00025"))
    (tmp_path / "nothing").mkdir()
    first, then = (small, wide) if back else (wide, small)

    def made(root: Path) -> Path:
        run_ingest(tmp_path / "in", root, site=wide)
        return redrawn(root, first)

    def redrawn(root: Path, site: Path) -> Path:
        run_ingest(tmp_path / "nothing", root, site=site, allow_shrink=True)  # without the sources
        return root

    expected = content(redrawn(made(tmp_path / "reference"), then))
    assert len(expected["photos"]) == (4 if back else 2)
    assert len(expected["photos"]) + len(expected["outside"]) == 4
    for number in range(1, 60, 2):
        root = made(tmp_path / f"ds-{number}")
        try:
            with failing_operation(number, Fault()):
                redrawn(root, then)
        except Fault:
            assert_sound(root)
            redrawn(root, then)
            assert_sound(root)
            assert content(root) == expected
        else:
            break
    assert number > 5


def test_a_read_only_dataset_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site = write_input(tmp_path / "in", 2)
    arguments = ["ingest", str(tmp_path / "in"), str(tmp_path / "ds"), "--site", str(site), "--jobs", "1"]
    fault = OSError(errno.EROFS, "Read-only file system", str(tmp_path / "ds"))
    with failing_operation(30, fault, lasting=True):
        assert run(arguments) == 74
    assert "Read-only file system" in capsys.readouterr().err
    assert_sound(tmp_path / "ds")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount a small tmpfs")
def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this container may not mount a tmpfs")
    try:
        monkeypatch.setattr("collect.ingestion.take_in.check_free_space", lambda *_: None)
        write_walk(tmp_path / "in", 2)
        site = write_input(tmp_path / "more", 30)
        run_ingest(tmp_path / "in", disk / "ds", site=site)
        before = rows(disk / "ds")
        write_walk(tmp_path / "large", 40, size=(640, 480), first_seed=100)
        with pytest.raises(OSError, match="No space left"):
            run_ingest(tmp_path / "large", disk / "ds")
        assert rows(disk / "ds") == before
        assert_sound(disk / "ds")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_the_second_ingest_at_once_ends_at_once(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 1)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    with Dataset.open(tmp_path / "ds").lock(), pytest.raises(DatasetLockedError):
        run_ingest(tmp_path / "in", tmp_path / "ds")


@pytest.mark.slow
def test_four_ingests_at_once_make_one_sound_dataset(tmp_path: Path) -> None:
    site = write_input(tmp_path / "in", 4)
    command = [
        sys.executable,
        "-m",
        "img2gps",
        "ingest",
        str(tmp_path / "in"),
        str(tmp_path / "ds"),
        "--site",
        str(site),
    ]
    processes = [
        subprocess.Popen([*command, "--jobs", "1"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        for _ in range(4)
    ]
    codes = [process.wait() for process in processes]
    assert set(codes) <= {0, 75}
    assert 0 in codes
    assert_sound(tmp_path / "ds")
    assert len(rows(tmp_path / "ds")) == 4


def test_a_log_line_cut_by_a_crash_is_replaced(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 1)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    with (tmp_path / "ds/ingests.jsonl").open("a") as log:
        log.write('{"ingest": "2024')
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert len((tmp_path / "ds/ingests.jsonl").read_text().splitlines()) == 2
    assert_sound(tmp_path / "ds")
