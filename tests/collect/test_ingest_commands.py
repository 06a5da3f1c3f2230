"""The commands: what goes to stdout, what they exit with."""

import json
from pathlib import Path

import pytest
from photos import write_photo, write_site, write_walk

from img2gps.cli import run


@pytest.fixture
def walk(tmp_path: Path) -> Path:
    write_walk(tmp_path / "in", 2, size=(32, 24))
    write_photo(tmp_path / "in/[red]none.jpg", lon=None, size=(32, 24), seed=9)
    (tmp_path / "in/fake.jpg").write_text("text")
    write_site(tmp_path / "site.geojson")
    return tmp_path


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


def test_the_guide_names_every_reason_and_flag() -> None:
    from img2gps.reasons import FLAGS, REASONS

    guide = (Path(__file__).parents[2] / "docs/ingest.md").read_text(encoding="utf-8")
    assert [code for code in (*REASONS, *FLAGS) if f"| `{code}` |" not in guide] == []
