"""Small JPEGs of working copies as base64, within a budget so that a page stays a page."""

import base64
import dataclasses
import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from PIL import Image

from img2gps.imaging import upright_rgb
from img2gps.progress import track
from img2gps.text import format_count

__all__ = ["Thumbnails", "make_thumbnails", "small_jpeg"]

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
    step = max(1, -(-len(paths) // most))
    chosen = list(range(0, len(paths), step))
    images: list[str | None] = [None] * len(paths)
    used = made = 0
    with ThreadPoolExecutor(max_workers=2) as pool:  # Pillow decodes without the interpreter lock
        results = pool.map(lambda index: _encode(paths[index], long_side_px), chosen)
        for index, image in zip(chosen, track(results, "thumbnails", len(chosen)), strict=True):
            if image is None or used + len(image) > budget_bytes:
                continue
            images[index] = image
            used += len(image)
            made += 1
    return Thumbnails(images=images, note=_note(made, len(paths)))


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
