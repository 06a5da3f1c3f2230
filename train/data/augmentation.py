"""Random changes to a batch of photos, on the device, decided by (seed, epoch, photo id) alone.

No flips: a mirrored photo shows a place that does not exist.
"""

import dataclasses
import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from img2gps.geo import FloatArray
from train.config.schema import NetworkConfig

__all__ = ["Augmentation", "UIntArray", "augment", "epoch_order", "photo_keys", "photo_uniforms"]

UIntArray = NDArray[np.uint64]

_DRAWS: Final = 7
_CROP_SIZE, _CROP_X, _CROP_Y, _ROTATE, _BRIGHTNESS, _CONTRAST, _SATURATION = range(_DRAWS)
_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_LUMA: Final = (0.299, 0.587, 0.114)  # ITU-R BT.601


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Augmentation:
    """How far photos may be changed; all zero changes nothing."""

    crop: float
    rotate_deg: float
    colour: float

    @classmethod
    def of(cls, config: NetworkConfig) -> "Augmentation":
        """Return the strengths of a config."""
        return cls(crop=config.augment_crop, rotate_deg=config.augment_rotate_deg, colour=config.augment_colour)

    @property
    def active(self) -> bool:
        """Whether anything changes at all."""
        return max(self.crop, self.rotate_deg, self.colour) > 0.0


def photo_keys(ids: NDArray[np.str_]) -> UIntArray:
    """Return the first 64 bits of photo ids (SHA-256 in hexadecimal), shape (N,)."""
    return np.asarray([int(photo_id[:16], 16) for photo_id in ids], dtype=np.uint64)


def photo_uniforms(keys: UIntArray, *, seed: int, epoch: int) -> FloatArray:
    """Return uniform numbers in [0, 1) of shape (N, draws): functions of (seed, epoch, photo) and nothing else.

    SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
    """
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is the algorithm
        state = _mix(keys ^ _mix(np.asarray([seed], dtype=np.uint64) + _GOLDEN * np.uint64(epoch + 1)))
        counters = np.arange(1, _DRAWS + 1, dtype=np.uint64) * _GOLDEN
        bits = _mix(state[:, None] + counters[None, :])
    return (bits >> np.uint64(11)).astype(np.float64) * 2.0**-53


def epoch_order(count: int, *, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the order in which an epoch visits photos sorted by id: a function of (seed, epoch, count)."""
    return np.random.default_rng([seed, epoch]).permutation(count).astype(np.int64)


def augment(images: Tensor, uniforms: Tensor, strength: Augmentation) -> Tensor:
    """Return a float batch in [0, 255], shape (N, 3, height, width), cropped, turned and recoloured.

    `uniforms` holds the batch's rows of `photo_uniforms`, shape (N, draws), on the device of `images`.
    """
    if strength.crop or strength.rotate_deg:
        images = _moved(images, uniforms, strength)
    return _recoloured(images, uniforms, strength.colour) if strength.colour else images


def _moved(images: Tensor, uniforms: Tensor, strength: Augmentation) -> Tensor:
    """Crop and rotate in one bilinear sampling; what lies beyond the edge repeats it."""
    height, width = images.shape[-2:]
    scale = 1.0 - strength.crop * uniforms[:, _CROP_SIZE]
    shift_x = (2.0 * uniforms[:, _CROP_X] - 1.0) * (1.0 - scale)
    shift_y = (2.0 * uniforms[:, _CROP_Y] - 1.0) * (1.0 - scale)
    angle = (2.0 * uniforms[:, _ROTATE] - 1.0) * math.radians(strength.rotate_deg)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    # grid coordinates run from -1 to 1 on both axes, so that a rotation must undo the aspect ratio
    first = torch.stack([cos, -sin * (height / width), shift_x], dim=1)
    second = torch.stack([sin * (width / height), cos, shift_y], dim=1)
    grid = F.affine_grid(torch.stack([first, second], dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)


def _recoloured(images: Tensor, uniforms: Tensor, strength: float) -> Tensor:
    def factor(draw: int) -> Tensor:
        return (1.0 + strength * (2.0 * uniforms[:, draw] - 1.0))[:, None, None, None]

    bright = images * factor(_BRIGHTNESS)
    luma = torch.tensor(_LUMA, dtype=images.dtype, device=images.device)[None, :, None, None]
    grey = (bright * luma).sum(dim=1, keepdim=True)
    saturated = grey + (bright - grey) * factor(_SATURATION)
    mean = grey.mean(dim=(2, 3), keepdim=True)
    return (mean + (saturated - mean) * factor(_CONTRAST)).clamp(0.0, 255.0)


def _mix(value: UIntArray) -> UIntArray:
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))
