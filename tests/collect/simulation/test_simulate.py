"""The generated campus as a user gets it: files, EXIF, truth and the bad files among them."""

import csv
import hashlib
import io
import math
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageOps
from PIL.Image import Exif

from collect.simulation.phones.devices import DEVICES, Device
from collect.simulation.phones.phone import PhoneFix, store
from collect.simulation.phones.phone import exif_of as written_exif
from collect.simulation.phones.spoil import KINDS
from collect.simulation.simulate import TRUTH_COLUMNS, simulate
from collect.tables.reader import read_table
from img2gps.errors import UsageError
from img2gps.geo import geodesic_m
from img2gps.site import load_site, site_from_geojson

SITE = load_site("penn-engineering-quad")
SIDE_PX = 128


@pytest.fixture(scope="module")
def campus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("campus") / "out"
    simulate(out, photos=60, seed=3, site=SITE, long_side_px=SIDE_PX, jobs=1)
    return out


def truth(out: Path) -> list[dict[str, str]]:
    with (out / "truth.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def row_of(out: Path, kind: str) -> dict[str, str]:
    return next(row for row in truth(out) if row["kind"] == kind)


def exif_of(out: Path, row: dict[str, str]) -> Exif:
    with Image.open(out / "photos" / row["file_name"]) as image:
        return image.getexif()


def gps_of(out: Path, row: dict[str, str]) -> dict[int, object]:
    return dict(exif_of(out, row).get_ifd(ExifTags.IFD.GPSInfo))


def exif_written_by(device: Device) -> dict[str, Any]:
    moment = datetime(2025, 4, 5, 14, tzinfo=UTC)
    fix = PhoneFix(
        latitude=39.95,
        longitude=-75.19,
        accuracy_m=5.0,
        altitude_m=20.0,
        heading_deg=10.0,
        captured_at=moment,
        fix_lag_s=0.5,
    )
    return written_exif(device, fix, ZoneInfo("America/New_York"))


def degrees(parts: object, ref: object) -> float:
    whole, minutes, seconds = (float(part) for part in parts)  # type: ignore[attr-defined]
    return (whole + minutes / 60 + seconds / 3600) * (-1 if ref in ("S", "W") else 1)


def digests(out: Path) -> dict[str, str]:
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.slow
def test_every_file_has_one_row_of_truth(campus: Path) -> None:
    rows = truth(campus)
    assert tuple(rows[0]) == TRUTH_COLUMNS
    assert sorted(row["file_name"] for row in rows) == sorted(path.name for path in (campus / "photos").iterdir())
    assert sum(row["kind"] == "good" for row in rows) == 60


def test_every_row_of_truth_can_be_read_as_a_label(campus: Path) -> None:
    rows = {name: row for row in read_table(campus / "truth.csv", option="--labels").rows for name in row.names}
    for wanted in truth(campus):
        row = rows[wanted["file_name"]]
        assert (row.complaint, row.unread) == ("", ())
        assert (row.lon, row.lat) == (float(wanted["longitude"]), float(wanted["latitude"]))


def test_sixty_photos_are_six_walks_on_three_days_with_two_devices(campus: Path) -> None:
    good = [row for row in truth(campus) if row["kind"] == "good"]
    zone = ZoneInfo("America/New_York")
    days = {datetime.fromisoformat(row["captured_at"]).astimezone(zone).date() for row in good}
    assert len({row["walk"] for row in good}) >= 6
    assert len(days) >= 3
    assert len({row["device"] for row in good}) == 2
    assert len({(row["walk"], row["device"]) for row in good}) == len({row["walk"] for row in good})


def test_photos_of_a_walk_are_minutes_apart_and_bursts_seconds(campus: Path) -> None:
    bursts: dict[tuple[str, str], list[datetime]] = {}
    walks: dict[str, list[datetime]] = {}
    for row in truth(campus):
        if row["kind"] == "good":
            at = datetime.fromisoformat(row["captured_at"])
            walks.setdefault(row["walk"], []).append(at)
            if row["burst"]:
                bursts.setdefault((row["walk"], row["burst"]), []).append(at)
    for times in walks.values():
        assert max(b - a for a, b in pairwise(times)).total_seconds() < 600
    assert bursts
    for times in bursts.values():
        assert 2 <= len(times) <= 4
        assert (max(times) - min(times)).total_seconds() <= 3


def test_exif_reads_back_as_the_recorded_position(campus: Path) -> None:
    for row in truth(campus):
        if row["kind"] != "good":
            continue
        gps = gps_of(campus, row)
        lat, lon = degrees(gps[2], gps[1]), degrees(gps[4], gps[3])
        assert geodesic_m(lon, lat, float(row["gps_longitude"]), float(row["gps_latitude"])) < 0.02
        off = float(geodesic_m(lon, lat, float(row["longitude"]), float(row["latitude"])))
        assert off == pytest.approx(float(row["gps_error_m"]), abs=0.05)
        assert SITE.relation(lon, lat)[0] in ("inside", "edge")


def test_exif_time_is_local_with_its_offset_and_gps_time_is_utc(campus: Path) -> None:
    for row in truth(campus)[:5]:
        if row["kind"] != "good":
            continue
        at = datetime.fromisoformat(row["captured_at"])
        details = exif_of(campus, row).get_ifd(ExifTags.IFD.Exif)
        stamp = f"{details[0x9003]} {details[0x9011]}"
        assert datetime.strptime(stamp, "%Y:%m:%d %H:%M:%S %z") == at.replace(microsecond=0)
        gps = gps_of(campus, row)
        hour, minute, second = (float(part) for part in gps[7])  # type: ignore[attr-defined]
        day = datetime.strptime(str(gps[29]), "%Y:%m:%d").replace(tzinfo=UTC)
        lag = at.timestamp() - (day.timestamp() + hour * 3600 + minute * 60 + second)
        assert -0.02 <= lag <= 1.02


def test_only_one_device_reports_accuracy_and_names_are_plainly_invented(campus: Path) -> None:
    reports: dict[str, set[bool]] = {}
    for row in truth(campus):
        if row["kind"] == "good":
            reports.setdefault(row["device"], set()).add(31 in gps_of(campus, row))
            assert exif_of(campus, row)[0x010F] == "Img2GPS"
            assert "Rendered" in exif_of(campus, row)[0x0110]
    assert sorted(reports.values(), key=str) == [{False}, {True}]


def test_portraits_of_one_device_are_stored_lying(campus: Path) -> None:
    orientations: dict[str, set[tuple[int, bool]]] = {}
    for row in truth(campus):
        if row["kind"] == "good":
            with Image.open(campus / "photos" / row["file_name"]) as image:
                seen = (image.getexif()[0x0112], image.width > image.height)
            orientations.setdefault(row["device"][-1], set()).add(seen)
    assert orientations == {"A": {(6, True), (1, True)}, "B": {(1, True), (1, False)}}


def test_a_lying_portrait_turns_upright() -> None:
    upright = np.zeros((64, 48, 3), np.uint8)
    upright[:16] = 255
    exif = exif_written_by(DEVICES[0])
    with Image.open(io.BytesIO(store(upright, DEVICES[0], exif))) as image:
        assert image.size == (64, 48)
        shown = np.asarray(ImageOps.exif_transpose(image).convert("L"))
    assert shown.shape == (64, 48)
    assert shown[:12].mean() > 240
    assert shown[20:].mean() < 15


def test_each_kind_of_bad_file_is_there(campus: Path) -> None:
    assert {row["kind"] for row in truth(campus)} == {"good", *KINDS}


def test_bad_positions_are_bad(campus: Path) -> None:
    assert not gps_of(campus, row_of(campus, "no_gps"))
    redacted = gps_of(campus, row_of(campus, "gps_redacted"))
    assert all(math.isnan(float(part)) for part in redacted[2])  # type: ignore[attr-defined]
    assert 3 not in gps_of(campus, row_of(campus, "gps_ref_missing"))
    stray = gps_of(campus, row_of(campus, "outside_site"))
    assert SITE.distance_m(degrees(stray[4], stray[3]), degrees(stray[2], stray[1])) > 100


def test_bad_bytes_are_bad(campus: Path) -> None:
    photos = campus / "photos"
    cut = photos / row_of(campus, "truncated")["file_name"]
    with Image.open(cut) as image, pytest.raises(OSError, match="truncated"):
        image.load()
    with pytest.raises(OSError, match="cannot identify"):
        Image.open(photos / row_of(campus, "not_a_photo")["file_name"])
    contents = [path.read_bytes() for path in photos.iterdir()]
    copy = (photos / row_of(campus, "duplicate")["file_name"]).read_bytes()
    assert contents.count(copy) == 2
    assert len(set(contents)) == len(contents) - 1


@pytest.mark.slow
def test_the_same_seed_gives_the_same_bytes_whatever_the_jobs(tmp_path: Path) -> None:
    for name, jobs in (("one", 1), ("two", 2)):
        simulate(tmp_path / name, photos=4, seed=5, site=SITE, bad_share=0.25, long_side_px=SIDE_PX, jobs=jobs)
    simulate(tmp_path / "other", photos=4, seed=6, site=SITE, bad_share=0.25, long_side_px=SIDE_PX, jobs=1)
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    assert digests(tmp_path / "one") != digests(tmp_path / "other")


@pytest.mark.slow
def test_dry_run_reports_and_writes_nothing(tmp_path: Path) -> None:
    report = simulate(tmp_path / "out", photos=100, seed=0, site=SITE, dry_run=True)
    assert report.kinds["good"] == 100
    assert report.files == sum(report.kinds.values())
    assert 0.06 <= (report.files - 100) / 100 <= 0.08
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("failure", [OSError(28, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_campus_in_part_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException, is_there: bool
) -> None:
    def write_one(_campus: object, tasks: list[Any], _jobs: int) -> Any:
        tasks[0].target.write_bytes(b"half a photo")
        yield 1
        raise failure

    out = tmp_path / "out"
    if is_there:
        out.mkdir()
    monkeypatch.setattr("collect.simulation.simulate.write_all", write_one)
    with pytest.raises(type(failure)):
        simulate(out, photos=2, seed=0, site=SITE, long_side_px=SIDE_PX, masks=True)
    assert list(tmp_path.rglob("*")) == ([out] if is_there else [])


def test_a_folder_with_something_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UsageError, match="not empty"):
        simulate(tmp_path, photos=1, seed=0, site=SITE)


def test_a_site_too_small_for_a_campus_is_refused(tmp_path: Path) -> None:
    corners = "[[8,50],[8.0003,50],[8.0003,50.0002],[8,50.0002],[8,50]]"
    document = f'{{"type":"Feature","properties":{{}},"geometry":{{"type":"Polygon","coordinates":[{corners}]}}}}'
    site = site_from_geojson(document, where="test")
    with pytest.raises(UsageError, match="cannot hold a generated campus"):
        simulate(tmp_path / "out", photos=1, seed=0, site=site, dry_run=True)
