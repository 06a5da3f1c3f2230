"""Masks of classes: which pixels of a photo show a building, a tree, a passer-by.

A folder of masks holds ``<file name of the photo>.png``, upright as the photo is, and ``classes.csv``. A mask is an
indexed PNG; the table says what its numbers mean, in the columns ``index`` and ``class``.
"""

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from img2gps.errors import InvalidDatasetError, NotFoundError
from img2gps.files import write_csv
from img2gps.pixels import PixelSpec
from img2gps.text import join_words, safe_path, safe_text

__all__ = [
    "CLASSES",
    "COLOURS",
    "LASTING",
    "MOVING",
    "TABLE_NAME",
    "ClassMask",
    "find_mask",
    "fit_mask",
    "mask_name",
    "names_of_marks",
    "read_class_table",
    "read_mask",
    "write_class_table",
    "write_mask",
]

ClassMask = NDArray[np.uint8]
"""(height, width): for each pixel the number of its class in `CLASSES`."""

CLASSES: Final = ("other", "building", "vegetation", "ground", "sky", "person", "vehicle", "sign")
"""Vegetation is trees and climbers; lawns are ground. Lamps, benches and what nobody marked are other."""

LASTING: Final = ("building", "vegetation")
MOVING: Final = ("person", "vehicle")
COLOURS: Final = (
    *((0, 0, 0), (176, 84, 64), (72, 140, 64), (168, 160, 148)),
    *((120, 176, 232), (236, 64, 140), (72, 64, 200), (244, 200, 48)),
)
TABLE_NAME: Final = "classes.csv"

_COLUMNS: Final = ("index", "class", "red", "green", "blue")
_NUMBERS: Final = 256
_NOTHING: Final = 0


def mask_name(photo_name: str) -> str:
    """Return what the mask of a photo of this file name is called."""
    return f"{Path(photo_name).name}.png"


def write_class_table(folder: Path) -> None:
    """Write the table of `CLASSES` into a folder of masks."""
    rows = [dict(zip(_COLUMNS, (k, name, *COLOURS[k]), strict=True)) for k, name in enumerate(CLASSES)]
    write_csv(folder / TABLE_NAME, _COLUMNS, rows)


def write_mask(path: Path, mask: ClassMask) -> None:
    """Write a mask as an indexed PNG."""
    image = Image.fromarray(mask)
    image.putpalette([channel for colour in COLOURS for channel in colour])
    image.save(path, "PNG", optimize=True)


def read_class_table(path: Path) -> ClassMask:
    """Return, for each of 256 numbers of a mask, the number in `CLASSES`: (256,). Numbers without a row are other.

    Raises NotFoundError, InvalidDatasetError naming the line that is wrong.
    """
    table = np.full(_NUMBERS, _NOTHING, np.uint8)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for line, row in enumerate(csv.DictReader(file), start=2):
                table[_index(row.get("index"), path, line)] = _class(row.get("class"), path, line)
    except FileNotFoundError as error:
        raise NotFoundError(f"No table of classes at {safe_path(path)}.") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidDatasetError(f"{safe_path(path)} cannot be read: {safe_text(str(error))}.") from error
    return table


def _index(text: str | None, path: Path, line: int) -> int:
    if text is None or not text.strip().isascii() or not text.strip().isdigit() or int(text) >= _NUMBERS:
        raise InvalidDatasetError(
            f"{safe_path(path)}, line {line}: index must be a whole number from 0 to {_NUMBERS - 1}."
        )
    return int(text)


def _class(text: str | None, path: Path, line: int) -> int:
    if text is None or text.strip() not in CLASSES:
        raise InvalidDatasetError(
            f"{safe_path(path)}, line {line}: class must be one of {join_words(list(CLASSES), 'or')}."
        )
    return CLASSES.index(text.strip())


def names_of_marks(ids: Sequence[str], source_names: Sequence[str]) -> list[str]:
    """Return by which name each photo is marked: its file name, or its id where several photos have that file name."""
    bases = [Path(name).name for name in source_names]
    counts = Counter(bases)
    return [base if base and counts[base] == 1 else own for own, base in zip(ids, bases, strict=True)]


def find_mask(folder: Path, *names: str) -> Path | None:
    """Return the mask of a photo that goes by several names, None where there is none."""
    for name in names:
        base = Path(name).name
        for candidate in (folder / mask_name(base), folder / f"{Path(base).stem}.png"):
            if base and candidate.is_file():
                return candidate
    return None


def read_mask(path: Path, table: ClassMask | None = None) -> ClassMask:
    """Return the mask in a PNG, its numbers read by `table` (`read_class_table`; None: they are those of `CLASSES`).

    Raises InvalidDatasetError where the file is no indexed or grey image of at most 8 bits.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if image.mode not in ("P", "L", "1"):
                raise InvalidDatasetError(f"{safe_path(path)} is no mask: its PNG must be indexed or grey, 8 bits.")
            numbers = np.asarray(image, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError) as error:
        raise InvalidDatasetError(f"{safe_path(path)} is no mask that can be read.") from error
    known: ClassMask = _own_table() if table is None else table
    return known[numbers]


def _own_table() -> ClassMask:
    table = np.full(_NUMBERS, _NOTHING, np.uint8)
    table[: len(CLASSES)] = np.arange(len(CLASSES))
    return table


def fit_mask(mask: ClassMask, spec: PixelSpec) -> ClassMask:
    """Return a mask as it lies on the pixels that a model sees (`img2gps.pixels.fit_pixels`), (height, width).

    Bars around a photo are other.
    """
    image, target = Image.fromarray(mask), (spec.width, spec.height)
    if spec.fit != "pad":
        return np.asarray(image.resize(target, Image.Resampling.NEAREST))
    scale = min(spec.width / image.width, spec.height / image.height)
    inner = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    canvas = Image.new("L", target, _NOTHING)
    corner = ((spec.width - inner[0]) // 2, (spec.height - inner[1]) // 2)
    canvas.paste(image.resize(inner, Image.Resampling.NEAREST), corner)
    return np.asarray(canvas)
