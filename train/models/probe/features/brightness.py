"""Light: what of a photo's features its brightness alone foretells, taken off them."""

import dataclasses
from typing import Final, Self

import torch
from torch import Tensor

from img2gps.pixels import PADDING

__all__ = ["DARKEST", "LightCorrection", "brightness_of"]

_PRIOR: Final = 3.0  # on a basis within [-1, 1]: from ten to some thirty photos on, these outweigh it
_LEAST_SPAN: Final = 1e-6
DARKEST: Final = 0.02  # below this share of white it is noise that differs


def brightness_of(images: Tensor) -> Tensor:
    """Return the brightness (N,) of uint8 RGB images (N, 3, height, width): about 0 for white, -1 for half its value.

    The binary logarithm of the mean value of all that is not a bar (`img2gps.pixels.PADDING`). Values are as
    stored, with sRGB's curve, so that a unit is some two stops of light. Sums are of whole numbers, and exact.
    """
    fields = images.shape[2] * images.shape[3]
    shown = _shown(images)
    bars = sum(PADDING) * (fields - shown)
    # a photo of nothing but this grey is a photo, too
    bars, shown = torch.where(shown == 0, 0, bars), torch.where(shown == 0, fields, shown)
    total = images.sum(dim=3, dtype=torch.int32).sum(dim=(1, 2), dtype=torch.int64) - bars
    return torch.log2(total / (3 * shown) / 255.0 + DARKEST)


def _shown(images: Tensor) -> Tensor:
    """Return how many fields (N,) of each image are in no row and in no column that is a bar from end to end."""
    padding = images.new_tensor(PADDING).view(1, 3, 1)
    edges = (images[:, :, 0] == padding).all(dim=1).any() or (images[:, :, :, 0] == padding).all(dim=1).any()
    if not edges:  # a bar reaches the first row or column, which are soon looked through
        return torch.full((len(images),), images.shape[2] * images.shape[3], device=images.device)
    bars = (images == padding[..., None]).all(dim=1)
    return (~bars.all(dim=2)).sum(dim=1) * (~bars.all(dim=1)).sum(dim=1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LightCorrection:
    """Takes off vectors what a parabola in brightness foretells of them, fitted to training photos by ridge regression.

    Hoerl and Kennard, "Ridge Regression", Technometrics 12 (1970); the pull towards none is `_PRIOR`. Photos by day and
    by night lie apart in feature space. Their means can be made equal without knowing which was taken where. `bounds`
    (2,) is the range of brightness of the training photos. Darker or brighter photos count as its end, because a
    parabola knows nothing beyond. `offset` (2,) is the mean of the basis, `coefficients` is (2, D).
    """

    bounds: Tensor
    offset: Tensor
    coefficients: Tensor

    @classmethod
    def fit(cls, vectors: Tensor, brightness: Tensor) -> Self:
        """Return the correction fitted to vectors (N, D) of photos of some brightness (N,)."""
        bounds = torch.stack([brightness.min(), brightness.max()])
        basis = _basis(brightness, bounds).cpu().double()
        offset = basis.mean(dim=0)
        centred = basis - offset
        normal = centred.T @ centred + _PRIOR * torch.eye(2, dtype=torch.float64)
        coefficients = torch.linalg.solve(normal, centred.T @ vectors.cpu().double())
        return cls(bounds=bounds, offset=offset.to(vectors), coefficients=coefficients.to(vectors))

    def __call__(self, vectors: Tensor, brightness: Tensor) -> Tensor:
        """Return vectors (N, D) as they would be, about, in the mean light of the training photos."""
        return vectors - (_basis(brightness, self.bounds) - self.offset) @ self.coefficients


def _basis(brightness: Tensor, bounds: Tensor) -> Tensor:
    low, high = bounds
    position = ((2 * brightness - low - high) / (high - low).clamp(min=_LEAST_SPAN)).clamp(-1.0, 1.0)
    return torch.stack([position, position.square()], dim=1)
