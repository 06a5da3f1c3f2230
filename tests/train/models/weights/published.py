"""State dicts with the names and shapes of published checkpoints, filled with random numbers or with nothing."""

import torch
from torch import Tensor

__all__ = ["Shapes", "dinov2", "empty", "filled", "megaloc", "salad"]

Shapes = dict[str, tuple[int, ...]]


def dinov2(*, width: int = 768, depth: int = 12, fields: int = 37, registers: int = 0) -> Shapes:
    """Return the names and shapes of torch.hub's DINOv2: ViT-B/14 at 518 px unless told otherwise."""
    shapes: Shapes = {"cls_token": (1, 1, width), "pos_embed": (1, 1 + fields**2, width)}
    if registers:
        shapes["register_tokens"] = (1, registers, width)
    shapes |= {"mask_token": (1, width)}
    shapes |= {"patch_embed.proj.weight": (width, 3, 14, 14), "patch_embed.proj.bias": (width,)}
    for block in range(depth):
        parts: Shapes = {"attn.qkv.weight": (3 * width, width), "attn.qkv.bias": (3 * width,)}
        parts |= {"attn.proj.weight": (width, width), "mlp.fc1.weight": (4 * width, width)}
        parts |= {"mlp.fc1.bias": (4 * width,), "mlp.fc2.weight": (width, 4 * width)}
        plain = ("norm1.weight", "norm1.bias", "attn.proj.bias", "ls1.gamma", "norm2.weight", "norm2.bias")
        parts |= dict.fromkeys((*plain, "mlp.fc2.bias", "ls2.gamma"), (width,))
        shapes |= {f"blocks.{block}.{name}": shape for name, shape in parts.items()}
    return shapes | {"norm.weight": (width,), "norm.bias": (width,)}


def salad(backbone: Shapes) -> Shapes:
    """Return the names and shapes of SALAD's checkpoint around a backbone of torch.hub."""
    return _prefixed("backbone.model.", backbone) | _prefixed("aggregator.", _aggregator(backbone, clusters=128))


def megaloc(backbone: Shapes, *, first_release: bool) -> Shapes:
    """Return the names and shapes of MegaLoc's checkpoint: the first one holds torch.hub's network, later ones not."""
    if first_release:
        shapes = _prefixed("backbone.model.", backbone)
    else:
        shapes = _prefixed("backbone.", {name: shape for name, shape in backbone.items() if name != "mask_token"})
    shapes |= _prefixed("aggregator.agg.", _aggregator(backbone, clusters=256))
    return shapes | {"aggregator.linear.weight": (8448, 64 * 256 + 256), "aggregator.linear.bias": (8448,)}


def filled(shapes: Shapes, *, seed: int = 0) -> dict[str, Tensor]:
    """Return random numbers of these shapes, small enough that a network stays finite."""
    draws = torch.Generator().manual_seed(seed)
    return {name: 0.1 * torch.randn(shape, generator=draws) for name, shape in shapes.items()}


def empty(shapes: Shapes) -> dict[str, Tensor]:
    """Return tensors of these shapes that hold no numbers and take no memory."""
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def _aggregator(backbone: Shapes, *, clusters: int) -> Shapes:
    width = backbone["norm.weight"][0]
    shapes: Shapes = {"dust_bin": ()}
    for name, outputs, field in (
        ("token_features", 256, ()),
        ("cluster_features", clusters, (1, 1)),
        ("score", 64, (1, 1)),
    ):
        last = 3 if field else 2
        shapes |= {f"{name}.0.weight": (512, width, *field), f"{name}.0.bias": (512,)}
        shapes |= {f"{name}.{last}.weight": (outputs, 512, *field), f"{name}.{last}.bias": (outputs,)}
    return shapes


def _prefixed(prefix: str, shapes: Shapes) -> Shapes:
    return {f"{prefix}{name}": shape for name, shape in shapes.items()}
