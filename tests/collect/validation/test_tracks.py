"""Tracks: every file that loggers write, never a place between two of them, and a clock that photos tell."""

import dataclasses
import math
import zipfile
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ingest_runs import rows, run_ingest
from photos import EAST_CAMPUS, FIRST_PHOTO_AT, write_photo, write_site

from collect.ingestion.outcomes import Outcomes
from collect.reading.facts import Position
from collect.validation.clock import Witness, find_clock_offset
from collect.validation.gpx import MAX_GAP_S, Track, Tracks, read_track, read_tracks
from collect.validation.unplaced import Unplaced
from img2gps.errors import UsageError

NOON = datetime(2024, 7, 1, 12, 0, tzinfo=UTC)
LON, LAT = EAST_CAMPUS
NORTH = 1e-5  # degrees of latitude a walker makes in a second, some 1.1 m


def stamp(moment: datetime, style: str = "Z") -> str:
    if style == "naive":
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}"
    if style == "milliseconds":
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
    if style == "Z":
        return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    hours, minutes = (int(part) for part in style.split(":"))
    zone = timezone(timedelta(hours=hours, minutes=math.copysign(minutes, -1 if style[0] == "-" else 1)))
    text = f"{moment.astimezone(zone):%Y-%m-%dT%H:%M:%S%z}"
    return text if style.endswith(" short") else f"{text[:-2]}:{text[-2:]}"


def gpx(*tracks: list[tuple[datetime, float, float]], style: str = "Z", prefix: str = "", kind: str = "trk") -> str:
    p = f"{prefix}:" if prefix else ""
    space = f'xmlns{":" if prefix else ""}{prefix}="http://www.topografix.com/GPX/1/1"'
    body = ""
    for points in tracks:
        name = {"trk": "trkpt", "rte": "rtept"}[kind]
        inner = "".join(
            f'<{p}{name} lat="{lat}" lon="{lon}"><{p}time>{stamp(at, style)}</{p}time></{p}{name}>'
            for at, lon, lat in points
        )
        segment = f"<{p}trkseg>{inner}</{p}trkseg>" if kind == "trk" else inner
        body += f"<{p}{kind}>{segment}</{p}{kind}>"
    return f'<{p}gpx version="1.1" creator="t" {space}>{body}</{p}gpx>'


def walk(
    start: datetime = NOON, count: int = 60, *, lon: float = LON, step_s: int = 1
) -> list[tuple[datetime, float, float]]:
    return [(start + timedelta(seconds=n * step_s), lon, LAT + n * step_s * NORTH) for n in range(count)]


