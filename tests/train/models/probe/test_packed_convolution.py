"""Convolutions as oneDNN wants them: the same numbers, on any number of threads."""

import copy

import pytest
import torch
from timm.layers.conv2d_same import Conv2dSame
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.pixels import PixelSpec
from train.models.probe.features.extractor import CHUNK, BackboneExtractor, FeatureExtractor, Features
from train.models.probe.features.packed_convolution import (
    PackedConvolution,
    _packing_works,
    can_be_fused,
    can_be_packed,
    padded,
)

pytestmark = pytest.mark.skipif(not can_be_packed(nn.Conv2d(1, 1, 1)), reason="this torch has no oneDNN")


def _maps(channels: int, height: int = 24, width: int = 18, count: int = 8) -> Tensor:
    maps = torch.randn(count, channels, height, width, generator=torch.Generator().manual_seed(channels))
    return maps.contiguous(memory_format=torch.channels_last)


def _convolution(name: str) -> nn.Conv2d:
    torch.manual_seed(1)
    return {
        "1 x 1": lambda: nn.Conv2d(64, 96, 1, bias=False),
        "3 x 3": lambda: nn.Conv2d(16, 8, 3, padding=1),
        "by channel": lambda: nn.Conv2d(32, 32, 5, padding=2, groups=32),
        "strided": lambda: nn.Conv2d(16, 8, 3, stride=2, padding=1, dilation=2),
        "as TensorFlow pads": lambda: Conv2dSame(16, 16, 3, stride=2, groups=16),
    }[name]().eval()


@pytest.mark.parametrize("name", ["1 x 1", "3 x 3", "by channel", "strided", "as TensorFlow pads"])
@torch.inference_mode()
def test_a_packed_convolution_says_the_same_on_any_number_of_threads(name: str) -> None:
    convolution = _convolution(name)
    assert can_be_packed(convolution)
    maps, before, found = _maps(convolution.in_channels), torch.get_num_threads(), []
    packed = PackedConvolution(convolution, nn.ReLU6())
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(packed(maps))
    finally:
        torch.set_num_threads(before)
    assert torch.allclose(found[0], F.relu6(convolution(maps)), atol=1e-5)
    assert all(torch.equal(other, found[0]) for other in found[1:])
    smaller = _maps(convolution.in_channels, 10, 12, count=3)  # packed for another size
    assert torch.allclose(packed(smaller), F.relu6(convolution(smaller)), atol=1e-5)


@torch.inference_mode()
def test_copies_pack_for_themselves() -> None:
    packed, maps = PackedConvolution(_convolution("3 x 3")), _maps(16)
    expected = packed(maps)
    assert torch.equal(copy.deepcopy(packed)(maps), expected)


def test_what_cannot_be_packed_or_fused_is_known() -> None:
    class _Own(nn.Conv2d):
        pass

    hooked = nn.Conv2d(3, 4, 3)
    hooked.register_forward_hook(lambda *_: None)
    odd = [_Own(3, 4, 3), nn.Conv2d(3, 4, 3, padding="same"), nn.Conv2d(3, 4, 3, padding_mode="reflect")]
    odd += [nn.Conv2d(3, 4, 3, dtype=torch.float64), nn.Conv2d(3, 4, 3, device="meta"), hooked]
    assert not any(map(can_be_packed, odd))
    assert [can_be_fused(layer) for layer in (nn.ReLU(), nn.ReLU6(), nn.SiLU())] == [True, True, False]


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (0, 1, 0, 1), (1, 2, 1, 2), (3, 0, 0, 1)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_padding_adds_zeros(pads: tuple[int, int, int, int], layout: torch.memory_format) -> None:
    maps = _maps(5).contiguous(memory_format=layout)
    assert torch.equal(padded(maps, pads), F.pad(maps, pads))


def test_features_are_the_same_on_any_number_of_threads_and_in_any_company() -> None:
    spec = PixelSpec(height=64, width=48, fit="pad")
    extractor = FeatureExtractor("timm/tf_efficientnet_lite0", spec, own_statistics=0.5).eval()
    images = torch.randint(0, 256, (3 * CHUNK + 1, 3, 64, 48), generator=torch.Generator().manual_seed(0)).byte()
    before, found = torch.get_num_threads(), list[Features]()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            found += [extractor(images), Features.concatenate([extractor(part) for part in torch.split(images, 5)])]
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert torch.equal(other.pooled[0], found[0].pooled[0])
        assert torch.equal(other.pyramids[0][0], found[0].pyramids[0][0])


@torch.inference_mode()
def test_only_what_is_packed_whole_counts_as_even() -> None:
    spec, image = PixelSpec(height=64, width=48, fit="pad"), torch.zeros(1, 3, 64, 48)
    for name, even in {"resnet18": True, "timm/vit_tiny_patch16_224": False}.items():
        [backbone_extractor] = FeatureExtractor(name, spec).eval().readers
        assert isinstance(backbone_extractor, BackboneExtractor)
        assert backbone_extractor.is_even(image) == even


def test_without_the_operations_nothing_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(_self: PackedConvolution, _maps: Tensor) -> Tensor:
        raise RuntimeError("no such operation")

    monkeypatch.setattr(PackedConvolution, "forward", gone)
    _packing_works.cache_clear()
    try:
        assert not can_be_packed(nn.Conv2d(3, 4, 3))
    finally:
        _packing_works.cache_clear()


def test_the_trial_of_packing_draws_no_random_numbers() -> None:
    _packing_works.cache_clear()
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert _packing_works()
    assert torch.equal(torch.rand(1), expected)
