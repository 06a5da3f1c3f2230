"""Every photo as it is and altered, up to the stages that a site trains: computed once and kept beside the photos."""

import dataclasses
from typing import Final, Self

import torch
from torch import Tensor

from img2gps.errors import UsageError
from img2gps.progress import bar
from train.config.schema import ProbeConfig
from train.data.augmentation import Augmentation, UIntArray, augment, photo_keys, photo_uniforms
from train.data.pixel_cache import cached_pixels
from train.data.training_data import DatasetPhotos
from train.models.probe.features.extractor import CHUNK
from train.models.probe.features.tensor_cache import cached_tensors, extraction_settings, photos_of, tensors_path
from train.models.probe.finetune.extractor import FinetunedExtractor

__all__ = ["AugmentedViews", "cached_augmented_views", "check_views"]

_VERSION: Final = 4
_VIEWS: Final = 6
_MOST_BYTES: Final = 2 << 30  # of maps: of more photos there are fewer views
_STRENGTH: Final = Augmentation(crop=0.3, rotate_deg=5.0, colour=0.6)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AugmentedViews:
    """N photos at the cut of a `FinetunedExtractor`, `rows` of the `maps` of a dataset.

    `maps` (all, L, C, H, W) float16 has the photos as they are first, then altered; gigabytes, and never copied.
    """

    maps: Tensor
    rows: Tensor

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows` (indices or a mask)."""
        return dataclasses.replace(self, rows=self.rows[rows])

    @property
    def count(self) -> int:
        """Views of each photo."""
        return self.maps.shape[1]

    def unaltered(self, start: int, end: int) -> Tensor:
        """Return the maps of the photos from `start` to before `end`, as they are."""
        return self.maps[self.rows[start:end], 0]

    def drawn(self, photos: Tensor, views: Tensor) -> Tensor:
        """Return one map (R, C, H, W) of each of the R photos; view 0 shows it as it is."""
        return self.maps[self.rows[photos], views]


def cached_augmented_views(
    source: DatasetPhotos, config: ProbeConfig, backbone_extractor: FinetunedExtractor, *, device: torch.device
) -> AugmentedViews:
    """Return the views of all photos of a dataset, in the order of `source.photos`, on the CPU.

    Raises UsageError where they are too many to hold.
    """
    how = [extraction_settings(config, device, version=_VERSION), _VIEWS, dataclasses.astuple(_STRENGTH)]
    path = tensors_path("looks", source, [how, photos_of(source)])  # one hash: the views of one config at a time
    tensors = cached_tensors(
        path, len(source.photos), lambda: {"maps": _views_of_all(source, config, backbone_extractor, device)}
    )
    return AugmentedViews(maps=tensors["maps"], rows=torch.arange(len(source.photos)))


@torch.inference_mode()
def check_views(source: DatasetPhotos, backbone_extractor: FinetunedExtractor, image: Tensor) -> None:
    """Raise UsageError where the views of all photos, of which `image` (1, 3, H, W) is like one, are too many."""
    _views_that_fit(len(source.photos), backbone_extractor.trunk(image)[0].numel())


@torch.inference_mode()
def _views_of_all(
    source: DatasetPhotos, config: ProbeConfig, backbone_extractor: FinetunedExtractor, device: torch.device
) -> Tensor:
    pixels = torch.from_numpy(cached_pixels(source, config.pixels))
    keys = photo_keys(source.photos.ids)
    count = _views_that_fit(len(pixels), backbone_extractor.trunk(pixels[:1])[0].numel())
    parts: list[Tensor] = []
    with bar("Looking closer", len(pixels)) as advance:
        for start in range(0, len(pixels), CHUNK):
            images = pixels[start : start + CHUNK]
            views = [_altered(images, keys[start : start + CHUNK], view, device) for view in range(count)]
            parts.append(
                torch.stack([backbone_extractor.trunk(view).half().cpu() for view in views], dim=1).contiguous()
            )
            advance(len(images))
    return torch.cat(parts)


def _views_that_fit(photos: int, numbers: int) -> int:
    """Return how many views of so many photos there is room for, with so many numbers per map."""
    fit = _MOST_BYTES // (2 * photos * numbers)
    if fit < 1:
        size_gb = 2 * photos * numbers / 1e9
        raise UsageError(
            f"Training the last stages on {photos:,} photos needs {size_gb:.1f} GB of maps; "
            f"{_MOST_BYTES / 1e9:.1f} GB are allowed. Set tune_epochs to 0, or name a smaller network or size last."
        )
    return min(_VIEWS, fit)


def _altered(images: Tensor, keys: UIntArray, view: int, device: torch.device) -> Tensor:
    """Return the images as they are for view 0, else altered."""
    if not view:
        return images
    # the view takes the place of an epoch: the same photo is altered in the same ways, whatever comes with it
    uniforms = torch.from_numpy(photo_uniforms(keys, seed=0, epoch=view)).float().to(device)
    return augment(images.to(device).float(), uniforms, _STRENGTH)
