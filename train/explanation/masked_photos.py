"""The masks of a dataset's photos, and copies of photos in which the pixels of some classes are filled."""

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from img2gps.dataset import Dataset
from img2gps.files import sha256_bytes
from img2gps.masks import (
    CLASSES,
    TABLE_NAME,
    ClassMask,
    find_mask,
    fit_mask,
    names_of_marks,
    read_class_table,
    read_mask,
)
from img2gps.pixels import Pixels, PixelSpec, read_pixels
from img2gps.progress import bar
from train.data.training_data import DatasetPhotos
from train.explanation.content import Donors, filled

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Masks", "shares_of", "without_class"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Masks:
    """Which file is the mask of a photo, by the photo's id, and what the masks' numbers mean."""

    paths: dict[str, Path]
    table: ClassMask | None

    @classmethod
    def of(cls, folder: Path, rows: "pd.DataFrame") -> Self:
        """Return the masks in a folder that belong to photos, whose rows are all those of their dataset.

        Raises InvalidDatasetError.
        """
        table_path = folder / TABLE_NAME
        ids = rows["id"].astype(str).tolist()
        names = names_of_marks(ids, rows["source_name"].astype(str).tolist())
        found = {own: find_mask(folder, own, name) for own, name in zip(ids, names, strict=True)}
        return cls(
            paths={own: path for own, path in found.items() if path is not None},
            table=read_class_table(table_path) if table_path.is_file() else None,
        )

    def of_photo(self, photo_id: str, spec: PixelSpec) -> ClassMask:
        """Return the mask of a photo as a model sees it, (height, width). Raises InvalidDatasetError."""
        return fit_mask(read_mask(self.paths[photo_id], self.table), spec)

    def shares(self, photo_id: str) -> NDArray[np.float64]:
        """Return the share of a photo of each class, (K,). Raises InvalidDatasetError."""
        return shares_of(read_mask(self.paths[photo_id], self.table))


def shares_of(mask: ClassMask) -> NDArray[np.float64]:
    """Return the share of the pixels of each class of `img2gps.masks.CLASSES`, (K,)."""
    return np.bincount(mask.ravel(), minlength=len(CLASSES))[: len(CLASSES)] / mask.size


def without_class(
    source: DatasetPhotos, masks: Masks, classes: Sequence[int], donors: Donors, spec: PixelSpec, folder: Path
) -> DatasetPhotos:
    """Return a dataset whose photos have the pixels of some classes filled from photos of other places.

    Its copies lie in `folder`, in a model's own pixels and lossless, so that they are read as they were written. Photos
    without a mask stay as they are. Raises InvalidDatasetError, UnreadableImageError.
    """
    made = Dataset(root=folder)
    digests = []
    with bar(f"Filling {CLASSES[classes[0]]}", len(source.photos)) as advance:
        paths = source.dataset.photo_paths(source.photos.ids)
        for row, photo_id in enumerate(source.photos.ids.tolist()):
            image = read_pixels(paths[row], spec)
            if photo_id in masks.paths:
                own = np.isin(masks.of_photo(photo_id, spec), classes)
                place = (float(source.photos.east_m[row]), float(source.photos.north_m[row]))
                image = filled(image, own, donors.chosen(*place, 1, np.random.default_rng([row, *classes]), image))[0]
            digests.append(_write(made.photo_path(photo_id), image))
            advance(1)
    photos = dataclasses.replace(source.photos, photo_sha256=np.asarray(digests, dtype=np.str_))
    return dataclasses.replace(source, dataset=made, photos=photos)


def _write(path: Path, image: Pixels) -> str:
    buffer = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(buffer, "PNG", compress_level=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    return sha256_bytes(buffer.getvalue())
