"""Small JPEGs of working copies as base64, within a budget so that a page stays a page."""

import base64
import dataclasses
import io
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from PIL import Image

from img2gps.cluster_jobs import JobCluster, SharedFile, shards
from img2gps.dataset import Dataset
from img2gps.imaging import upright_rgb
from img2gps.progress import track
from img2gps.text import format_count
from img2gps.working_copies import CopiesJob, copies_of

__all__ = ["Thumbnails", "encode_copies", "make_thumbnails", "share_thumbnails", "small_jpeg"]

_DOING: Final = "thumbnails"
_LONG_SIDE_PX: Final = 128
_QUALITY: Final = 60
_MOST: Final = 1_500
_BUDGET_BYTES: Final = 8 << 20


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Thumbnails:
    """Base64 of a JPEG per photo, None where there is none; `note` says what was left out, "" if nothing was."""

    images: list[str | None]
    note: str


def make_thumbnails(
    paths: Sequence[Path], *, long_side_px: int = _LONG_SIDE_PX, most: int = _MOST, budget_bytes: int = _BUDGET_BYTES
) -> Thumbnails:
    """Return thumbnails of `paths`, in their order.

    Of more than `most` photos, evenly spaced ones get a thumbnail. None does once their base64 fills `budget_bytes`. A
    file that is gone or does not decode gets none.
    """
    chosen = _evenly(len(paths), most)
    with ThreadPoolExecutor(max_workers=2) as pool:  # Pillow decodes without the interpreter lock
        results = pool.map(lambda index: _encode(paths[index], long_side_px), chosen)
        return _within(budget_bytes, chosen, track(results, _DOING, len(chosen)), len(paths))


def share_thumbnails(dataset: Dataset, ids: Sequence[str], workers: JobCluster) -> Thumbnails:
    """Return what `make_thumbnails` returns for the working copies of photos, made by the workers of a cluster.

    Raises UsageError where one does not find the dataset.
    """
    chosen, needs = _evenly(len(ids), _MOST), [SharedFile.of(dataset.manifest_path)]
    workers.check_shared(needs)
    root = dataset.root.resolve()
    jobs = [CopiesJob(root=root, ids=tuple(some)) for some in shards([ids[row] for row in chosen], workers.slots)]
    made = workers.do(encode_copies, jobs, doing=_DOING, needs=needs, steps=lambda job: len(job.ids))
    return _within(_BUDGET_BYTES, chosen, (image for _, images in made for image in images), len(ids))


def encode_copies(job: CopiesJob) -> list[str | None]:
    """Return the thumbnails of working copies; called on a worker of a cluster."""
    return [_encode(path, _LONG_SIDE_PX) for path in copies_of(job.root).paths(job.ids)]


def _evenly(count: int, most: int) -> list[int]:
    return list(range(0, count, max(1, -(-count // most))))


def _within(budget_bytes: int, chosen: Sequence[int], made: Iterable[str | None], count: int) -> Thumbnails:
    """Return the thumbnails of `count` photos, of which some were chosen, until the budget is used."""
    images: list[str | None] = [None] * count
    used = kept = 0
    for index, image in zip(chosen, made, strict=True):
        if image is None or used + len(image) > budget_bytes:
            continue
        images[index] = image
        used += len(image)
        kept += 1
    return Thumbnails(images=images, note=_note(kept, count))


def _note(made: int, total: int) -> str:
    if made == total:
        return ""
    counts = f"{format_count(made, 'thumbnail')} for {format_count(total, 'photo')}"
    return f"{counts}: the rest were left out to keep this page small, or could not be read."


def small_jpeg(path: Path, *, long_side_px: int = _LONG_SIDE_PX) -> bytes | None:
    """Return a working copy as a small JPEG without metadata; None where it is gone or does not decode."""
    try:
        with Image.open(path, formats=("JPEG",)) as image:
            small = upright_rgb(image, short_side_px=long_side_px)
    except (OSError, SyntaxError, ValueError):  # a damaged working copy is `verify`'s business
        return None
    small.thumbnail((long_side_px, long_side_px), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    small.save(out, "JPEG", quality=_QUALITY, optimize=True)
    return out.getvalue()


def _encode(path: Path, long_side_px: int) -> str | None:
    small = small_jpeg(path, long_side_px=long_side_px)
    return None if small is None else base64.b64encode(small).decode("ascii")
