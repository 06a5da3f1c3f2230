"""Whitening: principal axes of the training photos, the strong ones turned down."""

import dataclasses
from typing import Final, Self

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["Whitening"]

_LEAST_SHARE: Final = 1e-7  # eigenvalues below this share of the largest are rounding


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whitening:
    """(..., D) vectors to (..., K) unit vectors whose axes have more equal spread.

    Jégou and Chum, "Negative evidences and co-occurences in image retrieval: the benefit of PCA and
    whitening", ECCV 2012; with a `power` below one half the axes are evened out in part.
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
        mean = vectors.mean(dim=0)
        centred = vectors - mean
        few = len(vectors) < vectors.shape[1]
        # the smaller of the two products: both have the same eigenvalues
        # on the CPU: not every device has float64
        product = (centred @ centred.T if few else centred.T @ centred).cpu().double()
        values, axes = torch.linalg.eigh(product)
        keep = (values > values[-1] * _LEAST_SHARE) & (values > 0)
        values, axes = values[keep].flip(0)[:dimensions], axes[:, keep].flip(1)[:, :dimensions]
        if not len(values):
            return cls(mean=mean, matrix=vectors.new_zeros(vectors.shape[1], 1))
        if few:
            axes = (centred.T.cpu().double() @ axes) / values.sqrt()
        return cls(mean=mean, matrix=(axes / (values / len(vectors)) ** power).float().to(vectors.device))
