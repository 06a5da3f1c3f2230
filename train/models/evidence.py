"""What photos say of their place, before a point is chosen."""

import dataclasses
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

__all__ = ["Evidence"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """N photos: log-probabilities (N, C) of the site's C cells, and the similarity (N,) of the nearest training photos.

    `similarity` has no unit, only its order means anything (`train.models.familiarity`); NaN where no head compares.
    """

    log_probs: Tensor
    similarity: Tensor

    @classmethod
    def without_comparison(cls, log_probs: Tensor) -> Self:
        """Return the evidence of a head that compares no photos."""
        return cls(log_probs=log_probs, similarity=log_probs.new_full((len(log_probs),), torch.nan))

    def __len__(self) -> int:
        return len(self.log_probs)

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows`."""
        rows = rows.to(self.log_probs.device)
        return type(self)(log_probs=self.log_probs[rows], similarity=self.similarity[rows])

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Return the photos of one or more parts as one."""
        return cls(
            log_probs=torch.cat([part.log_probs for part in parts]),
            similarity=torch.cat([part.similarity for part in parts]),
        )
