"""Which training photos show the same view: near in place and heading, from different walks, and alike."""

import dataclasses
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor

from train.data.training_data import Photos

__all__ = ["MOST_TURNED_DEG", "Poses", "one_view", "pairs_of_views"]

MOST_TURNED_DEG: Final = 45.0
"""How far two photos of one view are turned at most: beyond, views of a phone's 65 degrees share less than a third."""

_PER_PHOTO: Final = 2
_LEAST_COSINE: Final = 0.05  # of unit vectors around their mean: what is less similar shows another view
_AT_ONCE: Final = 512


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Poses:
    """Where N photos were taken, on the device of the heads.

    `xy` (N, 2) east and north metres, `heading_deg` (N,) NaN where unknown, `walk` (N,) a number per walk.
    """

    xy: Tensor
    heading_deg: Tensor
    walk: Tensor

    def __len__(self) -> int:
        return len(self.xy)

    @classmethod
    def of(cls, photos: Photos, device: torch.device) -> Self:
        """Return the poses of photos."""
        xy = np.stack([photos.east_m, photos.north_m], axis=1)
        walk = np.unique(photos.walk, return_inverse=True)[1].reshape(-1)
        return cls(
            xy=torch.tensor(xy, dtype=torch.float32, device=device),
            heading_deg=torch.tensor(photos.heading_deg, dtype=torch.float32, device=device),
            walk=torch.tensor(walk, device=device),
        )

    def take(self, rows: Tensor) -> Self:
        """Return the poses at `rows` (indices or a mask)."""
        return type(self)(xy=self.xy[rows], heading_deg=self.heading_deg[rows], walk=self.walk[rows])


def pairs_of_views(vectors: Tensor, poses: Poses, *, within_m: float) -> Tensor:
    """Return pairs (P, 2) of rows that show about the same view on different walks.

    A pair lies within `within_m` metres and, where both headings are known, 45 degrees. Of the photos that do, a photo
    is paired with the two whose unit `vectors` (N, K) are the most similar. Most photos have no heading, and two
    directions from one spot must not make a pair. Photos of one walk share light, weather and camera, which a metric
    must learn to disregard.
    """
    pairs = [_pairs_of(rows, vectors, poses, within_m) for rows in torch.split(torch.arange(len(poses)), _AT_ONCE)]
    return torch.cat(pairs) if pairs else torch.empty(0, 2, dtype=torch.int64)


def one_view(rows: Tensor, poses: Poses, *, within_m: float) -> Tensor:
    """Return which of N photos may show what the photos at `rows` show, on another walk: a mask (R, N).

    They lie within `within_m` metres and, where both headings are known, 45 degrees.
    """
    apart = torch.cdist(poses.xy[rows], poses.xy, compute_mode="donot_use_mm_for_euclid_dist") > within_m
    turned = (poses.heading_deg[rows, None] - poses.heading_deg[None] + 180.0).remainder(360.0) - 180.0
    same_walk = poses.walk[rows, None] == poses.walk[None]
    # an unknown heading gives NaN, which is not greater
    return ~(apart | (turned.abs() > MOST_TURNED_DEG) | same_walk)


def _pairs_of(rows: Tensor, vectors: Tensor, poses: Poses, within_m: float) -> Tensor:
    rows = rows.to(vectors.device)
    cosine = (vectors[rows] @ vectors.T).masked_fill(~one_view(rows, poses, within_m=within_m), -1.0)
    best, partner = cosine.topk(min(_PER_PHOTO, len(poses)), dim=1)
    own = rows[:, None].expand_as(partner)
    return torch.stack([own, partner], dim=2)[best > _LEAST_COSINE]
