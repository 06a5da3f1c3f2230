"""A probe's backbone as a pure function: what `BackboneExtractor` returns, without its hooks."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.models.probe.features.batch_statistics import LeaningNorm, leaning_layers
from train.models.probe.features.extractor import BackboneExtractor, pooled_grid
from train.models.probe.features.maps import channels_first, with_token_maps
from train.models.probe.finetune.extractor import FinetunedExtractor

__all__ = ["PureExtractor"]


class _Stage(nn.Module):
    """A stage of a backbone that puts what it returns on a list."""

    def __init__(self, stage: nn.Module, maps: list[Tensor]) -> None:
        super().__init__()
        self.stage = stage
        self._maps = (maps,)  # torch.export takes lists among the attributes for state that a pass must not change

    def forward(self, found: Tensor) -> Tensor:
        output: Tensor = self.stage(found)
        if isinstance(output, Tensor) and output.ndim == 4:
            self._maps[0].append(output)
        return output


class PureExtractor(nn.Module):
    """(N, 3, height, width) pixels in [0, 255] to the pooled vectors and, of a frozen backbone, the last map.

    `like` is the extractor of equal weights whose backbone serves this one, too, where there is one.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, extractor: BackboneExtractor, *, like: "PureExtractor | None" = None) -> None:
        super().__init__()
        self.spec = extractor.spec
        self.register_buffer("mean", extractor.mean.detach().clone())
        self.register_buffer("std", extractor.std.detach().clone())
        self.is_tuned = isinstance(extractor, FinetunedExtractor)
        self.gives_tokens = extractor.gives_tokens
        if isinstance(extractor, FinetunedExtractor):
            self.embed, self.scale = copy.deepcopy(extractor.embed), extractor.scale
        if like is None:
            self.maps: tuple[list[Tensor], ...] = ([],)
            self.backbone = _pure(extractor, self.maps[0])
        else:
            self.maps, self.backbone = like.maps, like.backbone

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return pooled vectors (N, D) and the last map (N, rows, columns, channels), None where no head takes one."""
        final, maps = self._passed((self._resized(pixels) - self.mean) / self.std)
        parts = [F.normalize(final, dim=1)]
        if self.is_tuned:
            plain = torch.cat([*parts, pooled_grid(maps[-1])], dim=1)
            return torch.cat([plain, F.normalize(self.embed(self.scale * plain), dim=1)], dim=1), None
        if not maps:
            return parts[0], None
        last = maps[-1]
        finer = [found for found in maps if found.shape[2] >= 2 * last.shape[2] - 1]
        parts += [pooled_grid(found) for found in (last, *finer[-1:])]
        return torch.cat(parts, dim=1), last.permute(0, 2, 3, 1)

    def _passed(self, inputs: Tensor) -> tuple[Tensor, list[Tensor]]:
        if self.gives_tokens:
            return with_token_maps(self.backbone, inputs)
        self.maps[0].clear()
        final = self.backbone(inputs).flatten(1)
        maps = [channels_first(found) for found in self.maps[0]]
        self.maps[0].clear()
        return final, maps

    def _resized(self, pixels: Tensor) -> Tensor:
        """Return the pixels at the backbone's size, by the very weights of torch's antialiased resize, as products.

        Runtimes implement that operation in ways of their own, or not at all.
        """
        height, width = pixels.shape[2:]
        if (height, width) == (self.spec.height, self.spec.width):
            return pixels
        rows = _resize_weights(height, self.spec.height).to(pixels)
        columns = _resize_weights(width, self.spec.width).to(pixels)
        return rows @ (pixels @ columns.T)


def _resize_weights(size: int, to_size: int) -> Tensor:
    """Return what each of `to_size` pixels takes of each of `size`, (to_size, size)."""
    # pictures of one bright row each; four wide, for with one column torch mistakes rows for channels
    rows = torch.eye(size).view(size, 1, size, 1).expand(-1, -1, -1, 4).contiguous()
    resized = F.interpolate(rows, size=(to_size, 4), mode="bilinear", antialias=True)
    return resized[:, 0, :, 0].T.contiguous()


def _pure(extractor: BackboneExtractor, maps: list[Tensor]) -> nn.Module:
    """Return a copy of a backbone whose stages put their maps on `maps`, and whose hooks are modules."""
    backbone = copy.deepcopy(extractor.backbone).eval().requires_grad_(requires_grad=False)
    names = {id(module): name for name, module in extractor.backbone.named_modules()}
    leaning = [names[id(layer)] for layer in leaning_layers(extractor.backbone)] if extractor.own_statistics else []
    for module in backbone.modules():
        module._forward_hooks.clear()
        module._forward_pre_hooks.clear()
    for name in leaning:
        layer: Any = backbone.get_submodule(name)
        _replace(backbone, name, LeaningNorm(layer, extractor.own_statistics))
    for name in () if extractor.gives_tokens else extractor.stages:
        _replace(backbone, name, _Stage(backbone.get_submodule(name), maps))
    return backbone


def _replace(root: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, own = name.rpartition(".")
    setattr(root.get_submodule(parent), own, module)
