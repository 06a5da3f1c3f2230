import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2gps.walks import clock_seconds, seconds_of, walk_numbers, walk_rows, walk_weights


def test_a_walk_ends_after_ten_minutes_with_another_device_and_where_time_ends() -> None:
    devices = np.array(["a", "a", "a", "a", "b", "b"])
    seconds = np.array([0.0, 600.0, 1200.1, np.nan, 0.0, 5.0])
    assert walk_numbers(devices, seconds).tolist() == [0, 0, 1, 2, 3, 3]
    assert walk_numbers(np.array([], dtype=str), np.array([])).tolist() == []


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.floats(0, 100))),
        max_size=20,
    )
)
def test_rows_of_walks_are_all_timed_photos_with_company_in_order(photos: list[tuple[str, float | None]]) -> None:
    walks = np.array([walk for walk, _ in photos], dtype=str)
    seconds = np.array([np.nan if time is None else time for _, time in photos], dtype=np.float64)
    parts = walk_rows(walks, seconds)
    found = [row for part in parts for row in part.tolist()]
    timed = [row for row, (_, time) in enumerate(photos) if time is not None]
    expected = [row for row in timed if sum(walks[other] == walks[row] for other in timed) > 1]
    assert sorted(found) == expected
    for part in parts:
        assert len(set(walks[part].tolist())) == 1
        assert (np.diff(seconds[part]) >= 0).all()


def test_seconds_are_those_since_1970_and_nan_where_there_is_no_time() -> None:
    times = pd.Series([pd.Timestamp("1970-01-01T00:01:00Z"), pd.NaT], dtype="datetime64[us, UTC]")
    assert seconds_of(times)[0] == 60.0
    assert np.isnan(seconds_of(times)[1])


def test_the_cameras_clock_goes_on_where_the_gps_time_stood_still() -> None:
    times = pd.Series([pd.Timestamp("1970-01-01T00:01:00Z")] * 3, dtype="datetime64[us, UTC]")
    ages = pd.array([0.0, 60.0, 120.0], dtype="Float64")
    rows = pd.DataFrame({"captured_at": times, "fix_age_s": ages, "time_source": "gps", "walk": "a"})
    assert clock_seconds(rows).tolist() == [60.0, 120.0, 180.0]


def test_a_walk_has_one_clock() -> None:
    """The camera is 7 minutes fast; one photo is timed by GPS and does not say so, one by the camera."""
    times = pd.to_datetime(pd.Series([0, 10, 440, 30], dtype="int64"), unit="s", utc=True)
    sources = pd.Series(["gps", "gps", "exif_offset", None], dtype="string")
    ages = pd.array([420.0, None, None, None], dtype="Float64")
    rows = pd.DataFrame({"captured_at": times, "fix_age_s": ages, "time_source": sources, "walk": ["a", "a", "a", "b"]})
    assert clock_seconds(rows).tolist() == [420.0, 430.0, 440.0, 30.0]


def test_photos_count_among_those_of_their_walk_alone() -> None:
    walks = np.array(["a", "b", "a", "b", "a", "c"])
    seconds = np.array([5.0, 0.0, 5.0, 1000.0, np.nan, 7.0])
    assert walk_weights(walks, seconds).tolist() == pytest.approx([0.5, 1.0, 0.5, 1.0, 1.0, 1.0])
