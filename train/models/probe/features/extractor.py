"""What a frozen backbone says about a photo: pooled vectors of several depths, and a grid of local ones."""

import dataclasses
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Self, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.errors import UsageError
from img2gps.pixels import PixelSpec
from img2gps.text import safe_text
from train.models.backbones import build_backbone
from train.models.pretrained import load_weights
from train.models.probe.features.batch_statistics import lean_on_own_statistics
from train.models.probe.features.brightness import brightness_of
from train.models.probe.features.folding import Folded
from train.models.probe.features.maps import attends, channels_first, composite_stages, has_tokens, with_token_maps
from train.models.weights.matching import resampled
from train.runtime.parts import in_parallel

__all__ = [
    "CHUNK",
    "FEATURES_VERSION",
    "BackboneExtractor",
    "FeatureExtractor",
    "Features",
    "backbones_of",
    "nested_grids",
    "pooled_grid",
]

FEATURES_VERSION: Final = 7
"""Part of the cache's key: raised with every change to what this module returns."""

CHUNK: Final = 8
"""Photos per pass. Always the same, the last pass filled up, so that no photo's features depend on its neighbours."""

_Result = TypeVar("_Result")

_POOLED_ROWS, _POOLED_COLUMNS = 3, 2
_SMALLEST, _LARGEST = 16, 4096


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Frozen features of N photos.

    `pooled` has, per backbone, (N, D) float32: unit-length parts side by side. `pyramids` has, per network with feature
    maps, the last of them as (N, rows, columns, channels) float16 for each size, the finest first. At the smallest size
    it is all of the map. At larger ones it is as many fields in the middle, which show what a photo from nearer shows.
    `brightness` (N,) is that of the photos (`train.models.probe.features.brightness`).
    """

    pooled: tuple[Tensor, ...]
    brightness: Tensor
    pyramids: tuple[tuple[Tensor, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.pooled[0])

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows` (indices or a mask)."""
        return self._each(lambda part: part[rows])

    def to(self, device: torch.device) -> Self:
        """Return the features on a device."""
        return self._each(lambda part: part.to(device))

    def loaded(self) -> Self:
        """Return the features: they are in memory (see `stored_features`, where they are not)."""
        return self

    def _each(self, change: Callable[[Tensor], Tensor]) -> Self:
        pyramids = tuple(tuple(map(change, grids)) for grids in self.pyramids)
        return type(self)(pooled=tuple(map(change, self.pooled)), brightness=change(self.brightness), pyramids=pyramids)

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Return the photos of several parts as one."""
        pooled = zip(*(part.pooled for part in parts), strict=True)
        pyramids = zip(*(part.pyramids for part in parts), strict=True)
        return cls(
            pooled=tuple(map(torch.cat, pooled)),
            brightness=torch.cat([part.brightness for part in parts]),
            pyramids=tuple(tuple(map(torch.cat, zip(*grids, strict=True))) for grids in pyramids),
        )


def backbones_of(model: str, spec: PixelSpec) -> list[tuple[str, PixelSpec]]:
    """Return the backbones that `ProbeConfig.model` joins by ``+``, each with its input.

    ``NAME@192`` takes the photo at a short side of 192 pixels, ``NAME`` at that of `spec`, the largest there is.
    Raises UsageError.
    """
    return [_backbone_of(part.strip(), spec) for part in model.split("+")]


def _backbone_of(text: str, spec: PixelSpec) -> tuple[str, PixelSpec]:
    name, at, size = text.partition("@")
    if not at:
        return name, spec
    if not size.isdecimal() or not _SMALLEST <= int(size) <= _LARGEST:
        raise UsageError(
            f"{safe_text(text)} asks for no size: NAME@192 looks at photos at a short side of 192 pixels; "
            f"{_SMALLEST} to {_LARGEST} are possible."
        )
    if int(size) > min(spec.height, spec.width):
        raise UsageError(
            f"{safe_text(text)} asks for more than the {min(spec.height, spec.width)} pixels photos are read at: "
            "raise --size, or name smaller sizes with --model."
        )
    scale = int(size) / min(spec.height, spec.width)
    height, width = round(spec.height * scale), round(spec.width * scale)
    return name, dataclasses.replace(spec, height=height, width=width)


class FeatureExtractor(nn.Module):
    """(N, 3, height, width) uint8 RGB to `Features`; nothing in it is trained here.

    `own_statistics` is the share of a photo's own statistics in batch normalisation (`batch_statistics`). `tokens`
    is false for models made before transformers had maps.
    """

    def __init__(self, model: str, spec: PixelSpec, *, own_statistics: float = 0.0, tokens: bool = True) -> None:
        super().__init__()
        # "readers" is part of the keys of checkpoints
        self.readers = nn.ModuleList(
            BackboneExtractor(name, own, own_statistics=own_statistics, tokens=tokens)
            for name, own in backbones_of(model, spec)
        )
        self._even_out()
        self.requires_grad_(requires_grad=False).eval()

    @property
    def last(self) -> "BackboneExtractor":
        """The extractor of the backbone named last."""
        return list(self._extractors())[-1]

    def add(self, backbone_extractor: "BackboneExtractor") -> None:
        """Add an extractor whose vectors come last."""
        self.readers.append(backbone_extractor.requires_grad_(requires_grad=False).eval())

    def load_weights(self, weights: str) -> None:
        """Load first weights into every backbone; raises what `train.models.pretrained.load_weights` raises."""
        for backbone_extractor in self._extractors():
            load_weights(backbone_extractor.backbone, backbone_extractor.name, weights)

    def _even_out(self) -> None:
        """Give a network the same first weights at every size it takes: features of two sizes must be comparable."""
        first: dict[str, dict[str, Tensor]] = {}
        for backbone_extractor in self._extractors():
            own = backbone_extractor.backbone.state_dict()
            shared = first.setdefault(backbone_extractor.name, own)
            if any(tensor.shape != own[name].shape for name, tensor in shared.items()):
                # position embeddings are as many as the fields of a size
                shared = resampled(backbone_extractor.backbone, shared)
            alike = {name: tensor for name, tensor in shared.items() if tensor.shape == own[name].shape}
            backbone_extractor.backbone.load_state_dict(alike, strict=False)

    def _extractors(self) -> Iterator["BackboneExtractor"]:
        for backbone_extractor in self.readers:
            assert isinstance(backbone_extractor, BackboneExtractor)
            yield backbone_extractor

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        return next(self.parameters()).device

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Features:
        """Return the features of a batch, computed in passes of `CHUNK` photos on the module's device."""
        return Features.concatenate(self.each_pass(images, lambda features: features))

    def each_pass(self, images: Tensor, work: Callable[[Features], _Result]) -> list[_Result]:
        """Return what `work` makes of the features of every `CHUNK` photos, beside one another where that is exact."""
        chunks = torch.split(images, CHUNK)

        def worked(chunk: Tensor) -> _Result:
            return work(self._passed(chunk))

        if len(chunks) > 1 and all(one.is_even(images[:1]) for one in self._extractors()):
            return in_parallel(worked, chunks, self.device)
        return list(map(worked, chunks))

    @torch.inference_mode()
    def _passed(self, chunk: Tensor) -> Features:
        filled = F.pad(chunk, (0, 0, 0, 0, 0, 0, 0, CHUNK - len(chunk)))
        return self._pass(filled).take(torch.arange(len(chunk)))

    def _pass(self, images: Tensor) -> Features:
        pooled: list[Tensor] = []
        pyramids: dict[str, list[Tensor]] = {}
        for backbone_extractor in self._extractors():
            vectors, grid = backbone_extractor(images)
            pooled.append(vectors)
            if grid is not None:
                pyramids.setdefault(backbone_extractor.name, []).append(grid)
        return Features(
            pooled=tuple(pooled),
            brightness=brightness_of(images).to(pooled[0].device),
            pyramids=tuple(map(nested_grids, pyramids.values())),
        )


