"""Intervals: they cover what they claim on data whose truth is known, and resampling is what it says."""

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from img2gps.metrics import metrics_of
from train.evaluation import bootstrap
from train.evaluation.bootstrap import (
    Clusters,
    clusters_of,
    figure_intervals,
    figure_samples,
    figure_values,
    interval,
    mean_interval,
)
from train.evaluation.per_figure import Figures, figures_of

ERRORS = st.lists(st.floats(0, 500), min_size=1, max_size=40).map(np.array)


def test_figures_are_those_of_metrics_in_order() -> None:
    errors = np.random.default_rng(0).exponential(20, 57)
    found, metrics = Figures.of(figure_values(errors).tolist()), metrics_of(errors)
    assert (found.rmse_m, found.mean_m, found.median_m, found.p90_m) == (
        metrics.rmse_m,
        metrics.mean_m,
        metrics.median_m,
        metrics.p90_m,
    )
    assert found.within_m == metrics.within_m


@given(errors=ERRORS, seed=st.integers(0, 1000))
@settings(max_examples=40)
def test_resampled_figures_equal_the_figures_of_repeated_photos(errors: np.ndarray, seed: int) -> None:
    """Weights must give exactly what repeating the photos gives, the quantiles' interpolation included."""
    clusters = Clusters.of("walks", np.random.default_rng(seed).integers(0, 6, len(errors)))
    samples = figure_samples(errors, clusters, replicates=5, seed=seed)
    drawn = np.concatenate(list(bootstrap._drawn(clusters, 5, seed)))
    for sample, times in zip(samples, drawn, strict=True):
        repeated = np.repeat(errors, times[clusters.codes])
        np.testing.assert_allclose(sample, figure_values(repeated), rtol=1e-9, atol=1e-9)


def test_every_resample_draws_as_many_clusters_as_there_are() -> None:
    drawn = np.concatenate(list(bootstrap._drawn(Clusters.of("walks", ["a"] * 3 + ["b"] * 5 + ["c"]), 500, 1)))
    assert drawn.shape == (500, 3)
    assert set(drawn.sum(axis=1)) == {3}
    np.testing.assert_allclose(drawn.mean(axis=0), 1, atol=0.12)


def test_blocks_do_not_change_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    errors = np.random.default_rng(0).exponential(20, 60)
    clusters = Clusters.of("walks", np.arange(60) // 5)
    whole = figure_samples(errors, clusters, replicates=30)
    monkeypatch.setattr(bootstrap, "_CHUNK_CELLS", 60 * 7)
    np.testing.assert_allclose(figure_samples(errors, clusters, replicates=30), whole)


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "size", "between"), [(8, 20, 1.0), (30, 10, 1.0), (30, 10, 0.0)])
def test_interval_covers_the_true_mean_of_clustered_data(
    groups: int, size: int, between: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Normal values with a shared part per group: the 95 % interval must hold the mean in about 95 % of repetitions."""
    monkeypatch.setattr(bootstrap, "REPLICATES", 300)
    rng = np.random.default_rng(7)
    clusters = Clusters.of("groups", np.repeat(np.arange(groups), size))
    hits = []
    for repetition in range(200):
        values = 10 + between * rng.normal(size=groups)[clusters.codes] + rng.normal(size=groups * size)
        bounds = mean_interval(values, clusters, seed=repetition)
        assert bounds is not None
        hits.append(bounds[0] <= 10 <= bounds[1])
    assert 0.90 <= np.mean(hits) <= 0.99


def test_ignoring_the_groups_would_not_cover(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason this module exists: photo by photo, the same data gives intervals that are far too narrow."""
    monkeypatch.setattr(bootstrap, "REPLICATES", 200)
    rng = np.random.default_rng(7)
    groups = np.repeat(np.arange(10), 20)
    alone = Clusters.of("photos", np.arange(200))
    hits = []
    for _ in range(100):
        values = rng.normal(size=10)[groups] + 0.2 * rng.normal(size=200)
        bounds = mean_interval(values, alone)
        assert bounds is not None
        hits.append(bounds[0] <= 0 <= bounds[1])
    assert np.mean(hits) < 0.6


def test_intervals_hold_their_figure() -> None:
    errors = np.random.default_rng(3).exponential(20, 400)
    clusters = Clusters.of("walks", np.arange(400) // 20)
    bounds = figure_intervals(errors, clusters)
    assert bounds is not None
    figures = figures_of(metrics_of(errors))
    assert set(bounds.within_m) == set(figures.within_m)
    for ends, figure in zip(bounds.values(), figures.values(), strict=True):
        assert ends is not None
        assert ends.low <= figure <= ends.high


def test_few_groups_give_no_interval() -> None:
    clusters = Clusters.of("walks", [0, 0, 1, 1, 2, 3])
    assert figure_intervals(np.arange(6.0), clusters) is None
    assert mean_interval(np.arange(6.0), clusters) is None


def test_a_share_never_seen_is_not_called_impossible() -> None:
    """Of 10 independent photos none is within 5 m: with 95 % confidence up to 31 % could be (Clopper-Pearson)."""
    clusters = Clusters.of("walks", np.arange(10))
    bounds = figure_intervals(np.full(10, 7.0), clusters)
    assert bounds is not None
    assert bounds.within_m["5"] == pytest.approx((0, 0.3085), abs=1e-4)
    assert bounds.within_m["10"] == pytest.approx((0.6915, 1), abs=1e-4)
    assert mean_interval(np.zeros(10), clusters) == pytest.approx((0, 0.3085), abs=1e-4)
    assert mean_interval(np.full(10, 3.0), clusters) == (3, 3)


def test_fewer_groups_widen_the_interval() -> None:
    samples = np.random.default_rng(0).normal(size=20_000)
    widths = [high - low for low, high in (interval(samples, n) or (0, 0) for n in (6, 12, 1000))]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] == pytest.approx(2 * 1.96, rel=0.05)


def test_walks_from_eight_on_else_groups() -> None:
    def frame(walks: int) -> pd.DataFrame:
        walk = [f"w{number}" for number in range(walks) for _ in range(4)]
        group = [f"g{number // 2}" for number in range(4 * walks)]
        return pd.DataFrame({"walk": walk, "group": group})

    assert (clusters_of(frame(8)).unit, clusters_of(frame(8)).count) == ("walks", 8)
    assert (clusters_of(frame(7)).unit, clusters_of(frame(7)).count) == ("bursts and positions", 14)


@given(codes=st.lists(st.integers(0, 5), min_size=1, max_size=30), data=st.data())
@settings(max_examples=30)
def test_taking_photos_keeps_who_belongs_together(codes: list[int], data: st.DataObject) -> None:
    clusters = Clusters.of("walks", codes)
    rows = np.array(data.draw(st.lists(st.integers(0, len(codes) - 1), min_size=1, unique=True)))
    taken = clusters.take(rows)
    assert taken.count == len({codes[row] for row in rows})
    for (a, row_a), (b, row_b) in itertools.combinations(enumerate(rows), 2):
        assert (taken.codes[a] == taken.codes[b]) == (codes[row_a] == codes[row_b])
