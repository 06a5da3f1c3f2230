"""Photos as the heads see them: whitened features, on the device of the heads."""

import dataclasses
from collections.abc import Mapping
from typing import Self

from torch import Tensor
from torch.nn import functional as F

from train.config import TrainConfig
from train.heads.features import Features
from train.heads.whitening import Whitening

__all__ = ["Described", "Describer"]

_LOCAL_DIMENSIONS = 128
_FULL = 0.5
_LOCAL_SAMPLE = 120_000  # local vectors are many and alike: more do not move their axes


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """N photos: `pooled` (N, K) unit vectors, `local` per backbone (N, rows, columns, k) float16 unit vectors."""

    pooled: Tensor
    local: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.pooled)

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows` (indices or a mask)."""
        return type(self)(pooled=self.pooled[rows], local=tuple(part[rows] for part in self.local))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Describer:
    """Features to what the heads compare; fitted on training photos, without their positions."""

    pooled: Whitening
    local: tuple[Whitening, ...]

    @classmethod
    def fit(cls, features: Features, config: TrainConfig) -> Self:
        """Return the describer of training photos."""
        return cls(
            pooled=Whitening.fit(features.pooled, dimensions=config.whiten_dims, power=config.whiten_power),
            local=tuple(
                Whitening.fit(_sample(grid), dimensions=_LOCAL_DIMENSIONS, power=_FULL)
                for grid in features.grids
                if config.shortlist
            ),
        )

    def __call__(self, features: Features) -> Described:
        """Return the photos described."""
        return Described(
            pooled=self.pooled(features.pooled),
            local=tuple(
                whiten(F.normalize(grid.float(), dim=-1)).half()
                for whiten, grid in zip(self.local, features.grids, strict=False)
            ),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Return the describer as named tensors."""
        named = {"pooled.mean": self.pooled.mean, "pooled.matrix": self.pooled.matrix}
        for k, part in enumerate(self.local):
            named |= {f"local.{k}.mean": part.mean, f"local.{k}.matrix": part.matrix}
        return named

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the describer of `tensors()`. Raises KeyError where one is missing."""
        count = sum(name.startswith("local.") and name.endswith(".mean") for name in tensors)
        parts = [
            Whitening(mean=tensors[f"{stem}.mean"], matrix=tensors[f"{stem}.matrix"])
            for stem in ("pooled", *(f"local.{k}" for k in range(count)))
        ]
        return cls(pooled=parts[0], local=tuple(parts[1:]))


def _sample(grid: Tensor) -> Tensor:
    """Return unit local vectors of all photos, evenly thinned out."""
    flat = grid.flatten(0, 2)
    step = max(1, len(flat) // _LOCAL_SAMPLE)
    return F.normalize(flat[:: step | 1].float(), dim=-1)
