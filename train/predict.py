"""Photos in, positions out: any photo through the preprocessing that training used."""

import dataclasses
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from img2gps.errors import InvalidDatasetError, NotFoundError
from img2gps.progress import bar
from img2gps.text import safe_path
from train.devices import naming_memory
from train.localizer import Estimate, Localizer
from train.pixels import Pixels, PixelSpec, UnreadableImageError, read_pixels

__all__ = ["Prediction", "find_photos", "locate_each", "locate_files", "predict_files"]

# What a file in a folder must be called, or else be, to get a row of its own: a README in the folder is no photo.
_IMAGE_SUFFIXES: Final = frozenset(
    {".jpg", ".jpeg", ".jpe", ".mpo", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif"}
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Where one file was taken, in degrees, or the sentence that says why that cannot be told."""

    file: str
    lon: float | None
    lat: float | None
    radius_50_m: float | None
    radius_90_m: float | None
    error: str | None


def predict_files(localizer: Localizer, paths: Sequence[Path], *, batch_size: int = 32) -> list[Prediction]:
    """Return one prediction per path, in their order; an unreadable file is a prediction with an error."""
    estimate, errors = locate_each(localizer, paths, batch_size=batch_size)
    lons, lats = localizer.frame.to_lonlat(np.nan_to_num(estimate.east_m), np.nan_to_num(estimate.north_m))
    rows: list[Prediction] = []
    for index, (path, error) in enumerate(zip(paths, errors, strict=True)):
        given = error is None
        radius = {
            name: float(values[index]) if given and (values := getattr(estimate, name)) is not None else None
            for name in ("radius_50_m", "radius_90_m")
        }
        lon, lat = (float(lons[index]), float(lats[index])) if given else (None, None)
        rows.append(Prediction(file=safe_path(path), lon=lon, lat=lat, error=error, **radius))
    return rows


def locate_files(localizer: Localizer, paths: Sequence[Path], *, batch_size: int = 32) -> Estimate:
    """Return the positions of N photos, arrays of shape (N,). Raises InvalidDatasetError for an unreadable one."""
    estimate, errors = locate_each(localizer, paths, batch_size=batch_size)
    for path, error in zip(paths, errors, strict=True):
        if error is not None:
            raise InvalidDatasetError(f"{safe_path(path)} cannot be read ({error}): run `img2gps verify`.")
    return estimate


@naming_memory("close other programs, or use another --device")
def locate_each(
    localizer: Localizer, paths: Sequence[Path], *, batch_size: int = 32
) -> tuple[Estimate, list[str | None]]:
    """Return the positions of N files and, per file, None or why it cannot be read (its position is then NaN)."""
    errors: list[str | None] = []
    parts: list[Estimate] = []
    with bar("Locating", len(paths)) as advance:
        for batch in _decoded_batches(paths, localizer.pixels, batch_size):
            images = [image for image in batch if not isinstance(image, str)]
            errors += [image if isinstance(image, str) else None for image in batch]
            if images:
                parts.append(localizer.locate(torch.from_numpy(np.stack(images))))
            advance(len(batch))
    return _spread(Estimate.concatenate(parts), [error is None for error in errors]), errors


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


def _decoded_batches(paths: Sequence[Path], spec: PixelSpec, batch_size: int) -> Iterator[list[Pixels | str]]:
    """Yield batches of pixels, or the reason for a file without; the next batch decodes while one is in use."""

    def read(path: Path) -> Pixels | str:
        try:
            return read_pixels(path, spec)
        except UnreadableImageError as error:
            return str(error)

    # Pillow decodes outside the interpreter lock: threads are enough
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        starts = range(0, len(paths), batch_size)
        waiting = [pool.submit(read, path) for path in paths[:batch_size]]
        for start in starts:
            ready = waiting
            waiting = [pool.submit(read, path) for path in paths[start + batch_size : start + 2 * batch_size]]
            yield [future.result() for future in ready]


def _spread(estimate: Estimate, given: list[bool]) -> Estimate:
    """Return the estimate with a row for every file, NaN where none was given."""
    if all(given):
        return estimate
    columns: dict[str, Any] = {}
    for field in dataclasses.fields(Estimate):
        values = getattr(estimate, field.name)
        if values is not None:
            columns[field.name] = np.full(len(given), np.nan)
            columns[field.name][given] = values
    return Estimate(**columns)
