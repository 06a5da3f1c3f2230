import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from img2gps.pixels import PixelSpec
from train.models.probe.features.batch_statistics import lean_on_own_statistics
from train.models.probe.features.extractor import FeatureExtractor

LITE0 = "timm/tf_efficientnet_lite0"


def _norms(count: int) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.BatchNorm2d(4) for _ in range(count)]
    for layer in layers:
        for tensor in (layer.running_mean, layer.weight, layer.bias):
            assert tensor is not None
            nn.init.normal_(tensor)
        assert layer.running_var is not None
        nn.init.uniform_(layer.running_var, 0.5, 2.0)
    return nn.Sequential(*layers).eval()


@given(share=st.floats(0.0, 1.0), level=st.floats(-5, 5), spread=st.floats(0.1, 10))
@torch.inference_mode()
def test_a_layer_normalises_by_the_mixed_statistics(share: float, level: float, spread: float) -> None:
    layer = _norms(1)
    maps = level + spread * torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    norm = layer[0]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean = (1 - share) * norm.running_mean + share * maps.mean(dim=(2, 3))
    variance = (1 - share) * norm.running_var + share * maps.var(dim=(2, 3), correction=0)
    expected = (maps - mean[..., None, None]) / (variance + norm.eps).sqrt()[..., None, None]
    expected = expected * norm.weight[:, None, None] + norm.bias[:, None, None]
    lean_on_own_statistics(layer, share)
    assert torch.allclose(layer(maps), expected, atol=1e-3, rtol=1e-3)


@torch.inference_mode()
def test_only_the_later_half_leans_and_none_does_unless_asked() -> None:
    maps = torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    plain, leant, untouched = _norms(5), _norms(5), _norms(5)
    lean_on_own_statistics(leant, 1.0)
    lean_on_own_statistics(untouched, 0.0)
    assert torch.equal(untouched(maps), plain(maps))
    assert torch.equal(leant[:2](maps), plain[:2](maps))
    assert not torch.allclose(leant[:3](maps), plain[:3](maps))


@pytest.mark.parametrize("value", [777.7, 3333.3, 12345.6])  # whose squares round to a variance below zero
@torch.inference_mode()
def test_a_flat_map_stays_finite(value: float) -> None:
    layer = _norms(1)
    lean_on_own_statistics(layer, 1.0)
    assert torch.isfinite(layer(torch.full((1, 4, 3, 3), value))).all()


def _pooled(images: Tensor, share: float) -> Tensor:
    extractor = FeatureExtractor(LITE0, PixelSpec(height=128, width=96, fit="pad"), own_statistics=share)
    extractor.load_weights("bundled")
    return extractor(images).pooled[0]


@pytest.mark.slow
def test_a_photo_in_less_light_looks_more_like_itself() -> None:
    torch.manual_seed(3)
    rough = torch.rand(6, 3, 16, 12)
    images = (nn.functional.interpolate(rough, size=(128, 96), mode="bilinear") * 255).round()
    dark = (images * 0.3).round()
    moved = {
        share: float((_pooled(images.byte(), share) - _pooled(dark.byte(), share)).norm(dim=1).mean())
        for share in (0.0, 0.3)
    }
    assert moved[0.3] < moved[0.0]


@pytest.mark.slow
@pytest.mark.parametrize("model", [LITE0, "resnet18", "timm/test_vit"])
def test_a_photo_leans_on_itself_alone(model: str) -> None:
    extractor = FeatureExtractor(model, PixelSpec(height=64, width=64, fit="pad"), own_statistics=0.5)
    images = torch.randint(0, 256, (5, 3, 64, 64), generator=torch.Generator().manual_seed(0)).byte()
    together = extractor(images).pooled[0]
    alone = extractor(images[2:3]).pooled[0]
    assert torch.equal(together[2:3], alone)
