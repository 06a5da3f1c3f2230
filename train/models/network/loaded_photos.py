"""Photos of one part of a split as tensors, on the device where they fit."""

import dataclasses
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from img2gps.pixels import PixelSpec
from train.data.augmentation import photo_keys
from train.data.pixel_cache import cached_pixels
from train.data.targets import TargetScale
from train.data.training_data import Photos, TrainingData
from train.runtime.distributed import world

__all__ = ["LoadedPhotos"]

_PHOTOS_AT_ONCE = 1024  # on their way to a GPU: main memory need not hold them all


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPhotos:
    """Photos as tensors: all pixels of the dataset (uint8), the rows of N photos in them, their targets (N, 2)."""

    pixels: Tensor
    rows: Tensor
    targets: Tensor
    keys: NDArray[np.uint64]

    @classmethod
    def of(
        cls, data: TrainingData, photos: Photos, *, pixels: PixelSpec, scale: TargetScale, device: torch.device
    ) -> Self:
        """Return photos of `data`: resident on a GPU where they fit, else mapped from the file of all photos.

        Of several processes the first writes that file, and the others wait for it.
        """
        here = world()
        if not here.leads:
            here.wait()
        images = torch.from_numpy(cached_pixels(data.source, pixels, may_write=here.leads))
        if here.leads:
            here.wait()
        rows = torch.from_numpy(data.source.rows(photos))
        if _fits(len(rows) * images[0].nbytes, device):
            images = torch.cat([images[part].to(device) for part in torch.split(rows, _PHOTOS_AT_ONCE)])
            rows = torch.arange(len(rows), device=device)
        targets = torch.from_numpy(scale.encode(photos)).to(device)
        return cls(pixels=images, rows=rows, targets=targets, keys=photo_keys(photos.ids))


def _fits(size: int, device: torch.device) -> bool:
    """Return whether `size` bytes of photos are to lie on the device: less than half of a GPU's free memory."""
    return device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] / 2
