"""The doctor names causes and what to do."""

from pathlib import Path

import piexif
from photos import write_photo, write_walk

from collect.doctor import diagnose, environment, sentences
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


def test_without_photos_only_the_environment_is_told() -> None:
    report = diagnose([])
    assert report.findings == ()
    names = [check.name for check in environment()]
    assert {"Python", "torch", "HEIC", "free disk"} <= set(names)
    assert report.to_dict()["environment"]


def test_every_reason_that_a_site_or_a_file_can_cause_has_a_cause() -> None:
    from collect.doctor import _CAUSES

    assert set(REASONS) - set(_CAUSES) == {"accuracy_too_low"}  # the doctor has no --max-accuracy
