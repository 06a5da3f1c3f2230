"""A backbone as it is used, not trained: batch normalisations are folded into the convolutions before them."""

import copy
import dataclasses
import functools
from collections import Counter
from typing import Any, Final, Self

import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from train.models.probe.features.batch_statistics import LeaningNorm, leaning_layers
from train.models.probe.features.maps import attends
from train.models.probe.features.packed_convolution import PackedConvolution, can_be_fused, can_be_packed

__all__ = ["Folded", "folded"]

_ROUNDING: Final = 1e-3  # of the largest output: what folding may change
_TRIAL_STEP: Final = 0.37  # radians from pixel to pixel of the picture that folding is tried on


@dataclasses.dataclass(frozen=True, kw_only=True)
class Folded:
    """A `network` that stands for a backbone, and the tensors it was made of, as they were then."""

    network: nn.Module
    tensors: tuple[Tensor, ...]
    mark: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, backbone: nn.Module, like: Tensor, *, share: float, owner: nn.Module) -> Self:
        """Return what stands for `backbone` with inputs such as `like` (N, C, H, W) (see `folded`)."""
        tensors = (*backbone.parameters(), *backbone.buffers())
        network = folded(backbone, _trial_input(like), share=share, owner=owner)
        return cls(network=network, tensors=tensors, mark=_mark(tensors))

    @functools.cached_property
    def is_even(self) -> bool:
        """Whether its maps are the same, to the bit, on any number of threads: oneDNN has all of its products."""
        layers = list(self.network.modules())
        packed = {id(layer.convolution) for layer in layers if isinstance(layer, PackedConvolution)}
        products = [layer for layer in layers if isinstance(layer, (_ConvNd, nn.Linear))]
        return not attends(self.network) and all(id(layer) in packed for layer in products)

    @property
    def is_current(self) -> bool:
        """Whether the backbone has been neither loaded anew nor moved to another device since."""
        return self.mark == _mark(self.tensors)


def folded(backbone: nn.Module, inputs: Tensor, *, share: float, owner: nn.Module) -> nn.Module:
    """Return a copy of `backbone` that says the same, but for rounding, in fewer passes over its maps.

    What a normalisation multiplies and adds is put into the weights of the convolution before it. Source: Jacob et al.,
    "Quantization and Training of Neural Networks", CVPR 2018, section 3.2. Layers that lean on a photo's own statistics
    by `share` cannot be folded; each becomes one step. Hooks of `backbone` that are methods of `owner` stay its own. A
    network that answers otherwise when folded is returned as it is. Its convolutions may change their weights
    themselves, or their outputs may be used twice. `inputs` is one input, (1, C, H, W).
    """
    turned = copy.deepcopy(backbone, {id(owner): owner})
    leaning = leaning_layers(turned) if share else []
    pairs = _pairs(turned, inputs, set(map(id, leaning)))
    if not pairs and not leaning:
        return backbone
    names = {id(module): name for name, module in turned.named_modules()}
    for convolution, norm in pairs:
        _fold(convolution, norm)
        turned.set_submodule(names[id(norm)], norm.act if isinstance(norm, BatchNormAct2d) else nn.Identity())
    for layer in leaning:
        layer._forward_pre_hooks.clear()
        turned.set_submodule(names[id(layer)], LeaningNorm(layer, share))
    _pack(turned, names, pairs)
    expected, found = backbone(inputs), turned(inputs)
    near = float((found - expected).abs().max()) <= _ROUNDING * float(expected.abs().max())
    return turned.requires_grad_(requires_grad=False) if near else backbone


def _pack(network: nn.Module, names: dict[int, str], pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]]) -> None:
    """Let oneDNN have the convolutions of a folded network, with the activations that follow them."""
    norms = {id(convolution): norm for convolution, norm in pairs}
    for convolution in [module for module in network.modules() if isinstance(module, nn.Conv2d)]:
        if not can_be_packed(convolution):
            continue
        norm, activation = norms.get(id(convolution)), None
        if isinstance(norm, BatchNormAct2d) and can_be_fused(norm.act):
            activation = norm.act
            network.set_submodule(names[id(norm)], nn.Identity())
        network.set_submodule(names[id(convolution)], PackedConvolution(convolution, activation))


def _trial_input(like: Tensor) -> Tensor:
    """Return one picture of stripes, (1, C, H, W), with the device and the layout of inputs."""
    steps = torch.arange(like[:1].numel(), device=like.device, dtype=like.dtype)
    return torch.sin(_TRIAL_STEP * steps).view(like[:1].shape).contiguous(memory_format=torch.channels_last)


def _mark(tensors: tuple[Tensor, ...]) -> tuple[tuple[int, int], ...]:
    return tuple((tensor.data_ptr(), 0 if tensor.is_inference() else tensor._version) for tensor in tensors)


def _pairs(backbone: nn.Module, inputs: Tensor, leaning: set[int]) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Return the convolutions whose very output a normalisation takes, each of both once in a pass."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # the tensors are kept: another one would get their id
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def remember(module: nn.Module, _inputs: object, output: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        made[id(output)] = (module, output)

    def meet(module: nn.Module, taken: tuple[Any, ...]) -> None:
        assert isinstance(module, nn.BatchNorm2d)
        if id(taken[0]) in made:
            pairs.append((made[id(taken[0])][0], module))

    handles = []
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            handles.append(module.register_forward_hook(remember))
        elif isinstance(module, nn.BatchNorm2d) and module.track_running_stats and id(module) not in leaning:
            handles.append(module.register_forward_pre_hook(meet))
    backbone(inputs)
    for handle in handles:
        handle.remove()
    calls = Counter(id(convolution) for convolution, _ in made.values())
    uses = Counter(id(part) for pair in pairs for part in pair)
    return [(conv, norm) for conv, norm in pairs if calls[id(conv)] == uses[id(conv)] == uses[id(norm)] == 1]


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Put what a normalisation does into the convolution before it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    weight = convolution.weight.detach().cpu().double()  # not every device knows float64
    scale = (norm.running_var.cpu().double() + norm.eps).rsqrt()
    shift = -norm.running_mean.cpu().double() * scale
    if norm.affine:
        gain = norm.weight.detach().cpu().double()
        scale, shift = scale * gain, shift * gain + norm.bias.detach().cpu().double()
    if convolution.bias is not None:
        shift = shift + convolution.bias.detach().cpu().double() * scale
    changed = (weight * scale[:, None, None, None]).to(convolution.weight)
    changed = changed.contiguous(memory_format=torch.channels_last)
    convolution.bias = nn.Parameter(shift.to(convolution.weight), requires_grad=False)
    convolution.weight = nn.Parameter(changed, requires_grad=False)
