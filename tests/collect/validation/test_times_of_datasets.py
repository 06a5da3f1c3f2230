"""Times and fixes from files to rows: walks stay whole, later photos and zones count, doubtful fixes are flagged."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import piexif
import pytest
from datasets import as_schema
from ingest_runs import fingerprint, rows, run_ingest
from photos import FIRST_PHOTO_AT, write_photo, write_site, write_walk

from collect.auditing.audit import audit_dataset
from collect.diagnosis.diagnose import diagnose
from collect.splits.split import split_dataset
from collect.validation.declination import declination_deg, with_true_heading
from collect.verification import verify_dataset
from img2gps.dataset import Dataset
from img2gps.types import Photo

GPS = piexif.GPSIFD
ROLLED_DAY = {GPS.GPSDateStamp: b"2004:09:20"}  # 1,024 weeks before 6 May 2024
ORIGINAL, OFFSET_ORIGINAL = piexif.ExifIFD.DateTimeOriginal, piexif.ExifIFD.OffsetTimeOriginal
SMALL = (64, 48)


def torn_walk(folder: Path, *, first: int = 0, count: int = 12, **options: Any) -> None:
    """Write a walk of which every second receiver time is 1,024 weeks old."""
    for number in range(first, first + count):
        taken_at = FIRST_PHOTO_AT + timedelta(minutes=number)
        write_photo(
            folder / f"IMG_{number:04}.jpg", seed=number, size=SMALL, lat=50.0002 + number * 2e-5, taken_at=taken_at,
            fix_age_s=2.0, gps=ROLLED_DAY if number % 2 else {}, **options,
        )  # fmt: skip


def times(root: Path) -> list[datetime | None]:
    return [photo.captured_at for _, photo in sorted(rows(root).items())]


def one(tmp_path: Path, *, site: Path | None = None, **options: Any) -> Photo:
    """Return the row of one photo."""
    write_photo(tmp_path / "in/a.jpg", **{"size": SMALL, **options})
    run_ingest(tmp_path / "in", tmp_path / "ds", **({"site": site} if site else {}))
    return rows(tmp_path / "ds")["a.jpg"]


def test_a_walk_with_wrong_gps_days_stays_one_walk(tmp_path: Path) -> None:
    torn_walk(tmp_path / "in")
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    photos = sorted(rows(tmp_path / "ds").values(), key=lambda photo: photo.source_name)
    assert len({photo.walk for photo in photos}) == 1
    first = FIRST_PHOTO_AT.astimezone(UTC)
    assert [photo.captured_at for photo in photos] == [first + timedelta(minutes=at) for at in range(12)]
    assert [("times_disagree" in photo.flags) for photo in photos] == [bool(at % 2) for at in range(12)]
    assert {photo.time_source for photo in photos} == {"exif_offset"}
    assert {photo.fix_age_s for photo in photos} == {2.0}
    assert not any("stale_fix" in photo.flags for photo in photos)
    assert outcomes.flags["times_disagree"] == 6
    assert verify_dataset(tmp_path / "ds").problems == ()


def test_photos_that_come_later_join_the_walk_and_ingesting_again_changes_nothing(tmp_path: Path) -> None:
    for number in (0, 1):  # two devices, so that both sides of a split have photos
        torn_walk(tmp_path / f"in/{number}", serial=f"s{number}", count=6)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    split_dataset(Dataset.open(tmp_path / "ds"), val=0, test=6, seed=1)
    torn_walk(tmp_path / "in/0", serial="s0", first=6, count=6)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    by_walk: dict[str, set[str | None]] = {}
    for photo in rows(tmp_path / "ds").values():
        by_walk.setdefault(photo.walk, set()).add(photo.split)
    assert len(by_walk) == 2
    assert all(len(splits) == 1 for splits in by_walk.values())
    before = fingerprint(tmp_path / "ds")
    run_ingest(tmp_path / "in", tmp_path / "ds", rehash=True)
    assert fingerprint(tmp_path / "ds") == before


def test_rows_of_the_first_schema_keep_their_time_until_they_are_read_again(tmp_path: Path) -> None:
    torn_walk(tmp_path / "in", count=4)
    run_ingest(tmp_path / "in", tmp_path / "ds")
    right = rows(tmp_path / "ds")
    as_schema(tmp_path / "ds/manifest.parquet", 1)
    write_photo(tmp_path / "in/other.jpg", seed=99, size=SMALL, model="Phone 2")
    run_ingest(tmp_path / "in", tmp_path / "ds")
    kept = rows(tmp_path / "ds")
    assert [kept[name].captured_at for name in right] == [photo.captured_at for photo in right.values()]
    assert {kept[name].clock_local for name in right} == {None}
    run_ingest(tmp_path / "in", tmp_path / "ds", rehash=True)
    again = rows(tmp_path / "ds")
    assert {name: again[name] for name in right} == right


@pytest.mark.parametrize("offset", [None, "+02:00"])
def test_no_zone_is_asked_for_where_a_clock_was_never_set(offset: str | None, tmp_path: Path) -> None:
    tags = {ORIGINAL: b"1970:01:01 00:00:07", **({OFFSET_ORIGINAL: offset.encode()} if offset else {})}
    site = write_site(tmp_path / "site.geojson", time_zone="Europe/Berlin" if offset is None else None)
    photo = one(tmp_path, site=site, taken_at=None, exif=tags)
    assert (photo.captured_at, photo.clock_local) == (None, "1970-01-01T00:00:07")
    assert run_ingest(tmp_path / "in", tmp_path / "ds").without_zone == 0
    assert audit_dataset(Dataset.open(tmp_path / "ds")).conditions.clock_without_zone == 0


def test_a_clock_without_a_zone_is_kept_until_the_site_names_one(tmp_path: Path) -> None:
    nowhere = write_site(tmp_path / "plain.geojson", time_zone=None)
    photo = one(tmp_path, site=nowhere, taken_at=datetime(2024, 5, 6, 9, 0, 0, 250_000), fix_age_s=None)
    assert (photo.captured_at, photo.clock_local) == (None, "2024-05-06T09:00:00.250000")
    assert "time_unknown" in photo.flags
    assert run_ingest(tmp_path / "in", tmp_path / "ds").without_zone == 1
    assert audit_dataset(Dataset.open(tmp_path / "ds")).conditions.clock_without_zone == 1
    causes = [finding.cause for finding in diagnose([tmp_path / "in"], site=nowhere, jobs=0).findings]
    assert any("clock time without a zone" in cause for cause in causes)
    (tmp_path / "in/a.jpg").unlink()
    write_photo(tmp_path / "in/other.jpg", seed=5, size=SMALL, model="Phone 2")
    run_ingest(tmp_path / "in", tmp_path / "ds", site=write_site(tmp_path / "square.geojson"))
    timed = rows(tmp_path / "ds")["a.jpg"]
    assert timed.captured_at == datetime(2024, 5, 6, 7, 0, 0, 250_000, tzinfo=UTC)
    assert (timed.time_source, timed.utc_offset_min, "time_unknown" in timed.flags) == ("site_zone", 120, False)


@pytest.mark.parametrize(
    ("day", "clock", "is_read"),
    [
        ("2024:05:06", None, True),
        ("2024-05-06", None, True),
        ("2024/05/06", None, True),
        ("20240506", None, True),
        ("2024:05:06 ", None, True),
        ("2024:5:6", None, True),
        ("2024-05-06T07:00:00Z", None, True),
        ("06:05:2024", None, False),  # the fifth month, or the sixth
        ("0112:09:26", None, False),
        ("2024:05:06", ((0, 0), (0, 0), (0, 0)), False),
        ("2024:05:06", ((70000, 1), (0, 1), (0, 1)), False),
        ("1992:03:11", None, False),
        ("2024:05:06", ((0, 1), (0, 1), (0, 1)), False),
    ],
)
def test_gps_stamps_are_read_or_flagged(day: str, clock: Any, is_read: bool, tmp_path: Path) -> None:
    tags = {GPS.GPSDateStamp: day.encode(), **({GPS.GPSTimeStamp: clock} if clock else {})}
    photo = one(tmp_path, gps=tags)
    assert photo.captured_at == FIRST_PHOTO_AT.astimezone(UTC)
    assert ("times_disagree" in photo.flags, photo.time_source == "gps") == (not is_read, is_read)


@pytest.mark.parametrize(
    ("written", "offset", "hour"),
    [
        ("2024-05-06T07:00:00Z", None, 7),
        ("2024:05:06 07:00:00+00:00", None, 7),
        ("2024:05:06 09:00:00", "+0200", 7),
        ("2024:05:06 09:00:00", "Z", 9),
        ("2024:05:06 09:00:00 PM", None, 19),
        ("2024/05/06 09:00", "-05:00", 14),
        ("2024:05:06 09:00:00", "09:75", None),
        ("06/05/2024 09:00:00", None, None),
    ],
)
def test_spelled_times_of_files(written: str, offset: str | None, hour: int | None, tmp_path: Path) -> None:
    tags = {ORIGINAL: written.encode(), **({OFFSET_ORIGINAL: offset.encode()} if offset else {})}
    photo = one(tmp_path, taken_at=None, exif=tags)
    expected = None if hour is None else datetime(2024, 5, 6, hour, tzinfo=UTC)
    assert (photo.captured_at, "time_unknown" in photo.flags) == (expected, hour is None)
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds")
    assert outcomes.without_zone == 0  # the site names its zone; it does not mend an offset


@pytest.mark.parametrize(
    ("tags", "options", "flag"),
    [
        ({GPS.GPSStatus: b"V"}, {}, "void_fix"),
        ({GPS.GPSProcessingMethod: b"ASCII\0\0\0NETWORK"}, {}, "network_fix"),
        ({GPS.GPSProcessingMethod: b"CELLID"}, {}, "network_fix"),
        ({GPS.GPSProcessingMethod: b"ASCII\0\0\0manual\0"}, {}, "network_fix"),
        ({GPS.GPSProcessingMethod: b"UNICODE\0W\0L\0A\0N\0"}, {}, "network_fix"),
        ({}, {"accuracy_m": 4213.0}, "poor_accuracy"),
        ({GPS.GPSDOP: (999, 10)}, {}, "poor_geometry"),
        ({GPS.GPSStatus: b"A", GPS.GPSProcessingMethod: b"ASCII\0\0\0GPS", GPS.GPSDOP: (19, 1)}, {}, None),
        ({GPS.GPSProcessingMethod: b"ASCII\0\0\0fused"}, {"accuracy_m": 65.0}, None),
        ({GPS.GPSProcessingMethod: b"ASCII\0\0\0GPS,NETWORK"}, {}, None),
    ],
)
def test_doubtful_fixes_are_kept_and_flagged(
    tags: dict[int, Any], options: dict[str, Any], flag: str | None, tmp_path: Path
) -> None:
    photo = one(tmp_path, gps=tags, **options)
    doubts = {"void_fix", "network_fix", "poor_accuracy", "poor_geometry"} & set(photo.flags)
    assert doubts == ({flag} if flag else set())


def test_a_magnetic_heading_is_turned_by_the_declination(tmp_path: Path) -> None:
    photo = one(tmp_path, heading_deg=359.0, heading_ref="M")
    assert photo.heading_ref == "M"
    assert photo.declination_deg == pytest.approx(4.0, abs=0.7)  # of 8 E, 50 N in 2024
    assert photo.heading_deg == pytest.approx((359.0 + photo.declination_deg) % 360, abs=1e-6)
    true = dataclasses.replace(photo, heading_ref="T", declination_deg=None)
    assert with_true_heading(true) == true


def test_without_a_date_or_at_the_pole_a_heading_stays_magnetic(tmp_path: Path) -> None:
    photo = one(tmp_path, heading_deg=10.0, heading_ref="M", taken_at=None)
    assert (photo.heading_deg, photo.declination_deg) == (10.0, None)
    assert declination_deg(137.0, 86.0, datetime(2024, 5, 6, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("lon", "lat", "year", "expected"),
    # NOAA's test values of the model's epochs, sea level: 80 N 0 E, 0 N 120 E, 80 S 240 E
    [(0, 80, 2025, 1.28), (120, 0, 2025, -0.16), (240, -80, 2025, 68.78), (0, 80, 2020, -1.28), (120, 0, 2020, 0.16)],
)
def test_declinations_of_the_model(lon: float, lat: float, year: int, expected: float) -> None:
    assert declination_deg(lon, lat, datetime(year, 1, 1, tzinfo=UTC)) == pytest.approx(expected, abs=0.01)


def test_dates_outside_the_model_take_its_nearest_end() -> None:
    first, last = (declination_deg(8, 50, datetime(year, 1, 1, tzinfo=UTC)) for year in (2010, 2030))
    assert declination_deg(8, 50, datetime(1995, 1, 1, tzinfo=UTC)) == first
    assert declination_deg(8, 50, datetime(2050, 1, 1, tzinfo=UTC)) == last


def test_the_doctor_names_the_kind(tmp_path: Path) -> None:
    torn_walk(tmp_path / "in", count=4)
    findings = diagnose([tmp_path / "in"], jobs=0).findings
    assert [finding.files for finding in findings if "1,024 weeks" in finding.cause] == [2]


def test_the_repeated_hour_of_a_walk_is_told_by_its_order(tmp_path: Path) -> None:
    write_walk(
        tmp_path / "in", 8, first_at=datetime(2024, 10, 27, 2, 50), every_s=200.0, start=(8.0, 49.999), size=SMALL
    )
    moments = [datetime(2024, 10, 27, 0, 50, tzinfo=UTC) + timedelta(seconds=200 * at) for at in range(8)]
    for at, moment in enumerate(moments):  # the camera's clock steps back to two at 01:00 UTC
        local = (moment + timedelta(hours=2 if moment.hour < 1 else 1)).replace(tzinfo=None)
        write_photo(
            tmp_path / f"in/IMG_{at:04d}.jpg", seed=at, size=SMALL, lon=8.0, lat=49.999 + at * 1e-4, taken_at=local
        )
    run_ingest(tmp_path / "in", tmp_path / "ds")
    assert times(tmp_path / "ds") == moments
    assert all("repeated_hour" in photo.flags for photo in rows(tmp_path / "ds").values())
