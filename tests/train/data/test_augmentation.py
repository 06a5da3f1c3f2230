import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.data.augmentation import Augmentation, augment, epoch_order, photo_keys, photo_uniforms

IDS = np.asarray([hashlib.sha256(bytes([number])).hexdigest() for number in range(200)])
KEYS = photo_keys(IDS)
STRONG = Augmentation(crop=0.3, rotate_deg=10.0, colour=0.4)


@given(st.integers(0, 2**63 - 1), st.integers(0, 10_000), st.permutations(range(20)), st.integers(1, 20))
def test_a_photos_draws_depend_on_seed_epoch_and_photo_alone(
    seed: int, epoch: int, order: list[int], count: int
) -> None:
    chosen = order[:count]
    whole = photo_uniforms(KEYS[:20], seed=seed, epoch=epoch)
    assert np.array_equal(photo_uniforms(KEYS[chosen], seed=seed, epoch=epoch), whole[chosen])
    assert whole.min() >= 0.0
    assert whole.max() < 1.0


def test_draws_are_uniform_and_differ_between_seeds_and_epochs() -> None:
    draws = np.concatenate([photo_uniforms(KEYS, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in range(5)])
    assert len(np.unique(draws)) == draws.size
    assert np.histogram(draws, bins=10)[0] / draws.size == pytest.approx(np.full(10, 0.1), abs=0.01)
    assert abs(np.corrcoef(draws, rowvar=False) - np.eye(draws.shape[1])).max() < 0.1


def test_the_order_is_a_permutation_of_its_own_per_epoch() -> None:
    first, second = epoch_order(50, seed=3, epoch=0), epoch_order(50, seed=3, epoch=1)
    assert sorted(first) == list(range(50)) == sorted(second)
    assert first.tolist() != second.tolist()
    assert first.tolist() == epoch_order(50, seed=3, epoch=0).tolist()


def _batch(height: int = 24, width: int = 16) -> torch.Tensor:
    return torch.rand(8, 3, height, width, generator=torch.Generator().manual_seed(0)) * 255


def _draws(count: int = 8) -> torch.Tensor:
    return torch.from_numpy(photo_uniforms(KEYS[:count], seed=0, epoch=0).astype(np.float32))


def test_no_strength_no_change() -> None:
    images = _batch()
    assert augment(images, _draws(), Augmentation(crop=0.0, rotate_deg=0.0, colour=0.0)) is images


def test_a_batch_gives_each_photo_what_it_gets_alone() -> None:
    images, draws = _batch(), _draws()
    together = augment(images, draws, STRONG)
    alone = torch.cat([augment(images[row : row + 1], draws[row : row + 1], STRONG) for row in range(8)])
    torch.testing.assert_close(together, alone)
    assert together.min() >= 0.0
    assert together.max() <= 255.0
    assert not torch.allclose(together, images)


def test_photos_are_never_mirrored() -> None:
    ramp = torch.linspace(0, 255, 32).expand(200, 3, 24, 32).contiguous()
    moved = augment(ramp, _draws(200), STRONG)
    assert bool((moved[..., -1].mean(dim=(1, 2)) > moved[..., 0].mean(dim=(1, 2))).all())
    upright = augment(ramp.transpose(2, 3).contiguous(), _draws(200), STRONG)
    assert bool((upright[..., -1, :].mean(dim=(1, 2)) > upright[..., 0, :].mean(dim=(1, 2))).all())


def test_a_rotation_turns_by_its_angle_whatever_the_aspect() -> None:
    images = torch.zeros(1, 3, 80, 160)
    images[..., 40, 80:] = 255.0  # a ray from the centre to the right
    draws = torch.full((1, 7), 0.5)
    draws[0, 3] = 1.0
    turned = augment(images, draws, Augmentation(crop=0.0, rotate_deg=20.0, colour=0.0))[0, 0]
    at_right = turned[:, 130].argmax().item() - 39.5
    assert abs(at_right) == pytest.approx(50 * np.tan(np.radians(20)), abs=2.0)