class _Passing(threading.local):
    """The maps of the pass that a thread is in; each thread passes photos of its own."""

    maps: list[Tensor] | None = None


_passing = _Passing()


class BackboneExtractor(nn.Module):
    """One backbone and the outputs of its stages or, where these are no maps, its patch tokens (`maps`).

    A transformer looks at whole patches: `spec` is the largest size they divide within the one that is given.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, name: str, spec: PixelSpec, *, own_statistics: float = 0.0, tokens: bool = True) -> None:
        super().__init__()
        backbone = build_backbone(name, height=spec.height, width=spec.width, whole_patches=tokens)
        self.name, self.backbone = name, backbone.module
        self.spec = dataclasses.replace(spec, height=backbone.height, width=backbone.width)
        self.own_statistics = own_statistics
        lean_on_own_statistics(self.backbone, own_statistics)
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) * 255.0 for values in (backbone.mean, backbone.std))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self._folded: Folded | None = None
        self._may_give_tokens = tokens and has_tokens(self.backbone)
        self.stages = composite_stages(self.backbone)
        self.gives_tokens = self._may_give_tokens and (not self.stages or attends(self.backbone))
        for stage in self.stages.values():
            stage.register_forward_hook(self._remember)

    def _remember(self, _module: nn.Module, _inputs: object, output: object) -> None:
        if _passing.maps is not None and isinstance(output, Tensor) and output.ndim == 4:
            _passing.maps.append(output)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return pooled vectors (N, D) and the last feature map (N, rows, columns, channels), if there is one.

        Nothing is learnt from them: batch normalisations are folded (`train.models.probe.features.folding`).
        """
        inputs = self.normalised(images)
        final, maps = self.passed(inputs, self._network(inputs))
        parts = [F.normalize(final, dim=1)]
        if not maps:
            return parts[0], None
        last = maps[-1]
        finer = [found for found in maps if found.shape[2] >= 2 * last.shape[2] - 1]
        parts += [pooled_grid(found) for found in (last, *finer[-1:])]
        return torch.cat(parts, dim=1), last.permute(0, 2, 3, 1).half()

    def normalised(self, images: Tensor) -> Tensor:
        """Return uint8 or float images in [0, 255] at the backbone's size, shifted and scaled as it expects."""
        pixels = images.to(self.mean.device).to(torch.float32, memory_format=torch.channels_last)
        size = (self.spec.height, self.spec.width)
        if tuple(pixels.shape[2:]) != size:
            pixels = F.interpolate(pixels, size=size, mode="bilinear", antialias=True)
        return (pixels - self.mean) / self.std

    @torch.inference_mode()
    def is_even(self, image: Tensor) -> bool:
        """Return whether features are the same, to the bit, on any number of threads; `image` is one, (1, 3, H, W)."""
        self._network(self.normalised(image))
        return self._folded is not None and self._folded.is_even

    def _network(self, inputs: Tensor) -> nn.Module:
        """Return what stands for the backbone where nothing is learnt, made anew when the backbone has changed."""
        if self.gives_tokens:
            return self.backbone
        if self._folded is None or not self._folded.is_current:
            self._folded = Folded.of(self.backbone, inputs, share=self.own_statistics, owner=self)
        return self._folded.network

    def passed(self, inputs: Tensor, network: nn.Module | None = None) -> tuple[Tensor, list[Tensor]]:
        """Return what the backbone makes of its inputs, (N, features), and the maps (N, C, H, W) of its stages.

        `network` is at will what stands for the backbone.
        """
        if self.gives_tokens:
            return with_token_maps(self.backbone, inputs)
        found: list[Tensor] = []
        _passing.maps = found
        try:
            final = (network or self.backbone)(inputs).flatten(1)
        finally:
            _passing.maps = None
        maps = list(map(channels_first, found))
        if not maps and self._may_give_tokens:  # its stages turned out to give no maps: from now on it is known
            self.gives_tokens = True
            return with_token_maps(self.backbone, inputs)
        return final, maps


def nested_grids(grids: list[Tensor]) -> tuple[Tensor, ...]:
    """Return grids (N, rows, columns, channels), the finest first, cut down to the middle as large as the coarsest."""
    *finer, coarsest = sorted(grids, key=lambda grid: grid.shape[1:3].numel(), reverse=True)
    rows, columns = coarsest.shape[1:3]
    corners = [((grid.shape[1] - rows) // 2, (grid.shape[2] - columns) // 2) for grid in finer]
    middles = [
        grid[:, top : top + rows, left : left + columns] for grid, (top, left) in zip(finer, corners, strict=True)
    ]
    return (*middles, coarsest)


def pooled_grid(found: Tensor) -> Tensor:
    """Return a map averaged to 3 rows of 2 columns, flat and of unit length: what is where, coarsely."""
    return F.normalize(F.adaptive_avg_pool2d(found, (_POOLED_ROWS, _POOLED_COLUMNS)).flatten(1), dim=1)
