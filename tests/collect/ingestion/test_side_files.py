"""What stands beside the manifest tells nobody where people live, nor how the folders of a computer are called."""

import dataclasses
import os
import re
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_runs import fingerprint, rows, run_ingest
from photos import write_photo, write_site, write_walk

from collect.ingestion.log import portable_command
from collect.ingestion.sources import read_sources
from collect.validation.off_site import coarse_detail, off_site
from collect.validation.rules import place
from img2gps.cli import run
from img2gps.dataset import Dataset
from img2gps.files import append_record, read_json_lines
from img2gps.rejected import read_rejected, write_rejected
from img2gps.site import load_site
from img2gps.tables import load_table, save_table
from img2gps.types import Rejection

HOME = (7.98765432, 49.98765432)  # lon, lat: south-west of the square site at 8, 50
EXACT = re.compile(r"\d\.\d{3}")


def detail_of(root: Path) -> str:
    (row,) = read_rejected(root / "rejected.csv").values()
    return row.detail


def with_home(folder: Path) -> Path:
    write_walk(folder, 2)
    write_photo(folder / "evening/home.jpg", seed=70, lon=HOME[0], lat=HOME[1])
    return folder


def age(root: Path, folder: Path, site: Path) -> None:
    """Write the side files as the first release did: whole paths, exact positions."""
    index = read_sources(root / "sources.parquet")
    seen = [
        dataclasses.asdict(entry) | {"path": os.fsencode(folder / os.fsdecode(entry.path))} for entry in index.values()
    ]
    exact = f"1,402 m outside {load_site(site).name}, at lat {HOME[1]:.6f}, lon {HOME[0]:.6f}"
    for entry in seen:
        if entry["detail"]:
            entry["detail"] = exact
    schema = load_table(root / "sources.parquet").table.schema
    old = pa.schema([field for field in schema if field.name != "place"])
    save_table(root / "sources.parquet", pa.Table.from_pylist(seen, schema=old))
    rejected = read_rejected(root / "rejected.csv").values()
    write_rejected(root / "rejected.csv", [dataclasses.replace(row, detail=exact) for row in rejected])
    log = root / "ingests.jsonl"
    lines = read_json_lines(log)
    log.unlink()
    for line in lines:
        append_record(log, line | {"command": f"img2gps ingest {folder} {root} --site={site}"})


def assert_tells_nothing(root: Path, *, but: tuple[str, ...] = ()) -> None:
    """Raise AssertionError where a side file names the folders above, or an exact position off the site."""
    above = [part.encode() for part in root.parent.parts[1:] if len(part) > 3]
    for name in ("rejected.csv", "ingests.jsonl"):
        text = (root / name).read_bytes()
        assert not [part for part in above if part in text]
        assert b"49.987" not in text
        assert b"7.987" not in text
    rows = load_table(root / "sources.parquet").table.to_pylist()
    for row in rows:
        assert not row["path"].startswith(b"/")
        assert not [part for part in above if part in row["path"]]
        assert not EXACT.search(row["detail"] or "")
    assert sorted(row["path"].decode() for row in rows) == ["IMG_0000.jpg", "IMG_0001.jpg", "evening/home.jpg"]


def test_a_photo_off_the_site_is_told_by_distance_and_direction(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = with_home(tmp_path / "annas-pictures")
    site = write_site(tmp_path / "square.geojson")
    words = ["ingest", str(folder), str(tmp_path / "ds"), "--site", str(site), "--jobs", "1"]
    assert run(words) == 0
    shown = capsys.readouterr()
    assert detail_of(tmp_path / "ds") == "970 m south-west of test-square"
    assert detail_of(tmp_path / "ds") in " ".join(shown.out.split())
    assert not EXACT.search(shown.out + shown.err)
    assert_tells_nothing(tmp_path / "ds")
    (line,) = read_json_lines(tmp_path / "ds/ingests.jsonl")
    assert line["command"] == "img2gps ingest annas-pictures ds --site square.geojson --jobs 1"


def test_exact_positions_are_kept_where_somebody_asks_for_them(tmp_path: Path) -> None:
    folder, root = with_home(tmp_path / "in"), tmp_path / "ds"
    run_ingest(folder, root)
    site = str(tmp_path / "square.geojson")
    assert run(["ingest", str(folder), str(root), "--site", site, "--keep-positions", "--jobs", "1"]) == 0
    assert detail_of(root).endswith("at lat 49.987654, lon 7.987654")
    run_ingest(folder, root)
    assert not EXACT.search(detail_of(root))
    assert_tells_nothing(root)


def test_an_input_is_recognised_by_any_spelling_of_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, root = with_home(tmp_path / "in"), tmp_path / "ds"
    run_ingest(folder, root)
    before = fingerprint(root)
    (tmp_path / "beside").mkdir()
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path / "beside")
    monkeypatch.setattr("collect.ingestion.photo_reader.load_content", None)  # no file is read
    for spelling in ("../in", "../beside/../in", str(tmp_path / "link"), str(folder)):
        assert run_ingest(Path(spelling), root).unchanged == 2
        assert fingerprint(root) == before
    index = read_sources(root / "sources.parquet")
    assert run_ingest(folder / "evening", root).rejected == {"outside_site": 1}
    assert read_sources(root / "sources.parquet") == index


