import numpy as np
import pytest

from img2gps.estimation.truth import drift_spread, error_widths, likeliest_factor
from img2gps.geo import FloatArray


def mixed_errors(rng: np.random.Generator, count: int) -> FloatArray:
    """Return errors (N, 2) of which nine in ten are small and one is large."""
    width_m = np.where(rng.random(count) < 0.9, 4.5, 25.0)
    return rng.normal(0, 1, (count, 2)) * width_m[:, None]


def test_errors_against_the_truth_come_out_of_errors_against_labels() -> None:
    rng = np.random.default_rng(1)
    error = mixed_errors(rng, 1500)
    apart_m = np.hypot(*(error + rng.normal(0, 6.7, error.shape)).T)
    true_m = np.hypot(*error.T)
    found = error_widths(apart_m, np.full(1500, 6.7))
    assert found.rmse_m == pytest.approx(np.sqrt(np.mean(true_m**2)), rel=0.1)
    assert found.quantile(0.5) == pytest.approx(np.median(true_m), rel=0.1)
    assert found.within(25) == pytest.approx(np.mean(true_m <= 25), abs=0.04)
    assert np.median(apart_m) > 1.4 * np.median(true_m)  # what nobody would have taken off


def test_exact_labels_change_nothing() -> None:
    rng = np.random.default_rng(2)
    true_m = np.hypot(*mixed_errors(rng, 800).T)
    found = error_widths(true_m, np.zeros(800))
    assert found.rmse_m == pytest.approx(np.sqrt(np.mean(true_m**2)))
    assert found.quantile(0.5) == pytest.approx(np.median(true_m), rel=0.08)


def test_what_a_walk_has_in_common_tells_how_far_labels_are_off() -> None:
    rng = np.random.default_rng(3)
    seconds = np.arange(30) * 20.0
    walks, apart = [], []
    for _ in range(15):
        drift = np.zeros((30, 2))
        last = rng.normal(0, 10, 2)
        for row in range(30):
            kept = np.exp(-20 / 90)
            last = kept * last + np.sqrt(1 - kept**2) * rng.normal(0, 10, 2)
            drift[row] = last
        labels_off = drift - rng.normal(0, 4, (30, 2))
        walks.append((labels_off, seconds, np.full(30, 7.0)))
        apart.append(np.hypot(*labels_off.T))
    widths = error_widths(np.concatenate(apart), np.full(450, 7.0))
    table = drift_spread(walks, widths)
    assert table.shape[0] == 15
    assert 1.03 < likeliest_factor(table) < 1.6  # what is known beforehand holds it back
    assert likeliest_factor(np.zeros_like(table)) == pytest.approx(1.0, abs=0.05)  # nothing known but what is usual
