"""Where the site's photos that look most alike were taken, as a density over the cells."""

import dataclasses
from collections.abc import Mapping
from typing import Final, Self

import torch
from torch import Tensor

from train.config import TrainConfig
from train.heads.cells import Cells
from train.heads.described import Described

__all__ = ["Neighbours"]

_MOST_ROWS: Final = 2  # of the grid: a camera held higher or lower, not a floor matched with the sky
_APART: Final = -4.0
_LEAST_SPREAD: Final = 1e-6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The G training photos as a head (`train.heads.ensemble.Head`).

    A photo is compared with all of them by pooled features, with the best by their grids too: both ways,
    each local vector with its best match in about the same row (chamfer similarity). The positions of the
    most similar are spread by a Gaussian kernel and weighted by the softmax of similarity.
    """

    gallery: Described
    xy: Tensor
    cells: Cells
    config: TrainConfig

    @classmethod
    def fit(cls, photos: Described, xy: Tensor, cells: Cells, config: TrainConfig) -> Self:
        """Return the head of training photos at `xy` (G, 2) metres."""
        return cls(gallery=photos, xy=xy, cells=cells, config=config)

    @torch.inference_mode()
    def log_shares(self, photos: Described) -> Tensor:
        """Return log shares of the cells, (N, C)."""
        similarity, index = self._shortlisted(photos)
        best, place = similarity.topk(min(self.config.neighbours, similarity.shape[1]), dim=1)
        weights = torch.softmax(best / self.config.temperature, dim=1)
        distance = torch.cdist(self.xy[index.gather(1, place)], self.cells.centres)
        kernels = torch.softmax(-distance.square() / (2 * self.config.bandwidth_m**2), dim=2)
        shares = torch.einsum("nk,nkc->nc", weights, kernels)
        return torch.log(shares + self.config.floor / len(self.cells))

    def _shortlisted(self, photos: Described) -> tuple[Tensor, Tensor]:
        """Return similarities (N, S) to the best of the gallery and their indices (N, S)."""
        pooled = _standard(photos.pooled @ self.gallery.pooled.T)
        if not self.gallery.local:
            return pooled.topk(min(self.config.neighbours, pooled.shape[1]), dim=1)
        chosen, index = pooled.topk(min(self.config.shortlist, pooled.shape[1]), dim=1)
        kinds = [chosen]
        for own, others in zip(photos.local, self.gallery.local, strict=True):
            rows = [chamfer(query, others[near]) for query, near in zip(own, index, strict=True)]
            kinds.append(_standard(torch.stack(rows)))
        return torch.stack(kinds).mean(dim=0), index

    def tensors(self) -> dict[str, Tensor]:
        """Return the gallery as named tensors."""
        local = {f"local.{k}": part for k, part in enumerate(self.gallery.local)}
        return {"xy": self.xy, "pooled": self.gallery.pooled, **local}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], cells: Cells, config: TrainConfig) -> Self:
        """Return the head of `tensors()`. Raises KeyError where one is missing."""
        local = tuple(tensors[name] for name in sorted(tensors) if name.startswith("local."))
        gallery = Described(pooled=tensors["pooled"], local=local)
        return cls(gallery=gallery, xy=tensors["xy"], cells=cells, config=config)


def chamfer(query: Tensor, others: Tensor) -> Tensor:
    """Return the similarity of one grid (rows, columns, k) to S others (S, rows, columns, k), shape (S,).

    The mean over local vectors of the squared cosine to the best match no more than two rows away, both
    ways and summed. After Razavian et al., "Visual Instance Retrieval with Deep Convolutional Networks",
    2016 (best match per local patch), with the square from Tolias et al., "Selective match kernels", 2016.
    """
    rows, columns, width = query.shape
    row = torch.arange(rows, device=query.device).repeat_interleave(columns)
    apart = torch.where((row[:, None] - row[None]).abs() > _MOST_ROWS, _APART, 0.0)
    own = query.reshape(-1, width).float()
    cosine = (others.reshape(-1, width).float() @ own.T).view(len(others), len(row), len(row)) + apart
    there, back = cosine.amax(dim=2), cosine.amax(dim=1)
    return there.clamp(min=0).square().mean(dim=1) + back.clamp(min=0).square().mean(dim=1)


def _standard(similarity: Tensor) -> Tensor:
    """Return similarities (N, S) with mean 0 and spread 1 per photo, so that kinds can be added."""
    centred = similarity - similarity.mean(dim=1, keepdim=True)
    return centred / similarity.std(dim=1, keepdim=True, correction=0).clamp(min=_LEAST_SPREAD)
