"""Whitening: principal axes of the training photos, the strong ones turned down, or those of what stays the same."""

import dataclasses
from typing import Final, Self

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Whitening"]

_LEAST_SHARE: Final = 1e-7  # eigenvalues below this share of the largest are rounding
_MOST_PHOTOS: Final = 2048  # the eigenvectors of a larger product take minutes, and say the same
_AXES: Final = 768  # principal axes within which a metric is learnt
_RIDGE: Final = 0.3  # of the mean variance, on every axis: a few thousand pairs cannot tell small axes from none


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whitening:
    """(..., D) vectors to (..., K) unit vectors whose axes have more equal spread.

    With a `power` below one half the axes are evened out in part. Source: Jégou and Chum, "Negative evidences and
    co-occurences in image retrieval: the benefit of PCA and whitening", ECCV 2012.
    """

    mean: Tensor
    matrix: Tensor

    def __call__(self, vectors: Tensor) -> Tensor:
        """Return the whitened vectors."""
        return F.normalize((vectors - self.mean) @ self.matrix, dim=-1)

    @classmethod
    def fit(cls, vectors: Tensor, *, dimensions: int, power: float) -> Self:
        """Return the whitening of vectors (N, D) to at most `dimensions` axes, each divided by eigenvalue ** power.

        Where all vectors are equal there is one axis, of length zero.
        """
        mean, axes, variances = _principal(vectors, dimensions)
        if not len(variances):
            return cls(mean=mean, matrix=vectors.new_zeros(vectors.shape[1], 1))
        return cls(mean=mean, matrix=(axes / variances**power).float().to(vectors.device))

    @classmethod
    def learnt(cls, vectors: Tensor, pairs: Tensor, *, dimensions: int) -> Self:
        """Return the whitening under which `pairs` (P, 2) of rows of `vectors` (N, D) differ alike on all axes.

        Differences between two photos of one view (light, season, camera, passers-by) are turned down; differences
        between views stay. This is the linear metric with the least distance within pairs for a given scatter of all
        photos. It is kept on its `dimensions` axes of largest scatter. Sources: Mikolajczyk and Matas, "Improving
        descriptors for fast tree matching by optimal linear projection", ICCV 2007. Radenović et al., "Fine-tuning CNN
        image retrieval with no human annotation", PAMI 41 (2019), sec. 3.3.
        """
        mean, axes, _ = _principal(vectors, _AXES)
        inside = (vectors - mean).cpu().double() @ axes
        differences = inside[pairs[:, 0].cpu()] - inside[pairs[:, 1].cpu()]
        within = differences.T @ differences / (2 * len(pairs))
        within.diagonal().add_(_RIDGE * within.diagonal().mean())
        spread, turn = torch.linalg.eigh(within)
        even = turn / spread.sqrt()
        scatter = (inside @ even).T @ (inside @ even)
        strongest = torch.linalg.eigh(scatter)[1].flip(1)[:, :dimensions]
        return cls(mean=mean, matrix=(axes @ even @ strongest).float().to(vectors.device))


def _principal(vectors: Tensor, dimensions: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the mean (D,), at most `dimensions` principal axes (D, K) and the variances along them (K,).

    The axes and the variances are float64 and on the CPU: not every device knows float64.
    """
    if min(vectors.shape) > _MOST_PHOTOS:
        vectors = vectors[:: -(-len(vectors) // _MOST_PHOTOS)]
    mean = vectors.mean(dim=0)
    centred = vectors - mean
    few = len(vectors) < vectors.shape[1]
    # the smaller of the two products: both have the same eigenvalues
    product = (centred @ centred.T if few else centred.T @ centred).cpu().double()
    values, axes = torch.linalg.eigh(product)
    keep = (values > values[-1] * _LEAST_SHARE) & (values > 0)
    values, axes = values[keep].flip(0)[:dimensions], axes[:, keep].flip(1)[:, :dimensions]
    if few:
        axes = (centred.T.cpu().double() @ axes) / values.sqrt()
    return mean, axes, values / len(vectors)
