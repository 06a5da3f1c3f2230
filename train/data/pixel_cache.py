"""Every photo of a dataset decoded once per input size, kept as uint8 in one file beside the photos.

The file's name carries a hash of everything its content depends on, so a stale one is never read. Behind the array
stands its digest, so a damaged one is not read either. It is safe to delete at any time.
"""

import contextlib
import dataclasses
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final
from uuid import uuid4

import numpy as np

from img2gps.errors import InvalidDatasetError
from img2gps.files import TEMPORARY_PREFIX, canonical_json, fsync_folder, sha256_bytes, sha256_file
from img2gps.pixels import PREPROCESSING_VERSION, Pixels, PixelSpec, UnreadableImageError, read_pixels
from img2gps.progress import stderr, track
from img2gps.text import safe_path
from train.data.made_once import made_once
from train.data.training_data import DatasetPhotos

__all__ = ["PixelRows", "cache_path", "cached_pixels", "check_pixels", "decoded_pixels"]

_FOLDER: Final = ".cache"
_TRAILER: Final = b"\nsha256:"
_SHA256_LETTERS: Final = 64
_AHEAD: Final = 64  # photos that are decoded before they are asked for
# https://bford.info/cachedir/: backup tools leave a folder out that holds this file
_TAG: Final = "Signature: 8a477f597d28d172789f06886806bc55\n# Decoded photos of img2gps train; safe to delete.\n"


def cached_pixels(source: DatasetPhotos, spec: PixelSpec, *, may_write: bool = True) -> Pixels:
    """Return all photos of a dataset as uint8 of shape (N, 3, height, width), in the order of `source.photos`.

    The array is mapped from the cache file, so that it costs memory only where it is touched; changes to
    it never reach the file. Where the dataset cannot be written it is made in memory. Raises
    InvalidDatasetError for a working copy that is missing or cannot be decoded.
    """
    path = cache_path(source, spec)
    pixels = _open(path, _shape(source, spec))
    if pixels is not None:
        return pixels
    if not may_write:
        return _decode(source, spec, np.empty(_shape(source, spec), dtype=np.uint8))
    with made_once(path):
        pixels = _open(path, _shape(source, spec))
        if pixels is not None:
            return pixels
        try:
            _write(path, source, spec)
        except OSError as error:
            stderr().print(f"No cache beside the dataset ({error.strerror}); the photos are decoded into memory.")
            return _decode(source, spec, np.empty(_shape(source, spec), dtype=np.uint8))
        written = _open(path, _shape(source, spec))
    assert written is not None
    return written


def check_pixels(source: DatasetPhotos, spec: PixelSpec) -> None:
    """Raise what `cached_pixels` would; nothing is written, and no more than a few photos are in memory."""
    if _open(cache_path(source, spec), _shape(source, spec)) is None:
        for _ in _decoded(source, spec):
            pass


def cache_path(source: DatasetPhotos, spec: PixelSpec) -> Path:
    """Return where the pixels lie: named after their size and a hash of photos, size and preprocessing."""
    photos = [source.photos.ids.tolist(), source.photos.photo_sha256.tolist()]
    key = sha256_bytes(canonical_json([PREPROCESSING_VERSION, spec.height, spec.width, spec.fit, photos]))
    return source.dataset.root / _FOLDER / f"pixels-{spec.height}x{spec.width}-{spec.fit}-{key[:16]}.npy"


def _shape(source: DatasetPhotos, spec: PixelSpec) -> tuple[int, int, int, int]:
    return len(source.photos), 3, spec.height, spec.width


def _open(path: Path, shape: tuple[int, ...]) -> Pixels | None:
    try:
        if not _is_intact(path, math.prod(shape)):
            return None
        # copy-on-write: writable to torch, yet the file never changes
        pixels: Pixels = np.load(path, mmap_mode="c", allow_pickle=False)
    except Exception:  # noqa: BLE001  missing, or torn by a full disk, a power cut or a flipped bit: it is made anew
        return None
    return pixels if pixels.shape == shape and pixels.dtype == np.uint8 else None


