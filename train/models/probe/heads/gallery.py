"""The training photos that others are compared with: all of them at full precision, or very many, packed."""

import dataclasses
from collections import Counter
from collections.abc import Mapping
from typing import Final, Protocol, Self

import torch
from torch import Tensor

from train.models.probe.features.descriptors import Descriptors
from train.models.probe.heads.photo_index import PhotoIndex

__all__ = ["FAMILIAR", "CompactGallery", "ExactGallery", "Gallery", "standardised"]

_LEAST_SPREAD: Final = 1e-6
FAMILIAR: Final = 5
"""Photos that must be similar for a view to be known: one may do so by chance."""
_FEWEST_CANDIDATES: Final = 500  # of an index: the 100 best of some 30,000 are among them (docs/guides/training.md)
_PER_WANTED: Final = 5
_ONE_OF: Final = 64  # photos is a candidate, where that is more: the 100 best of 100,000 lie closer than the codes tell
_BLOCK: Final = 8192
_MOST_WIDE: Final = 1 << 25  # of a gallery's local vectors: 128 MiB

Nearest = tuple[Tensor, Tensor, Tensor]


class Gallery(Protocol):
    """G training photos, by pooled vectors and grids."""

    @property
    def local(self) -> tuple[tuple[Tensor, ...], ...]:
        """The grids, as `Descriptors.local`; of uint8, they are packed (`codes`)."""
        ...

    def nearest(self, queries: Tensor, count: int) -> Nearest:
        """Return of queries (N, K) the best scores (N, count), whose they are (N, count), and the similarity (N,).

        A score is the cosine in standard deviations from the mean over all of the gallery. The similarity is the mean
        cosine of the five best.
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return everything as named tensors."""
        ...


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ExactGallery:
    """Photos at full precision: each query is compared with all.

    `local` are their grids, float32 where they are not many: then none needs to be turned into it for each query.
    """

    photos: Descriptors
    local: tuple[tuple[Tensor, ...], ...]

    @classmethod
    def of(cls, photos: Descriptors) -> Self:
        """Return the gallery of photos."""
        numbers = sum(grid.numel() for grids in photos.local for grid in grids)
        few = numbers <= _MOST_WIDE
        local = tuple(tuple(grid.float() if few else grid for grid in grids) for grids in photos.local)
        return cls(photos=photos, local=local)

    def nearest(self, queries: Tensor, count: int) -> Nearest:
        """Return what `Gallery.nearest` says."""
        cosine = queries @ self.photos.pooled.T
        similarity = cosine.topk(min(FAMILIAR, cosine.shape[1]), dim=1).values.mean(dim=1)
        scores, index = standardised(cosine).topk(min(count, cosine.shape[1]), dim=1)
        return scores, index, similarity

    def tensors(self) -> dict[str, Tensor]:
        """Return the photos as named tensors."""
        return {"pooled": self.photos.pooled, **_named("local", self.local)}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the gallery of `tensors()`. Raises KeyError where one is missing."""
        return cls.of(Descriptors(pooled=tensors["pooled"], local=_grids("local", tensors)))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CompactGallery:
    """Very many photos: `pooled` (G, K) float16, grids at four bits a component, and an index of the pooled vectors.

    The index finds candidates, whose cosines are then exact but for the rounding to float16. Mean and spread of the
    cosines with all of the gallery need none of them: they follow from its mean (K,) and covariance (K, K).
    """

    pooled: Tensor
    codes: tuple[tuple[Tensor, ...], ...]
    mean: Tensor
    covariance: Tensor
    index: PhotoIndex | None

    @classmethod
    def fit(cls, photos: Descriptors) -> Self:
        """Return the gallery of photos whose grids are packed already."""
        pooled = photos.pooled
        mean = pooled.mean(dim=0)
        covariance = pooled.new_zeros(pooled.shape[1], pooled.shape[1])
        for part in torch.split(pooled, _BLOCK):
            covariance += (part - mean).T @ (part - mean)
        return cls(
            pooled=pooled.half(),
            codes=photos.local,
            mean=mean,
            covariance=covariance / len(pooled),
            index=PhotoIndex.fit(pooled),
        )

    @property
    def local(self) -> tuple[tuple[Tensor, ...], ...]:
        """The packed grids."""
        return self.codes

    def nearest(self, queries: Tensor, count: int) -> Nearest:
        """Return what `Gallery.nearest` says, of candidates of the index; without one, of all."""
        count = min(count, len(self.pooled))
        cosine, index = self._candidates(queries, count) if self.index is not None else self._all(queries, count)
        similarity = cosine[:, :FAMILIAR].mean(dim=1)
        middle = (queries @ self.mean)[:, None]
        spread = ((queries @ self.covariance) * queries).sum(dim=1, keepdim=True).clamp(min=0.0).sqrt()
        return (cosine - middle) / spread.clamp(min=_LEAST_SPREAD), index, similarity

    def _candidates(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        assert self.index is not None
        size = len(self.pooled)
        wanted = min(max(_FEWEST_CANDIDATES, _PER_WANTED * count, size // _ONE_OF), size)
        rows = self.index.candidates(queries, wanted)
        cosine = torch.stack([self.pooled[own].float() @ query for own, query in zip(rows, queries, strict=True)])
        best, column = cosine.topk(count, dim=1)
        return best, rows.gather(1, column)

    def _all(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        best, index = queries.new_empty(len(queries), 0), torch.empty(len(queries), 0, dtype=torch.int64)
        index = index.to(queries.device)
        for start in range(0, len(self.pooled), _BLOCK):
            cosine = queries @ self.pooled[start : start + _BLOCK].float().T
            own, column = cosine.topk(min(count, cosine.shape[1]), dim=1)
            best, order = torch.cat([best, own], dim=1).topk(min(count, best.shape[1] + own.shape[1]), dim=1)
            index = torch.cat([index, column + start], dim=1).gather(1, order)
        return best, index

    def tensors(self) -> dict[str, Tensor]:
        """Return everything as named tensors."""
        index = {} if self.index is None else {"centroids": self.index.centroids, "index": self.index.codes}
        own = {"pooled": self.pooled, "mean": self.mean, "covariance": self.covariance}
        return own | index | _named("codes", self.codes)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Return the gallery of `tensors()`. Raises KeyError or ValueError where they do not fit."""
        pooled, mean, covariance = tensors["pooled"], tensors["mean"], tensors["covariance"]
        codes = _grids("codes", tensors)
        if mean.shape != pooled.shape[1:] or covariance.shape != 2 * pooled.shape[1:]:
            raise ValueError(f"statistics of {tuple(covariance.shape)} for {tuple(pooled.shape)}")
        if any(len(grid) != len(pooled) or grid.dtype != torch.uint8 for grids in codes for grid in grids):
            raise ValueError(f"grids that are not those of {len(pooled)} photos")
        index = None
        if "index" in tensors:
            index = PhotoIndex.from_tensors(tensors["centroids"], tensors["index"], pooled)
        return cls(pooled=pooled, codes=codes, mean=mean, covariance=covariance, index=index)


def standardised(similarity: Tensor) -> Tensor:
    """Return similarities (N, S) with mean 0 and spread 1 per photo, so that kinds can be added."""
    centred = similarity - similarity.mean(dim=1, keepdim=True)
    return centred / similarity.std(dim=1, keepdim=True, correction=0).clamp(min=_LEAST_SPREAD)


def _named(kind: str, local: tuple[tuple[Tensor, ...], ...]) -> dict[str, Tensor]:
    return {f"{kind}.{k}.{level}": grid for k, grids in enumerate(local) for level, grid in enumerate(grids)}


def _grids(kind: str, tensors: Mapping[str, Tensor]) -> tuple[tuple[Tensor, ...], ...]:
    levels = Counter(name.split(".")[1] for name in tensors if name.startswith(f"{kind}."))
    return tuple(tuple(tensors[f"{kind}.{k}.{level}"] for level in range(levels[str(k)])) for k in range(len(levels)))
