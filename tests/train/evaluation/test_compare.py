"""Paired comparisons: a real difference is found, chance is not called one."""

import numpy as np
import pytest

from train.evaluation.bootstrap import Clusters
from train.evaluation.compare import compare_errors, compare_pairs

CLUSTERS = Clusters.of("walks", np.arange(400) // 20)


def shared_errors(seed: int) -> np.ndarray:
    """Return errors with a hard and an easy part per walk, as two models on the same photos share them."""
    rng = np.random.default_rng(seed)
    return rng.exponential(15, 20)[CLUSTERS.codes] + rng.exponential(5, 400)


def test_a_small_difference_is_found_where_photos_are_paired() -> None:
    """Each figure alone is uncertain by several metres; the difference of 1 m on the same photos is not."""
    errors = shared_errors(0)
    noise = np.random.default_rng(1).normal(0, 0.5, 400)
    found = compare_errors(("b", "a"), errors + 1 + noise, errors, CLUSTERS)
    assert found.intervals is not None
    assert found.intervals.mean_m is not None
    low, high = found.intervals.mean_m
    assert 0 < low < 1.05 < high + 0.2
    assert "a is better by more than chance" in found.sentence("mean_m")
    assert found.differences.mean_m == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_equal_runs_are_not_told_apart() -> None:
    rng = np.random.default_rng(2)
    called = 0
    for _ in range(20):
        base = shared_errors(int(rng.integers(1000)))
        a, b = (np.abs(base + rng.normal(0, 3, 20)[CLUSTERS.codes]) for _ in range(2))
        called += "more than chance" in compare_errors(("b", "a"), b, a, CLUSTERS).sentence("mean_m")
    assert called <= 4


def test_figures_and_differences_agree() -> None:
    a, b = shared_errors(3), shared_errors(4)
    found = compare_errors(("a", "b"), a, b, CLUSTERS).to_dict()
    assert found["differences"]["rmse_m"] == pytest.approx(found["figures_a"]["rmse_m"] - found["figures_b"]["rmse_m"])
    assert found["differences"]["within_m"]["25"] == pytest.approx(np.mean(a <= 25) - np.mean(b <= 25))
    assert found["sentence"].startswith("The median error of a is ")


def test_several_pairs_widen_each_interval() -> None:
    runs = {name: shared_errors(seed) for seed, name in enumerate("abc")}
    pairs = compare_pairs(runs, CLUSTERS)
    assert [(pair.run_a, pair.run_b) for pair in pairs] == [("b", "a"), ("c", "a"), ("c", "b")]
    assert pairs[0].level == pytest.approx(1 - 0.05 / 3)
    alone = compare_errors(("b", "a"), runs["b"], runs["a"], CLUSTERS)
    assert pairs[0].intervals is not None
    assert alone.intervals is not None
    assert pairs[0].intervals.mean_m is not None
    assert alone.intervals.mean_m is not None
    assert np.ptp(pairs[0].intervals.mean_m) > np.ptp(alone.intervals.mean_m)


def test_few_groups_give_no_verdict() -> None:
    clusters = Clusters.of("walks", [0, 0, 1])
    found = compare_errors(("a", "b"), np.ones(3), np.zeros(3), clusters)
    assert found.intervals is None
    assert "too few groups" in found.sentence()
