import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from train.config.schema import TrainConfig
from train.models.probe.covisibility import Poses, pairs_of_views
from train.models.probe.features.descriptors import DescriptorModel
from train.models.probe.features.extractor import Features
from train.models.probe.features.whitening import Whitening

UNKNOWN = float("nan")


def _places(xy: list[tuple[float, float]], walk: list[int], heading: list[float] | None = None) -> Poses:
    headings = torch.tensor(heading or [UNKNOWN] * len(xy))
    return Poses(xy=torch.tensor(xy), heading_deg=headings, walk=torch.tensor(walk))


def _pairs(poses: Poses, vectors: Tensor | None = None) -> set[tuple[int, int]]:
    alike = torch.ones(len(poses), 3) / 3**0.5 if vectors is None else vectors
    return {(int(a), int(b)) for a, b in pairs_of_views(alike, poses, within_m=10.0)}


def test_pairs_are_of_two_walks_and_near() -> None:
    poses = _places([(0.0, 0.0), (3.0, 0.0), (4.0, 0.0), (40.0, 0.0)], [0, 0, 1, 1])
    assert _pairs(poses) == {(0, 2), (1, 2), (2, 0), (2, 1)}


@pytest.mark.parametrize(("turn_deg", "paired"), [(40.0, True), (50.0, False), (180.0, False), (320.0, True)])
def test_pairs_look_the_same_way_where_both_headings_are_known(turn_deg: float, paired: bool) -> None:
    xy = [(0.0, 0.0), (1.0, 0.0)]
    assert bool(_pairs(_places(xy, [0, 1], [350.0, (350.0 + turn_deg) % 360.0]))) is paired
    assert _pairs(_places(xy, [0, 1], [350.0, UNKNOWN]))


def test_a_photo_is_paired_with_those_it_is_most_like() -> None:
    vectors = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [1.0, 0.2], [1.0, 0.9], [-1.0, 0.0]]), dim=1)
    poses = _places([(0.0, 0.0)] * 5, [0, 1, 1, 1, 1])
    assert {pair for pair in _pairs(poses, vectors) if pair[0] == 0} == {(0, 1), (0, 2)}


@given(st.integers(0, 40), st.integers(1, 4), st.integers(0, 10))
def test_no_pair_breaks_the_rules_whatever_the_photos(count: int, walks: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    poses = Poses(
        xy=torch.tensor(draws.uniform(0, 40, (count, 2)), dtype=torch.float32),
        heading_deg=torch.tensor(np.where(draws.random(count) < 0.5, np.nan, draws.uniform(0, 360, count))),
        walk=torch.tensor(draws.integers(0, walks, count)),
    )
    vectors = F.normalize(torch.tensor(draws.normal(size=(count, 4)), dtype=torch.float32), dim=1)
    for one, other in _pairs(poses, vectors):
        assert poses.walk[one] != poses.walk[other]
        assert torch.dist(poses.xy[one], poses.xy[other]) <= 10.0
        turned = abs(float(poses.heading_deg[one] - poses.heading_deg[other]))
        assert np.isnan(turned) or min(turned, 360.0 - turned) <= 45.0


def _two_lights(poses: int = 60) -> tuple[Tensor, Poses]:
    """Return features (2 x places, 24) of the same spots by day and by night: the light changes more than the view."""
    draws = np.random.default_rng(3)
    view = np.concatenate([draws.normal(size=(poses, 22)), np.zeros((poses, 2))], axis=1)
    light = np.concatenate([np.zeros((2 * poses, 22)), draws.normal(0, 8.0, (2 * poses, 2))], axis=1)
    vectors = np.tile(view, (2, 1)) + light + draws.normal(0, 0.5, (2 * poses, 24))
    xy = [(30.0 * number, 0.0) for number in range(poses)] * 2
    return torch.tensor(vectors, dtype=torch.float32), _places(xy, [0] * poses + [1] * poses)


def _found(whiten: Whitening, vectors: Tensor) -> float:
    """Return the share of spots of the first walk whose photo on the second is the most alike."""
    unit, half = whiten(vectors), len(vectors) // 2
    return float(((unit[:half] @ unit[half:].T).argmax(dim=1) == torch.arange(half)).float().mean())


def test_a_metric_learnt_from_pairs_looks_past_the_light() -> None:
    vectors, _ = _two_lights()
    half = len(vectors) // 2
    pairs = torch.stack([torch.arange(0, half, 2), half + torch.arange(0, half, 2)], dim=1)  # of every other spot
    plain = _found(Whitening.fit(vectors, dimensions=24, power=0.35), vectors)
    learnt = _found(Whitening.learnt(vectors, pairs, dimensions=24), vectors)
    assert plain < 0.8
    assert learnt > 0.9


def test_a_describer_learns_where_walks_meet_and_whitens_where_they_do_not() -> None:
    vectors, poses = _two_lights()
    features = Features(pooled=(vectors, 2 * vectors), brightness=torch.ones(len(vectors)))
    config = TrainConfig(method="probe", whiten_dims=16)
    meeting = DescriptorModel.fit(features, poses, config)(features).pooled
    assert meeting.shape == (120, 32)
    assert meeting.norm(dim=1).numpy() == pytest.approx(1.0, abs=1e-4)
    alone = Poses(xy=poses.xy, heading_deg=poses.heading_deg, walk=torch.zeros_like(poses.walk))
    whitened = DescriptorModel.fit(features, alone, config)(features).pooled
    unlearnt = DescriptorModel.fit(features, poses, TrainConfig(method="probe", whiten_dims=16, pair_m=0.0))
    assert torch.equal(whitened, unlearnt(features).pooled)
    assert not torch.allclose(whitened @ whitened.T, meeting @ meeting.T, atol=1e-2)
