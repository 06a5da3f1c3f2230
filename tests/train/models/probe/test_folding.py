"""A backbone as it is used: normalisations folded, the same features but for rounding."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.pixels import PixelSpec
from train.models.probe.features.extractor import FeatureExtractor
from train.models.probe.features.folding import Folded, folded

SPEC = PixelSpec(height=64, width=48, fit="pad")
INPUTS = torch.randn(2, 3, 16, 12, generator=torch.Generator().manual_seed(0))


class _Once(nn.Module):
    """A convolution, a normalisation and, where `twice`, the convolution's output beside the normalised one."""

    def __init__(self, *, twice: bool) -> None:
        super().__init__()
        self.conv, self.norm, self.twice = nn.Conv2d(3, 4, 3, bias=True), nn.BatchNorm2d(4), twice

    def forward(self, inputs: Tensor) -> Tensor:
        found = self.conv(inputs)
        normalised = F.relu(self.norm(found))
        return normalised + found if self.twice else normalised


class _Standardised(nn.Conv2d):
    """A convolution that changes its weights itself."""

    def forward(self, inputs: Tensor) -> Tensor:
        return F.conv2d(inputs, self.weight / self.weight.std(), self.bias)


def _settled(network: nn.Module) -> nn.Module:
    torch.manual_seed(1)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.running_var, module.weight, module.bias):
                assert tensor is not None
                nn.init.uniform_(tensor, 0.5, 2.0)
    return network.eval()


@torch.inference_mode()
def test_a_normalisation_goes_into_the_convolution_before_it() -> None:
    network = _settled(_Once(twice=False))
    found = folded(network, INPUTS[:1], share=0.0, owner=nn.Identity())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in found.modules())
    assert torch.allclose(found(INPUTS), network(INPUTS), atol=1e-5)
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())  # the backbone stays as it is


@pytest.mark.parametrize("odd", ["used twice", "own weights"])
@torch.inference_mode()
def test_a_network_that_would_answer_otherwise_is_not_folded(odd: str) -> None:
    network: nn.Module = _Once(twice=True)
    if odd == "own weights":
        network = nn.Sequential(_Standardised(3, 4, 3), nn.BatchNorm2d(4))
    _settled(network)
    assert folded(network, INPUTS[:1], share=0.0, owner=nn.Identity()) is network


def test_weights_that_are_loaded_later_are_seen() -> None:
    network = _settled(_Once(twice=False))
    with torch.inference_mode():
        made = Folded.of(network, INPUTS, share=0.0, owner=nn.Identity())
    assert made.is_current
    network.load_state_dict({name: 2 * tensor for name, tensor in network.state_dict().items()})
    assert not made.is_current


@pytest.mark.parametrize("name", ["resnet18", "timm/tf_efficientnet_lite0"])
@pytest.mark.parametrize("share", [0.0, 0.1])
@torch.inference_mode()
def test_an_extractor_says_what_its_backbone_says(name: str, share: float) -> None:
    if share and name != "timm/tf_efficientnet_lite0":
        pytest.skip("one network that leans is enough")
    extractor = FeatureExtractor(name, SPEC, own_statistics=share)
    for module in extractor.modules():  # random first weights leave all statistics alike
        if isinstance(module, nn.BatchNorm2d) and module.running_var is not None:
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    images = torch.randint(0, 256, (2, 3, 64, 48), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))
    last = extractor.last
    final, maps = last.passed(last.normalised(images))
    vectors, grid = last(images)
    assert torch.allclose(vectors[:, : final.shape[1]], F.normalize(final, dim=1), atol=1e-4)
    assert grid is not None
    expected = maps[-1].permute(0, 2, 3, 1)
    assert float((grid.float() - expected).abs().max()) <= 2e-3 * float(expected.abs().max())
    assert list(extractor.state_dict()) == [f"readers.0.{key}" for key in last.state_dict()]
