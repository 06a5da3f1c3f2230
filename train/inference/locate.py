"""Photos in, positions out: any photo through the preprocessing that training used, by itself or with its walk."""

import dataclasses
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from img2gps.errors import Img2GPSError, InvalidCheckpointError, InvalidDatasetError
from img2gps.exif import Capture
from img2gps.geo import FloatArray
from img2gps.pixels import Pixels, PixelSpec, UnreadableImageError, read_photo
from img2gps.progress import Advance, bar, stderr
from img2gps.text import format_count, safe_path, safe_text
from img2gps.walks import walk_rows, walks_of
from train.models.evidence import Evidence
from train.models.localizer import Estimate, Localizer, WalkLocalizer
from train.runtime.devices import naming_memory

__all__ = [
    "BATCH",
    "Method",
    "PartsOf",
    "PhotoContent",
    "estimate_walks",
    "evidence_of",
    "locate_each",
    "locate_each_walk",
    "locate_files",
    "locate_with_walks",
    "parts_here",
    "walks_of",
]

_MORE_MEMORY: Final = "close other programs, or use another --device"
_ALONE_AT_ONCE: Final = 256
BATCH: Final = 32
"""Photos that a model is given at once; which photos these are may change the last digits."""

Part = TypeVar("Part")
PhotoContent = Path | Image.Image
Method = Literal["locate", "evidence"]
PartsOf = Callable[[Sequence[PhotoContent], Method], tuple[list[Any], list[Capture | str]]]
"""What a model makes of photos, batch by batch, and per photo its capture or why it cannot be read: `parts_here`."""


def locate_files(localizer: Localizer, paths: Sequence[Path], *, batch_size: int = BATCH) -> Estimate:
    """Return the positions of N photos, arrays of shape (N,). Raises InvalidDatasetError for an unreadable one."""
    estimate, errors = locate_each(localizer, paths, batch_size=batch_size)
    _refuse_unread(paths, errors)
    return estimate


@naming_memory(_MORE_MEMORY)
def locate_each(
    localizer: Localizer,
    paths: Sequence[PhotoContent],
    *,
    batch_size: int = BATCH,
    parts_of: PartsOf | None = None,
) -> tuple[Estimate, list[str | None]]:
    """Return the positions of N files or images and, of each, None or why it cannot be read (it is then at NaN).

    `parts_of` takes the place of this process (`train.inference.cluster_parts`).
    """
    if parts_of is None:
        parts, found = parts_here(localizer, paths, "locate", batch_size=batch_size)
    else:
        parts, found = parts_of(paths, "locate")
    return _spread(Estimate.concatenate(parts), [not isinstance(one, str) for one in found]), _errors(found)


@naming_memory(_MORE_MEMORY)
def locate_each_walk(
    localizer: WalkLocalizer,
    paths: Sequence[PhotoContent],
    *,
    batch_size: int = BATCH,
    parts_of: PartsOf | None = None,
) -> tuple[Estimate, list[str | None]]:
    """Return what `locate_each` returns, the photos of a walk located together.

    Walks are told by the cameras and capture times that the files name (`img2gps.walks.walks_of`).
    """
    if parts_of is None:
        parts, found = parts_here(localizer, paths, "evidence", batch_size=batch_size)
    else:
        parts, found = parts_of(paths, "evidence")
    if not parts:
        return _spread(Estimate.concatenate([]), [False] * len(found)), _errors(found)
    captures = [one for one in found if not isinstance(one, str)]
    _tell_company(walk_rows(*walks_of(captures)), len(captures))
    estimate = estimate_walks(localizer, Evidence.cat(parts), captures)
    return _spread(estimate, [not isinstance(one, str) for one in found]), _errors(found)


def parts_here(
    localizer: Localizer, paths: Sequence[PhotoContent], method: Method, *, batch_size: int = BATCH
) -> tuple[list[Any], list[Capture | str]]:
    """Return what a method of the model makes of photos, batch by batch, under a bar.

    Of each photo its capture is returned, or why it cannot be read.
    """
    apply = getattr(localizer, method)
    with bar("Locating", len(paths)) as advance:
        return _batched(paths, localizer.pixels, apply, batch_size=batch_size, advance=advance)


def estimate_walks(localizer: WalkLocalizer, evidence: Evidence, captures: Sequence[Capture]) -> Estimate:
    """Return the positions of N photos by their evidence, those of a walk located together, the others each alone."""
    walks, seconds = walks_of(captures)
    company = walk_rows(walks, seconds)
    rest = _others(company, len(captures))
    located = []
    for rows in company:
        own = evidence.take(torch.from_numpy(rows))
        located.append(localizer.estimate_walk(own, localizer.estimate(own), seconds[rows]))
    alone = localizer.estimate(evidence.take(torch.from_numpy(rest)))
    located.append(dataclasses.replace(alone, company=np.ones(len(rest))))
    return Estimate.concatenate(located).take(np.argsort(np.concatenate([*company, rest])))


