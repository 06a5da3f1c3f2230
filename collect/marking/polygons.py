"""Polygons of classes on photos: the file they are kept in, and the masks they make.

``polygons.json`` in a folder of masks holds polygons for each photo by its file name. They go from the first drawn to
the last, and a later one lies over an earlier one. Points are shares of width and height, from the photo's upper left
corner.
"""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image, ImageDraw

from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.files import write_json
from img2gps.masks import CLASSES, ClassMask, mask_name, write_class_table, write_mask
from img2gps.text import join_words, safe_path, safe_text

__all__ = ["FILE_NAME", "Marks", "Polygon", "mask_of", "parse_polygons", "read_marks"]

FILE_NAME: Final = "polygons.json"

_MOST_POLYGONS: Final = 500
_MOST_POINTS: Final = 2000
_FEWEST_POINTS: Final = 3
_DIGITS: Final = 4


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Polygon:
    """A class of `img2gps.masks.CLASSES` and its corners, shares (x, y) of the photo from 0 to 1."""

    name: str
    points: tuple[tuple[float, float], ...]

    def to_dict(self) -> dict[str, Any]:
        """The polygon for JSON."""
        return {"class": self.name, "points": [list(point) for point in self.points]}


@dataclasses.dataclass(slots=True, kw_only=True)
class Marks:
    """A folder of masks with the polygons they are made of, by the photos' file names."""

    folder: Path
    photos: dict[str, tuple[Polygon, ...]]

    @classmethod
    def open(cls, folder: Path) -> "Marks":
        """Return the marks in a folder, none where it holds no polygons yet. Raises InvalidDatasetError."""
        path = folder / FILE_NAME
        return cls(folder=folder, photos=read_marks(path) if path.is_file() else {})

    def save(self, photo: str, polygons: tuple[Polygon, ...], size: tuple[int, int]) -> None:
        """Keep the polygons of a photo of `size` (width, height), and write its mask. Without any, both go."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / mask_name(photo)
        if polygons:
            self.photos[photo] = polygons
            write_class_table(self.folder)
            write_mask(path, mask_of(polygons, size))
        else:
            self.photos.pop(photo, None)
            path.unlink(missing_ok=True)
        found = {name: [one.to_dict() for one in self.photos[name]] for name in sorted(self.photos)}
        write_json(self.folder / FILE_NAME, {"photos": found})


def mask_of(polygons: tuple[Polygon, ...], size: tuple[int, int]) -> ClassMask:
    """Return the mask (height, width) that polygons make on a photo of `size` (width, height)."""
    image = Image.new("L", size, 0)
    draw = ImageDraw.Draw(image)
    for polygon in polygons:
        corners = [(x * size[0] - 0.5, y * size[1] - 0.5) for x, y in polygon.points]
        draw.polygon(corners, fill=CLASSES.index(polygon.name))
    return np.asarray(image)


def read_marks(path: Path) -> dict[str, tuple[Polygon, ...]]:
    """Return the polygons of a file by photo. Raises NotFoundError, InvalidDatasetError saying what is wrong."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NotFoundError(f"No polygons at {safe_path(path)}.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidDatasetError(f"{safe_path(path)} cannot be read as JSON.") from error
    photos = document.get("photos") if isinstance(document, Mapping) else None
    if not isinstance(photos, Mapping):
        raise InvalidDatasetError(f"{safe_path(path)} holds no `photos`.")
    try:
        return {str(name): parse_polygons(found) for name, found in photos.items()}
    except UsageError as error:
        raise InvalidDatasetError(f"{safe_path(path)}: {error}") from error


def parse_polygons(given: Any) -> tuple[Polygon, ...]:
    """Return the polygons in JSON values. Raises UsageError saying what is wrong."""
    if not isinstance(given, list) or len(given) > _MOST_POLYGONS:
        raise UsageError(f"Polygons are a list of at most {_MOST_POLYGONS}.")
    return tuple(map(_polygon, given))


def _polygon(given: Any) -> Polygon:
    if not isinstance(given, Mapping) or given.get("class") not in CLASSES:
        named = safe_text(str(given.get("class") if isinstance(given, Mapping) else given), limit=40)
        raise UsageError(f"{named} is no class: it must be {join_words(list(CLASSES), 'or')}.")
    points = given.get("points")
    if not isinstance(points, list) or not _FEWEST_POINTS <= len(points) <= _MOST_POINTS:
        raise UsageError(f"A polygon has {_FEWEST_POINTS} to {_MOST_POINTS} points.")
    return Polygon(name=str(given["class"]), points=tuple(map(_point, points)))


def _point(given: Any) -> tuple[float, float]:
    if not isinstance(given, list) or len(given) != 2 or not all(isinstance(one, int | float) for one in given):
        raise UsageError("A point is [x, y].")
    if not all(abs(one) < math.inf for one in given):
        raise UsageError("A point has finite numbers.")
    x, y = (min(max(one, 0), 1) for one in given)  # before float, which takes no integer of hundreds of digits
    return round(float(x), _DIGITS), round(float(y), _DIGITS)
