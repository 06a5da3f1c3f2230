"""Label files on the command line: several of them, names that meet no file, rounded and swapped positions."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ingest_runs import rows, run_ingest
from photos import EAST_CAMPUS, write_photo, write_site

from img2gps.cli import run

LON, LAT = EAST_CAMPUS


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for number in range(3):
        write_photo(tmp_path / f"in/p{number}.jpg", seed=number, lon=None, size=(32, 24))
    write_site(tmp_path / "site.geojson")
    return tmp_path / "in"


def table(path: Path, *lines: str, header: str = "file,lat,lon") -> Path:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def test_label_files_add_up_and_the_later_stands(photos: Path, tmp_path: Path) -> None:
    first = table(tmp_path / "First.csv", f"p0.jpg,{LAT},{LON}", f"p1.jpg,{LAT},{LON}", f"p2.jpg,{LAT},{LON}")
    later = table(tmp_path / "later.csv", f"./p1.jpg,{LAT + 1e-4},{LON}", "p2.jpg,,", header="file,lat,lon,heading")
    outcomes = run_ingest(photos, tmp_path / "ds", labels=[first, later])
    found = rows(tmp_path / "ds")
    assert [found[f"p{n}.jpg"].lat for n in range(3)] == pytest.approx([LAT, LAT + 1e-4, LAT])
    assert [note for note in outcomes.notes if "differently" in note] == [
        "Row 3 of First.csv and row 2 of later.csv place p1.jpg differently: later.csv, which was given later, stands."
    ]
    assert outcomes.unused_labels == []


def test_the_options_may_be_given_several_times(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = table(tmp_path / "one.csv", f"p0.jpg,{LAT},{LON}")
    two = table(tmp_path / "two.csv", f"p1.jpg,{LAT},{LON}", f"elsewhere.jpg,{LAT},{LON}")
    command = ["validate", str(photos), "--site", str(tmp_path / "site.geojson"), "--jobs", "1", "--json"]
    assert run([*command, "--labels", str(one), "--labels", str(two)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["new"], printed["unused_labels"]) == (2, ["elsewhere.jpg"])
    (tmp_path / "options.toml").write_text(f'labels = "{one}"\n', encoding="utf-8")
    assert run([*command, "--config", str(tmp_path / "options.toml")]) == 0
    assert json.loads(capsys.readouterr().out)["new"] == 1


@pytest.mark.slow
def test_a_label_that_meets_no_file_is_an_error_where_that_is_asked(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"p{n}.jpg,{LAT},{LON}" for n in range(3)]
    good, bad = table(tmp_path / "good.csv", *lines), table(tmp_path / "bad.csv", *lines, f"p9.jpg,{LAT},{LON}")
    command = ["validate", str(photos), "--site", str(tmp_path / "site.geojson"), "--jobs", "1", "--labels"]
    assert run([*command, str(good), "--strict"]) == 0
    assert run([*command, str(bad)]) == 0
    assert "1 of 4 labels match no file, such as p9.jpg" in " ".join(capsys.readouterr().err.split())
    assert run([*command, str(bad), "--strict"]) == 7
    assert "p9.jpg" in capsys.readouterr().err


def test_swapped_labels_are_told_so(photos: Path, tmp_path: Path) -> None:
    outcomes = run_ingest(photos, tmp_path / "ds", labels=table(tmp_path / "l.csv", f"p0.jpg,{LON},{LAT}"))
    (rejection,) = [found for found in outcomes.rejections if found.reason == "outside_site"]
    assert "latitude and longitude of the label are swapped" in str(rejection.detail)


def test_a_site_with_swapped_axes_shows_at_its_photos(tmp_path: Path) -> None:
    write_photo(tmp_path / "in/p.jpg", size=(32, 24))
    ring = [[LAT + y, LON + x] for x, y in ((-0.01, -0.01), (0.01, -0.01), (0.01, 0.01), (-0.01, 0.01), (-0.01, -0.01))]
    site = tmp_path / "swapped.geojson"
    site.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", site=site)
    assert "the site's file has its axes swapped, lon comes first, or the photo" in str(outcomes.rejections[0].detail)


def test_a_day_of_a_label_is_no_time(photos: Path, tmp_path: Path) -> None:
    lines = [f"p0.jpg,{LAT},{LON},2024-05-06", f"p1.jpg,{LAT},{LON},20240506", f"p2.jpg,{LAT},{LON},2024-05-06 07:30"]
    labels = table(tmp_path / "l.csv", *lines, header="file,lat,lon,captured_at")
    for photo in photos.iterdir():
        write_photo(photo, seed=int(photo.stem[1:]), lon=None, size=(32, 24), taken_at=None)
    outcomes = run_ingest(photos, tmp_path / "ds", labels=labels)
    found = rows(tmp_path / "ds")
    assert [found[f"p{n}.jpg"].captured_at for n in range(2)] == [None, None]
    assert found["p2.jpg"].captured_at == datetime(2024, 5, 6, 5, 30, tzinfo=UTC)
    assert any("2 labels of 3 hold a captured_at that cannot be read" in note for note in outcomes.notes)


def test_rounded_positions_are_told_so(photos: Path, tmp_path: Path) -> None:
    lines = ["p0.jpg,50.00,8.00", f"p1.jpg,{LAT:.6f},{LON:.6f}"]
    outcomes = run_ingest(photos, tmp_path / "ds", labels=table(tmp_path / "l.csv", *lines))
    assert any("1 label of 2 holds a position of 3 decimals or fewer" in note for note in outcomes.notes)


def test_a_row_that_cannot_be_read_names_itself_at_its_photo(photos: Path, tmp_path: Path) -> None:
    labels = table(tmp_path / "l.csv", "p0.jpg,50.0 N,8.0 N", f"p1.jpg,{LAT},{LON}")
    outcomes = run_ingest(photos, tmp_path / "ds", labels=labels)
    details = {rejection.path: str(rejection.detail) for rejection in outcomes.rejections}
    assert details["p0.jpg"].startswith("row 2 of the labels: column lon holds '8.0 N'")
    assert outcomes.new == 1


def test_west_is_west_on_a_site_across_greenwich(photos: Path, tmp_path: Path) -> None:
    ring = [[-0.004, 51.47], [0.004, 51.47], [0.004, 51.48], [-0.004, 51.48], [-0.004, 51.47]]
    site = tmp_path / "greenwich.geojson"
    site.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    header = "SourceFile,GPSLatitude,GPSLatitudeRef,GPSLongitude,GPSLongitudeRef"
    labels = table(tmp_path / "l.csv", "p0.jpg,51.4779,N,0.00100,W", "p1.jpg,51.4779,N,0.00110,East", header=header)
    run_ingest(photos, tmp_path / "ds", labels=labels, site=site)
    assert {name: photo.lon for name, photo in rows(tmp_path / "ds").items()} == {"p0.jpg": -0.001, "p1.jpg": 0.0011}


def test_a_path_from_another_machine_is_matched_by_name_and_told(photos: Path, tmp_path: Path) -> None:
    lines = [f"C:\\Users\\me\\walk\\p{n}.jpg,{LAT},{LON}" for n in range(2)]
    outcomes = run_ingest(photos, tmp_path / "ds", labels=table(tmp_path / "l.csv", *lines))
    assert outcomes.new == 2
    assert any("2 labels with a path from elsewhere" in note for note in outcomes.notes)
    here = [f"/home/ada/in/p{n}.jpg,{LAT},{LON}" for n in range(2)]
    assert run_ingest(photos, tmp_path / "ds2", labels=table(tmp_path / "h.csv", *here)).notes == []
