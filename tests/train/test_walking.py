"""Photos of one walk located together, on a line of cells where the answer is plain."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from train.heads import walking
from train.heads.cells import Cells
from train.heads.walking import walk_log_shares

CELLS = Cells(
    centres=torch.stack([torch.arange(100, dtype=torch.float32) + 0.5, torch.full((100,), 0.5)], dim=1), size_m=1.0
)


def seen_at(*places: tuple[float, float], spread_m: float = 3.0) -> Tensor:
    """Return the log shares (1, 100) of a photo that looks like each place (east_m, share)."""
    east = CELLS.centres[:, 0]
    shares = torch.full((100,), 1e-4)
    for place_m, share in places:
        bump = torch.exp(-(east - place_m).square() / (2 * spread_m**2))
        shares = shares + share * bump / bump.sum()
    return torch.log(shares / shares.sum())[None]


def places_of(log_shares: Tensor) -> list[float]:
    """Return the most likely place (m) of each photo."""
    return [float(east) for east in CELLS.centres[log_shares.argmax(dim=1), 0]]


def test_a_photo_that_could_be_of_two_places_is_of_the_one_near_its_neighbours() -> None:
    walk = torch.cat([seen_at((20, 1)), seen_at((24, 0.4), (80, 0.6)), seen_at((28, 1))])
    assert places_of(walk)[1] == pytest.approx(80, abs=1)
    found = places_of(walk_log_shares(walk, np.array([0.0, 20.0, 40.0]), CELLS))
    assert found == pytest.approx([20, 24, 28], abs=4)


def test_the_doubtful_are_helped_by_those_before_and_by_those_after() -> None:
    doubtful = seen_at((20, 0.5), (80, 0.5))
    for order in ([seen_at((80, 1)), doubtful], [doubtful, seen_at((80, 1))]):
        found = walk_log_shares(torch.cat(order), np.array([0.0, 10.0]), CELLS)
        assert places_of(found) == pytest.approx([80, 80], abs=3)


def test_time_enough_to_walk_there_leaves_every_photo_its_own_place() -> None:
    walk = torch.cat([seen_at((10, 1)), seen_at((90, 1))])
    found = walk_log_shares(walk, np.array([0.0, 590.0]), CELLS)
    assert places_of(found) == pytest.approx([10, 90], abs=1)
    assert torch.allclose(found.exp(), walk.exp(), atol=0.02)


def test_one_photo_of_something_else_does_not_take_the_walk_along() -> None:
    walk = torch.cat([seen_at((20 + k, 1)) if k != 5 else seen_at((90, 1)) for k in range(10)])
    found = places_of(walk_log_shares(walk, np.arange(10) * 20.0, CELLS))
    assert [place for k, place in enumerate(found) if k != 5] == pytest.approx(
        [20 + k for k in range(10) if k != 5], abs=4
    )


@given(count=st.integers(2, 30))
def test_a_burst_is_no_surer_than_one_photo(count: int) -> None:
    one = seen_at((30, 0.6), (70, 0.4))
    found = walk_log_shares(one.expand(count, -1), np.zeros(count), CELLS).exp()
    left = found[:, :50].sum(dim=1)
    # the same photo ten times is the same evidence, but for the few metres that standing allows
    assert left.numpy() == pytest.approx(np.full(count, 0.6), abs=0.05)


@given(seconds=st.lists(st.floats(0, 120), min_size=1, max_size=12))
def test_weights_are_one_over_the_photos_nearby(seconds: list[float]) -> None:
    times = np.sort(np.asarray(seconds))
    expected = 1 / np.exp(-np.abs(times[:, None] - times[None]) / 15.0).sum(axis=1)
    assert walking._weights(times).numpy() == pytest.approx(expected, rel=1e-9)


@given(
    gaps=st.lists(st.floats(0, 600), min_size=1, max_size=6),
    data=st.data(),
)
def test_a_walk_backwards_is_the_same_walk(gaps: list[float], data: st.DataObject) -> None:
    count = len(gaps) + 1
    places = data.draw(st.lists(st.floats(5, 95), min_size=count, max_size=count))
    walk = torch.cat([seen_at((place, 1)) for place in places])
    seconds = np.concatenate([[0.0], np.cumsum(gaps)])
    there = walk_log_shares(walk, seconds, CELLS)
    back = walk_log_shares(walk.flip(0), seconds[-1] - seconds[::-1], CELLS)
    assert torch.isfinite(there).all()
    assert torch.allclose(there.exp().sum(dim=1), torch.ones(count), atol=1e-4)
    # steps from the line's ends have fewer places to go to, so that the two need not agree to the last digit
    assert places_of(there) == pytest.approx(places_of(back.flip(0)), abs=6)


def test_a_site_of_more_cells_than_states_is_walked_in_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    walk = torch.cat([seen_at((20, 1)), seen_at((24, 0.4), (80, 0.6)), seen_at((28, 1))])
    seconds = np.array([0.0, 20.0, 40.0])
    fine = walk_log_shares(walk, seconds, CELLS)
    monkeypatch.setattr(walking, "_MOST_STATES", 40)
    states = walking._states(CELLS)
    assert int(states.max()) < 40
    assert [int(state) for state in states[:6]] == [0, 0, 0, 1, 1, 1]
    coarse = walk_log_shares(walk, seconds, CELLS)
    assert places_of(coarse) == pytest.approx(places_of(fine), abs=3)
    assert torch.allclose(coarse.exp().sum(dim=1), torch.ones(3), atol=1e-4)


def test_a_walk_is_found_again_through_the_noise() -> None:
    """Somebody walks 80 m in 400 s; a third of the photos look like some place they were not taken at."""
    rng = np.random.default_rng(0)
    seconds, truth = np.arange(41) * 10.0, np.linspace(10, 90, 41)
    looks = np.where(rng.random(41) < 1 / 3, rng.uniform(0, 100, 41), truth + rng.normal(0, 5, 41))
    walk = torch.cat([seen_at((float(look), 1), spread_m=5.0) for look in looks])
    errors = [np.abs(np.asarray(places_of(shares)) - truth) for shares in (walk, walk_log_shares(walk, seconds, CELLS))]
    alone, together = (math.sqrt(float(np.mean(error**2))) for error in errors)
    assert together < 0.4 * alone
