"""Photos of several walks placed together: drifts cancel where walks share views, and false matches do no harm."""

import dataclasses

import numpy as np
import pytest

from img2gps.geo import FloatArray
from tests.train.refinement.test_posterior import CELL_M, SQUARES, rms
from train.refinement.joint import joint_positions
from train.refinement.matches import Matches
from train.refinement.places import PlaceEvidence
from train.refinement.posterior import ErrorModel, LabelledWalk, Positions

WALKS, STOPS = 7, 20


def drifting_walks(seed: int = 0) -> tuple[list[LabelledWalk], FloatArray, FloatArray]:
    """Return walks that pass the same stops with drifting labels, the true places and the labels, (N, 2) in metres."""
    rng = np.random.default_rng(seed)
    stops = rng.uniform(-70, 70, (STOPS, 2))
    nothing = PlaceEvidence(
        log_probs=np.full((STOPS, len(SQUARES)), -np.log(len(SQUARES)), np.float32), squares=SQUARES, size_m=CELL_M
    )
    walks, truth, labels = [], [], []
    for number in range(WALKS):
        places = stops + rng.normal(0, 1.0, stops.shape)
        seconds = np.cumsum(rng.uniform(20, 40, STOPS))
        drift = np.zeros((STOPS, 2))
        drift[0] = rng.normal(0, 6.5, 2)
        for row in range(1, STOPS):
            kept = np.exp(-(seconds[row] - seconds[row - 1]) / 90)
            drift[row] = kept * drift[row - 1] + np.sqrt(1 - kept**2) * rng.normal(0, 6.5, 2)
        walks.append(
            LabelledWalk(
                rows=np.arange(STOPS) + number * STOPS,
                seconds=seconds,
                labels_m=places + drift,
                evidence=nothing,
                device="a",
                usual_m=6.5,
                errors_m=np.full((STOPS, 2), np.nan),
            )
        )
        truth.append(places)
        labels.append(places + drift)
    return walks, np.concatenate(truth), np.concatenate(labels)


def true_matches() -> FloatArray:
    rows = np.arange(WALKS * STOPS).reshape(WALKS, STOPS)
    return np.concatenate(
        [np.stack([rows[one], rows[other]], axis=1) for one in range(WALKS) for other in range(one + 1, WALKS)]
    )


def matches(rows: FloatArray) -> Matches:
    return Matches(rows=rows.astype(np.int64), strength=np.full(len(rows), 0.5))


def at(labels_m: FloatArray) -> Positions:
    radius = np.full(len(labels_m), 10.0)
    return Positions(xy=labels_m, radius_50_m=radius, radius_90_m=radius, gross=np.zeros(len(labels_m)))


def test_walks_that_share_views_take_their_drifts_off_each_other() -> None:
    walks, truth, labels = drifting_walks()
    found, length_m = joint_positions(walks, ErrorModel(), at(labels), matches(true_matches()))
    assert length_m == 2.5
    assert rms(found.xy - truth) < 0.45 * rms(labels - truth)
    inside = np.hypot(*(found.xy - truth).T) <= found.radius_90_m
    assert inside.mean() > 0.85
    assert found.radius_90_m.max() < 10.0


def test_false_matches_of_far_views_hardly_pull() -> None:
    walks, truth, labels = drifting_walks(1)
    rng = np.random.default_rng(2)
    false = np.sort(rng.integers(0, len(labels), (150, 2)), axis=1)
    apart = np.hypot(*(truth[false[:, 0]] - truth[false[:, 1]]).T)
    good = true_matches()
    clean, _ = joint_positions(walks, ErrorModel(), at(labels), matches(good))
    mixed, _ = joint_positions(walks, ErrorModel(), at(labels), matches(np.concatenate([good, false[apart > 40]])))
    assert rms(mixed.xy - truth) < rms(clean.xy - truth) + 0.5


def test_matches_that_stay_apart_are_not_trusted() -> None:
    """Labels that do not drift, and matches of which most are false: as where people placed the photos."""
    walks, truth, _ = drifting_walks(5)
    placed = [dataclasses.replace(walk, labels_m=truth[walk.rows]) for walk in walks]
    rng = np.random.default_rng(6)
    false = np.sort(rng.integers(0, len(truth), (1000, 2)), axis=1)
    false = false[false[:, 0] != false[:, 1]]
    found, length_m = joint_positions(placed, ErrorModel(), at(truth), matches(false))
    assert length_m > 5.0
    assert rms(found.xy - truth) < 2.0


@pytest.mark.parametrize("noise_m", [3.0, 13.0])
def test_matches_serve_phones_that_err_little_and_much(noise_m: float) -> None:
    walks, truth, labels = drifting_walks(7)
    scaled = truth + (labels - truth) * noise_m / 6.5
    drifted = [dataclasses.replace(walk, labels_m=scaled[walk.rows], usual_m=noise_m) for walk in walks]
    rng = np.random.default_rng(8)
    false = np.sort(rng.integers(0, len(labels), (150, 2)), axis=1)
    rows = np.concatenate([true_matches(), false[false[:, 0] != false[:, 1]]])
    found, _ = joint_positions(drifted, ErrorModel(), at(scaled), matches(rows))
    assert rms(found.xy - truth) < 0.6 * rms(scaled - truth)


def test_without_matches_labels_stay_where_they_are() -> None:
    walks, _, labels = drifting_walks(3)
    found, _ = joint_positions(walks, ErrorModel(), at(labels), matches(np.zeros((0, 2))))
    np.testing.assert_allclose(found.xy, labels, atol=1e-6)


def test_a_told_place_is_kept_and_pulls_other_walks() -> None:
    walks, truth, labels = drifting_walks(4)
    errors = np.where(np.arange(STOPS)[:, None] % 2 == 0, walks[0].labels_m - truth[:STOPS], np.nan)
    told = [dataclasses.replace(walks[0], errors_m=errors), *walks[1:]]
    plain, helped = (
        joint_positions(one, ErrorModel(), at(labels), matches(true_matches()))[0] for one in (walks, told)
    )
    assert rms((helped.xy - truth)[:STOPS:2]) < 2.5
    assert rms((helped.xy - truth)[STOPS:]) < rms((plain.xy - truth)[STOPS:])


def test_a_match_needs_both_sides() -> None:
    index = np.array([[1, 2], [0, 3], [3, 1], [2, 0]])
    share = np.array([[0.9, 0.1], [0.8, 0.2], [0.99, 0.01], [0.01, 0.99]])
    found = Matches.mutual(index, share)
    assert found.rows.tolist() == [[0, 1], [2, 3]]
    assert found.strength == pytest.approx([np.sqrt(0.72), np.sqrt(0.0099)])


def test_models_that_compare_no_photos_find_no_match() -> None:
    assert len(Matches.mutual(np.zeros((4, 2), dtype=np.int64), np.zeros((4, 2)))) == 0


def test_photos_that_look_elsewhere_do_not_match() -> None:
    heading_deg = np.array([350.0, 20.0, 90.0, np.nan])
    found = matches(np.array([[0, 1], [0, 2], [1, 2], [0, 3]])).facing(heading_deg)
    assert found.rows.tolist() == [[0, 1], [0, 3]]
    assert len(found.strength) == 2


def test_how_far_matched_photos_lie_apart() -> None:
    xy = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    assert matches(np.array([[0, 1], [0, 2], [0, 1]])).apart_m(xy) == 5.0
    assert matches(np.zeros((0, 2))).apart_m(xy) is None
