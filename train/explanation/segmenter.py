"""Masks of photos by a segmenter, an ONNX file, whose classes a table translates into those of `img2gps.masks`."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from img2gps.errors import NotFoundError, UsageError
from img2gps.masks import ClassMask, mask_name, read_class_table, write_class_table, write_mask
from img2gps.pixels import Pixels, PixelSpec, UnreadableImageError, read_pixels
from img2gps.progress import bar
from img2gps.text import safe_path, safe_text

__all__ = ["Segmenter", "write_segmented"]

_SIDE_PX: Final = 512  # where the file leaves the size of its input open
_MASK_SIDE_PX: Final = 512
# of ImageNet, in which nearly every published segmenter expects its photos
_MEAN: Final = np.array([0.485, 0.456, 0.406], dtype=np.float32).reshape(1, 3, 1, 1)
_STD: Final = np.array([0.229, 0.224, 0.225], dtype=np.float32).reshape(1, 3, 1, 1)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Segmenter:
    """A segmenter ready to run: photos of `spec` in; `table` (256,) translates its classes."""

    session: Any
    spec: PixelSpec
    table: ClassMask

    @classmethod
    def load(cls, path: Path, classes: Path) -> Self:
        """Return the segmenter in an ONNX file, with the table of its classes (`img2gps.masks.read_class_table`).

        Its input is one float RGB batch (N, 3, height, width), scaled by ImageNet's mean and deviation. Its first
        output is class numbers (N, h, w) or scores (N, C, h, w). Raises UsageError, NotFoundError, InvalidDatasetError.
        """
        if not path.is_file():
            raise NotFoundError(f"No segmenter at {safe_path(path)}.")
        table = read_class_table(classes)
        try:
            import onnxruntime
        except ImportError as error:
            raise UsageError(
                "--segmenter needs onnxruntime: install it with `pip install 'img2gps[runtime]'`."
            ) from error
        try:
            session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
            shape = list(session.get_inputs()[0].shape)
        except Exception as error:  # onnxruntime's own types, one per kind of damage
            reason = safe_text(str(error).splitlines()[0] if str(error) else type(error).__name__, limit=120)
            raise UsageError(f"{safe_path(path)} is no ONNX model that can be run ({reason}).") from error
        if len(shape) != 4 or shape[1] != 3:
            raise UsageError(f"{safe_path(path)} takes no photos (N, 3, height, width): give another segmenter.")
        height, width = (side if isinstance(side, int) and side > 0 else _SIDE_PX for side in shape[2:])
        return cls(session=session, spec=PixelSpec(height=height, width=width, fit="squash"), table=table)

    def classes_of(self, image: Pixels) -> ClassMask:
        """Return the classes (h, w) of a photo (3, height, width) by `img2gps.masks.CLASSES`. Raises UsageError."""
        scaled = (image[None].astype(np.float32) / 255 - _MEAN) / _STD
        found: NDArray[Any] = np.asarray(self.session.run(None, {self.session.get_inputs()[0].name: scaled})[0])
        scores = found.ndim == 4 and found.shape[1] > 1
        numbers = found.argmax(axis=1)[0] if scores else found.reshape(-1, *found.shape[-2:])[0]
        if numbers.ndim != 2 or numbers.min() < 0 or numbers.max() > 255:
            raise UsageError("The segmenter's first output holds no class numbers up to 255, nor scores of classes.")
        return np.asarray(self.table[numbers.astype(np.uint8)])


def write_segmented(segmenter: Segmenter, photos: Sequence[tuple[str, Path]], folder: Path) -> None:
    """Write the masks of photos (name, file) into a folder of masks; what is there already is kept.

    A photo that cannot be read has no mask.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_class_table(folder)
    with bar("Segmenting", len(photos)) as advance:
        for name, path in photos:
            target = folder / mask_name(name)
            if not target.is_file():
                _write(segmenter, path, target)
            advance(1)


def _write(segmenter: Segmenter, path: Path, target: Path) -> None:
    try:
        image = read_pixels(path, segmenter.spec)
        with Image.open(path) as photo:
            width, height = photo.size
    except (UnreadableImageError, OSError):
        return
    mask = Image.fromarray(segmenter.classes_of(image))
    scale = _MASK_SIDE_PX / max(width, height)  # as the photo lies: the mask is stretched with it later
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    write_mask(target, np.asarray(mask.resize(size, Image.Resampling.NEAREST)))
