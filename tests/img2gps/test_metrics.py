"""The figures of a set of errors."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from img2gps.metrics import metrics_of

ERRORS = npst.arrays(np.float64, st.integers(1, 60), elements=st.floats(0, 1e5))


def test_by_hand() -> None:
    figures = metrics_of(np.array([3.0, 4.0, 12.0, 30.0])).to_dict()
    assert figures["photos"] == 4
    assert figures["rmse_m"] == pytest.approx(math.sqrt((9 + 16 + 144 + 900) / 4))
    assert figures["mean_m"] == 12.25
    assert figures["median_m"] == 8.0
    assert figures["p90_m"] == pytest.approx(12 + 0.7 * 18)
    assert figures["within_m"] == {"5": 0.5, "10": 0.5, "25": 0.75, "50": 1.0}


@given(ERRORS)
def test_orders_hold_for_any_errors(error_m: np.ndarray) -> None:
    figures = metrics_of(error_m)
    tolerance = 1e-9 * (1 + error_m.max())
    assert error_m.min() - tolerance <= figures.median_m <= figures.p90_m + tolerance <= error_m.max() + 2 * tolerance
    assert figures.mean_m <= figures.rmse_m + tolerance
    shares = list(figures.within_m.values())
    assert shares == sorted(shares)


@given(ERRORS)
def test_order_of_photos_does_not_matter(error_m: np.ndarray) -> None:
    turned = metrics_of(error_m[::-1])
    assert turned.rmse_m == pytest.approx(metrics_of(error_m).rmse_m)
    assert turned.within_m == metrics_of(error_m).within_m


def test_no_photos_is_not_a_score() -> None:
    figures = metrics_of(np.empty(0))
    assert figures.photos == 0
    assert math.isnan(figures.rmse_m)
    assert all(math.isnan(share) for share in figures.within_m.values())