def _is_intact(path: Path, pixels: int) -> bool:
    """Return whether the file is as it was written: by its digest, by its size where an earlier version wrote none."""
    with path.open("rb") as file:
        file.seek(0, os.SEEK_END)
        behind = file.tell() - pixels
        file.seek(max(0, file.tell() - len(_TRAILER) - _SHA256_LETTERS))
        end = file.read()
    if not end.startswith(_TRAILER):
        return behind in (128, 192)  # the header of an array alone
    return sha256_file(path, until=-len(end)).encode() == end.removeprefix(_TRAILER)


def _write(path: Path, source: DatasetPhotos, spec: PixelSpec) -> None:
    """Decode into a temporary file and rename it; files of the same size for other photos are then of no use."""
    path.parent.mkdir(exist_ok=True)
    (path.parent / "CACHEDIR.TAG").write_text(_TAG, encoding="ascii")
    temporary = path.parent / f"{TEMPORARY_PREFIX}{uuid4().hex}"
    try:
        pixels = np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=_shape(source, spec))
        _decode(source, spec, pixels)
        pixels.flush()
        digest = sha256_file(temporary)
        with temporary.open("ab") as file:  # flushed is not yet stored: the name must not come before the content
            file.write(_TRAILER + digest.encode())
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        fsync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    for stale in path.parent.glob(f"pixels-{spec.height}x{spec.width}-{spec.fit}-*.npy"):
        if stale != path:
            with contextlib.suppress(OSError):
                stale.unlink()


def _decode(source: DatasetPhotos, spec: PixelSpec, into: Pixels) -> Pixels:
    for row, image in enumerate(_decoded(source, spec)):
        into[row] = image
    return into


def _decoded(source: DatasetPhotos, spec: PixelSpec) -> Iterator[Pixels]:
    """Yield the pixels of every photo. Raises InvalidDatasetError at the first that cannot be read."""
    paths = source.dataset.photo_paths(source.photos.ids)
    source.dataset.tell_changed_copies(source.photos.ids, source.photos.photo_sha256)
    # Pillow decodes outside the interpreter lock: threads are enough
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        decoded = pool.map(lambda path: _copy_pixels(path, spec), paths)
        yield from track(decoded, "Decoding photos", len(paths))


def _copy_pixels(path: Path, spec: PixelSpec) -> Pixels:
    """Return the pixels of a working copy. Raises InvalidDatasetError where it cannot be read."""
    try:
        return read_pixels(path, spec)
    except UnreadableImageError as error:
        raise InvalidDatasetError(
            f"The working copy {safe_path(path)} cannot be read ({error}): run `img2gps verify`, then ingest again."
        ) from error


def decoded_pixels(source: DatasetPhotos, spec: PixelSpec, *, at_once: int) -> Iterator[Pixels]:
    """Yield the pixels of all photos, `at_once` at a time, decoded as they are asked for and kept nowhere.

    For photos too many for a file of their pixels. Raises InvalidDatasetError at the first that cannot be read.
    """
    paths = source.dataset.photo_paths(source.photos.ids)
    source.dataset.tell_changed_copies(source.photos.ids, source.photos.photo_sha256)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        waiting = [pool.submit(_copy_pixels, path, spec) for path in paths[:_AHEAD]]
        for start in range(0, len(paths), at_once):
            found = [waiting.pop(0).result() for _ in paths[start : start + at_once]]
            more = paths[start + _AHEAD : start + _AHEAD + at_once]
            waiting += [pool.submit(_copy_pixels, path, spec) for path in more]
            yield np.stack(found)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PixelRows:
    """The pixels of all photos of a dataset as an array of which single rows are read, each decoded when it is."""

    source: DatasetPhotos
    spec: PixelSpec

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array, (N, 3, height, width)."""
        return _shape(self.source, self.spec)

    def __getitem__(self, row: int) -> Pixels:
        path = self.source.dataset.photo_path(str(self.source.photos.ids[row]))
        return _copy_pixels(path, self.spec)
