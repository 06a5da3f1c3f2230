"""The comparison with the gallery for any number of photos at once: `Neighbours.evidence` without its loops."""

import dataclasses
import itertools

import torch
from torch import Tensor, nn

from img2gps.errors import UsageError
from train.models.grid import Cells
from train.models.probe.features.descriptors import Descriptors
from train.models.probe.heads.gallery import CompactGallery
from train.models.probe.heads.neighbours import FAMILIAR, Neighbours, band_penalty

__all__ = ["Compared", "PureNeighbours", "gallery_tensors"]

_LEAST_SPREAD = 1e-6


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """N photos compared with a gallery: log-probabilities (N, C), `similarity` (N,), and the K photos most alike.

    `rows` (N, K) are their rows in the gallery, best first. `cosine` is that of their pooled descriptors with the
    photo's, and `weight` their share of the density.
    """

    log_probs: Tensor
    similarity: Tensor
    rows: Tensor
    cosine: Tensor
    weight: Tensor


def gallery_tensors(head: Neighbours) -> dict[str, Tensor]:
    """Return the gallery of a head by the names of the graph's inputs, in their order. Raises UsageError if packed."""
    if isinstance(head.gallery, CompactGallery):
        raise UsageError(
            f"A model of {len(head.xy):,} photos is not exported: its gallery is packed. "
            "Train on fewer, or with a larger --set exact_photos=N."
        )
    return {f"gallery.{name}": tensor.detach().cpu().contiguous() for name, tensor in head.tensors().items()}


class PureNeighbours(nn.Module):
    """The head `like`, whose gallery is given with every call: it lies in a file of its own."""

    centres: Tensor

    def __init__(self, like: Neighbours, cells: Cells) -> None:
        super().__init__()
        self.config, self.cells_count = like.config, len(cells)
        self.levels = [len(grids) for grids in like.gallery.local]
        self.register_buffer("centres", cells.centres.detach().cpu().clone())

    def forward(self, photos: Descriptors, gallery: list[Tensor]) -> Compared:
        """Return what the gallery (in the order of `gallery_tensors`) says of N photos."""
        xy, pooled, *grids = gallery
        scores, index, cosine, similarity = self._shortlisted(photos, pooled.float(), self._by_network(grids))
        best, column = scores.topk(min(self.config.neighbours, scores.shape[1]), dim=1)
        weights = torch.softmax(best / self.config.temperature, dim=1)
        rows = index.gather(1, column)
        difference = xy[rows][:, :, None] - self.centres
        kernels = torch.softmax(-difference.square().sum(dim=3) / (2 * self.config.bandwidth_m**2), dim=2)
        probs = (weights[:, None] @ kernels)[:, 0]
        return Compared(
            log_probs=torch.log(probs + self.config.floor / self.cells_count),
            similarity=similarity,
            rows=rows,
            cosine=cosine.gather(1, rows),
            weight=weights,
        )

    def _by_network(self, grids: list[Tensor]) -> list[list[Tensor]]:
        left = iter(grids)
        return [list(itertools.islice(left, count)) for count in self.levels]

    def _shortlisted(
        self, photos: Descriptors, gallery: Tensor, others: list[list[Tensor]]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return scores (N, S), rows (N, S), the cosines (N, G) with the whole gallery, and the similarity (N,)."""
        cosine = photos.pooled @ gallery.T
        similarity = cosine.topk(min(FAMILIAR, cosine.shape[1]), dim=1).values.mean(dim=1)
        pooled = _standard(cosine)
        if not others:
            scores, index = pooled.topk(min(self.config.neighbours, pooled.shape[1]), dim=1)
            return scores, index, cosine, similarity
        chosen, index = pooled.topk(min(self.config.shortlist, pooled.shape[1]), dim=1)
        kinds: list[Tensor] = []
        for own, theirs in zip(photos.local, others, strict=True):
            kinds += _kinds(own, theirs, index)
        similarity = similarity + torch.stack([kind.amax(dim=1) for kind in kinds]).mean(dim=0)
        return torch.stack([chosen, *map(_standard, kinds)]).mean(dim=0), index, cosine, similarity


def _kinds(queries: tuple[Tensor, ...], others: list[Tensor], index: Tensor) -> list[Tensor]:
    """Return the kinds of similarity (N, S), as `train.models.probe.heads.neighbours` tells them apart."""
    *query_middles, query_whole = queries
    *other_middles, other_whole = others
    if not query_middles:
        return [_chamfers(query_whole, other_whole, index)]
    return [
        torch.maximum(_chamfers(query_whole, other_middle, index), _chamfers(query_middle, other_whole, index))
        for query_middle, other_middle in zip(query_middles, other_middles, strict=True)
    ]


def _chamfers(queries: Tensor, others: Tensor, index: Tensor) -> Tensor:
    """Return the chamfer similarity (N, S) of grids (N, rows, columns, k) to those (G, rows, columns, k) at `index`."""
    rows, columns, width = queries.shape[1:]
    near = others[index].flatten(2, 3).float()
    own = queries.reshape(-1, 1, rows * columns, width).float()
    cosine = near @ own.transpose(2, 3) + band_penalty(rows, columns)
    there, back = cosine.amax(dim=3), cosine.amax(dim=2)
    return there.clamp(min=0).square().mean(dim=2) + back.clamp(min=0).square().mean(dim=2)


def _standard(similarity: Tensor) -> Tensor:
    centred = similarity - similarity.mean(dim=1, keepdim=True)
    return centred / centred.square().mean(dim=1, keepdim=True).sqrt().clamp(min=_LEAST_SPREAD)
