"""Errors measured from refined positions, which are off themselves."""

import numpy as np
import pytest

from img2gps.estimation.placed import OWN_SHARE, PlacedErrors
from img2gps.geo import FloatArray

COUNT = 3000
ONCE = np.ones(COUNT)


def lengths(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.hypot(*vectors.T))


def test_answers_that_add_nothing_err_as_far_as_places_are_known() -> None:
    """Refined positions are drawn first, and the truth around them: then an answer is a fixed point beside both."""
    rng = np.random.default_rng(1)
    refined, spread_m = rng.normal(0, 60, (COUNT, 2)), rng.uniform(1, 5, COUNT)
    truth = refined + rng.normal(0, 1, (COUNT, 2)) * spread_m[:, None]
    answers = refined + rng.normal(0, 1, (COUNT, 2)) * np.where(rng.random(COUNT) < 0.9, 4, 40)[:, None]
    error_m = lengths(answers - truth)
    found = PlacedErrors.of(lengths(answers - refined), spread_m)
    assert found.rmse_m(ONCE) == pytest.approx(np.sqrt(np.mean(error_m**2)), rel=0.03)
    assert found.quantile(0.5, ONCE) == pytest.approx(np.median(error_m), rel=0.04)
    assert found.within(10, ONCE) == pytest.approx(np.mean(error_m <= 10), abs=0.02)


def test_of_answers_that_err_by_themselves_in_part_a_share_is_added() -> None:
    rng = np.random.default_rng(2)
    shared, own_place, own_answer = (rng.normal(0, spread, (COUNT, 2)) for spread in (2.4, 1.4, 3.0))
    refined, answers = shared + own_place, shared + own_answer  # around truths at zero
    spread_m = np.full(COUNT, np.hypot(2.4, 1.4) * np.sqrt(1.25))  # stated a little too wide
    error_m = lengths(answers)
    found = PlacedErrors.of(lengths(answers - refined), np.sqrt(OWN_SHARE) * spread_m)
    assert found.quantile(0.5, ONCE) == pytest.approx(np.median(error_m), rel=0.08)
    assert np.median(lengths(answers - refined)) < 0.9 * np.median(error_m)


def test_exact_places_change_nothing_and_counts_weigh() -> None:
    found = PlacedErrors.of(np.array([3.0, 40.0]), np.zeros(2))
    assert found.rmse_m(np.array([1.0, 1.0])) == pytest.approx(np.sqrt((9 + 1600) / 2))
    assert found.quantile(0.5, np.array([3.0, 1.0])) == pytest.approx(3.0, rel=0.1)
    assert found.within(25, np.array([3.0, 1.0])) == pytest.approx(0.75)