@naming_memory(_MORE_MEMORY)
def locate_with_walks(
    localizer: Localizer,
    paths: Sequence[Path],
    *,
    walks: NDArray[Any],
    seconds: FloatArray,
    labels: tuple[FloatArray, FloatArray] | None = None,
    batch_size: int = BATCH,
) -> tuple[Estimate, Estimate | None]:
    """Return the positions of N photos, each by itself and with the others of its walk; None where the model cannot.

    `walks` (N,) names the walks, `seconds` (N,) are capture times, NaN where unknown. `labels` are where the photos are
    said to be, longitudes and latitudes (N,): with them, those alone have `label_share` and `answer_share`. Raises
    InvalidDatasetError for an unreadable photo.
    """
    if not isinstance(localizer, WalkLocalizer):
        return locate_files(localizer, paths, batch_size=batch_size), None
    company = walk_rows(walks, seconds)
    rest = _others(company, len(paths))
    place = None if labels is None else np.stack(localizer.frame.to_local(*labels), axis=1)
    # a walk at a time: a site's distributions of all photos may not fit into memory
    alone, with_walks = [], []
    with bar("Locating", len(paths)) as advance:
        for rows in company:
            evidence = evidence_of(localizer, [paths[row] for row in rows], batch_size, advance)
            alone.append(_with_shares(localizer, evidence, None if place is None else place[rows]))
            with_walks.append(localizer.estimate_walk(evidence, alone[-1], seconds[rows]))
        for start in range(0, len(rest), _ALONE_AT_ONCE):
            rows = rest[start : start + _ALONE_AT_ONCE]
            evidence = evidence_of(localizer, [paths[row] for row in rows], batch_size, advance)
            alone.append(_with_shares(localizer, evidence, None if place is None else place[rows]))
            with_walks.append(dataclasses.replace(alone[-1], company=np.ones(len(rows))))
    order = np.argsort(np.concatenate([*company, rest]))
    return Estimate.concatenate(alone).take(order), Estimate.concatenate(with_walks).take(order)


def _with_shares(localizer: WalkLocalizer, evidence: Evidence, place: FloatArray | None) -> Estimate:
    estimate = localizer.estimate(evidence)
    if place is None:
        return estimate
    return dataclasses.replace(
        estimate,
        label_share=localizer.share_near(evidence, place[:, 0], place[:, 1]),
        answer_share=localizer.share_near(evidence, estimate.east_m, estimate.north_m),
    )


def evidence_of(localizer: WalkLocalizer, paths: Sequence[Path], batch_size: int, advance: Advance) -> Evidence:
    """Return the evidence of at least one photo. Raises InvalidDatasetError for an unreadable one."""
    parts, found = _batched(paths, localizer.pixels, localizer.evidence, batch_size=batch_size, advance=advance)
    _refuse_unread(paths, _errors(found))
    return Evidence.cat(parts)


def _others(company: Sequence[NDArray[np.int64]], count: int) -> NDArray[np.int64]:
    """Return the rows of `count` that are not among those of `company`."""
    return np.setdiff1d(np.arange(count), np.concatenate([np.empty(0, dtype=np.int64), *company]))


def _tell_company(company: Sequence[NDArray[np.int64]], count: int) -> None:
    """Say how many of `count` photos are located together, and why the others are not."""
    count_on_walks = sum(map(len, company))
    parts = [f"{format_count(count_on_walks, 'photo')} located together on {format_count(len(company), 'walk')}"]
    if count_on_walks < count:
        alone = format_count(count - count_on_walks, "photo")
        parts.append(f"{alone} alone: no capture time in the EXIF, or no other photo within ten minutes")
    if count:
        stderr().print(f"{', '.join(parts if company else parts[1:])}.", markup=False)


def _refuse_unread(paths: Sequence[Path], errors: Sequence[str | None]) -> None:
    for path, error in zip(paths, errors, strict=True):
        if error is not None:
            raise InvalidDatasetError(f"{safe_path(path)} cannot be read ({error}): run `img2gps verify`.")


def _errors(found: Sequence[Capture | str]) -> list[str | None]:
    return [one if isinstance(one, str) else None for one in found]


def _batched(
    paths: Sequence[PhotoContent],
    spec: PixelSpec,
    apply: Callable[[torch.Tensor], Part],
    *,
    batch_size: int,
    advance: Advance,
) -> tuple[list[Part], list[Capture | str]]:
    """Return what `apply` makes of the readable files, batch by batch, and per file its capture or why it has none."""
    parts: list[Part] = []
    found: list[Capture | str] = []
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.", category=UserWarning)  # of a corrupt EXIF: it has no time
        for batch in _decoded_batches(paths, spec, batch_size):
            images = [one[0] for one in batch if not isinstance(one, str)]
            found += [one if isinstance(one, str) else one[1] for one in batch]
            if images:
                parts.append(_applied(apply, torch.from_numpy(np.stack(images))))
            advance(len(batch))
    return parts, found


def _applied(apply: Callable[[torch.Tensor], Part], images: torch.Tensor) -> Part:
    """Return what a model makes of photos. Raises InvalidCheckpointError where it was put together of what is not one.

    Sums of a checkpoint can be forged: its numbers are then of the right names and shapes, and of no use.
    """
    try:
        return apply(images)
    except (Img2GPSError, OSError, torch.OutOfMemoryError):
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError) as error:
        reason = safe_text(str(error), limit=120)
        raise InvalidCheckpointError(f"The model does not work ({reason}): train again.") from error


def _decoded_batches(
    paths: Sequence[PhotoContent], spec: PixelSpec, batch_size: int
) -> Iterator[list[tuple[Pixels, Capture] | str]]:
    """Yield batches of photos, or the reason for a file without; the next batch decodes while one is in use."""

    def read(path: PhotoContent) -> tuple[Pixels, Capture] | str:
        try:
            return read_photo(path, spec)
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
