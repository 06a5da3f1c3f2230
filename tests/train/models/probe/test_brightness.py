import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from img2gps.pixels import PixelSpec, fit_pixels
from train.config.schema import TrainConfig
from train.models.probe.covisibility import Poses
from train.models.probe.features.brightness import LightCorrection, brightness_of
from train.models.probe.features.descriptors import DescriptorModel
from train.models.probe.features.extractor import Features


def _lit(count: int = 200) -> tuple[Tensor, Tensor, Tensor]:
    """Return what twenty places look like, vectors of photos of them in any light, and the brightness of these."""
    draws = np.random.default_rng(0)
    poses = draws.normal(size=(20, 16))
    brightness = draws.uniform(0.1, 0.6, count)
    drift = np.stack([brightness, brightness**2], axis=1) @ draws.normal(size=(2, 16)) * 12
    vectors = poses[np.arange(count) % 20] + drift + draws.normal(0, 0.05, (count, 16))
    return tuple(torch.from_numpy(part).float() for part in (poses, vectors, brightness))  # type: ignore[return-value]


def _found(poses: Tensor, vectors: Tensor) -> float:
    centred = vectors - vectors.mean(dim=0) + poses.mean(dim=0)
    nearest = torch.cdist(centred, poses).argmin(dim=1)
    return float((nearest == torch.arange(len(vectors)) % 20).float().mean())


def test_places_look_the_same_in_any_light_once_it_is_taken_off() -> None:
    poses, vectors, brightness = _lit()
    train, held_out = slice(0, 100), slice(100, 200)
    take = LightCorrection.fit(vectors[train], brightness[train])
    assert _found(poses, vectors[held_out]) < 0.7
    assert _found(poses, take(vectors[held_out], brightness[held_out])) > 0.95


@given(st.floats(0.0, 1.0))
def test_light_no_training_photo_had_counts_as_the_nearest_one_had(value: float) -> None:
    _, vectors, brightness = _lit(60)
    take = LightCorrection.fit(vectors, brightness)
    nearest = torch.tensor([value]).clamp(float(brightness.min()), float(brightness.max()))
    assert torch.allclose(take(vectors[:1], torch.tensor([value])), take(vectors[:1], nearest), atol=1e-4)


@pytest.mark.parametrize("count", [1, 30])
def test_photos_of_one_light_stay_as_they_are(count: int) -> None:
    _, vectors, _ = _lit()
    take = LightCorrection.fit(vectors[:count], torch.full((count,), 0.4))
    assert torch.equal(take(vectors, torch.linspace(0, 1, len(vectors))), vectors)


@pytest.mark.parametrize("size", [(200, 100), (100, 200), (150, 150)])
def test_bars_around_a_photo_do_not_count(size: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(10, 60, (*size, 3), dtype=np.uint8)
    padded = fit_pixels(Image.fromarray(pixels), PixelSpec(height=128, width=96, fit="pad"))
    expected = np.log2(pixels.mean() / 255 + 0.02)
    assert float(brightness_of(torch.from_numpy(padded)[None])[0]) == pytest.approx(expected, abs=0.05)


def test_brightness_is_a_logarithm_that_has_an_end() -> None:
    images = [torch.full((1, 3, 16, 12), value, dtype=torch.uint8) for value in (240, 120, 127, 128, 0)]
    full, half, grey, other, black = brightness_of(torch.cat(images)).tolist()
    assert full - half == pytest.approx(1.0, abs=0.05)
    assert grey == pytest.approx(other, abs=0.02)  # the grey of bars, and nothing else
    assert -10 < black < half


@pytest.mark.parametrize("even_light", [True, False])
def test_a_describer_takes_light_off_if_asked_and_comes_back_from_its_tensors(even_light: bool) -> None:
    _, vectors, brightness = _lit()
    poses = Poses(xy=torch.zeros(200, 2), heading_deg=torch.zeros(200), walk=torch.zeros(200))
    features = Features(pooled=(vectors, vectors[:, :8]), brightness=brightness)
    descriptor_model = DescriptorModel.fit(
        features, poses, TrainConfig(method="probe", whiten_dims=4, even_light=even_light)
    )
    again = DescriptorModel.from_tensors(descriptor_model.tensors())
    assert torch.equal(again(features).pooled, descriptor_model(features).pooled)
    for name in ("light.1.bounds", "light.1.offset") if even_light else ():
        incomplete = {own: tensor for own, tensor in descriptor_model.tensors().items() if own != name}
        with pytest.raises((KeyError, ValueError)):
            DescriptorModel.from_tensors(incomplete)
    darker = Features(pooled=features.pooled, brightness=brightness / 2)
    assert torch.equal(descriptor_model(darker).pooled, descriptor_model(features).pooled) is not even_light