@pytest.mark.parametrize("style", ["Z", "milliseconds", "naive", "-4:00", "-3:30", "+5:45", "-0:30", "+0:00"])
@pytest.mark.parametrize("prefix", ["", "g"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_track_is_read_however_it_is_written(tmp_path: Path, style: str, prefix: str, encoding: str) -> None:
    path = tmp_path / "walk.gpx"
    declared = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?>'
    path.write_text(declared + gpx(walk(), style=style, prefix=prefix), encoding=encoding)
    tracks = read_track(path)
    found = tracks.at(NOON + timedelta(seconds=30))
    assert found is not None
    assert (found.lon, found.lat) == (LON, pytest.approx(LAT + 30 * NORTH, abs=1e-9))
    assert ("read as UTC" in " ".join(tracks.notes)) is (style == "naive")


@pytest.mark.parametrize("archive", [False, True])
def test_a_track_of_kml_is_read(tmp_path: Path, archive: bool) -> None:
    points = walk(count=10)
    times = "".join(f"<when>{stamp(at)}</when>" for at, _, _ in points)
    spots = "".join(f"<gx:coord>{lon} {lat} 12</gx:coord>" for _, lon, lat in points)
    text = (
        '<kml xmlns="http://www.opengis.net/kml/2.2" xmlns:gx="http://www.google.com/kml/ext/2.2"><Document>'
        f"<Placemark><gx:Track>{times}{spots}</gx:Track></Placemark></Document></kml>"
    )
    path = tmp_path / "walk.kml"
    path.write_text(text)
    if archive:
        with zipfile.ZipFile(tmp_path / "walk.kmz", "w") as packed:
            packed.writestr("doc.kml", text)
        path = tmp_path / "walk.kmz"
    found = read_track(path).at(NOON + timedelta(seconds=4.5))
    assert found is not None
    assert found.lat == pytest.approx(LAT + 4.5 * NORTH, abs=1e-9)


@pytest.mark.parametrize(
    "style", ["%Y/%m/%d %H:%M:%S UTC", "%Y-%m-%dt%H:%M:%Sz", "%Y:%m:%d %H:%M:%S+00:00", "%Y%m%dT%H%M%SZ"]
)
def test_times_of_loggers_are_read_in_any_spelling_of_one_meaning(tmp_path: Path, style: str) -> None:
    text = gpx(walk())
    for at, _, _ in walk():
        text = text.replace(stamp(at), at.strftime(style))
    (tmp_path / "walk.gpx").write_text(text)
    tracks = read_track(tmp_path / "walk.gpx")
    assert tracks.notes == ()
    assert tracks.at(NOON + timedelta(seconds=20)) == Position(lon=LON, lat=pytest.approx(LAT + 20 * NORTH))


def test_a_day_alone_is_no_time(tmp_path: Path) -> None:
    text = gpx(walk(count=1)).replace(stamp(NOON), "2024-07-01")
    (tmp_path / "walk.gpx").write_text(text)
    with pytest.raises(UsageError, match="no track point with a time that can be read"):
        read_track(tmp_path / "walk.gpx")


@pytest.mark.parametrize(("lat", "lon"), [("0.0", "0.0"), ("NaN", "NaN"), ("500", "8"), ("", "8"), ("50,1", "8,1")])
def test_a_point_without_a_place_is_left_out_and_spoils_no_other(tmp_path: Path, lat: str, lon: str) -> None:
    points = walk()
    bad = f'lat="{points[30][2]}" lon="{points[30][1]}"'
    text = gpx(points)
    assert text.count(bad) == 1
    (tmp_path / "walk.gpx").write_text(text.replace(bad, f'lat="{lat}" lon="{lon}"'))
    tracks = read_track(tmp_path / "walk.gpx")
    for second in (29.5, 30, 30.5):
        assert tracks.at(NOON + timedelta(seconds=second)) == Position(lon=LON, lat=pytest.approx(LAT + second * NORTH))
    assert [note for note in tracks.notes if "has no place" in note] != []


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (gpx(walk(count=3), kind="rte"), "a route, which is a plan"),
        ('<gpx><wpt lat="50" lon="8"><time>2024-07-01T12:00:00Z</time></wpt></gpx>', "1 waypoint and no track"),
        ('<gpx><trk><trkseg><trkpt lat="50" lon="8"/></trkseg></trk></gpx>', "no track point with a time"),
        ('<gpx><trk><trkseg><trkpt lat="50" lon="8"><time>noon</time></trkpt></trkseg></trk></gpx>', "can be read"),
        (
            '<gpx><trk><trkseg><trkpt lat="" lon="8"><time>2024-07-01T12:00:00Z</time></trkpt></trkseg></trk></gpx>',
            "without lat and lon",
        ),
        ("<kml><Placemark><Point><coordinates>8,50</coordinates></Point></Placemark></kml>", "1 waypoint and no track"),
        ("<html/>", "html XML, not a GPX track"),
        ("<!DOCTYPE gpx><gpx/>", "document type"),
    ],
)
def test_what_places_nothing_is_refused_by_its_name(tmp_path: Path, content: str, complaint: str) -> None:
    path = tmp_path / "walk.gpx"
    path.write_text(content)
    with pytest.raises(UsageError, match=complaint):
        read_track(path)


