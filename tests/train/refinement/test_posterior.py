import dataclasses

import numpy as np
import pytest

from img2gps.geo import FloatArray
from train.refinement.places import PlaceEvidence
from train.refinement.posterior import ErrorModel, LabelledWalk, fitted_error_model, log_likelihood, positions

SQUARES = np.stack(np.meshgrid(np.arange(-20, 20), np.arange(-20, 20), indexing="ij"), axis=-1).reshape(-1, 2)
CELL_M = 4.0


def walk_of(rng: np.random.Generator, *, spread_m: float = 6.5, count: int = 24) -> tuple[LabelledWalk, FloatArray]:
    """Return a walk with drifting labels, seen by models that are 6 m off per axis, and its true places."""
    seconds = np.cumsum(rng.uniform(15, 40, count))
    truth = np.cumsum(rng.normal(0, 8, (count, 2)), axis=0)
    truth = np.clip(truth - truth.mean(axis=0), -45, 45)
    drift = np.zeros((count, 2))
    drift[0] = rng.normal(0, spread_m, 2)
    for row in range(1, count):
        kept = np.exp(-(seconds[row] - seconds[row - 1]) / 90)
        drift[row] = kept * drift[row - 1] + np.sqrt(1 - kept**2) * rng.normal(0, spread_m, 2)
    told = truth + rng.normal(0, 6, truth.shape)
    apart = ((SQUARES + 0.5) * CELL_M)[None] - told[:, None]
    log_probs = -(apart**2).sum(axis=2) / (2 * 11.0**2)  # a model says less than it knows
    log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
    evidence = PlaceEvidence(log_probs=log_probs.astype(np.float32), squares=SQUARES, size_m=CELL_M)
    walk = LabelledWalk(
        rows=np.arange(count),
        seconds=seconds,
        labels_m=truth + drift,
        evidence=evidence,
        device="a",
        usual_m=6.5,
        errors_m=np.full((count, 2), np.nan),
    )
    return walk, truth


def rms(errors_m: FloatArray) -> float:
    return float(np.sqrt((errors_m**2).sum(axis=1).mean()))


@pytest.mark.slow
def test_labels_come_nearer_to_the_truth_and_radii_hold_it() -> None:
    rng = np.random.default_rng(5)
    walks = [walk_of(rng) for _ in range(12)]
    model = fitted_error_model([walk for walk, _ in walks])
    before, after, inside = [], [], []
    for walk, truth in walks:
        found = positions(walk, model)
        error_m = np.hypot(*(found.xy - truth).T)
        before.append(rms(walk.labels_m - truth))
        after.append(rms(found.xy - truth))
        inside.append(np.mean(error_m <= found.radius_90_m))
        assert np.all(found.radius_50_m <= found.radius_90_m)
        assert found.gross.max() < 0.6
    assert np.mean(after) < 0.75 * np.mean(before)
    assert 0.75 < np.mean(inside) <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("spread_m", [6.5, 18.0])
def test_what_phones_err_by_is_found_also_where_it_is_far_more_than_expected(spread_m: float) -> None:
    rng = np.random.default_rng(9)
    walks = [walk_of(rng, spread_m=spread_m) for _ in range(10)]
    model = fitted_error_model([walk for walk, _ in walks])
    assert model.spread * 6.5 == pytest.approx(spread_m, rel=0.3)
    before = np.mean([rms(walk.labels_m - truth) for walk, truth in walks])
    after = np.mean([rms(positions(walk, model).xy - truth) for walk, truth in walks])
    assert after < (0.8 if spread_m == 6.5 else 0.5) * before


def test_a_place_that_a_person_told_pulls_its_neighbours() -> None:
    walk, truth = walk_of(np.random.default_rng(6))
    errors = np.full_like(walk.errors_m, np.nan)
    errors[::4] = (walk.labels_m - truth)[::4]
    told = dataclasses.replace(walk, errors_m=errors)
    plain, helped = (positions(one, ErrorModel()) for one in (walk, told))
    others = np.arange(len(truth)) % 4 != 0
    assert rms((helped.xy - truth)[others]) < rms((plain.xy - truth)[others])
    assert rms((helped.xy - truth)[~others]) < 3.0


def test_a_label_of_somewhere_else_is_found_out() -> None:
    walk, truth = walk_of(np.random.default_rng(7))
    labels = walk.labels_m.copy()
    labels[10] = truth[10] + [70.0, 0.0]
    found = positions(dataclasses.replace(walk, labels_m=labels), ErrorModel(anywhere=0.003))
    assert int(np.argmax(found.gross)) == 10
    assert found.gross[10] > 0.3


def test_evidence_of_these_places_is_likelier_than_of_others() -> None:
    rng = np.random.default_rng(8)
    walk, _ = walk_of(rng)
    other, _ = walk_of(rng)
    swapped = dataclasses.replace(walk, evidence=other.evidence)
    assert log_likelihood([walk], ErrorModel()) > log_likelihood([swapped], ErrorModel()) + 10
