"""A trained model as a programmer meets it: photos of any kind in, positions out."""

import dataclasses
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from img2gps.errors import UsageError
from img2gps.text import safe_path
from train.inference.load import load_localizer
from train.inference.predict import Prediction, Source, predict_sources
from train.models.localizer import Localizer

__all__ = ["Model", "load_model"]

Photo = str | Path | Image.Image | NDArray[np.uint8]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model on its device. `localizer` is what the rest of the program knows it as."""

    localizer: Localizer

    def locate(self, photos: Photo | Sequence[Photo], *, walks: bool = False, batch_size: int = 32) -> list[Prediction]:
        """Return one prediction per photo, in their order.

        A photo is a path, a `PIL.Image`, or a uint8 array (height, width, 3) of sRGB pixels. A prediction has lon and
        lat in degrees, `radius_50_m` and `radius_90_m` (None if the model has none) and `familiarity`. `error` says why
        a file cannot be read. With `walks`, photos that one camera took at most ten minutes apart, by their EXIF, are
        located together. Pixels without EXIF are located alone. Raises UsageError for anything else than a photo, and
        for `walks` of a model that gives points alone.
        """
        given = [photos] if isinstance(photos, str | Path | Image.Image | np.ndarray) else list(photos)
        sources = [_source(photo, number) for number, photo in enumerate(given, start=1)]
        return predict_sources(self.localizer, sources, walks=walks, batch_size=batch_size)


def load_model(run: str | PathLike[str], *, fold: int | None = None, device: str = "auto") -> Model:
    """Return the model of a run (``runs/NAME``), of one of its folds, or of one checkpoint (``runs/NAME/last``).

    Raises NotFoundError, InvalidCheckpointError naming the damaged file, DeviceError.

        >>> from train import load_model
        >>> model = load_model("runs/quick-001")
        >>> [answer] = model.locate("IMG_0042.jpg")
        >>> answer.error is None and -90 <= answer.lat <= 90
        True
    """
    return Model(localizer=load_localizer(Path(run), fold=fold, device=device))


def _source(photo: Photo, number: int) -> Source:
    if isinstance(photo, str | Path):
        return Source(name=safe_path(Path(photo)), content=Path(photo))
    if isinstance(photo, Image.Image):
        return Source(name=f"photo {number}", content=photo)
    if isinstance(photo, np.ndarray) and photo.dtype == np.uint8 and photo.ndim == 3 and photo.shape[2] == 3:
        return Source(name=f"photo {number}", content=Image.fromarray(photo))
    raise UsageError(
        f"Photo {number} is no path, no PIL image and no uint8 array of shape (height, width, 3): give one of these."
    )
