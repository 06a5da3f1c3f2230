"""What a model says of photos before it answers."""

import dataclasses
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

__all__ = ["Evidence"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """N photos: log shares (N, C) of the site's C cells, and how alike the most similar training photos look, (N,).

    `likeness` has no unit, only its order means anything (`train.heads.familiarity`); NaN where no head compares.
    """

    log_shares: Tensor
    likeness: Tensor

    @classmethod
    def without_comparison(cls, log_shares: Tensor) -> Self:
        """Return the evidence of a head that compares no photos."""
        return cls(log_shares=log_shares, likeness=log_shares.new_full((len(log_shares),), torch.nan))

    def __len__(self) -> int:
        return len(self.log_shares)

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows`."""
        rows = rows.to(self.log_shares.device)
        return type(self)(log_shares=self.log_shares[rows], likeness=self.likeness[rows])

    @classmethod
    def cat(cls, parts: Sequence[Self]) -> Self:
        """Return the photos of one or more parts as one."""
        return cls(
            log_shares=torch.cat([part.log_shares for part in parts]),
            likeness=torch.cat([part.likeness for part in parts]),
        )