@given(
    st.lists(st.lists(st.integers(0, 400), min_size=1, max_size=12), min_size=1, max_size=5),
    st.integers(-20, 420),
    st.booleans(),
)
def test_a_position_is_never_between_two_lines(lines: list[list[int]], second: int, one_source: bool) -> None:
    """Line n runs along the meridian of n degrees: every longitude in between belongs to none."""
    tracks = tuple(
        Track(
            times_s=tuple(NOON.timestamp() + t for t in sorted(set(times))),
            lons=tuple(float(number) for _ in set(times)),
            lats=tuple(50.0 + t * NORTH for t in sorted(set(times))),
            source="a, track 1" if one_source else f"a, track {number}",
        )
        for number, times in enumerate(lines)
    )
    found = Tracks(lines=tracks).at(NOON + timedelta(seconds=second))
    gaps = [min(abs(t - second) for t in times) for times in lines]
    assert (found is not None) is (min(gaps) <= MAX_GAP_S)
    if found is not None:
        assert found.lon == int(found.lon)
        assert gaps[int(found.lon)] == min(gaps)  # the nearer in time
        times = sorted(lines[int(found.lon)])
        assert 50.0 + times[0] * NORTH - 1e-9 <= found.lat <= 50.0 + times[-1] * NORTH + 1e-9


@given(st.integers(0, 100), st.floats(0, 100))
def test_receivers_that_were_merged_into_one_line_are_not_averaged(first: int, second: float) -> None:
    times = tuple(NOON.timestamp() + n for n in range(101))
    lons = tuple(LON + (2e-3 if (n + first) % 2 else 0.0) for n in range(101))  # 143 m apart, second by second
    found = Track(times_s=times, lons=lons, lats=(LAT,) * 101).at(NOON + timedelta(seconds=second))
    assert found is not None
    assert min(abs(found.lon - LON), abs(found.lon - LON - 2e-3)) < 1e-9


@given(st.lists(st.integers(0, 300), min_size=2, max_size=30))
def test_time_that_goes_back_begins_another_line(times: list[int]) -> None:
    from collect.validation.track_file import _runs

    runs = _runs((float(time), float(number), 0.0) for number, time in enumerate(times))
    assert all(a[0] < b[0] for run in runs for a, b in pairwise(run))
    firsts = {run[0][1] for run in runs}
    assert firsts == {0.0} | {
        float(n) for n, (a, b) in enumerate(pairwise(times), start=1) if b < a and _starts(times, n)
    }


def _starts(times: list[int], number: int) -> bool:
    """Return whether the point comes before the last one of its run: repeated times are left out of it."""
    return times[number] < times[number - 1]


def homeless(folder: Path, count: int = 3, *, every_s: float = 10.0, shift_s: float = 0.0) -> None:
    for number in range(count):
        taken_at = FIRST_PHOTO_AT + timedelta(seconds=5 + number * every_s + shift_s)
        write_photo(folder / f"h{number}.jpg", seed=50 + number, lon=None, taken_at=taken_at, size=(32, 24))


def notes(outcomes: Outcomes) -> str:
    return " ".join(outcomes.notes)


def test_two_tracks_at_one_time_are_told_and_several_files_add_up(tmp_path: Path) -> None:
    homeless(tmp_path / "in", count=2, every_s=200)
    start = FIRST_PHOTO_AT.astimezone(UTC)
    near, far = tmp_path / "near.gpx", tmp_path / "far.gpx"
    near.write_text(gpx(walk(start, 60)))
    far.write_text(gpx(walk(start + timedelta(seconds=2), 60, lon=LON + 1e-3, step_s=7)))
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", gpx=[far, near])
    placed = rows(tmp_path / "ds")
    assert placed["h0.jpg"].lon == pytest.approx(LON)  # its point is at the very second
    assert placed["h1.jpg"].lon == pytest.approx(LON + 1e-3)  # near.gpx has ended
    assert "1 photo lies at a time of several tracks, up to 7" in notes(outcomes)


