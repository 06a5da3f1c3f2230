"""Stated uncertainty against actual errors: known distributions, brute force, invariants."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from train.evaluation.bootstrap import Clusters
from train.evaluation.calibration import abstention, area_under_risk, coverage, reliability, risk_coverage
from train.models.conformal import fit_inflation

RAYLEIGH_50, RAYLEIGH_90 = np.sqrt(2 * np.log(2)), np.sqrt(2 * np.log(10))
POSITIVE = st.floats(0.01, 1000)


def each(count: int) -> Clusters:
    return Clusters.of("photos", np.arange(count))


def rayleigh(scale: np.ndarray, seed: int) -> np.ndarray:
    """Return distances of round Gaussian errors with a standard deviation of `scale` metres per axis."""
    return np.hypot(*np.random.default_rng(seed).normal(size=(2, len(scale)))) * scale


@pytest.mark.slow
def test_true_regions_are_covered_as_claimed() -> None:
    scale = np.random.default_rng(0).uniform(2, 40, 4000)
    errors = rayleigh(scale, 1)
    for level, factor in ((0.5, RAYLEIGH_50), (0.9, RAYLEIGH_90)):
        found = coverage(errors, factor * scale, level, each(4000))
        assert found.observed == pytest.approx(level, abs=0.03)
        assert found.interval is not None
        assert found.interval.low <= level <= found.interval.high
        assert found.inflation_needed == pytest.approx(1, abs=0.05)


def test_inflation_corrects_regions_that_are_too_small() -> None:
    scale = np.random.default_rng(0).uniform(2, 40, 2000)
    factor = fit_inflation(RAYLEIGH_90 * scale / 3, rayleigh(scale, 2), 0.9)
    assert factor == pytest.approx(3, rel=0.08)
    assert np.mean(rayleigh(scale, 3) <= factor * RAYLEIGH_90 * scale / 3) == pytest.approx(0.9, abs=0.03)


@pytest.mark.parametrize(("level", "photos"), [(0.5, 7), (0.9, 19), (0.9, 50)])
def test_inflation_keeps_its_promise_for_few_photos(level: float, photos: int) -> None:
    """Split-conformal prediction covers at least `level`, and at most 1 / (n + 1) more, whatever n is."""
    rng = np.random.default_rng(5)
    hits = []
    for _ in range(2000):
        errors = rng.exponential(size=photos + 1)
        factor = fit_inflation(np.ones(photos), errors[:-1], level)
        hits.append(errors[-1] <= factor)
    assert level - 0.025 <= np.mean(hits) <= level + 1 / (photos + 1) + 0.025


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=1, max_size=60), st.sampled_from([0.5, 0.9]))
@settings(max_examples=60)
def test_inflated_regions_hold_at_least_the_level_of_their_own_photos(
    pairs: list[tuple[float, float]], level: float
) -> None:
    radius, error = np.array(pairs).T
    factor = fit_inflation(radius, error, level)
    inside = np.mean(error / radius <= factor * (1 + 1e-12))
    assert inside >= min(level, 1.0) - 1e-12


def test_inflation_leaves_out_photos_without_a_radius() -> None:
    assert fit_inflation(np.array([1.0, np.nan, 1.0]), np.array([2.0, 99.0, 2.0]), 0.5) == 2.0


@pytest.mark.parametrize("level", [0.0, 1.0, 1.5])
def test_inflation_wants_a_level_between_0_and_1(level: float) -> None:
    with pytest.raises(ValueError, match="level"):
        fit_inflation(np.ones(3), np.ones(3), level)


def test_inflation_wants_photos() -> None:
    with pytest.raises(ValueError, match="no photo"):
        fit_inflation(np.array([np.nan]), np.array([1.0]), 0.5)


def test_abstention_splits_the_photos_at_the_threshold() -> None:
    errors, uncertainty = np.array([1.0, 2.0, 30.0, 40.0]), np.array([5.0, 25.0, 25.1, 99.0])
    found = abstention(errors, uncertainty, np.full(4, np.nan), 25.0, each(4))
    assert found.answered == 2
    assert found.answered_share == 0.5
    assert found.figures.mean_m == 1.5
    assert found.not_sure.mean_m == 35.0


def test_abstention_from_everything_has_no_figures() -> None:
    found = abstention(np.array([1.0]), np.array([50.0]), np.array([1.0]), 25.0, each(1))
    assert found.answered == 0
    assert found.intervals is None
    assert np.isnan(found.figures.rmse_m)


def test_area_is_the_mean_of_the_running_means() -> None:
    errors, uncertainty = np.array([4.0, 1.0, 7.0]), np.array([2.0, 1.0, 3.0])
    assert area_under_risk(errors, uncertainty) == pytest.approx(np.mean([1, 2.5, 4]))


@given(st.lists(st.tuples(POSITIVE, POSITIVE), min_size=2, max_size=60))
@settings(max_examples=60)
def test_no_ranking_beats_the_true_errors(pairs: list[tuple[float, float]]) -> None:
    errors, uncertainty = np.array(pairs).T
    curve = risk_coverage(errors, uncertainty)
    assert curve.area_best <= curve.area + 1e-9
    assert curve.area_best <= curve.area_random + 1e-9
    assert curve.coverage[-1] == 1
    assert curve.mean_m[-1] == pytest.approx(errors.mean())
    assert all(np.diff(curve.coverage) > 0)


def test_uncertainty_that_says_nothing_is_a_flat_curve() -> None:
    errors = np.random.default_rng(0).exponential(size=200)
    curve = risk_coverage(errors, np.full(200, 7.0))
    assert curve.coverage == (1.0,)
    assert curve.area == pytest.approx(curve.area_random)


def test_reliability_groups_by_radius() -> None:
    scale = np.repeat([2.0, 20.0], 400)
    rows = reliability(rayleigh(scale, 4), RAYLEIGH_50 * scale)
    assert sum(row.photos for row in rows) == 800
    assert [row.inside for row in rows] == pytest.approx([0.5] * len(rows), abs=0.08)
    assert rows[-1].median_error_m > 5 * rows[0].median_error_m
    assert len(reliability(np.arange(9.0), np.ones(9))) == 1
