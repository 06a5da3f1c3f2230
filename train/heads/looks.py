"""Every photo as it is and altered, up to the stages that a site trains: computed once and kept beside the photos."""

import dataclasses
from typing import Final, Self

import torch
from torch import Tensor

from img2gps.progress import bar
from train.augment import Augmentation, UIntArray, augment, photo_keys, photo_uniforms
from train.cache import cached_pixels
from train.config import TrainConfig
from train.data import DatasetPhotos
from train.heads.features import CHUNK
from train.heads.tensor_cache import cached_tensors, how_seen, tensors_path
from train.heads.tuned import TunedReader

__all__ = ["Looks", "cached_looks"]

_VERSION: Final = 1
_ALTERED: Final = 5
_MOST_BYTES: Final = 1 << 30  # of altered maps: a site of more photos is looked at in fewer ways
_STRENGTH: Final = Augmentation(crop=0.3, rotate_deg=5.0, colour=0.6)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """N photos at the cut of a `TunedReader`, `rows` of the maps of a dataset.

    `plain` (all, C, H, W) float32, `altered` (all, L, C, H, W) float16: gigabytes, and therefore never copied.
    """

    plain: Tensor
    altered: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows` (indices or a mask)."""
        return dataclasses.replace(self, rows=self.rows[rows])

    @property
    def count(self) -> int:
        """Looks at each photo: one as it is, and the altered ones."""
        return 1 + self.altered.shape[1]

    def unaltered(self, start: int, end: int) -> Tensor:
        """Return the maps of the photos from `start` to before `end`, as they are."""
        return self.plain[self.rows[start:end]]

    def drawn(self, photos: Tensor, looks: Tensor) -> Tensor:
        """Return one map (R, C, H, W) of each of the R photos: look 0 as it is, 1 to L altered."""
        rows = self.rows[photos]
        altered = self.altered[rows, (looks - 1).clamp(min=0)].to(self.plain.dtype)
        return torch.where((looks == 0)[:, None, None, None], self.plain[rows], altered)


def cached_looks(source: DatasetPhotos, config: TrainConfig, reader: TunedReader, *, device: torch.device) -> Looks:
    """Return the looks at all photos of a dataset, in the order of `source.photos`, on the CPU."""
    how = [how_seen(config, device, version=_VERSION), _ALTERED, dataclasses.astuple(_STRENGTH)]
    path = tensors_path("looks", source, how)
    tensors = cached_tensors(path, len(source.photos), lambda: _looked_at(source, config, reader, device))
    return Looks(plain=tensors["plain"], altered=tensors["altered"], rows=torch.arange(len(source.photos)))


@torch.inference_mode()
def _looked_at(
    source: DatasetPhotos, config: TrainConfig, reader: TunedReader, device: torch.device
) -> dict[str, Tensor]:
    pixels = torch.from_numpy(cached_pixels(source, config.pixels))
    keys = photo_keys(source.photos.ids)
    plain: list[Tensor] = []
    altered: list[Tensor] = []
    count = 1
    with bar("Looking closer", len(pixels)) as advance:
        for start in range(0, len(pixels), CHUNK):
            images = pixels[start : start + CHUNK]
            plain.append(reader.trunk(images).cpu())
            count = max(1, min(_ALTERED, _MOST_BYTES // (2 * plain[0][0].numel() * len(pixels))))
            looks = [_altered(images, keys[start : start + CHUNK], look, device) for look in range(1, count + 1)]
            altered.append(torch.stack([reader.trunk(look).half().cpu() for look in looks], dim=1))
            advance(len(images))
    return {"plain": torch.cat(plain), "altered": torch.cat(altered)}


def _altered(images: Tensor, keys: UIntArray, look: int, device: torch.device) -> Tensor:
    # the look takes the place of an epoch: the same photo is altered in the same ways, whatever comes with it
    uniforms = torch.from_numpy(photo_uniforms(keys, seed=0, epoch=look)).float().to(device)
    return augment(images.to(device).float(), uniforms, _STRENGTH)