def test_a_clock_without_a_zone_is_why_a_track_places_nothing(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site.geojson", time_zone=None)
    for number in range(2):
        naive = FIRST_PHOTO_AT.replace(tzinfo=None) + timedelta(seconds=10 * number)
        write_photo(tmp_path / f"in/z{number}.jpg", seed=number, lon=None, taken_at=naive, size=(32, 24))
    track = tmp_path / "t.gpx"
    track.write_text(gpx(walk(FIRST_PHOTO_AT, 60)))
    told = notes(run_ingest(tmp_path / "in", tmp_path / "ds", site=site, gpx=track))
    assert '2 photos have a clock time of unknown zone and no position. Add "time_zone"' in told
    told = notes(run_ingest(tmp_path / "in", tmp_path / "ds2", site=site, gpx=track, clock_offset_s="auto"))
    assert "No photo without a position has a time" in told


def test_an_offset_without_a_track_is_refused(tmp_path: Path) -> None:
    homeless(tmp_path / "in")
    with pytest.raises(UsageError, match="--gpx"):
        run_ingest(tmp_path / "in", tmp_path / "ds", clock_offset_s=5.0)


def test_a_track_that_places_nothing_says_why(tmp_path: Path) -> None:
    homeless(tmp_path / "in")
    track = tmp_path / "local.gpx"
    track.write_text(gpx(walk(FIRST_PHOTO_AT.astimezone(UTC) + timedelta(hours=2), 120)))
    told = notes(run_ingest(tmp_path / "in", tmp_path / "ds", gpx=track))
    assert "local.gpx places no photo: it runs from 2024-05-06 09:00:00 UTC to 2024-05-06 09:01:59 UTC" in told
    assert "from 2024-05-06 07:00:05 UTC to 2024-05-06 07:00:25 UTC" in told
    assert "--clock-offset 7200 they would meet (2 h later)" in told
    assert "or let --clock-offset auto look for it" in told
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", gpx=track, clock_offset_s=7200.0)
    assert (outcomes.new, notes(outcomes)) == (3, "")


def test_the_clocks_offset_is_found_from_photos_on_the_track(tmp_path: Path) -> None:
    start = FIRST_PHOTO_AT.astimezone(UTC)
    late = timedelta(seconds=3723)
    for number, second in enumerate((10, 60, 130, 180, 240)):
        write_photo(
            tmp_path / "in" / f"p{number}.jpg", seed=number, lon=LON, lat=LAT + second * NORTH,
            taken_at=FIRST_PHOTO_AT + timedelta(seconds=second) + late, fix_age_s=None, size=(32, 24),
        )  # fmt: skip
    homeless(tmp_path / "in", shift_s=late.total_seconds())
    track = tmp_path / "walk.gpx"
    track.write_text(gpx(walk(start, 300)))
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", gpx=track, clock_offset_s="auto")
    assert "auto found -3723 s" in notes(outcomes)
    assert "5 of 5 photos" in notes(outcomes)
    assert rows(tmp_path / "ds")["h1.jpg"].lat == pytest.approx(LAT + 15 * NORTH, abs=2 * NORTH)


def test_an_offset_that_nothing_tells_is_refused(tmp_path: Path) -> None:
    homeless(tmp_path / "in")
    track = tmp_path / "walk.gpx"
    track.write_text(gpx(walk(FIRST_PHOTO_AT.astimezone(UTC), 60)))
    with pytest.raises(UsageError, match="0 photos of the camera"):
        run_ingest(tmp_path / "in", tmp_path / "ds", gpx=track, clock_offset_s="auto")
    with pytest.raises(UsageError, match="give one with --gpx"):
        run_ingest(tmp_path / "in", tmp_path / "ds", clock_offset_s="auto")


def random_walk(seed: int, seconds: int = 1200) -> Track:
    """Return a walk that turns every half minute, a point each second."""
    rng = np.random.default_rng(seed)
    turns = np.repeat(rng.uniform(0, 2 * np.pi, seconds // 30), 30)
    lats = LAT + np.cumsum(np.cos(turns)) * NORTH
    lons = LON + np.cumsum(np.sin(turns)) * NORTH * 1.55
    times = NOON.timestamp() + np.arange(len(turns))
    return Track(
        times_s=tuple(times.tolist()), lons=tuple(lons.tolist()), lats=tuple(lats.tolist()), source="a, track 1"
    )


def witnesses(track: Track, offset_s: float, *, count: int = 20, wrong: int = 0, seed: int = 0) -> list[Witness]:
    rng = np.random.default_rng(seed)
    found = []
    for number, at in enumerate(np.sort(rng.choice(len(track.times_s), count, replace=False)).tolist()):
        noise = rng.normal(0, 4e-5, 2) if number >= wrong else rng.uniform(-3e-3, 3e-3, 2)
        lon, lat = track.lons[at] + noise[0], track.lats[at] + noise[1]
        found.append(Witness(clock_s=track.times_s[at] - offset_s, lon=lon, lat=lat, device="d"))
    return found


MISSING = [Unplaced(captured_at=NOON, by_camera=True, device="d")]


@pytest.mark.slow
@given(st.integers(0, 149), st.floats(-40_000, 40_000), st.integers(2, 24))
def test_a_found_offset_is_right(seed: int, offset_s: float, count: int) -> None:
    track = random_walk(seed)
    told = witnesses(track, offset_s, count=count, wrong=count // 6, seed=seed)
    found = find_clock_offset(Tracks(lines=(track,)), told, MISSING)
    allowed_s = 10.0 if count >= 6 else 30.0  # a few fixes, each 4 m off, tell less
    assert found.offset_s is None or abs(found.offset_s - offset_s) <= allowed_s


def test_most_walks_tell_their_offset() -> None:
    told = [find_clock_offset(Tracks(lines=(t,)), witnesses(t, 3600.0, seed=n), MISSING).offset_s is not None
            for n in range(10) for t in [random_walk(n)]]  # fmt: skip
    assert sum(told) >= 8


def test_photos_of_one_place_or_of_another_camera_tell_no_offset() -> None:
    track = random_walk(1)
    standing = [dataclasses.replace(w, lon=LON + 1.0) for w in witnesses(track, 0.0)]
    assert find_clock_offset(Tracks(lines=(track,)), standing, MISSING).offset_s is None
    others = [dataclasses.replace(w, device="phone") for w in witnesses(track, 0.0)]
    assert find_clock_offset(Tracks(lines=(track,)), others, MISSING).offset_s is None
    still = Track(times_s=track.times_s, lons=(LON,) * 1200, lats=(LAT,) * 1200, source="a, track 1")
    assert find_clock_offset(Tracks(lines=(still,)), witnesses(still, 0.0), MISSING).offset_s is None
    two = [*witnesses(track, 0.0), *(dataclasses.replace(w, device="e") for w in witnesses(track, 600.0))]
    wanted = [*MISSING, dataclasses.replace(MISSING[0], device="e")]
    refused = find_clock_offset(Tracks(lines=(track,)), two, wanted)
    assert refused.offset_s is None
    assert "clocks of the cameras differ" in refused.text


def test_no_track_is_read_twice_as_another(tmp_path: Path) -> None:
    for name in ("a.gpx", "b.gpx"):
        (tmp_path / name).write_text(gpx(walk(lon=LON if name == "a.gpx" else LON + 1e-4)))
    one, other = (read_tracks([tmp_path / name]) for name in ("a.gpx", "b.gpx"))
    both = read_tracks([tmp_path / "a.gpx", tmp_path / "b.gpx"])
    assert len({one.sha256, other.sha256, both.sha256}) == 3
