"""The photos of a dataset as a torch Dataset, for trainers of one's own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.geo import LocalFrame
from img2gps.imaging import open_image, upright_rgb
from img2gps.text import safe_path, safe_text, shell_path
from train.data.training_data import Photos, read_photos

__all__ = ["PhotoDataset"]

Target = Literal["metres", "degrees"]
Transform = Callable[[Image.Image], Any]

_SPLITS: Final = ("train", "val", "test", "all")
_TARGETS: Final = ("metres", "degrees")


class PhotoDataset(TorchDataset[tuple[Any, Tensor, str]]):
    """Photos with the places where they were taken: item `i` is (image, target, id).

    `image` is the upright working copy in sRGB: what `transform` makes of its `PIL.Image`. Without a transform it is a
    float32 tensor (3, height, width) in [0, 1]. Copies of one dataset may differ in size; a `DataLoader` needs a
    transform that makes them equal. `target` is a float32 tensor (2,) of metres east and north of the middle of the
    site (`frame`). Or it is a float64 tensor (2,) of lon and lat in degrees. Corrections are applied, and photos that a
    person excluded are left out. Items are in order of their ids.

    `split` is one of train, val, test, or all; with `fold`, the photos of that fold (``split="test"``), or of all
    others (``split="train"``). Raises NotFoundError, InvalidDatasetError also where no photo is left, and UsageError.

        >>> import torch
        >>> from torch.utils.data import DataLoader
        >>> from torchvision.transforms import v2
        >>> from train import PhotoDataset
        >>> small = v2.Compose([v2.Resize((64, 64)), v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True)])
        >>> photos = PhotoDataset("quad", split="train", transform=small)
        >>> images, metres, ids = next(iter(DataLoader(photos, batch_size=4, num_workers=0)))
        >>> images.shape, metres.shape
        (torch.Size([4, 3, 64, 64]), torch.Size([4, 2]))
    """

    def __init__(
        self,
        dataset: Dataset | str | Path,
        split: str = "train",
        *,
        transform: Transform | None = None,
        target: Target = "metres",
        fold: int | None = None,
    ) -> None:
        if split not in _SPLITS:
            raise UsageError(f"No split {safe_text(repr(split))}: choose one of {', '.join(_SPLITS)}.")
        if target not in _TARGETS:
            raise UsageError(f"No target {safe_text(repr(target))}: choose metres or degrees.")
        root = dataset.root if isinstance(dataset, Dataset) else Path(dataset)
        source = read_photos(root)
        photos = _chosen(source.photos, split, fold)
        if not len(photos):
            part = f"fold {fold}, {split}" if fold is not None else split
            raise InvalidDatasetError(
                f"{safe_path(root)} has no photo in {part}: look at `img2gps split {shell_path(root)} --dry-run`."
            )
        self.frame: LocalFrame = source.frame
        self.transform = transform
        self.ids: list[str] = photos.ids.tolist()
        self.targets = _targets(photos, target)
        self._paths = source.dataset.photo_paths(self.ids)

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, index: int) -> tuple[Any, Tensor, str]:
        """Return (image, target, id). Raises InvalidDatasetError where the working copy cannot be read."""
        image = _read(self._paths[index])
        pixels = _as_tensor(image) if self.transform is None else self.transform(image)
        return pixels, self.targets[index], self.ids[index]


def _chosen(photos: Photos, split: str, fold: int | None) -> Photos:
    """Return the photos of a split, or of a fold (``test``), of all other folds (``train``)."""
    if fold is None:
        return photos if split == "all" else photos.take(photos.split == split)
    if split not in ("train", "test"):
        raise UsageError(f"A fold has photos to train on and photos to test: choose train or test, not {split}.")
    held_out = photos.fold == fold
    return photos.take(held_out) if split == "test" else photos.take(~held_out & (photos.fold >= 0))


def _targets(photos: Photos, target: Target) -> Tensor:
    """Return the targets of N photos, (N, 2)."""
    if target == "degrees":
        return torch.from_numpy(np.stack([photos.lon, photos.lat], axis=1))
    return torch.from_numpy(np.stack([photos.east_m, photos.north_m], axis=1)).float()


def _read(path: Path) -> Image.Image:
    try:
        return upright_rgb(open_image(path.read_bytes()), short_side_px=None)
    except Exception as error:  # decoders raise anything on a damaged file
        raise InvalidDatasetError(
            f"{safe_path(path)} cannot be read ({safe_text(str(error))}): run `img2gps verify`."
        ) from error


def _as_tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image, dtype=np.float32).transpose(2, 0, 1) / np.float32(255))
