import numpy as np
import pytest

from img2gps.estimation.drift import Drift, drift_along_walk, drift_offsets, walk_log_likelihood
from img2gps.geo import FloatArray

TRUE = Drift(spread_m=6.0, lasting_s=90.0)
OFFSETS = drift_offsets(6.0)
SECONDS = np.arange(40) * 15.0


def drawn(rng: np.random.Generator, spread_m: float = 6.0) -> FloatArray:
    """Return a drift (N, 2) at SECONDS, as `Drift` describes it."""
    kept = np.exp(-np.diff(SECONDS, prepend=-np.inf) / TRUE.lasting_s)
    errors = np.zeros((len(SECONDS), 2))
    last = np.zeros(2)
    for row, share in enumerate(kept):
        last = share * last + np.sqrt(1 - share**2) * rng.normal(0, spread_m, 2)
        errors[row] = last
    return errors


def seen(drifts: FloatArray, rng: np.random.Generator, spread_m: float = 9.0) -> FloatArray:
    """Return what photos show of drifts, each off by `spread_m` per axis: likelihoods (N, G, G)."""
    told = drifts + rng.normal(0, spread_m, drifts.shape)
    along = [np.exp(-((OFFSETS[None] - told[:, axis, None]) ** 2) / (2 * spread_m**2)) for axis in (0, 1)]
    return along[0][:, :, None] * along[1][:, None, :]


def mean_of(probs: FloatArray) -> FloatArray:
    grid = np.stack(np.meshgrid(OFFSETS, OFFSETS, indexing="ij"), axis=-1).reshape(-1, 2)
    return probs.reshape(len(probs), -1) @ grid


def rms(errors_m: FloatArray) -> float:
    return float(np.sqrt((errors_m**2).sum(axis=1).mean()))


def test_a_drift_is_found_better_than_one_photo_tells_it_and_better_than_without_any() -> None:
    rng = np.random.default_rng(1)
    left, without = [], []
    for _ in range(12):
        drifts = drawn(rng)
        along = drift_along_walk(seen(drifts, rng), SECONDS, TRUE, OFFSETS)
        left.append(rms(mean_of(along.probs) - drifts))
        without.append(rms(drifts))
    assert np.mean(left) < 0.72 * np.mean(without)


def test_what_a_photo_shows_has_no_part_in_what_the_others_say_of_it() -> None:
    rng = np.random.default_rng(2)
    likelihood = seen(drawn(rng), rng)
    other = likelihood.copy()
    other[17] = seen(np.full((40, 2), 15.0), rng)[17]
    before, after = (drift_along_walk(one, SECONDS, TRUE, OFFSETS) for one in (likelihood, other))
    np.testing.assert_allclose(before.without_own[17], after.without_own[17], atol=1e-12)
    assert np.abs(before.without_own[18] - after.without_own[18]).max() > 1e-6


def test_the_likelihood_tells_how_large_drifts_are() -> None:
    rng = np.random.default_rng(3)
    walks = [seen(drawn(rng), rng, 4.0) for _ in range(15)]
    spreads = (2.0, 6.0, 12.0)
    totals = [
        sum(walk_log_likelihood(one, SECONDS, Drift(spread_m=spread, lasting_s=90.0), OFFSETS) for one in walks)
        for spread in spreads
    ]
    assert spreads[int(np.argmax(totals))] == 6.0
    whole = drift_along_walk(walks[0], SECONDS, TRUE, OFFSETS)
    assert whole.log_likelihood == pytest.approx(walk_log_likelihood(walks[0], SECONDS, TRUE, OFFSETS))
