"""The audit as a whole: its file, its terminal page, its gate."""

import dataclasses
import errno
import json
from pathlib import Path

import jsonschema
import pytest
from interruptions import failing_operation

from collect.auditing.audit import audit_dataset, write_audit
from collect.auditing.document import audit_document
from collect.auditing.gate import check_gate, failures, parse_thresholds
from collect.auditing.summary import map_lines, summary_lines
from collect.splits.split import split_dataset
from img2gps.cli import run
from img2gps.corrections import Correction, append_corrections
from img2gps.errors import QualityGateError, UsageError
from img2gps.types import Photo
from tests.datasets import four_walks, make_dataset, make_photo

TOP = """photos edge walk_count splits coverage walks headings visited leakage_5m site split cells holes conditions
evenness accuracy corrections flags leakage rejections walk_list walk_list_m walk_list_minutes walk_list_warning"""
SUN = ("night (below -6°)", "twilight (-6° to 0°)", "low (0° to 15°)", "15° to 30°", "30° to 45°", "high (over 45°)")
KEYS = ("coverage", "walks", "headings", "leakage_5m")


@pytest.mark.slow
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


def test_a_dataset_that_may_only_be_read_is_audited_without_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    with failing_operation(0, OSError(errno.EROFS, "Read-only file system"), lasting=True):
        assert run(["audit", str(dataset.root), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["photos"] == 110
    assert "cannot be written (Read-only file system): no report." in shown.err
    with failing_operation(0, OSError(errno.ENOSPC, "No space left on device"), lasting=True):
        assert run(["audit", str(dataset.root)]) == 74


def test_every_key_of_audit_json_stays(tmp_path: Path) -> None:
    """Other programs read these: keys may be added, none renamed or dropped."""
    dataset = make_dataset(tmp_path / "quad", [*four_walks(), make_photo("late", captured_at=None)])
    split_dataset(dataset, by="walk", val=15, test=15)
    told = audit_document(audit_dataset(dataset))
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told.keys() >= set(TOP.split())
    parts = {
        "site": "name title area_m2",
        "split": "by val test seed folds",
        "cells": "size_m east_m north_m photos walks days headings sectors last_visit",
        "holes": "median_m p95_m largest_m largest_at step_m",
        "conditions": "hours time_unknown clock_without_zone hours_in_utc sun_elevation seasons days devices headings "
        "heading_unknown",
        "evenness": "gini devices splits",
        "accuracy": "photos median_m p90_m unknown devices",
        "corrections": "photos share moved_share move unsure exclude confirm moved_median_m moved_p90_m "
        "moved_largest_m",
    }
    for part, names in parts.items():
        assert told[part].keys() >= set(names.split()), part
    rows = {
        "leakage": "by stored photos set_aside within_m within_m_same_walk photos_with_heading within_m_heading "
        "median_m near_duplicates bursts walks days",
        "walk_list": "order rank lon lat east_m north_m heading_deg headings_deg hour minutes missing "
        "nearest_photo_m why",
    }
    for part, names in rows.items():
        assert told[part][0].keys() >= set(names.split()), part
    assert told["holes"]["largest_at"].keys() >= {"east_m", "north_m", "lon", "lat"}
    assert told["conditions"]["sun_elevation"].keys() == {*SUN, "unknown"}
    assert told["conditions"]["seasons"].keys() == {"winter", "spring", "summer", "autumn", "unknown"}
    assert told["evenness"]["devices"][0].keys() >= {"name", "photos", "cells", "unlike"}
    assert told["accuracy"]["devices"][0].keys() >= {"device", "photos", "median_m", "p90_m", "unknown"}
    assert all(told["leakage"][0][key].keys() == {"1", "5", "10", "25"} for key in ("within_m", "within_m_heading"))
    assert told["splits"].keys() == {"train", "val", "test"}


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


def test_folds_without_val_and_test_are_not_told_to_be_split_anew(tmp_path: Path) -> None:
    """Another split would drop the folds, and the runs made of them."""
    dataset = make_dataset(tmp_path / "quad", four_walks())
    split_dataset(dataset, by="walk", val=0, test=0, folds="walk")
    audit = audit_dataset(dataset)
    text = "\n".join(summary_lines(audit, width=120))
    assert "the folds test every photo" in text
    assert "img2gps split" not in text
    page = write_audit(audit).read_text(encoding="utf-8")
    assert "the folds test every photo" in page
    assert "split the dataset first" not in page


@pytest.mark.parametrize("photos", [[], four_walks()], ids=["no photo", "nobody looked"])
def test_what_is_not_known_is_null_as_the_schema_says(tmp_path: Path, photos: list[Photo]) -> None:
    photos = [dataclasses.replace(photo, gps_accuracy_m=None) for photo in photos]
    told = audit_document(audit_dataset(make_dataset(tmp_path / "quad", photos)))
    assert told["accuracy"]["median_m"] is told["corrections"]["moved_median_m"] is None
    schema = json.loads((Path(__file__).parents[3] / "docs/reference/schemas/audit.json").read_text(encoding="utf-8"))
    jsonschema.validate(told, schema)


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


@pytest.mark.slow
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
    with pytest.raises(QualityGateError, match="no photo is held out for val or test"):
        check_gate(audit | {"leakage_5m": None}, {"leakage_5m": 0.5})


@pytest.mark.parametrize("text", ["", "coverage", "coverage=x", "coverage=-1", "coverage=nan", "leakage_1m=0.5"])
def test_thresholds_that_make_no_sense(text: str) -> None:
    with pytest.raises(UsageError, match="--fail-under"):
        parse_thresholds(text)


@pytest.mark.slow
@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_the_table_of_leakage_fits_the_terminal(tmp_path: Path, width: int) -> None:
    dataset = make_dataset(tmp_path / "the quad", four_walks())
    split_dataset(dataset, by="random", val=15, test=15)
    lines = summary_lines(audit_dataset(dataset), width=width)
    start = next(number for number, line in enumerate(lines) if line.startswith("Leakage"))
    table = lines[start : lines.index("", start)]
    assert max(map(len, table)) <= width
    for by in ("stored (random)", "walk", "cell", "random"):
        assert any(line.startswith(by) for line in table)
    assert sum("set aside" in line for line in table) == 1


def test_the_audit_tells_of_the_split_that_split_would_make(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "the quad", four_walks())
    before = audit_dataset(dataset)
    assert f"`img2gps split '{dataset.root}'`" in "\n".join(summary_lines(before))
    foretold = {row.by: (row.photos, row.set_aside) for row in before.leakage}
    made = split_dataset(dataset, by="walk")
    assert foretold["walk"] == (len(made.part("val")) + len(made.part("test")), len(made.part("excluded")))
