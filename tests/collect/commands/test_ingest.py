"""The commands: what goes to stdout, what they exit with."""

import json
from datetime import timedelta
from pathlib import Path

import pytest
from photos import FIRST_PHOTO_AT, write_photo, write_site, write_walk

from img2gps.cli import run


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    write_walk(tmp_path / "in", 2, size=(32, 24))
    write_photo(tmp_path / "in/[red]none.jpg", lon=None, size=(32, 24), seed=9)
    (tmp_path / "in/fake.jpg").write_text("text")
    write_site(tmp_path / "site.geojson")
    return tmp_path


@pytest.mark.slow
def test_ingest_validate_and_verify(walk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos, dataset, site = str(walk / "in"), str(walk / "ds"), str(walk / "site.geojson")
    expected = {
        "found": 4, "new": 2, "unchanged": 0, "duplicate": 0, "rejected": {"no_gps": 1}, "skipped": 1,
        "flags": {"small_picture": 2},
    }  # fmt: skip
    assert run(["validate", photos, "--site", site, "--json", "--jobs", "1"]) == 0
    assert json.loads(capsys.readouterr().out) == expected
    assert run(["ingest", photos, dataset, "--site", site, "--json", "--jobs", "1"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == expected
    assert "fake.jpg" in printed.err
    assert run(["verify", dataset, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]


def test_the_closing_table_names_reasons_and_remedies(walk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["ingest", str(walk / "in"), str(walk / "ds"), "--site", str(walk / "site.geojson"), "--jobs", "1"]
    assert run(arguments) == 0
    assert f"Next: `img2gps audit {walk / 'ds'}`" in " ".join(capsys.readouterr().err.split())
    assert run([*arguments, "--strict"]) == 7
    printed = capsys.readouterr().out
    assert "rejected: no_gps" in printed
    assert "what to do" in printed
    assert "[red]none.jpg" in printed


def test_exit_codes(walk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos, dataset, site = str(walk / "in"), str(walk / "ds"), str(walk / "site.geojson")
    assert run(["ingest", str(walk / "none"), dataset, "--site", site]) == 3
    assert run(["ingest", photos, dataset]) == 2
    assert run(["ingest", photos, dataset, "--site", "nowhere"]) == 3
    assert run(["validate", photos, "--site", str(walk / "in/fake.jpg")]) == 2
    assert run(["verify", dataset]) == 3
    assert run(["ingest", photos, dataset, "--site", site, "--jobs", "1"]) == 0
    copy = next((walk / "ds/photos").glob("*/*.jpg"))
    copy.write_bytes(b"x")
    capsys.readouterr()
    assert run(["verify", dataset]) == 4
    assert "Traceback" not in capsys.readouterr().err


def test_doctor_prints_a_report(walk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", str(walk / "in"), "--jobs", "1"]) == 0
    assert "no GPS" in capsys.readouterr().out
    assert run(["doctor", str(walk / "in"), "--jobs", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["usable"] == 2


def test_the_reference_names_every_reason_and_flag() -> None:
    from img2gps.reasons import FLAGS, REASONS

    page = (Path(__file__).parents[3] / "docs/reference/reasons.md").read_text(encoding="utf-8")
    assert [code for code in (*REASONS, *FLAGS) if f"| `{code}` |" not in page] == []


@pytest.mark.slow
@pytest.mark.parametrize("command", ["ingest", "validate"])
def test_an_input_without_one_usable_photo_is_exit_7_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    for seed in range(3):
        write_photo(tmp_path / f"in/{seed}.jpg", lon=None, size=(320, 240), seed=seed)
    arguments = [command, str(tmp_path / "in"), *([str(tmp_path / "ds")] if command == "ingest" else [])]
    arguments += ["--site", str(write_site(tmp_path / "site.geojson")), "--jobs", "1"]
    assert run(arguments) == 7
    printed = " ".join(capsys.readouterr().err.split())
    assert "No photo of 3 files could be used, 3 because the EXIF holds no GPS position" in printed
    for path in (tmp_path / "in").iterdir():
        path.write_text("text")
    assert run(arguments) == 7
    assert "None of 3 files is a photo" in " ".join(capsys.readouterr().err.split())


def test_photos_that_are_all_known_already_are_no_failure(walk: Path) -> None:
    arguments = ["ingest", str(walk / "in"), str(walk / "ds"), "--site", str(walk / "site.geojson"), "--jobs", "1"]
    assert [run(arguments), run(arguments)] == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize("part", ["", "photos"])
@pytest.mark.parametrize("command", ["ingest", "validate", "doctor"])
def test_a_dataset_given_as_photos_is_named_as_such(
    walk: Path, capsys: pytest.CaptureFixture[str], command: str, part: str
) -> None:
    site = ["--site", str(walk / "site.geojson"), "--jobs", "1"]
    assert run(["ingest", str(walk / "in"), str(walk / "ds"), *site]) == 0
    capsys.readouterr()
    given = [command, str(walk / "ds" / part), *([str(walk / "new")] if command == "ingest" else []), *site]
    assert run(given) == 2
    printed = " ".join(capsys.readouterr().err.split())
    assert "a dataset that img2gps made, not a folder of raw photos" in printed
    assert "img2gps audit" in printed
    assert not (walk / "new").exists()


@pytest.mark.slow
def test_photos_in_a_folder_beside_a_dataset_are_no_dataset(walk: Path) -> None:
    site = ["--site", str(walk / "site.geojson"), "--jobs", "1"]
    assert run(["ingest", str(walk / "in"), str(walk / "ds"), *site]) == 0
    write_walk(walk / "ds/raw", 2, first_seed=50)  # somebody keeps originals in the dataset's folder
    assert run(["ingest", str(walk / "ds/raw"), str(walk / "new"), *site]) == 0


@pytest.mark.slow
def test_a_clock_without_a_zone_is_said_with_its_remedy_and_counts_as_days(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in range(3):
        clock = FIRST_PHOTO_AT.replace(tzinfo=None) + timedelta(minutes=seed)
        write_photo(tmp_path / f"in/{seed}.jpg", taken_at=clock, seed=seed)
    site = write_site(tmp_path / "site.geojson", time_zone=None)
    dataset = str(tmp_path / "ds")
    assert run(["ingest", str(tmp_path / "in"), dataset, "--site", str(site), "--jobs", "1"]) == 0
    printed = " ".join(capsys.readouterr().err.split())
    assert "3 photos have a clock time of unknown zone" in printed
    assert "time_zone" in printed
    assert run(["audit", dataset]) == 0
    shown = capsys.readouterr().out
    assert "3 photos on 1 walk and 1 day" in shown
    assert "time_zone" in shown
    write_site(site, time_zone="Europe/Berlin")
    (tmp_path / "nothing").mkdir()
    assert run(["ingest", str(tmp_path / "nothing"), dataset, "--site", str(site), "--jobs", "1"]) == 0
    capsys.readouterr()
    assert run(["audit", dataset, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["conditions"]["time_unknown"] == 0