def test_two_inputs_with_equal_names_are_told_apart(tmp_path: Path) -> None:
    root = tmp_path / "ds"
    for number in (1, 2):
        write_photo(tmp_path / f"card{number}/DCIM/a.jpg", seed=number, lon=None)
    run_ingest([tmp_path / "card1", tmp_path / "card2"], root)
    index = read_sources(root / "sources.parquet")
    assert [seen.path for seen in index.values()] == [b"DCIM/a.jpg"] * 2
    write_photo(tmp_path / "card1/DCIM/a.jpg", seed=3, lon=None)
    run_ingest([tmp_path / "card1", tmp_path / "card2"], root)
    assert len(read_sources(root / "sources.parquet")) == 2
    assert len(read_rejected(root / "rejected.csv")) == 2  # what the first card held is forgotten


def test_side_files_of_before_are_read_and_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, root = with_home(tmp_path / "annas-pictures"), tmp_path / "ds"
    run_ingest(folder, root)
    # the digests of rejected.csv name the file before, too
    without = ("ingests.jsonl", ".lock", "rejected.sha256")
    before = fingerprint(root, without=without)
    age(root, folder, tmp_path / "square.geojson")
    monkeypatch.setattr("collect.ingestion.photo_reader.load_content", None)  # no file is read
    old = fingerprint(root)
    assert run_ingest(folder, root, dry_run=True).unchanged == 2
    assert fingerprint(root) == old
    assert run_ingest(folder, root).unchanged == 2
    assert_tells_nothing(root)
    assert fingerprint(root, without=without) == before


def test_side_files_of_before_are_written_anew_by_an_ingest_of_another_folder(tmp_path: Path) -> None:
    folder, root = with_home(tmp_path / "annas-pictures"), tmp_path / "ds"
    run_ingest(folder, root)
    age(root, folder, tmp_path / "square.geojson")
    (tmp_path / "nothing").mkdir()
    run_ingest(tmp_path / "nothing", root)
    names = {seen.path for seen in read_sources(root / "sources.parquet").values()}
    assert names == {b"IMG_0000.jpg", b"IMG_0001.jpg", b"home.jpg"}
    assert str(tmp_path).encode() not in b"".join(path.read_bytes() for path in root.glob("*.jsonl"))
    assert run_ingest(folder, root).unchanged == 2
    assert_tells_nothing(root)


def test_a_redrawn_site_tells_no_position_either_and_small_sites_may_be_allowed(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 3)
    root = tmp_path / "ds"
    run_ingest(tmp_path / "in", root)
    elsewhere = (tmp_path / "square.geojson").read_text().replace("50.", "51.").replace("49.", "50.")
    (tmp_path / "elsewhere.geojson").write_text(elsewhere)
    words = ["ingest", str(tmp_path / "in"), str(root), "--site", str(tmp_path / "elsewhere.geojson"), "--jobs", "1"]
    assert run(words) == 2
    assert run([*words, "--allow-shrink"]) == 7  # none of them is accepted
    details = [row.detail for row in read_rejected(root / "rejected.csv").values()]
    assert len(details) == 3
    assert all(" m south of " in detail and not EXACT.search(detail) for detail in details)


