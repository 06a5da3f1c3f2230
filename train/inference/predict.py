"""Photos of any kind in, positions in degrees out, one row per photo."""

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from img2gps.answers import Prediction
from img2gps.errors import NotFoundError, UsageError
from img2gps.text import safe_path
from train.inference.locate import BATCH, PartsOf, locate_each, locate_each_walk
from train.models.localizer import Localizer, WalkLocalizer

__all__ = ["Prediction", "Source", "find_photos", "predict_files", "predict_sources"]

# What a file in a folder must be called, or else be, to get a row of its own: a README in the folder is no photo.
_IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One photo to locate: what its row is called, as text that is safe to print, and the file or image itself."""

    name: str
    content: Path | Image.Image


def predict_files(
    localizer: Localizer,
    paths: Sequence[Path],
    *,
    walks: bool = False,
    batch_size: int = BATCH,
    parts_of: PartsOf | None = None,
) -> list[Prediction]:
    """Return one prediction per path, in their order: see `predict_sources`."""
    sources = [Source(name=safe_path(path), content=path) for path in paths]
    return predict_sources(localizer, sources, walks=walks, batch_size=batch_size, parts_of=parts_of)


def predict_sources(
    localizer: Localizer,
    sources: Sequence[Source],
    *,
    walks: bool = False,
    batch_size: int = BATCH,
    parts_of: PartsOf | None = None,
) -> list[Prediction]:
    """Return one prediction per photo, in their order; an unreadable file is a prediction with an error.

    `parts_of` takes the place of this process for what is done photo by photo. With `walks`, the photos of a walk are
    located together. Raises UsageError where the model has no distribution to do that with.
    """
    contents = [source.content for source in sources]
    if not walks:
        estimate, errors = locate_each(localizer, contents, batch_size=batch_size, parts_of=parts_of)
    elif isinstance(localizer, WalkLocalizer):
        estimate, errors = locate_each_walk(localizer, contents, batch_size=batch_size, parts_of=parts_of)
    else:
        raise UsageError("This run gives points alone: --walks needs a run of preset quick or default.")
    lons, lats = localizer.frame.to_lonlat(np.nan_to_num(estimate.east_m), np.nan_to_num(estimate.north_m))
    rows: list[Prediction] = []
    for index, (source, error) in enumerate(zip(sources, errors, strict=True)):
        given = error is None
        numbers = {
            name: float(values[index]) if given and (values := getattr(estimate, name)) is not None else None
            for name in ("radius_50_m", "radius_90_m", "familiarity")
        }
        lon, lat = (float(lons[index]), float(lats[index])) if given else (None, None)
        rows.append(Prediction(file=source.name, lon=lon, lat=lat, error=error, **numbers))
    return rows


def find_photos(inputs: Iterable[Path]) -> tuple[list[Path], int]:
    """Return the photos among `inputs`, folders walked in order of names, and how many files were no photos.

    A file named outright is always returned. Raises NotFoundError for a path that does not exist.
    """
    found: list[Path] = []
    skipped = 0
    for path in inputs:
        if not path.exists():
            raise NotFoundError(f"No photo or folder at {safe_path(path)}.")
        if not path.is_dir():
            found.append(path)
            continue
        inside = [entry for entry in sorted(path.rglob("*")) if entry.is_file() and not entry.name.startswith(".")]
        photos = [entry for entry in inside if entry.suffix.lower() in _IMAGE_SUFFIXES]
        found += photos
        skipped += len(inside) - len(photos)
    return found, skipped
