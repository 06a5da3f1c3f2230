"""Photos of one walk located together, on a line of cells where the answer is plain."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from img2gps.walks import evidence_weights
from train.models import walks as walking
from train.models.grid import Cells, site_cells
from train.models.walks import WalkSmoother

CELLS = Cells(
    centres=torch.stack([torch.arange(100, dtype=torch.float32) + 0.5, torch.full((100,), 0.5)], dim=1), size_m=1.0
)


def walk_log_shares(log_probs: Tensor, seconds: NDArray[np.float64], cells: Cells) -> Tensor:
    """Return the shares of a walk on the grid around the cells."""
    return WalkSmoother.around(cells).log_probs(log_probs, seconds)


def shown_at(*places: tuple[float, float], spread_m: float = 3.0) -> Tensor:
    """Return the log-probabilities (1, 100) of a photo by places and their probabilities, (east_m, probability)."""
    east = CELLS.centres[:, 0]
    probs = torch.full((100,), 1e-4)
    for place_m, share in places:
        bump = torch.exp(-(east - place_m).square() / (2 * spread_m**2))
        probs = probs + share * bump / bump.sum()
    return torch.log(probs / probs.sum())[None]


def places_of(log_probs: Tensor) -> list[float]:
    """Return the most likely place (m) of each photo."""
    return [float(east) for east in CELLS.centres[log_probs.argmax(dim=1), 0]]


def test_a_photo_that_could_be_of_two_places_is_of_the_one_near_its_neighbours() -> None:
    walk = torch.cat([shown_at((20, 1)), shown_at((24, 0.4), (80, 0.6)), shown_at((28, 1))])
    assert places_of(walk)[1] == pytest.approx(80, abs=1)
    found = places_of(walk_log_shares(walk, np.array([0.0, 20.0, 40.0]), CELLS))
    assert found == pytest.approx([20, 24, 28], abs=4)


def test_the_doubtful_are_helped_by_those_before_and_by_those_after() -> None:
    doubtful = shown_at((20, 0.5), (80, 0.5))
    for order in ([shown_at((80, 1)), doubtful], [doubtful, shown_at((80, 1))]):
        found = walk_log_shares(torch.cat(order), np.array([0.0, 10.0]), CELLS)
        assert places_of(found) == pytest.approx([80, 80], abs=3)


def test_time_enough_to_walk_there_leaves_every_photo_its_own_place() -> None:
    walk = torch.cat([shown_at((10, 1)), shown_at((90, 1))])
    found = walk_log_shares(walk, np.array([0.0, 590.0]), CELLS)
    assert places_of(found) == pytest.approx([10, 90], abs=1)
    assert torch.allclose(found.exp(), walk.exp(), atol=0.02)


def test_one_photo_of_something_else_does_not_take_the_walk_along() -> None:
    walk = torch.cat([shown_at((20 + k, 1)) if k != 5 else shown_at((90, 1)) for k in range(10)])
    found = places_of(walk_log_shares(walk, np.arange(10) * 20.0, CELLS))
    assert [place for k, place in enumerate(found) if k != 5] == pytest.approx(
        [20 + k for k in range(10) if k != 5], abs=4
    )


def test_a_burst_that_is_sure_and_wrong_does_not_take_the_walk_along() -> None:
    """What no training photo shows is found somewhere else, by all of a burst, and without a doubt."""
    certain = torch.full((100,), -40.0)
    certain[92:98] = 0.0
    sure = torch.log_softmax(certain, dim=0)[None]
    walk = torch.cat([shown_at((20, 1)), shown_at((26, 1)), sure, sure, sure, shown_at((34, 1)), shown_at((38, 1))])
    found = places_of(walk_log_shares(walk, np.array([0.0, 20.0, 40.0, 41.0, 42.0, 60.0, 80.0]), CELLS))
    assert found == pytest.approx([20, 26, 30, 30, 30, 34, 38], abs=6)


@given(count=st.integers(2, 30))
def test_a_burst_is_no_surer_than_one_photo(count: int) -> None:
    one = shown_at((30, 0.6), (70, 0.4))
    found = walk_log_shares(one.expand(count, -1), np.zeros(count), CELLS).exp()
    left = found[:, :50].sum(dim=1)
    # the same photo ten times is the same evidence, but for the few metres that standing allows
    assert left.numpy() == pytest.approx(np.full(count, 0.6), abs=0.05)


@given(seconds=st.lists(st.floats(0, 120), min_size=1, max_size=12))
def test_weights_are_one_over_the_photos_nearby(seconds: list[float]) -> None:
    times = np.sort(np.asarray(seconds))
    expected = 1 / np.exp(-np.abs(times[:, None] - times[None]) / 15.0).sum(axis=1)
    assert evidence_weights(times) == pytest.approx(expected, rel=1e-9)


@pytest.mark.slow
@given(
    places=st.lists(st.tuples(st.integers(-40, 40), st.integers(-40, 40)), min_size=2, max_size=7, unique=True),
    seconds=st.lists(st.integers(0, 100), min_size=1, max_size=4, unique=True),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40)
def test_shares_are_those_of_every_way_through_the_cells(
    places: list[tuple[int, int]], seconds: list[int], seed: int
) -> None:
    """Few cells and photos: every way that the walk can have taken is weighed by hand."""
    cells = Cells(centres=torch.tensor(places, dtype=torch.float32) + 0.5, size_m=1.0)
    times = np.sort(np.asarray(seconds, dtype=np.float64))
    rng = np.random.default_rng(seed)
    log_probs = np.log(rng.dirichlet(np.ones(len(places)), len(times)))
    alike = np.exp(-np.abs(times[:, None] - times[None]) / 15.0).sum(axis=1)
    evidence = (0.97 * np.exp(log_probs) + 0.03 / len(places)) ** (1 / alike[:, None])
    steps = [_step(np.asarray(places, dtype=np.float64), gap) for gap in np.diff(times)]
    total = np.zeros_like(evidence)
    for way in itertools.product(range(len(places)), repeat=len(times)):
        weight = math.prod(evidence[row, cell] for row, cell in enumerate(way))
        weight *= math.prod(step[a, b] for step, (a, b) in zip(steps, itertools.pairwise(way), strict=True))
        for row, cell in enumerate(way):
            total[row, cell] += weight
    expected = total / total.sum(axis=1, keepdims=True)
    found = walk_log_shares(torch.from_numpy(log_probs).float(), times, cells).exp().numpy()
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)


def _step(places: NDArray[np.float64], gap_s: float) -> NDArray[np.float64]:
    """Return how likely each place follows each: a Gaussian, doubly stochastic, and a thousandth of anything."""
    width_m = math.hypot(3.0 + 0.7 * gap_s, 1 / math.sqrt(6))
    width_m = 1.3 ** round(math.log(width_m, 1.3))
    near = np.exp(-((places[:, None] - places[None]) ** 2).sum(axis=2) / (2 * width_m**2))
    for _ in range(500):
        near = near / np.sqrt(near.sum(axis=0) * near.sum(axis=1)[:, None])
    step: NDArray[np.float64] = 0.999 * near + 0.001 / len(places)
    return step


@pytest.mark.parametrize("gap_s", [5.0, 20.0, 60.0, 120.0])
def test_photos_that_show_nothing_prefer_no_place(gap_s: float) -> None:
    """A plaza and a lane that leads off it: what one photo shows stands, however many others show nothing."""
    plaza = [(east, north) for east in range(20) for north in range(20)]
    lane = [(east, 10) for east in range(20, 60)]
    places = torch.tensor([*plaza, *lane], dtype=torch.float32)
    cells = Cells(centres=4.0 * places + 2.0, size_m=4.0)
    on_lane = torch.arange(len(cells)) >= len(plaza)
    flat = torch.full((21, len(cells)), -math.log(len(cells)))
    found = walk_log_shares(flat, np.arange(21) * gap_s, cells).exp()
    assert float(found.max() / found.min()) < 1.05
    if gap_s < 60:
        return  # so near to each other, they all count as one
    flat[10] = torch.log(torch.where(on_lane, 0.67 / on_lane.sum(), 0.33 / (~on_lane).sum()))
    found = walk_log_shares(flat, np.arange(21) * gap_s, cells).exp()
    # but for the 3 % that are left for a photo that misleads
    shown = 0.97 * 0.67 + 0.03 * float(on_lane.float().mean())
    assert float(found[10, on_lane].sum()) == pytest.approx(shown, abs=0.03)


@pytest.mark.slow
@given(gaps=st.lists(st.integers(0, 600), min_size=1, max_size=6), data=st.data())
def test_a_walk_backwards_is_the_same_walk(gaps: list[int], data: st.DataObject) -> None:
    count = len(gaps) + 1
    places = data.draw(st.lists(st.floats(5, 95), min_size=count, max_size=count))
    walk = torch.cat([shown_at((place, 1)) for place in places])
    seconds = np.concatenate([[0.0], np.cumsum(gaps)])
    there = walk_log_shares(walk, seconds, CELLS).exp()
    back = walk_log_shares(walk.flip(0), seconds[-1] - seconds[::-1], CELLS).exp()
    assert torch.allclose(there, back.flip(0), atol=1e-4)
    assert torch.allclose(there.sum(dim=1), torch.ones(count), atol=1e-4)


def test_photos_of_one_second_have_no_order() -> None:
    walk = torch.cat([shown_at((20, 1)), shown_at((30, 1)), shown_at((60, 0.5), (26, 0.5)), shown_at((28, 1))])
    seconds = np.array([0.0, 5.0, 5.0, 9.0])
    found = walk_log_shares(walk, seconds, CELLS)
    swapped = walk_log_shares(walk[[0, 2, 1, 3]], seconds, CELLS)
    assert torch.allclose(found[[0, 2, 1, 3]].exp(), swapped.exp(), atol=1e-6)


def test_where_the_origin_is_does_not_matter() -> None:
    walk = torch.cat([shown_at((20, 1)), shown_at((24, 0.4), (80, 0.6)), shown_at((28, 1))])
    seconds = np.array([0.0, 20.0, 40.0])
    far = Cells(centres=CELLS.centres + 100_000.0, size_m=1.0)
    near, away = (walk_log_shares(walk, seconds, cells).exp() for cells in (CELLS, far))
    assert torch.allclose(near, away, atol=1e-5)


@pytest.mark.parametrize(("most_squares", "side_m"), [(50, 2.0), (34, 3.0), (20, 5.0)])
def test_many_cells_are_walked_in_larger_squares(
    monkeypatch: pytest.MonkeyPatch, most_squares: int, side_m: float
) -> None:
    """Somebody crosses squares of 2, 3 and 5 m at 1 m/s, a photo every second: the squares must not hold them."""
    truth = np.arange(10.0, 90.0)
    found_m = truth + np.random.default_rng(0).normal(0, 3, len(truth))
    walk = torch.cat([shown_at((float(east_m), 1), spread_m=4.0) for east_m in found_m])
    monkeypatch.setattr(walking, "_MOST_SQUARES", most_squares)
    assert WalkSmoother.around(CELLS).side_m == side_m
    found = walk_log_shares(walk, truth, CELLS)
    assert torch.allclose(found.exp().sum(dim=1), torch.ones(len(truth)), atol=1e-4)
    medians = CELLS.centres[(found.exp().cumsum(dim=1) < 0.5).sum(dim=1), 0].numpy()
    assert float(np.abs(medians - truth).max()) < 8
    assert float(np.abs(medians - truth).mean()) < float(np.abs(found_m - truth).mean())


def test_what_a_square_is_parted_by_is_what_the_photos_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "_MOST_SQUARES", 34)
    sharp = torch.full((2, 100), -60.0)
    sharp[:, 40] = 0.0  # the second cell of a square of three
    found = walk_log_shares(sharp, np.array([0.0, 100.0]), CELLS).exp()
    assert (found[:, 40] > 0.96).all()  # of 0.97: the rest is left for a photo that misleads
    assert (found[:, [39, 41]] < 0.01).all()


@pytest.mark.slow
@pytest.mark.parametrize("extent_m", [1e4, 1e6, 2e7])
def test_a_far_flung_site_has_a_grid_of_bounded_size(extent_m: float) -> None:
    rng = np.random.default_rng(0)
    line = np.stack([rng.uniform(0, extent_m, 400), rng.uniform(0, 100, 400)], axis=1)
    for xy in (line, rng.uniform(0, extent_m, (400, 2))):
        grid = WalkSmoother.around(site_cells(xy, size_m=4.0, reach_m=14.0))
        lines = (len(grid.east_m), len(grid.north_m))
        assert max(lines) <= walking._MOST_LINES
        assert math.prod(lines) <= walking._MOST_SQUARES


def test_a_walk_is_found_again_through_the_noise() -> None:
    """Somebody walks 80 m in 400 s; a third of the photos look like some place they were not taken at."""
    rng = np.random.default_rng(0)
    seconds, truth = np.arange(41) * 10.0, np.linspace(10, 90, 41)
    found_m = np.where(rng.random(41) < 1 / 3, rng.uniform(0, 100, 41), truth + rng.normal(0, 5, 41))
    walk = torch.cat([shown_at((float(east_m), 1), spread_m=5.0) for east_m in found_m])
    errors = [np.abs(np.asarray(places_of(probs)) - truth) for probs in (walk, walk_log_shares(walk, seconds, CELLS))]
    alone, together = (math.sqrt(float(np.mean(error**2))) for error in errors)
    assert together < 0.4 * alone
