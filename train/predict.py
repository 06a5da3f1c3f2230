"""Photos in, positions out: any photo through the preprocessing that training used."""

import dataclasses
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.exif import capture_of
from img2gps.geo import FloatArray
from img2gps.imaging import open_image
from img2gps.progress import bar, stderr
from img2gps.text import format_count, safe_path
from img2gps.walks import walk_numbers, walk_rows
from train.devices import naming_memory
from train.localizer import Estimate, Localizer, WalkLocalizer
from train.pixels import Pixels, PixelSpec, UnreadableImageError, read_pixels

__all__ = [
    "Prediction",
    "captures_of",
    "find_photos",
    "locate_each",
    "locate_each_walk",
    "locate_files",
    "locate_with_walks",
    "predict_files",
]

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


def predict_files(
    localizer: Localizer, paths: Sequence[Path], *, walks: bool = False, batch_size: int = 32
) -> list[Prediction]:
    """Return one prediction per path, in their order; an unreadable file is a prediction with an error.

    With `walks`, the photos of a walk are located together. Raises UsageError where the model has no distribution to
    do that with.
    """
    if not walks:
        estimate, errors = locate_each(localizer, paths, batch_size=batch_size)
    elif isinstance(localizer, WalkLocalizer):
        estimate, errors = locate_each_walk(localizer, paths, batch_size=batch_size)
    else:
        raise UsageError("This run gives points alone: --walks needs a run of preset quick or default.")
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
    _refuse_unread(paths, errors)
    return estimate


def locate_with_walks(
    localizer: Localizer, paths: Sequence[Path], *, walks: NDArray[Any], seconds: FloatArray, batch_size: int = 32
) -> tuple[Estimate, Estimate | None]:
    """Return the positions of N photos, each by itself and with the others of its walk; None where the model cannot.

    `walks` (N,) names the walks, `seconds` (N,) are capture times, NaN where unknown. Raises InvalidDatasetError for
    an unreadable photo.
    """
    if not isinstance(localizer, WalkLocalizer):
        return locate_files(localizer, paths, batch_size=batch_size), None
    log_shares, errors = _log_shares_of_each(localizer, paths, batch_size=batch_size)
    _refuse_unread(paths, errors)
    return localizer.estimate(log_shares), localizer.estimate_walks(log_shares, walks, seconds)


@naming_memory("close other programs, or use another --device")
def locate_each(
    localizer: Localizer, paths: Sequence[Path], *, batch_size: int = 32
) -> tuple[Estimate, list[str | None]]:
    """Return the positions of N files and, per file, None or why it cannot be read (its position is then NaN)."""
    errors: list[str | None] = []
    parts = [localizer.locate(images) for images in _readable(paths, localizer.pixels, batch_size, errors)]
    return _spread(Estimate.concatenate(parts), [error is None for error in errors]), errors


@naming_memory("close other programs, or use another --device")
def locate_each_walk(
    localizer: WalkLocalizer, paths: Sequence[Path], *, batch_size: int = 32
) -> tuple[Estimate, list[str | None]]:
    """Return what `locate_each` returns, the photos of a walk located together.

    Walks are told by the cameras and capture times that the files name (`captures_of`).
    """
    log_shares, errors = _log_shares_of_each(localizer, paths, batch_size=batch_size)
    given = [error is None for error in errors]
    walks, seconds = captures_of([path for path, here in zip(paths, given, strict=True) if here])
    company = walk_rows(walks, seconds)
    with_company = sum(map(len, company))
    line = f"{format_count(with_company, 'photo')} located together on {format_count(len(company), 'walk')}"
    if with_company < sum(given):
        line += (
            f", {sum(given) - with_company:,} alone: no capture time in the EXIF, or no other photo within ten minutes"
        )
    stderr().print(f"{line}.", markup=False)
    return _spread(localizer.estimate_walks(log_shares, walks, seconds), given), errors


def captures_of(paths: Sequence[Path]) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the number of each photo's walk and its time in seconds by the camera's clock, NaN where unknown, (N,).

    Two cameras that call themselves the same count as one.
    """
    captures = [capture_of(open_image(path.read_bytes())) for path in paths]
    cameras = np.asarray([repr(dataclasses.astuple(camera)) for camera, _ in captures], dtype=np.str_)
    # the clock's zone does not matter: only the time between two photos does
    seconds = np.asarray(
        [math.nan if taken is None else taken.replace(tzinfo=UTC).timestamp() for _, taken in captures],
        dtype=np.float64,
    )
    order = np.lexsort((seconds, cameras))
    walks = np.empty(len(captures), dtype=np.int64)
    walks[order] = walk_numbers(cameras[order], seconds[order])
    return walks, seconds


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


def _refuse_unread(paths: Sequence[Path], errors: Sequence[str | None]) -> None:
    for path, error in zip(paths, errors, strict=True):
        if error is not None:
            raise InvalidDatasetError(f"{safe_path(path)} cannot be read ({error}): run `img2gps verify`.")


def _log_shares_of_each(
    localizer: WalkLocalizer, paths: Sequence[Path], *, batch_size: int
) -> tuple[torch.Tensor, list[str | None]]:
    """Return the distributions (M, C) of the M files that can be read and, per file, None or why it cannot."""
    errors: list[str | None] = []
    none_yet = np.empty((0, 3, localizer.pixels.height, localizer.pixels.width), dtype=np.uint8)
    parts = [localizer.log_shares(images) for images in _readable(paths, localizer.pixels, batch_size, errors)]
    return torch.cat(parts or [localizer.log_shares(torch.from_numpy(none_yet))]), errors


def _readable(
    paths: Sequence[Path], spec: PixelSpec, batch_size: int, errors: list[str | None]
) -> Iterator[torch.Tensor]:
    """Yield the readable files as uint8 batches; `errors` gets None or the reason of every file."""
    with bar("Locating", len(paths)) as advance:
        for batch in _decoded_batches(paths, spec, batch_size):
            images = [image for image in batch if not isinstance(image, str)]
            errors += [image if isinstance(image, str) else None for image in batch]
            if images:
                yield torch.from_numpy(np.stack(images))
            advance(len(batch))


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
