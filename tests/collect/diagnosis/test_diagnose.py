"""The doctor names causes and what to do."""

import os
from pathlib import Path

import piexif
import pytest
from photos import write_photo, write_walk

from collect.diagnosis.diagnose import diagnose, sentences
from collect.diagnosis.environment import environment
from img2gps.cli import run
from img2gps.reasons import REASONS

ZERO = ((0, 0), (0, 0), (0, 0))


def test_a_folder_picked_through_a_browser(tmp_path: Path) -> None:
    for number in range(4):
        write_photo(tmp_path / f"walk/{number}.jpg", seed=number, lon=None, size=(32, 24))
    write_walk(tmp_path / "walk", 2, size=(32, 24))
    report = diagnose([tmp_path / "walk"], jobs=0)
    assert (report.files, report.usable) == (6, 2)
    assert sentences(report.findings)[0].startswith(
        "4 of 6 photos have camera tags but no GPS: probably picked through"
    )


def test_findings_are_told_by_folder(tmp_path: Path) -> None:
    redacted = {piexif.GPSIFD.GPSLatitude: ZERO, piexif.GPSIFD.GPSLongitude: ZERO}
    for folder in ("a", "b"):
        write_photo(tmp_path / folder / "x.jpg", gps=redacted, seed=ord(folder), size=(32, 24))
    (tmp_path / "c.jpg").write_text("placeholder")
    report = diagnose([tmp_path], jobs=0)
    assert {(finding.folder, finding.files) for finding in report.findings} == {("a", 1), ("b", 1), (".", 1)}
    assert "Found in a (1 of 1) and b (1 of 1)." in sentences(report.findings)[0]


def test_links_and_pipes_are_no_placeholders_of_a_cloud_drive(tmp_path: Path) -> None:
    write_photo(tmp_path / "walk/1.jpg", size=(32, 24))
    (tmp_path / "walk/linked.jpg").symlink_to(tmp_path / "walk/1.jpg")
    os.mkfifo(tmp_path / "walk/pipe.jpg")
    (tmp_path / "walk/empty.jpg").touch()
    told = sentences(diagnose([tmp_path / "walk"], jobs=0).findings)
    assert len(told) == 2
    assert told[0].startswith("2 of 4 photos are called like photos and are links, pipes or devices")
    assert told[1].startswith("1 of 4 photos are called like photos but hold none: placeholders")


@pytest.mark.parametrize("names", [(), ("notes.txt",)])
def test_a_folder_without_photos_is_said_to_hold_none(
    names: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in names:
        (tmp_path / name).write_text("no photo")
    assert run(["doctor", str(tmp_path), "--jobs", "1"]) == 0
    shown = capsys.readouterr().out
    assert "No photo was found there" in shown
    assert "Nothing stands in the way" not in shown


def test_good_photos_have_nothing_in_their_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_walk(tmp_path / "walk", 2, size=(32, 24))
    assert run(["doctor", str(tmp_path), "--jobs", "1"]) == 0
    assert "Everything is ready for an ingest." in capsys.readouterr().out


def test_without_photos_only_the_environment_is_told() -> None:
    report = diagnose([])
    assert report.findings == ()
    names = [check.name for check in environment()]
    assert {"Python", "torch", "HEIC", "free disk"} <= set(names)
    assert report.to_dict()["environment"]


def test_every_reason_that_a_site_or_a_file_can_cause_has_a_cause() -> None:
    from collect.diagnosis.causes import CAUSES

    # the doctor has no --max-accuracy, and knows no dataset that forgot a photo
    assert set(REASONS) - set(CAUSES) == {"accuracy_too_low", "forgotten"}
