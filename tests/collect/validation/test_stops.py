"""The camera's clock from the stops of a track: told rightly, or refused in one sentence."""

import dataclasses
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from ingest_runs import rows, run_ingest
from photos import EAST_CAMPUS, write_photo

from collect.validation.clock import Witness, find_clock_offset
from collect.validation.gpx import Track, Tracks
from collect.validation.stop_clock import offset_of_stops
from collect.validation.unplaced import Unplaced
from img2gps.errors import UsageError

NOON = datetime(2024, 7, 1, 12, 0, tzinfo=UTC)
LON, LAT = EAST_CAMPUS
M_PER_LON, M_PER_LAT = 85_300.0, 111_100.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Walk:
    """A walk as it was, and as a receiver wrote it."""

    tracks: Tracks
    photos_s: tuple[float, ...]


def walked(
    seed: int, *, count: int = 30, moving: float = 0.2, stops: bool = True, even: bool = False, step_s: int = 1,
    sway_m: float = 2.0, paused: bool = False, speed_m_s: float = 1.3, rest_s: int = 0,
) -> Walk:  # fmt: skip
    """Return a walk with a photo at most stops, a fix each `step_s` that sways slowly by `sway_m` and jitters by 0.3 m.

    `even`: a stop each minute. `paused`: the receiver stops recording at each stop. `rest_s`: a rest halfway.
    """
    rng = np.random.default_rng(seed)
    speed: list[float] = [speed_m_s] * 30
    photos: list[float] = []
    for number in range(count):
        speed += [speed_m_s] * (45 if even else int(rng.gamma(3, 15)) + 5)
        if number == count // 2:
            speed += [0.0] * rest_s
        if not stops or (not even and rng.random() < moving):
            photos.append(len(speed) - rng.uniform(0, 5))
            continue
        standing_s = 15 if even else int(rng.integers(5, 20))
        photos.append(len(speed) + standing_s * (0.5 if even else rng.uniform(0.3, 0.8)))
        speed += [0.0] * standing_s
    speed += [speed_m_s] * 30
    total = len(speed)
    turns = np.cumsum(rng.normal(0, 0.03, total))
    knots = np.arange(0, total + 20, 20)
    east, north = (
        np.cumsum(np.array(speed) * axis)
        + np.interp(np.arange(total), knots, rng.normal(0, sway_m, len(knots)) / 2)
        + rng.normal(0, 0.3, total)
        for axis in (np.cos(turns), np.sin(turns))
    )
    start = NOON.timestamp()
    at = np.arange(0, total, step_s)
    runs = [at]
    if paused:
        walking = at[np.array(speed)[at] > 0]
        runs = np.split(walking, np.flatnonzero(np.diff(walking) > step_s) + 1)
    lines = tuple(
        Track(
            times_s=tuple((start + run).tolist()),
            lons=tuple((LON + east[run] / M_PER_LON).tolist()),
            lats=tuple((LAT + north[run] / M_PER_LAT).tolist()),
            source="a, track 1",
        )
        for run in runs
    )
    return Walk(tracks=Tracks(lines=lines), photos_s=tuple(start + photo for photo in photos))


def told(walk: Walk, offset_s: float = 0.0) -> tuple[float | None, str]:
    return offset_of_stops(walk.tracks, [float(int(photo_s - offset_s)) for photo_s in walk.photos_s])


@pytest.mark.slow
@given(
    seed=st.integers(0, 10_000),
    quarters=st.integers(-48, 56),
    drift_s=st.floats(-400, 400),
    count=st.integers(3, 50),
    moving=st.floats(0, 0.5),
    step_s=st.sampled_from([1, 2, 5, 10]),
    sway_m=st.floats(0, 4),
)
def test_what_is_told_is_right(
    seed: int, quarters: int, drift_s: float, count: int, moving: float, step_s: int, sway_m: float
) -> None:
    walk = walked(seed, count=count, moving=moving, step_s=step_s, sway_m=sway_m)
    offset_s = quarters * 900 + drift_s
    found_s, text = told(walk, offset_s)
    if found_s is not None:
        assert abs(found_s - offset_s) <= 9
        assert "give or take" in text


@pytest.mark.slow
@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), count=st.integers(6, 50), step_s=st.sampled_from([1, 5]))
def test_photos_of_another_walk_tell_nothing(seed: int, count: int, step_s: int) -> None:
    other = walked(seed + 20_000, count=count)
    found_s, text = told(dataclasses.replace(other, tracks=walked(seed, count=50, step_s=step_s).tracks))
    assert found_s is None
    assert "\n" not in text


@pytest.mark.slow
@pytest.mark.parametrize(("step_s", "paused", "rest_s"), [(1, False, 0), (3, False, 900), (5, False, 0), (1, True, 0)])
def test_most_walks_with_enough_photos_tell(step_s: int, paused: bool, rest_s: int) -> None:
    walks = [walked(seed, count=40, step_s=step_s, paused=paused, rest_s=rest_s) for seed in range(10)]
    found = [found_s for walk in walks if (found_s := told(walk, 7335.0)[0]) is not None]
    assert len(found) >= 8
    assert found == pytest.approx([7335.0] * len(found), abs=6)


def test_a_walker_who_never_stops_is_told_nothing() -> None:
    for seed in range(5):
        found_s, text = told(walked(seed, count=40, stops=False))
        assert found_s is None
        assert "has fewer than 6 stops" in text or "than chance does" in text


