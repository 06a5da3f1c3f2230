"""What the heads compare: features under a learnt metric, on the device of the heads."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Self, TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from train.config.schema import ProbeConfig
from train.models.probe.covisibility import Poses, pairs_of_views
from train.models.probe.features.brightness import LightCorrection
from train.models.probe.features.extractor import Features
from train.models.probe.features.whitening import Whitening

__all__ = ["DescriptorModel", "Descriptors"]

_Part = TypeVar("_Part", LightCorrection, Whitening)
_LOCAL_DIMENSIONS = 128
_FULL = 0.5
_FEWEST_PAIRS = 50  # of photos of one view: fewer teach no metric
_LOCAL_SAMPLE = 120_000  # local vectors are many and alike: more do not move their axes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """N photos: `pooled` (N, K) unit vectors and, per network, grids of unit vectors at each size it takes.

    A grid in `local` is (N, rows, columns, k) float16; they are those of `Features.pyramids`, whitened.
    """

    pooled: Tensor
    local: tuple[tuple[Tensor, ...], ...] = ()

    def __len__(self) -> int:
        return len(self.pooled)

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows` (indices or a mask)."""
        return type(self)(
            pooled=self.pooled[rows], local=tuple(tuple(grid[rows] for grid in grids) for grids in self.local)
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DescriptorModel:
    """Features to what the heads compare, by whitenings fitted on training photos.

    There is one per backbone for pooled features, and one per network for local ones. So features of one size can be
    compared with those of another. Before pooled features are whitened, what light alone makes of them is taken off by
    `light`, which is empty where `config.even_light` is off.
    """

    light: tuple[LightCorrection, ...]
    pooled: tuple[Whitening, ...]
    local: tuple[Whitening, ...]

    @property
    def width(self) -> int:
        """Components of `Descriptors.pooled`."""
        return sum(whiten.matrix.shape[1] for whiten in self.pooled)

    @classmethod
    def fit(cls, features: Features, poses: Poses, config: ProbeConfig) -> Self:
        """Return the model fitted on training photos.

        The metric of pooled features is learnt from views that two walks show (`config.pair_m`). Without these, the
        photos are whitened without regard to where they were taken.
        """
        light = tuple(LightCorrection.fit(part, features.brightness) for part in features.pooled if config.even_light)
        return cls(
            light=light,
            pooled=_metrics(_corrected(light, features), poses, config),
            local=tuple(
                Whitening.fit(torch.cat(list(map(_sample, grids))), dimensions=_LOCAL_DIMENSIONS, power=_FULL)
                for grids in features.pyramids
                if config.shortlist
            ),
        )

    def __call__(self, features: Features) -> Descriptors:
        """Return the descriptors of photos."""
        return Descriptors(
            pooled=_side_by_side(self.pooled, _corrected(self.light, features)),
            local=tuple(
                tuple(whiten(F.normalize(grid.float(), dim=-1)).half() for grid in grids)
                for whiten, grids in zip(self.local, features.pyramids, strict=False)
            ),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the model as named tensors."""
        kinds: dict[str, tuple[LightCorrection | Whitening, ...]] = {
            "light": self.light,
            "pooled": self.pooled,
            "local": self.local,
        }
        return {
            f"{kind}.{k}.{field.name}": getattr(part, field.name)
            for kind, parts in kinds.items()
            for k, part in enumerate(parts)
            for field in dataclasses.fields(part)
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the model of `tensors()`. Raises KeyError or ValueError where one is missing or of another shape."""
        light, pooled = _parts("light", LightCorrection, tensors), _parts("pooled", Whitening, tensors)
        if light and len(light) != len(pooled):
            raise ValueError(f"light of {len(light)} of {len(pooled)} backbones")
        local = _parts("local", Whitening, tensors)
        for part in (*pooled, *local):
            if part.matrix.ndim != 2 or part.mean.shape != part.matrix.shape[:1]:
                raise ValueError(f"a whitening of {tuple(part.mean.shape)} by {tuple(part.matrix.shape)}")
        return cls(light=light, pooled=pooled, local=local)


def _parts(kind: str, part: type[_Part], tensors: Mapping[str, Tensor]) -> tuple[_Part, ...]:
    names = [field.name for field in dataclasses.fields(part)]
    count = sum(name.startswith(f"{kind}.") and name.endswith(f".{names[0]}") for name in tensors)
    return tuple(part(**{name: tensors[f"{kind}.{k}.{name}"] for name in names}) for k in range(count))


def _corrected(light: tuple[LightCorrection, ...], features: Features) -> tuple[Tensor, ...]:
    """Return the pooled features without what light alone makes of them."""
    if not light:
        return features.pooled
    return tuple(take(part, features.brightness) for take, part in zip(light, features.pooled, strict=True))


def _metrics(pooled: tuple[Tensor, ...], poses: Poses, config: ProbeConfig) -> tuple[Whitening, ...]:
    plain = tuple(
        Whitening.fit(vectors, dimensions=config.whiten_dims, power=config.whiten_power) for vectors in pooled
    )
    if not config.pair_m:
        return plain
    pairs = pairs_of_views(_side_by_side(plain, pooled), poses, within_m=config.pair_m)
    if len(pairs) < _FEWEST_PAIRS:
        return plain
    return tuple(Whitening.learnt(vectors, pairs, dimensions=config.whiten_dims) for vectors in pooled)


def _side_by_side(whitenings: tuple[Whitening, ...], vectors: tuple[Tensor, ...]) -> Tensor:
    """Return unit vectors whose cosines are the mean of those per backbone."""
    parts = [whiten(part) for whiten, part in zip(whitenings, vectors, strict=True)]
    return torch.cat(parts, dim=1) / math.sqrt(len(parts))


def _sample(grid: Tensor) -> Tensor:
    """Return unit local vectors of all photos, or of some, evenly thinned out, where there are many."""
    step = max(1, grid.shape[:3].numel() // _LOCAL_SAMPLE)
    return F.normalize(grid[::step].flatten(0, 2).float(), dim=-1)
