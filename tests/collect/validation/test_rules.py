"""Facts, labels, tracks and the site decide: each rule once, at its border."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from photos import write_site

from collect.reading.facts import Facts, Position, PositionProblem
from collect.validation.flags import with_flags
from collect.validation.gpx import Track, read_track
from collect.validation.labels import LabelRow, NamedFile, read_labels
from collect.validation.rules import Rules, SourceFile, Verdict, judge
from collect.validation.times import capture_time
from img2gps.errors import NotFoundError, UsageError
from img2gps.site import Site, load_site
from img2gps.types import Photo, Rejection

NOON = datetime(2024, 7, 1, 12, 0, 0, tzinfo=UTC)
HERE = Position(lon=8.0001, lat=50.0001)
SOURCE = SourceFile(sha256="ab" * 32, name="sub/a.jpg", size=10)
M_PER_DEG_LON = 71_700  # at 50 degrees north


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return load_site(write_site(tmp_path / "site.geojson"))


def verdict(site: Site, facts: Facts, label: LabelRow | None = None, **rules: Any) -> Verdict:
    return judge(facts, SOURCE, Rules(site=site, device_salt="salt", **rules), label)


def accepted(site: Site, facts: Facts, label: LabelRow | None = None, **rules: Any) -> Photo:
    outcome = verdict(site, facts, label, **rules).outcome
    assert isinstance(outcome, Photo)
    return outcome


def reason(site: Site, facts: Facts, label: LabelRow | None = None, **rules: Any) -> str:
    outcome = verdict(site, facts, label, **rules).outcome
    assert isinstance(outcome, Rejection)
    return outcome.reason


@pytest.mark.parametrize(
    ("metres_outside", "accuracy_m", "expected"),
    [(5, None, "edge"), (15, None, None), (15, 20.0, "edge"), (25, 200.0, "edge"), (35, 200.0, None), (5, 2.0, None)],
)
def test_an_edge_is_as_wide_as_the_accuracy(
    site: Site, metres_outside: float, accuracy_m: float | None, expected: str | None
) -> None:
    facts = Facts(position=Position(lon=8.005 + metres_outside / M_PER_DEG_LON, lat=50.0), accuracy_m=accuracy_m)
    if expected:
        assert accepted(site, facts).site_relation == expected
    else:
        assert reason(site, facts) == "outside_site"


def test_accuracy_is_judged_only_where_it_is_known(site: Site) -> None:
    assert reason(site, Facts(position=HERE, accuracy_m=30.0), max_accuracy_m=20.0) == "accuracy_too_low"
    assert accepted(site, Facts(position=HERE, accuracy_m=20.0), max_accuracy_m=20.0)
    assert accepted(site, Facts(position=HERE), max_accuracy_m=20.0)


@pytest.mark.parametrize(
    ("lon", "lat", "expected"),
    [(200.0, 50.0, "gps_out_of_range"), (8.0, 91.0, "gps_out_of_range"), (float("nan"), 50.0, "gps_not_finite")],
)
def test_impossible_positions_are_never_called_outside(site: Site, lon: float, lat: float, expected: str) -> None:
    assert reason(site, Facts(position=Position(lon=lon, lat=lat))) == expected
    assert reason(site, Facts(position=HERE), LabelRow(row=2, lon=lon, lat=lat)) == expected


def test_a_label_stands_before_the_exif_and_the_distance_is_told(site: Site) -> None:
    near = LabelRow(row=2, lon=8.0001, lat=50.0002)
    far = LabelRow(row=2, lon=8.0001, lat=50.0011, accuracy_m=3.0, heading_deg=10.0, device="X")
    assert verdict(site, Facts(position=HERE), near).disagreement_m is None
    result = verdict(site, Facts(position=HERE, accuracy_m=8.0, heading_deg=90.0), far)
    assert result.disagreement_m == pytest.approx(111, abs=1)
    assert isinstance(result.outcome, Photo)
    assert (result.outcome.lat, result.outcome.gps_source) == (50.0011, "labels")
    assert (result.outcome.gps_accuracy_m, result.outcome.heading_deg) == (3.0, 10.0)
    assert accepted(site, Facts(position=HERE, accuracy_m=8.0), near).gps_accuracy_m is None


def test_a_label_rescues_what_has_no_position(site: Site) -> None:
    label = LabelRow(row=2, lon=8.0, lat=50.0, captured_at=datetime(2024, 7, 1, 14, 0, 0))
    photo = accepted(site, Facts(position=PositionProblem(reason="no_exif")), label)
    assert (photo.captured_at, photo.utc_offset_min, photo.time_source) == (NOON, 120, "labels")


def test_naive_label_times_without_a_zone_still_order_walks(tmp_path: Path) -> None:
    site = load_site(write_site(tmp_path / "site.geojson", time_zone=None))
    label = LabelRow(row=2, lon=8.0, lat=50.0, captured_at=datetime(2024, 7, 1, 12, 0, 0))
    photo = accepted(site, Facts(position=PositionProblem(reason="no_exif")), label)
    assert (photo.captured_at, photo.utc_offset_min, photo.time_source) == (NOON, None, "labels")


def test_a_track_gives_positions_to_photos_without_one(site: Site) -> None:
    times = [NOON.timestamp() + second for second in (0, 4, 60)]
    track = Track(times_s=tuple(times), lons=(8.0, 8.0004, 8.001), lats=(50.0, 50.0, 50.0))
    homeless = PositionProblem(reason="no_gps")

    def at(second: float) -> Facts:
        moment = (NOON + timedelta(seconds=second)).replace(tzinfo=None)
        return Facts(position=homeless, local_time=moment, utc_offset_min=0)

    photo = accepted(site, at(1), track=track)
    assert (photo.lon, photo.gps_source) == (pytest.approx(8.0001), "gpx")
    assert accepted(site, at(-5), track=track).lon == 8.0
    assert reason(site, at(30), track=track) == "no_gps"
    assert reason(site, Facts(position=homeless), track=track) == "no_gps"
    assert accepted(site, Facts(position=HERE, gps_time=NOON), track=track).gps_source == "exif"


def test_the_offset_of_a_camera_does_not_shift_the_time_of_a_gps() -> None:
    track = Track(times_s=(NOON.timestamp(),), lons=(8.0,), lats=(50.0,), clock_offset_s=3600.0)
    assert track.at(NOON, by_camera=False) is not None
    assert track.at(NOON - timedelta(hours=1)) is not None
    assert track.at(NOON) is None


def test_a_track_across_the_date_line_goes_the_short_way() -> None:
    times = (NOON.timestamp(), NOON.timestamp() + 4)
    track = Track(times_s=times, lons=(179.9998, -179.9998), lats=(-17.0, -17.0))
    lons = [found.lon for second in (1, 2, 3) if (found := track.at(NOON + timedelta(seconds=second)))]
    assert lons == pytest.approx([179.9999, 180.0, -179.9999])


def test_times_come_from_the_best_source() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    local = datetime(2024, 7, 1, 14, 0, 30)
    both = capture_time(Facts(position=HERE, gps_time=NOON, local_time=local, utc_offset_min=120), None)
    assert (both.captured_at, both.source, both.fix_age_s, both.utc_offset_min) == (NOON, "gps", 30.0, 120)
    with_offset = capture_time(Facts(position=HERE, local_time=local, utc_offset_min=120), None)
    assert (with_offset.captured_at, with_offset.source) == (NOON + timedelta(seconds=30), "exif_offset")
    by_zone = capture_time(Facts(position=HERE, local_time=local), berlin)
    assert (by_zone.captured_at, by_zone.source) == (NOON + timedelta(seconds=30), "site_zone")
    assert by_zone.utc_offset_min == 120
    assert capture_time(Facts(position=HERE, local_time=local), None).captured_at is None


def test_the_hour_that_comes_twice_is_the_first(site: Site) -> None:
    local = datetime(2024, 10, 27, 2, 30)
    taken = capture_time(Facts(position=HERE, local_time=local), ZoneInfo("Europe/Berlin"))
    assert (taken.captured_at, taken.utc_offset_min) == (datetime(2024, 10, 27, 0, 30, tzinfo=UTC), 120)


def files_of(folder: Path, contents: dict[str, bytes]) -> list[NamedFile]:
    files = []
    for name, data in contents.items():
        path = folder / f"{len(files)}.bin"
        path.write_bytes(data)
        files.append(NamedFile(name=name, size=len(data), path=bytes(path)))
    return files


LABEL_FILES = {
    "plain": "file_name,latitude,longitude\na.jpg,50.0,8.0\n",
    "usual": "Image Path;Lat;Lng;Bearing\nin/a.jpg;50,0;8,0;370\n",
    "tabs": "\ufefffilename\tLAT\tLONG\n./A.JPG\t50.0\t8.0\n",
    "windows": "file,y,x\r\nin\\a.jpg,50.0,8.0\r\n",
}


@pytest.mark.parametrize("spelling", LABEL_FILES)
def test_labels_are_read_under_any_usual_spelling(spelling: str, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(LABEL_FILES[spelling], encoding="utf-8")
    labels = read_labels(tmp_path / "labels.csv")
    matched, notes = labels.match(files_of(tmp_path, {"in/a.jpg": b"a", "b.jpg": b"b"}))
    assert matched[0] is not None
    assert (matched[0].lat, matched[0].lon, matched[1], notes) == (50.0, 8.0, None, [])


def test_labels_of_one_name_for_different_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,lat,lon\na.jpg,50,8\nz.jpg,1,1\na.jpg,51,8\n")
    labels = read_labels(tmp_path / "labels.csv")
    assert "row 2 stands" in labels.notes[0]
    for other in (b"longer", b"two"):  # of another size, or of the same
        matched, notes = labels.match(files_of(tmp_path, {"x/a.jpg": b"one", "y/a.jpg": other}))
        assert matched == [None, None]
        assert "label a.jpg matches several different files, of which 2 take no label" in notes[0]
        assert "1 of 2 labels match no file" in notes[1]
    assert None not in labels.match(files_of(tmp_path, {"x/a.jpg": b"one", "y/a.jpg": b"one"}))[0]


def test_the_end_of_a_path_is_no_safer_than_a_name(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,lat,lon\nDCIM/a.jpg,50,8\n")
    labels = read_labels(tmp_path / "labels.csv")
    matched, notes = labels.match(files_of(tmp_path, {"p1/DCIM/a.jpg": b"one", "p2/DCIM/a.jpg": b"two"}))
    assert matched == [None, None]
    assert "DCIM/a.jpg" in notes[0]


def test_a_whole_path_stands_before_the_end_of_another(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,lat,lon\na.jpg,50,8\n")
    labels = read_labels(tmp_path / "labels.csv")
    files = files_of(tmp_path, {"a.jpg": b"one", "copy/a.jpg": b"one", "other/a.jpg": b"two"})
    matched, notes = labels.match(files)
    assert [label is not None for label in matched] == [True, True, False]
    assert "of which 1 take no label" in notes[0]


def test_a_path_in_other_letters_stands_before_a_name_in_the_same(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,lat,lon\nWalk1/IMG_1.jpg,50,8\nIMG_1.jpg,51,8\n")
    files = files_of(tmp_path, {"walk1/IMG_1.jpg": b"one", "IMG_1.jpg": b"two"})
    found = [label and label.lat for label in read_labels(tmp_path / "labels.csv").match(files)[0]]
    assert found == [50.0, 51.0]


def test_case_counts_where_it_tells_names_apart(tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file,lat,lon\nIMG_2.JPG,50,8\nimg_2.jpg,51,8\nB.JPG,52,8\n")
    labels = read_labels(tmp_path / "labels.csv")
    assert labels.notes == ()
    files = files_of(tmp_path, {"img_2.jpg": b"one", "IMG_2.JPG": b"two", "Img_2.jpg": b"three", "b.jpg": b"four"})
    found = [label and label.lat for label in labels.match(files)[0]]
    assert found == [51.0, 50.0, None, 52.0]


def test_a_label_without_a_position_leaves_it_to_the_photo(site: Site, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("file;lat;lon;heading;time\na.jpg;;;90,5;01.05.2024 12:00\n")
    labels = read_labels(tmp_path / "labels.csv")
    photo = accepted(site, Facts(position=HERE), labels.by_name["a.jpg"])
    assert (photo.lon, photo.lat, photo.gps_source, photo.heading_deg) == (HERE.lon, HERE.lat, "exif", 90.5)
    assert labels.notes == (
        "1 label of 1 holds a captured_at that cannot be read, which is left out: write times as 2025-06-02T14:30:00.",
    )
    assert reason(site, Facts(position=PositionProblem(reason="no_gps")), labels.by_name["a.jpg"]) == "no_gps"


def test_label_cells_that_are_no_numbers_reject_their_photo_only(site: Site, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text(
        "file,lat,lon,time\na.jpg,north,8,yesterday\nb.jpg,50,8,2024:07:01 12:00:00Z\n"
    )
    labels = read_labels(tmp_path / "labels.csv")
    assert reason(site, Facts(position=HERE), labels.by_name["a.jpg"]) == "gps_not_finite"
    assert labels.by_name["b.jpg"].captured_at == NOON


def test_label_files_that_are_none_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        read_labels(tmp_path / "none.csv")
    for content in ("", "lat,lon\n1,2\n", "\x00\x01"):
        (tmp_path / "labels.csv").write_text(content)
        with pytest.raises(UsageError, match="labels"):
            read_labels(tmp_path / "labels.csv")


def test_tracks_are_read_and_refused(tmp_path: Path) -> None:
    path = tmp_path / "walk.gpx"
    point = '<trkpt lat="50" lon="8"><time>2024-07-01T12:00:00Z</time></trkpt>'
    path.write_text(f'<gpx version="1.1" creator="t"><trk><trkseg>{point}</trkseg></trk></gpx>')
    track = read_track(path, clock_offset_s=-3600)
    assert track.at(NOON + timedelta(hours=1)) == Position(lon=8.0, lat=50.0)
    for content in ("rubbish", '<gpx version="1.1" creator="t"></gpx>'):
        path.write_text(content)
        with pytest.raises(UsageError, match="walk"):
            read_track(path)
    with pytest.raises(NotFoundError):
        read_track(tmp_path / "none.gpx")


def photo(
    number: int, *, seconds: float | None = 0.0, lat: float = 50.0001, lon: float = 8.0001, **values: Any
) -> Photo:
    moment = None if seconds is None else NOON + timedelta(seconds=seconds)
    defaults: dict[str, Any] = {
        "gps_accuracy_m": 5.0,
        "heading_deg": 1.0,
        "captured_at": moment,
        "walk": "w",
        "site_relation": "inside",
    }
    return Photo(
        id=f"{number:064x}", file_name="", photo_sha256="", lon=lon, lat=lat, gps_source="exif", width=1, height=1,
        phash="", source_name=f"{number}", bytes=1, device="d", **{**defaults, **values},
    )  # fmt: skip


def flags(*photos: Photo) -> list[tuple[str, ...]]:
    return [marked.flags for marked in with_flags(photos)]


def test_flags_of_a_photo_alone() -> None:
    assert flags(photo(1)) == [()]
    assert flags(photo(1, site_relation="edge")) == [("edge",)]
    assert flags(photo(1, gps_accuracy_m=None, heading_deg=None)) == [("accuracy_unknown", "heading_unknown")]
    assert flags(photo(1, seconds=None)) == [("time_unknown",)]
    assert flags(photo(1, fix_age_s=10.0)) == [()]
    assert flags(photo(1, fix_age_s=10.5)) == [("stale_fix",)]
    assert flags(photo(1, lat=50 + 7 / 3600, lon=8 + 11 / 3600)) == [("quantised_gps",)]
    assert flags(photo(1, lat=50 + 7 / 3600)) == [()]


def test_a_position_repeated_while_walking_is_stale() -> None:
    assert flags(photo(1), photo(2, seconds=8), photo(3, seconds=16)) == [("stale_fix",)] * 3
    frozen = [photo(number, fix_age_s=age_s) for number, age_s in enumerate((1.0, 5.0, 9.0, 18.0))]
    assert flags(*frozen) == [("stale_fix",)] * 4  # the time of the GPS stood still, too
    assert flags(photo(1), photo(2, seconds=7), photo(3, seconds=15)) == [()] * 3
    assert flags(photo(1), photo(3, seconds=16)) == [()] * 2
    assert flags(photo(1), photo(2, seconds=8), photo(3, seconds=16, walk="other")) == [()] * 3


def test_a_step_faster_than_a_person_is_implausible() -> None:
    assert flags(photo(1), photo(2, seconds=10, lat=50.0011)) == [(), ("implausible_speed",)]
    assert flags(photo(1), photo(2, seconds=30, lat=50.0011)) == [(), ()]
    vague = photo(2, seconds=10, lat=50.0011, gps_accuracy_m=80.0)
    assert flags(photo(1), vague) == [(), ()]