def test_stops_at_even_intervals_have_rivals() -> None:
    found_s, text = told(walked(1, count=30, even=True, sway_m=0.5), 60.0)
    assert found_s is None
    assert "bring the photos onto stops of the track" in text


@pytest.mark.parametrize("share", [0.5, 0.6, 0.7, 0.9])
def test_a_track_that_ends_early_is_no_reason_to_take_the_stop_before(share: float) -> None:
    for seed in range(3):
        walk = walked(seed, count=28, even=True, sway_m=0.5, rest_s=900)
        (line,) = walk.tracks.lines
        end = int(share * len(line.times_s))
        short = dataclasses.replace(line, times_s=line.times_s[:end], lons=line.lons[:end], lats=line.lats[:end])
        found_s, text = told(dataclasses.replace(walk, tracks=Tracks(lines=(short,))))
        assert found_s is None or abs(found_s) <= 9, text


def test_what_holds_no_stops_or_no_photos_is_refused() -> None:
    walk = walked(0)
    (line,) = walk.tracks.lines
    assert "0 moments" in told(dataclasses.replace(walk, photos_s=()))[1]
    burst = dataclasses.replace(walk, photos_s=tuple(NOON.timestamp() + second for second in range(60)))
    assert "1 moment of" in told(burst)[1]
    still = dataclasses.replace(line, lons=(LON,) * len(line.lons), lats=(LAT,) * len(line.lats))
    for lines in ((), (still,), (dataclasses.replace(line, times_s=(0.0,), lons=(LON,), lats=(LAT,)),)):
        assert told(dataclasses.replace(walk, tracks=Tracks(lines=lines)))[0] is None
    months = tuple(time_s * 100 for time_s in range(0, 40_000, 1))
    long = Track(times_s=months, lons=(LON,) * len(months), lats=(LAT,) * len(months), source="a, track 1")
    assert "too long" in told(dataclasses.replace(walk, tracks=Tracks(lines=(long,))))[1]


def test_a_stray_point_years_before_changes_nothing() -> None:
    walk = walked(3, count=40)
    (line,) = walk.tracks.lines
    stray = dataclasses.replace(
        line, times_s=(0.0, *line.times_s), lons=(LON, *line.lons), lats=(LAT, *line.lats)
    )  # fmt: skip
    assert told(dataclasses.replace(walk, tracks=Tracks(lines=(stray,))), 100.0) == told(walk, 100.0)


def unplaced(walk: Walk, offset_s: float) -> list[Unplaced]:
    return [
        Unplaced(captured_at=datetime.fromtimestamp(int(at - offset_s), UTC), by_camera=True, device="d")
        for at in walk.photos_s
    ]


def test_photos_with_positions_are_asked_first_and_may_contradict() -> None:
    walk = walked(2, count=40)
    found = find_clock_offset(walk.tracks, [], unplaced(walk, -3723.0))
    assert found.offset_s == pytest.approx(-3723.0, abs=6)
    assert "stood still" in found.text
    (line,) = walk.tracks.lines
    on_it = [
        Witness(clock_s=line.times_s[at] + 500.0, lon=line.lons[at], lat=line.lats[at], device="d")
        for at in range(50, len(line.times_s) - 50, 200)
    ]
    first = find_clock_offset(walk.tracks, on_it, unplaced(walk, -3723.0))
    assert first.offset_s == pytest.approx(-500.0, abs=5)
    elsewhere = [
        Witness(clock_s=at + 3723.0, lon=LON + 0.1 * number, lat=LAT, device="d")
        for number, at in enumerate(walk.photos_s[1:4], start=1)
    ]
    refused = find_clock_offset(walk.tracks, elsewhere, unplaced(walk, -3723.0))
    assert refused.offset_s is None
    assert "contradict" in refused.text


def test_photos_without_any_position_are_placed_by_stops(tmp_path: Path) -> None:
    walk = walked(5, count=24, moving=0.0)
    (line,) = walk.tracks.lines
    points = "".join(
        f'<trkpt lat="{lat}" lon="{lon}"><time>{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}</time></trkpt>'
        for at, lon, lat in zip(line.times_s, line.lons, line.lats, strict=True)
    )
    track = tmp_path / "walk.gpx"
    track.write_text(f'<gpx version="1.1"><trk><trkseg>{points}</trkseg></trk></gpx>')
    late = timedelta(seconds=3600 + 95)
    for number, at in enumerate(walk.photos_s):
        write_photo(
            tmp_path / "in" / f"p{number:02}.jpg", seed=number, lon=None, size=(32, 24),
            taken_at=datetime.fromtimestamp(int(at), UTC) + late,
        )  # fmt: skip
    site = tmp_path / "wide.geojson"
    site.write_text(shapely.to_geojson(shapely.box(LON - 0.05, LAT - 0.05, LON + 0.05, LAT + 0.05)))
    outcomes = run_ingest(tmp_path / "in", tmp_path / "ds", site=site, gpx=track, clock_offset_s="auto")
    assert "of 24 moments of photos then fall onto stops" in " ".join(outcomes.notes)
    placed = rows(tmp_path / "ds")
    assert len(placed) == 24
    for number, at in enumerate(walk.photos_s):
        true = int(at - NOON.timestamp())
        assert placed[f"p{number:02}.jpg"].lat == pytest.approx(line.lats[true], abs=10 / M_PER_LAT)
    with pytest.raises(UsageError, match="cannot tell its stops"):
        run_ingest(tmp_path / "in" / "p00.jpg", tmp_path / "one", gpx=track, clock_offset_s="auto")
