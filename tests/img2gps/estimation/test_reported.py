"""How far positions are expected to be off, by what phones report."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from img2gps.estimation.reported import expected_spread_m

NAN = float("nan")
REPORTS = st.lists(st.tuples(st.sampled_from("abcd"), st.just(NAN) | st.floats(-1, 1e6)), max_size=30)


def test_a_walk_errs_as_its_phone_reports_and_others_as_the_site_does() -> None:
    accuracy = np.array([15.1, 15.1, 30.2, 30.2, NAN, NAN, 24.16, 22.65])
    walks = np.array(["a", "a", "a", "b", "c", "b", "d", "e"])
    expected = expected_spread_m(accuracy, walks)
    assert expected == pytest.approx([10, 10, 10, 20, 12.5, 20, 16, 15], abs=0.01)


def test_one_odd_report_does_not_speak_for_the_site() -> None:
    assert expected_spread_m(np.array([65.0, NAN, NAN]), np.array(["a", "b", "c"])).tolist() == [26.0, 6.5, 6.5]


def test_where_no_phone_reports_the_usual_is_expected() -> None:
    assert expected_spread_m(np.array([NAN, 0.0, -3.0]), np.array([1, 1, 2])).tolist() == [6.5] * 3


@given(REPORTS)
def test_each_walk_has_one_value_within_reason(reports: list[tuple[str, float]]) -> None:
    walks = np.array([walk for walk, _ in reports], dtype=np.str_)
    expected = expected_spread_m(np.array([accuracy for _, accuracy in reports]), walks)
    assert expected.shape == walks.shape
    assert np.all((expected >= 3.25) & (expected <= 26))
    assert all(len(set(expected[walks == walk])) == 1 for walk in set(walks.tolist()))
