"""Where the site's photos that look most alike were taken, as a density over the cells."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Final, Self

import torch
from torch import Tensor

from train.config.schema import ProbeConfig
from train.models.evidence import Evidence
from train.models.grid import Cells
from train.models.probe.features.descriptors import Descriptors
from train.models.probe.heads.codes import products_of
from train.models.probe.heads.gallery import FAMILIAR, CompactGallery, ExactGallery, Gallery, standardised

__all__ = ["FAMILIAR", "Neighbours", "band_penalty"]

_BANDS: Final = 6  # local vectors match within a sixth of the rows, rounded up: a floor is not matched with the sky
_APART: Final = -4.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Neighbours:
    """The G training photos as a head (`train.models.probe.heads.ensemble.Head`).

    A photo is compared with all of them by pooled features, and with the best by their grids too. Both ways, each local
    vector is compared with its best match in about the same row (chamfer similarity). With several sizes, the middle of
    one photo at each larger size is compared with the whole of the other at the smallest. Then the roles are swapped,
    and the better of the two counts. So a view is found again from nearer or farther away. The positions of the most
    similar are spread by a Gaussian kernel and weighted by the softmax of similarity.
    """

    gallery: Gallery
    xy: Tensor
    cells: Cells
    config: ProbeConfig

    @classmethod
    def fit(cls, photos: Descriptors, xy: Tensor, cells: Cells, config: ProbeConfig) -> Self:
        """Return the head of training photos at `xy` (G, 2) metres."""
        packed = len(photos) > config.exact_photos
        gallery = CompactGallery.fit(photos) if packed else ExactGallery.of(photos)
        return cls(gallery=gallery, xy=xy, cells=cells, config=config)

    @torch.inference_mode()
    def evidence(self, photos: Descriptors) -> Evidence:
        """Return log-probabilities of the cells, (N, C), and the similarity (N,) of the best of the gallery."""
        scores, index, similarity = self._shortlisted(photos)
        best, column = scores.topk(min(self.config.neighbours, scores.shape[1]), dim=1)
        weights = torch.softmax(best / self.config.temperature, dim=1)
        distance = torch.cdist(self.xy[index.gather(1, column)], self.cells.centres)
        kernels = torch.softmax(distance.square_().neg_().div_(2 * self.config.bandwidth_m**2), dim=2)
        probs = torch.einsum("nk,nkc->nc", weights, kernels)
        return Evidence(log_probs=torch.log(probs + self.config.floor / len(self.cells)), similarity=similarity)

    @torch.inference_mode()
    def named(self, photos: Descriptors, count: int) -> tuple[Tensor, Tensor]:
        """Return which of the gallery look most like each of N photos, the most similar first, (N, at most `count`).

        With them come their shares of the belief that these are the same view, which add up to one; the same shape.
        """
        scores, index, _ = self._shortlisted(photos)
        best, column = scores.topk(min(count, scores.shape[1]), dim=1)
        return index.gather(1, column), torch.softmax(best / self.config.temperature, dim=1)

    def most_alike(self, photos: Descriptors, count: int) -> Tensor:
        """Return which of the gallery look most like each of N photos, the most similar first, (N, at most `count`)."""
        return self.named(photos, count)[0]

    def _shortlisted(self, photos: Descriptors) -> tuple[Tensor, Tensor, Tensor]:
        """Return scores (N, S) of the best of the gallery, their indices (N, S), and their similarity, (N,).

        Scores compare the gallery for one photo, the similarity compares photos with each other.
        """
        config = self.config
        count = config.shortlist if self.gallery.local else config.neighbours
        chosen, index, similarity = self.gallery.nearest(photos.pooled, count)
        if not self.gallery.local:
            return chosen, index, similarity
        kinds: list[Tensor] = []
        for queries, others in zip(photos.local, self.gallery.local, strict=True):
            kinds += _local_similarities(queries, others, index)
        similarity = similarity + torch.stack([kind.amax(dim=1) for kind in kinds]).mean(dim=0)
        return torch.stack([chosen, *map(standardised, kinds)]).mean(dim=0), index, similarity

    def tensors(self) -> dict[str, Tensor]:
        """Return the gallery as named tensors."""
        return {"xy": self.xy, **self.gallery.tensors()}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], cells: Cells, config: ProbeConfig) -> Self:
        """Return the head of `tensors()`. Raises KeyError or ValueError where they do not fit."""
        packed = "covariance" in tensors
        gallery = CompactGallery.from_tensors(tensors) if packed else ExactGallery.from_tensors(tensors)
        return cls(gallery=gallery, xy=tensors["xy"], cells=cells, config=config)


def _local_similarities(queries: tuple[Tensor, ...], others: tuple[Tensor, ...], index: Tensor) -> Iterator[Tensor]:
    """Return the kinds of similarity (N, S) of N photos to those of the gallery at `index` (N, S), by one network.

    `queries` and `others` have the middles of grids and, last, a whole one (see `Descriptors`).
    """
    *query_middles, query_wholes = queries
    *other_middles, other_wholes = others
    if not query_middles:  # among several sizes, pooled features compare wholes well enough
        yield _chamfers(query_wholes, other_wholes, index)
    for query_middle, other_middle in zip(query_middles, other_middles, strict=True):
        nearer = _chamfers(query_wholes, other_middle, index)
        farther = _chamfers(query_middle, other_wholes, index)
        yield torch.maximum(nearer, farther)


def _chamfers(queries: Tensor, others: Tensor, index: Tensor) -> Tensor:
    """Return the similarity (N, S) of each query to the others at its row of `index` (N, S), in memory used again."""
    near = others.new_empty(index.shape[1], *others.shape[1:])
    wide = near.float() if others.dtype == torch.float16 else near
    found = []
    for query, rows in zip(queries, index, strict=True):
        torch.index_select(others, 0, rows, out=near)
        found.append(chamfer(query, wide if wide is near else wide.copy_(near)))
    return torch.stack(found)


def chamfer(query: Tensor, others: Tensor) -> Tensor:
    """Return the similarity of one grid (rows, columns, k) to S others (S, rows, columns, k), maybe packed, shape (S,).

    It is the mean over local vectors of the squared cosine to the best match, both ways and summed. A match is at most
    a sixth of the rows (rounded up) away. The best match per local patch follows Razavian et al., "Visual Instance
    Retrieval with Deep Convolutional Networks", 2016. The square follows Tolias et al., "Selective match kernels",
    2016.
    """
    rows, columns, width = query.shape
    apart = _kept_penalty(rows, columns, query.device)
    own = query.reshape(-1, width).float()
    fields = others.reshape(-1, others.shape[-1])
    products = products_of(fields, own) if others.dtype == torch.uint8 else fields.float() @ own.T
    cosine = products.view(len(others), *apart.shape).add_(apart)
    there, back = cosine.amax(dim=2), cosine.amax(dim=1)
    return there.clamp(min=0).square().mean(dim=1) + back.clamp(min=0).square().mean(dim=1)


def band_penalty(rows: int, columns: int) -> Tensor:
    """Return what is added to the cosines (L, L) of the L local vectors of two grids: nothing in about the same row."""
    row = torch.arange(rows).repeat_interleave(columns)
    return torch.where((row[:, None] - row[None]).abs() > math.ceil(rows / _BANDS), _APART, 0.0)


@functools.cache
def _kept_penalty(rows: int, columns: int, device: torch.device) -> Tensor:
    return band_penalty(rows, columns).to(device)
