"""Feature maps of a network: the outputs of its stages, or the patch tokens of a transformer as a grid."""

import re
from typing import Any, Final

from torch import Tensor, nn

from train.models.backbones import stage_of

__all__ = ["attends", "channels_first", "composite_stages", "has_tokens", "with_token_maps"]

# timm's layers in which every field looks at others; gates of channels and poolings have names of other forms
_ATTENTION: Final = re.compile(r"\w*Attention(?!Pool)\w*|TalkingHeadAttn|LocallyGroupedAttn|FactorAttn\w*")


def composite_stages(backbone: nn.Module) -> dict[str, nn.Module]:
    """Return the stages that hold several convolutions or layers; stems and final convolutions do not count."""
    names = dict.fromkeys(stage_of(name) for name, _ in backbone.named_parameters())
    stages = {name: backbone.get_submodule(name) for name in names if _is_module(backbone, name)}
    return {
        name: stage
        for name, stage in stages.items()
        if sum(isinstance(part, nn.Conv2d) for part in stage.modules()) > 1
    }


def _is_module(backbone: nn.Module, name: str) -> bool:
    try:
        backbone.get_submodule(name)
    except AttributeError:  # a parameter of the backbone itself, such as a class token
        return False
    return True


def channels_first(found: Any) -> Tensor:
    """Return a feature map as (N, channels, rows, columns); some transformers keep their channels last."""
    chosen: Tensor = found.permute(0, 3, 1, 2) if found.shape[3] > found.shape[1] else found
    return chosen


def has_tokens(backbone: nn.Module) -> bool:
    """Return whether a network gives what lies between its layers as maps: most of timm's do."""
    return hasattr(backbone, "forward_intermediates") and hasattr(backbone, "forward_head")


def attends(backbone: nn.Module) -> bool:
    """Return whether a network has layers of attention: then its stages are not what its convolutions are in."""
    return any(_ATTENTION.fullmatch(type(part).__name__) for part in backbone.modules())


def with_token_maps(backbone: nn.Module, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
    """Return what a network of `has_tokens` makes of its inputs, (N, features), and maps (N, C, rows, columns).

    The vectors are those of its own forward pass. The maps of a plain transformer are the patch tokens of its blocks,
    normalised as its output if the network can. Class and register tokens are no patches of the photo, and are left
    out.
    """
    network: Any = backbone
    try:
        final, maps = network.forward_intermediates(inputs, norm=True, output_fmt="NCHW")
    except AssertionError:  # some hierarchical networks cannot normalise their maps, and say so at once
        final, maps = network.forward_intermediates(inputs, norm=False, output_fmt="NCHW")
    vectors: Tensor = network.forward_head(final)
    return vectors.flatten(1), list(maps)