def test_swapped_axes_tell_no_position(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/a.jpg", lon=None)
    (tmp_path / "labels.csv").write_text("file,lat,lon\na.jpg,8.0012345,50.0012345\n")
    run_ingest(tmp_path / "in", tmp_path / "ds", labels=tmp_path / "labels.csv")
    assert "swapped" in detail_of(tmp_path / "ds")
    assert not EXACT.search(detail_of(tmp_path / "ds"))
    (tmp_path / "labels.csv").write_text("file,lat,lon\na.jpg,116.3912345,39.9012345\n")
    run_ingest(tmp_path / "in", tmp_path / "ds", labels=tmp_path / "labels.csv")
    assert "lat 116.3" in detail_of(tmp_path / "ds")
    assert not EXACT.search(detail_of(tmp_path / "ds"))


@given(lon=st.floats(-179.9, 179.9), lat=st.floats(-89.0, 89.0))
def test_distance_and_direction_have_two_digits_and_eight_winds(lon: float, lat: float) -> None:
    site = load_site("penn-engineering-quad")
    distance_m = site.distance_m(lon, lat)
    if distance_m < 1:
        return
    told = re.fullmatch(r"([\d,.]+) m (north|south)?-?(east|west)? of .*", off_site(site, lon, lat))
    assert told
    shown_m = float(told[1].replace(",", ""))
    assert abs(shown_m - distance_m) <= 0.051 * distance_m
    assert len(told[1].replace(",", "").replace(".", "").strip("0")) <= 2
    assert told[2] or told[3]


@pytest.mark.parametrize(
    ("east_m", "north_m", "wind"),
    [(0, 900, "north"), (700, 700, "north-east"), (900, 0, "east"), (700, -700, "south-east"), (0, -900, "south"),
     (-700, -700, "south-west"), (-900, 0, "west"), (-700, 700, "north-west")],
)  # fmt: skip
def test_the_winds_are_those_of_the_map(tmp_path: Path, east_m: float, north_m: float, wind: str) -> None:
    site = load_site(write_site(tmp_path / "site.geojson"))
    west, south, east, north = site.polygon.bounds
    lon = (west + east) / 2 if not east_m else (east if east_m > 0 else west) + east_m / 71_700
    lat = (south + north) / 2 if not north_m else (north if north_m > 0 else south) + north_m / 111_200
    distance = "900" if 0 in (east_m, north_m) else "990"
    assert off_site(site, lon, lat) == f"{distance} m {wind} of {site.name}"


def test_details_of_before_lose_their_position_whatever_site_they_name(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path / "site.geojson"))
    old = "1,402 m outside an older one, at lat 49.987654, lon 7.987654"
    assert coarse_detail("outside_site", old, site) == "1,400 m from an older one"
    assert coarse_detail("outside_site", "9 m outside a, at lat 49.98…", site) == "9 m outside a"
    assert coarse_detail("truncated", "100 of 12345678 bytes", site) == "100 of 12345678 bytes"
    new = coarse_detail("gps_out_of_range", "lat 116.391, lon 39.9075", site)
    assert new == coarse_detail("gps_out_of_range", new, site) == "lat 116.3…, lon 39.9…"


@pytest.mark.parametrize(
    ("command", "portable"),
    [
        ("img2gps ingest campus/photos quad --site penn", "img2gps ingest campus/photos quad --site penn"),
        ("img2gps ingest /home/anna/walks/ ~/quad", "img2gps ingest walks quad"),
        ("img2gps ingest '/home/anna b/my walks' q --site=/a/s.kml", "img2gps ingest 'my walks' q --site=s.kml"),
        ("img2gps ingest ../../anna/walks q", "img2gps ingest walks q"),
        (r"img2gps ingest 'C:\Users\anna\walks' q", "img2gps ingest walks q"),
        ("img2gps ingest . q --clock-offset -1.5", "img2gps ingest . q --clock-offset -1.5"),
        ("img2gps ingest / q", "img2gps ingest . q"),
        ("img2gps ingest .. q", "img2gps ingest .. q"),
    ],
)  # fmt: skip
def test_the_command_of_the_log_names_no_folders_above(command: str, portable: str) -> None:
    assert portable_command(command) == portable
    assert portable_command(portable) == portable


def test_the_log_may_be_damaged(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 1)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    (tmp_path / "ds/ingests.jsonl").write_text("rubbish\n")
    run_ingest(tmp_path / "in", tmp_path / "ds")
    lines = (tmp_path / "ds/ingests.jsonl").read_text().splitlines()
    assert lines[0] == "rubbish"
    assert len(lines) == 2


def test_place_tells_a_position_only_when_asked(tmp_path: Path) -> None:
    write_walk(tmp_path / "in", 1)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    site = load_site(tmp_path / "square.geojson")
    (photo,) = rows(tmp_path / "ds").values()
    away = dataclasses.replace(photo, lon=HOME[0], lat=HOME[1])
    told, exact = place(away, site), place(away, site, exact=True)
    assert isinstance(told, Rejection)
    assert isinstance(exact, Rejection)
    assert not EXACT.search(told.detail)
    assert "lat 49.987654, lon 7.987654" in exact.detail
    assert Dataset.open(tmp_path / "ds").site().name in told.detail
