"""Batch normalisation by statistics that are in part those of the photo at hand: they follow its light and camera."""

from typing import Final

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

__all__ = ["LeaningNorm", "lean_on_own_statistics", "leaning_layers", "leant"]

# of the layers, from the input on: to let these lean, too, places photos worse (docs/experiments/ablations.md)
_UNTOUCHED_SHARE: Final = 0.5


def lean_on_own_statistics(backbone: nn.Module, share: float) -> None:
    """Let the later half of the batch normalisations of `backbone` mix a photo's own mean and variance in.

    A layer then normalises by (1 - share) times its running statistics plus `share` times those of the map at hand. The
    batch is one photo, so no photo's features depend on another. Source: Schneider et al., "Improving robustness
    against common corruptions by covariate shift adaptation", NeurIPS 2020. A network without batch normalisation stays
    as it is.
    """
    if not share:
        return
    for layer in leaning_layers(backbone):
        layer.register_forward_pre_hook(lambda module, inputs: (leant(module, inputs[0], share),))


def leaning_layers(backbone: nn.Module) -> list[nn.BatchNorm2d]:
    """Return the later half of the batch normalisations of `backbone`, in their order."""
    norms = (layer for layer in backbone.modules() if isinstance(layer, nn.BatchNorm2d))
    layers = [layer for layer in norms if layer.track_running_stats]
    return layers[int(_UNTOUCHED_SHARE * len(layers)) :]


def leant(layer: nn.Module, found: Tensor, share: float) -> Tensor:
    """Return maps (N, C, H, W) that `layer` normalises by its running statistics as it would `found` by mixed ones.

    With mean m and standard deviation s running, M and S mixed: m + (found - M) s / S.
    """
    assert isinstance(layer, nn.BatchNorm2d)
    assert not layer.training
    mean, variance = _mixed_statistics(layer, found, share)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    scale = ((layer.running_var + layer.eps) / (variance + layer.eps)).sqrt()
    shift = layer.running_mean - mean * scale
    return torch.addcmul(shift[:, :, None, None], found, scale[:, :, None, None])


class LeaningNorm(nn.Module):
    """A batch normalisation that leans on a photo's own statistics, with the activation that is part of it.

    One scale and one shift per photo and channel say what `leant` and the layer say in two steps.
    """

    def __init__(self, layer: nn.BatchNorm2d, share: float) -> None:
        super().__init__()
        self.layer, self.share = layer, share

    def forward(self, found: Tensor) -> Tensor:
        """Return the normalised maps (N, C, H, W)."""
        layer = self.layer
        mean, variance = _mixed_statistics(layer, found, self.share)
        scale = (variance + layer.eps).rsqrt() * (layer.weight if layer.affine else 1.0)
        shift = (layer.bias if layer.affine else 0.0) - mean * scale
        normalised = torch.addcmul(shift[:, :, None, None], found, scale[:, :, None, None])
        return layer.act(layer.drop(normalised)) if isinstance(layer, BatchNormAct2d) else normalised


def _mixed_statistics(layer: nn.BatchNorm2d, found: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance (N, C) that `layer` normalises maps (N, C, H, W) by."""
    assert layer.running_mean is not None
    assert layer.running_var is not None
    own_mean = found.mean(dim=(2, 3))  # var_mean takes thirty times as long on maps whose channels lie last
    own_variance = (found.square().mean(dim=(2, 3)) - own_mean.square()).clamp(min=0.0)
    return torch.lerp(layer.running_mean, own_mean, share), torch.lerp(layer.running_var, own_variance, share)
