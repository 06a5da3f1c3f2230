"""How other projects name the tensors of networks that timm or torchvision names otherwise: tables of names.

The tables follow the sources of these projects:

- facebookresearch/dinov2: vision_transformer.py
- serizba/salad: vpr_model.py, models/backbones/dinov2.py
- gmberton/MegaLoc: megaloc_model.py; its first release holds torch.hub's network, later ones their own
- gmberton/VPR-methods-evaluation, for networks of torchvision in a sequence
- pytorch/vision: vision_transformer.py
"""

import dataclasses
import re
from collections.abc import Mapping
from typing import Final

from torch import Tensor

__all__ = ["LAYOUTS", "WeightLayout", "translated"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WeightLayout:
    """One way to name tensors. It is that of a file in which every one of `marks` begins a name.

    `prefix` stands before the names of the network itself; what does not begin so belongs to something else. `names`
    are patterns of names (of which the whole must match) and what timm has in their place; None: nothing.
    """

    name: str
    marks: tuple[str, ...]
    prefix: str = ""
    names: tuple[tuple[str, str | None], ...] = ()

    def is_of(self, given: Mapping[str, Tensor]) -> bool:
        """Return whether tensors are laid out so."""
        return all(any(name.startswith(mark) for name in given) for mark in self.marks)

    def timm_name(self, name: str) -> str | None:
        """Return what timm calls a tensor of the network; None where it has no such tensor."""
        for pattern, replacement in self.names:
            if match := re.fullmatch(pattern, name):
                return None if replacement is None else match.expand(replacement)
        return name


_DINOV2: Final = (
    (r"mask_token", None),  # of training alone
    (r"register_tokens", "reg_token"),
    (r"blocks\.\d+\.(\d+\..+)", r"blocks.\1"),  # training keeps blocks in chunks: blocks.CHUNK.BLOCK
    (r"(.+\.mlp)\.w12\.(.+)", r"\1.fc1.\2"),  # the largest network has a gated layer
    (r"(.+\.mlp)\.w3\.(.+)", r"\1.fc2.\2"),
)
_TORCHVISION_VIT: Final = (
    (r"class_token", "cls_token"),
    (r"encoder\.pos_embedding", "pos_embed"),
    (r"conv_proj\.(.+)", r"patch_embed.proj.\1"),
    (r"encoder\.ln\.(.+)", r"norm.\1"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.ln_([12])\.(.+)", r"blocks.\1.norm\2.\3"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.in_proj_(.+)", r"blocks.\1.attn.qkv.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.self_attention\.out_proj\.(.+)", r"blocks.\1.attn.proj.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:0|linear_1)\.(.+)", r"blocks.\1.mlp.fc1.\2"),
    (r"encoder\.layers\.encoder_layer_(\d+)\.mlp\.(?:3|linear_2)\.(.+)", r"blocks.\1.mlp.fc2.\2"),
)

LAYOUTS: Final = (
    WeightLayout(
        name="MegaLoc",
        marks=("backbone.model.patch_embed.", "aggregator.agg."),
        prefix="backbone.model.",
        names=_DINOV2,
    ),
    WeightLayout(name="MegaLoc", marks=("backbone.patch_embed.", "aggregator.agg."), prefix="backbone.", names=_DINOV2),
    WeightLayout(
        name="SALAD", marks=("backbone.model.patch_embed.", "aggregator."), prefix="backbone.model.", names=_DINOV2
    ),
    WeightLayout(name="DINOv2 in training", marks=("backbone.mask_token",), prefix="backbone.", names=_DINOV2),
    WeightLayout(name="DINOv2", marks=("mask_token",), names=_DINOV2),
    WeightLayout(
        name="torchvision's ViT", marks=("class_token", "encoder.layers.encoder_layer_0."), names=_TORCHVISION_VIT
    ),
    WeightLayout(
        name="a probe of this program", marks=("backbone.readers.0.backbone.",), prefix="backbone.readers.0.backbone."
    ),
    WeightLayout(name="a network of this program", marks=("backbone.",), prefix="backbone."),
    WeightLayout(name="several processes", marks=("module.",), prefix="module."),
    WeightLayout(name="a wrapped network", marks=("model.",), prefix="model."),
    WeightLayout(name="the network's own", marks=()),
)
"""The layouts that are told apart, the more particular first; the last is that of any file."""


def translated(given: Mapping[str, Tensor]) -> tuple[str, dict[str, Tensor], list[str]]:
    """Return the name of the layout of tensors, those of the network by timm's names, and the names of all others."""
    layout = next(layout for layout in LAYOUTS if layout.is_of(given))
    found: dict[str, Tensor] = {}
    others: list[str] = []
    for name, tensor in given.items():
        own = layout.timm_name(name.removeprefix(layout.prefix)) if name.startswith(layout.prefix) else None
        if own is None:
            others.append(name)
        else:
            found[own] = tensor
    return layout.name, _without_position_of_class(found) if layout.names is _DINOV2 else found, others


def _without_position_of_class(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors of DINOv2 as timm keeps those of a network with registers: the class token at its position."""
    if not {"reg_token", "cls_token", "pos_embed"} <= found.keys():
        return found
    positions = found["pos_embed"]
    return found | {"cls_token": found["cls_token"] + positions[:, :1], "pos_embed": positions[:, 1:]}
