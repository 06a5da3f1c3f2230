"""How far heads are believed, on a line of cells where they are right about what they know and sure of all else."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from train.models.evidence import Evidence
from train.models.grid import Cells
from train.models.reliability import Reliability

CELLS = Cells(
    centres=torch.stack([4.0 * torch.arange(100, dtype=torch.float32) + 2.0, torch.full((100,), 2.0)], dim=1),
    size_m=4.0,
)


def at(cell: Tensor) -> Tensor:
    """Return log-probabilities (N, 100) of photos that are almost sure to be in a cell (N,)."""
    distance = (torch.arange(100)[None] - cell[:, None]).abs()
    return torch.log_softmax(-2.0 * distance.float(), dim=1)


def photos(similarity: NDArray[np.float64], known: NDArray[np.bool_]) -> tuple[Evidence, Tensor]:
    """Return what is said of photos at drawn cells, and their positions: those that are not known are 50 cells off."""
    cell = torch.from_numpy(np.random.default_rng(1).integers(0, 100, len(known)))
    said = torch.where(torch.from_numpy(known), cell, (cell + 50) % 100)
    evidence = Evidence(log_probs=at(said), similarity=torch.from_numpy(similarity).float())
    return evidence, CELLS.centres[cell]


def fitted(similarity: NDArray[np.float64], known: NDArray[np.bool_], weight: float = 1.0) -> Reliability:
    evidence, xy = photos(similarity, known)
    found = Reliability.fit(evidence, CELLS, xy, np.full(len(known), weight))
    assert found is not None
    return found


def believed(reliability: Reliability, similarity: float) -> float:
    """Return what is left of a photo's probability for the cell that its heads are almost sure of."""
    sure = Evidence(log_probs=at(torch.tensor([30])), similarity=torch.tensor([similarity]))
    return float(reliability.doubted(sure).log_probs[0, 30].exp() / sure.log_probs[0, 30].exp())


@pytest.mark.parametrize("scale", [1.0, 0.02])
def test_what_looks_like_no_training_photo_is_not_believed(scale: float) -> None:
    """Heads are wrong about the tenth of the photos that looks least like the others, on any scale of similarity."""
    similarity = np.random.default_rng(0).normal(0, 1, 400)
    similarity[:40] = np.random.default_rng(2).uniform(-5, -3, 40)
    found = fitted(scale * similarity, similarity > -3)
    assert found.photos == 400
    assert believed(found, -4 * scale) < 0.1
    assert believed(found, -1 * scale) > 0.95


def test_heads_that_are_right_are_believed() -> None:
    similarity = np.random.default_rng(0).normal(0, 1, 400)
    similarity[:40] = np.random.default_rng(2).uniform(-5, -3, 40)
    found = fitted(similarity, np.ones(400, dtype=np.bool_))
    assert believed(found, -4.0) > 0.9


def test_without_such_photos_what_is_usual_on_other_sites_decides() -> None:
    similarity = np.random.default_rng(0).uniform(-1, 1, 100)
    found = fitted(similarity, np.ones(100, dtype=np.bool_))
    assert believed(found, -3.0) < 0.1
    assert believed(found, -1.0) > 0.95


def test_a_burst_says_less_than_as_many_views() -> None:
    """Ten photos that are right although they look like nothing: of ten views they say more than of one."""
    similarity = np.concatenate([np.random.default_rng(0).normal(0, 1, 200), np.full(10, -3.0)])
    right = np.ones(210, dtype=np.bool_)
    assert believed(fitted(similarity, right), -3.0) > believed(fitted(similarity, right, weight=0.1), -3.0) + 0.1


def test_where_the_origin_is_does_not_matter() -> None:
    similarity = np.random.default_rng(0).normal(0, 1, 200)
    evidence, xy = photos(similarity, similarity > -1.5)
    weights = np.ones(200)
    far = Cells(centres=CELLS.centres + 100_000.0, size_m=4.0)
    near, away = (
        Reliability.fit(evidence, cells, places, weights) for cells, places in ((CELLS, xy), (far, xy + 100_000.0))
    )
    assert near == away


def test_few_photos_or_none_that_are_compared_say_nothing() -> None:
    draws = np.random.default_rng(0)
    for similarity in (draws.normal(0, 1, 19), np.full(100, np.nan), np.full(100, 0.5)):
        evidence, xy = photos(similarity, np.ones(len(similarity), dtype=np.bool_))
        assert Reliability.fit(evidence, CELLS, xy, np.ones(len(similarity))) is None


@pytest.mark.parametrize(("similarity", "left"), [(0.0, 1.0), (3.0, 1.0), (-1.0986, 0.5), (-4.595, 0.02)])
def test_what_is_known_with_one_half_is_believed_to_the_full(similarity: float, left: float) -> None:
    """The curve is one half at 0, a quarter at -ln 3 and a hundredth at -ln 99."""
    curve = Reliability(middle=0.0, slope=1.0, photos=400)
    assert believed(curve, similarity) == pytest.approx(left, abs=0.02)


@given(
    similarity=st.lists(st.floats(-50, 50), min_size=1, max_size=20),
    middle=st.floats(-10, 10),
    slope=st.floats(0.1, 100),
)
def test_doubt_spreads_over_all_cells_and_grows_as_likeness_falls(
    similarity: list[float], middle: float, slope: float
) -> None:
    ordered = torch.tensor(sorted(similarity), dtype=torch.float32)
    sure = Evidence(log_probs=at(torch.full((len(ordered),), 30)), similarity=ordered)
    found = Reliability(middle=middle, slope=slope, photos=400).doubted(sure)
    probs = found.log_probs.exp()
    assert torch.isfinite(found.log_probs).all()
    assert torch.allclose(probs.sum(dim=1), torch.ones(len(ordered)), atol=1e-4)
    assert bool((probs[:, 30].diff() >= -1e-6).all())
    assert bool((probs >= 0.99e-6 / 100).all())
