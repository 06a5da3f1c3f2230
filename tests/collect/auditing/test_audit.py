"""The audit as a whole: its file, its terminal page, its gate."""

import json
from pathlib import Path

import pytest

from collect.auditing.audit import audit_dataset
from collect.auditing.gate import check_gate, failures, parse_thresholds
from collect.auditing.summary import map_lines, summary_lines
from collect.splits.split import split_dataset
from img2gps.cli import run
from img2gps.corrections import Correction, append_corrections
from img2gps.errors import QualityGateError, UsageError
from tests.datasets import four_walks, make_dataset

KEYS = ("coverage", "walks", "headings", "leakage_5m")


def test_audit_json_carries_the_contract(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    split_dataset(dataset, by="random", val=15, test=15)
    manifest = dataset.manifest_path.read_bytes()
    assert run(["audit", str(dataset.root), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    written = json.loads((dataset.audit_path / "audit.json").read_text(encoding="utf-8"))
    assert shown == written
    assert all(0.0 <= shown[key] <= 1.0 for key in KEYS)
    assert shown["photos"] == 110
    assert shown["leakage"][0]["within_m"]["5"] == shown["leakage_5m"]
    assert {path.name for path in dataset.audit_path.iterdir()} == {
        *("audit.json", "report.html", "walk-list.gpx", "walk-list.geojson")
    }
    assert dataset.manifest_path.read_bytes() == manifest


def test_excluded_photos_do_not_count(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    photo = four_walks()[0]
    line = Correction(
        at="2025-06-03T00:00:00Z", by="me", photo_id=photo.id, action="exclude", from_lon=photo.lon, from_lat=photo.lat
    )
    append_corrections(dataset.corrections_path, [line])
    audit = audit_dataset(dataset)
    assert audit.photos == audit.cells.photos.sum() == 109
    assert audit.corrections.exclude == 1


def test_an_empty_dataset_is_audited(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = make_dataset(tmp_path / "quad", [])
    assert run(["audit", str(dataset.root)]) == 0
    shown = capsys.readouterr().out
    assert "0 photos on 0 walks" in shown
    assert "Nothing is held out yet" in shown


def test_the_terminal_page_fits_and_says_it_all(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    split_dataset(dataset, by="walk", val=20, test=20)
    lines = summary_lines(audit_dataset(dataset), width=120)
    text = "\n".join(lines)
    assert len(lines) <= 50
    assert max(map(len, lines)) <= 120
    for words in ("110 photos on 4 walks and 2 days", "Coverage of 400 cells", "Largest hole", "Leakage", "Next walk"):
        assert words in text
    assert "stored (walk)" in text


def test_the_map_has_north_up_and_an_ascii_form(tmp_path: Path) -> None:
    photos = [photo for photo in four_walks() if photo.source_name.startswith("four")]  # 60 m north of the middle
    audit = audit_dataset(make_dataset(tmp_path / "quad", photos))
    drawn = map_lines(audit)
    marked = [number for number, row in enumerate(drawn[:20]) if "░" in row]
    assert marked
    assert max(marked) < 6
    assert all(row.isascii() for row in map_lines(audit, unicode=False))
    assert len(map_lines(audit, width=30)[0]) <= 60


def test_the_gate_passes_and_fails_by_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    split_dataset(dataset, by="cell", val=10, test=10)
    assert run(["audit", str(dataset.root), "--fail-under", "coverage=0.01,leakage_5m=0.05"]) == 0
    capsys.readouterr()
    assert run(["audit", str(dataset.root), "--fail-under", "coverage=0.9,headings=0.8,leakage_5m=0.05"]) == 1
    said = capsys.readouterr().err
    assert "coverage is" in said
    assert "headings is" in said
    assert "leakage_5m" not in said
    assert run(["audit", str(dataset.root), "--fail-under", "coverage=1.5"]) == 2
    assert run(["audit", str(tmp_path / "nowhere")]) == 3
    assert run(["audit", str(dataset.root), "--buildings", str(tmp_path / "none.geojson")]) == 3
    assert run(["audit", str(dataset.root), "--cell", "0"]) == 2


def test_leakage_fails_above_and_where_it_is_unknown() -> None:
    audit = {"coverage": 0.6, "walks": 0.5, "headings": 0.4, "leakage_5m": 0.06}
    assert failures(audit, parse_thresholds("coverage=0.6, walks=0.5")) == []
    assert failures(audit, parse_thresholds("leakage_5m=0.05")) == ["leakage_5m is 0.060, above 0.05"]
    with pytest.raises(QualityGateError, match="no photo is held out"):
        check_gate(audit | {"leakage_5m": None}, {"leakage_5m": 0.5})


@pytest.mark.parametrize("text", ["", "coverage", "coverage=x", "coverage=-1", "coverage=nan", "leakage_1m=0.5"])
def test_thresholds_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-under"):
        parse_thresholds(text)
