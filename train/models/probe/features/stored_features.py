"""Features of very many photos that stay in their file: read block by block where they are needed."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Final, Self

import torch
from torch import Tensor

from train.models.probe.features.extractor import Features
from train.models.probe.features.tensor_file import TensorFile

__all__ = ["AnyFeatures", "StoredFeatures", "blocks", "features_of", "named_tensors"]

_BLOCK: Final = 1024
"""Photos at once: some 50 MB of features of `quick`, 140 MB of `default`."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredFeatures:
    """N photos, `rows` (N,) of a file of features, and at will vectors `beside` (N, D) them, which come last."""

    file: TensorFile
    rows: Tensor
    device: torch.device
    beside: tuple[Tensor, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows` (indices or a mask)."""
        beside = tuple(part[rows.to(part.device)] for part in self.beside)
        return dataclasses.replace(self, rows=self.rows[rows.to(self.rows.device)], beside=beside)

    def to(self, device: torch.device) -> Self:
        """Return the photos such that their features are read to a device."""
        return dataclasses.replace(self, device=device)

    def loaded(self) -> Features:
        """Return the features themselves."""
        found = features_of(self.file.rows(self.rows.numpy())).to(self.device)
        return dataclasses.replace(found, pooled=(*found.pooled, *(part.to(self.device) for part in self.beside)))


AnyFeatures = Features | StoredFeatures
"""Both have a length, `take`, `to` and `loaded`."""


def blocks(features: AnyFeatures) -> Iterator[Features]:
    """Yield all features in order, a thousand photos at a time."""
    for rows in torch.split(torch.arange(len(features)), _BLOCK):
        yield features.take(rows).loaded()


def features_of(tensors: Mapping[str, Tensor]) -> Features:
    """Return the features of `named_tensors`."""
    names = sorted(tensors)
    pooled = tuple(tensors[name] for name in names if name.startswith("pooled."))
    grids = [name for name in names if name.startswith("grid.")]
    networks = dict.fromkeys(name.rpartition(".")[0] for name in grids)
    pyramids = tuple(tuple(tensors[name] for name in grids if name.startswith(f"{network}.")) for network in networks)
    return Features(pooled=pooled, brightness=tensors["brightness"], pyramids=pyramids)


def named_tensors(features: Features) -> dict[str, Tensor]:
    """Return features as tensors by name, as a file holds them."""
    named = {"brightness": features.brightness}
    named |= {f"pooled.{k:02d}": part for k, part in enumerate(features.pooled)}
    levels = ((k, level, grid) for k, grids in enumerate(features.pyramids) for level, grid in enumerate(grids))
    return named | {f"grid.{k:02d}.{level:02d}": grid for k, level, grid in levels}
