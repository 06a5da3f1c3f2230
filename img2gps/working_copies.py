"""Where the working copies of a dataset lie: in its own folder, in another one, or in an object store.

A dataset whose copies lie elsewhere says so in ``photos.json``: ``{"address": "s3://bucket/copies"}``. Whoever reads a
copy gets a path. That of a stored copy fetches it into this machine's cache once it is opened.
"""

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from img2gps.address import Place, place_of
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.files import canonical_json, sha256_bytes, sha256_file
from img2gps.object_cache import cached_object, forget_cached, is_cached, room_for
from img2gps.object_store import Objects, writable_objects
from img2gps.progress import track
from img2gps.text import safe_path

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # the class of this system's paths, which Python 3.11 wants as a base

__all__ = [
    "PLACE_FILE",
    "CopiesJob",
    "FolderCopies",
    "StoredCopies",
    "WorkingCopies",
    "copies_at",
    "copies_of",
    "place_bytes",
]

PLACE_FILE: Final = "photos.json"
_AT_ONCE: Final = 16
_BATCH: Final = 1024
_COPY_BYTES: Final = 120_000
_JPEG_END: Final = b"\xff\xd9"


@dataclass(frozen=True, slots=True)
class FolderCopies:
    """Working copies in a folder of this machine or of a shared drive."""

    root: Path

    def __str__(self) -> str:
        """Return the folder."""
        return str(self.root)

    def path(self, photo_id: str) -> Path:
        """Return where the copy of a photo lies."""
        return self.root / photo_id[:2] / f"{photo_id}.jpg"

    def paths(self, ids: Iterable[str]) -> list[Path]:
        """Return where the copies of photos lie."""
        return [self.path(photo_id) for photo_id in ids]

    def digests(self, ids: Iterable[str]) -> Iterator[str | OSError]:
        """Yield the SHA-256 of each copy as it lies there now, or why it cannot be read."""
        yield from map(self._digest, ids)

    def _digest(self, photo_id: str) -> str | OSError:
        try:
            return sha256_file(self.path(photo_id))
        except OSError as error:
            return error

    def renewed(self, photo_id: str) -> Path:
        """Return where a copy lies, read anew where it is kept in a cache."""
        return self.path(photo_id)

    def names(self) -> Iterator[str]:
        """Yield the names of all files there, such as ``ab/ab12.jpg``."""
        yield from (path.relative_to(self.root).as_posix() for path in self.root.glob("*/*"))

    def inside(self, photo_id: str) -> Path | None:
        """Return the file of a copy to hand to others; None where it is gone, or a link that leads out."""
        root, path = self.root.resolve(), self.path(photo_id).resolve()
        return path if path.is_relative_to(root) and path.is_file() else None


@dataclass(frozen=True, slots=True)
class StoredCopies:
    """Working copies in an object store, read through this machine's cache (`img2gps.object_cache`)."""

    objects: Objects

    def __str__(self) -> str:
        """Return the address."""
        return str(self.objects.address)

    def path(self, photo_id: str) -> Path:
        """Return a path that fetches the copy of a photo once it is opened."""
        return _stored(self, photo_id)

    def paths(self, ids: Iterable[str]) -> list[Path]:
        """Return the paths of the copies of photos, having fetched many at once. Raises OSError."""
        wanted = list(map(str, ids))
        missing = [one for one in wanted if not is_cached(self.objects.address.url, self.name(one))]
        del missing[room_for(_COPY_BYTES) :]
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="img2gps-fetch") as threads:
            fetched = threads.map(self._fetch_quietly, missing)
            for _ in track(fetched, "Fetching photos", len(missing)) if missing else ():
                pass
        return [self.path(photo_id) for photo_id in wanted]

    def digests(self, ids: Iterable[str]) -> Iterator[str | OSError]:
        """Yield the SHA-256 of each copy as it lies in the store now, or that it is gone. Raises OSError."""
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="img2gps-fetch") as threads:
            waiting = iter(ids)
            while some := list(islice(waiting, _BATCH)):
                yield from threads.map(self._digest, some)

    def _digest(self, photo_id: str) -> str | OSError:
        try:
            return sha256_bytes(self.objects.read(self.name(photo_id)))
        except FileNotFoundError as error:  # a store that does not answer says nothing of its copies
            return error

    def renewed(self, photo_id: str) -> Path:
        """Return the path of a copy, which is not in the cache now."""
        forget_cached(self.objects.address.url, self.name(photo_id))
        return self.path(photo_id)

    def names(self) -> Iterator[str]:
        """Yield the names of all objects there."""
        return self.objects.names()

    def inside(self, photo_id: str) -> Path | None:
        """Return the file of a copy to hand to others; None where it is gone."""
        with contextlib.suppress(FileNotFoundError):
            return self.fetched(photo_id)
        return None

    def name(self, photo_id: str) -> str:
        """Return the name of a copy below the address."""
        return f"{photo_id[:2]}/{photo_id}.jpg"

    def fetched(self, photo_id: str) -> Path:
        """Return the copy of a photo on this machine, fetched if need be. Raises OSError."""
        name = self.name(photo_id)
        return cached_object(self.objects.address.url, name, lambda: self.objects.read(name, end=_JPEG_END))

    def holds(self, photo_id: str) -> bool:
        """Return whether there is a copy of a photo. Raises OSError."""
        name = self.name(photo_id)
        return is_cached(self.objects.address.url, name) or self.objects.holds(name)

    def put(self, photo_id: str, data: bytes, *, again: bool) -> bool | None:
        """Put a copy into the store where there is none, or `again`; return whether this call did it.

        None means that there is one of other bytes, as another version of Pillow makes them: it stays. Raises OSError.
        """
        name = self.name(photo_id)
        if again:
            self.objects.write(name, data)
            forget_cached(self.objects.address.url, name)
            return True
        if self.objects.create(name, data):
            return True
        return False if self.objects.read(name, end=_JPEG_END) == data else None

    def delete(self, photo_id: str) -> None:
        """Delete a copy from the store and from this machine's cache. Raises OSError."""
        self.objects.delete(self.name(photo_id))
        forget_cached(self.objects.address.url, self.name(photo_id))

    def _fetch_quietly(self, photo_id: str) -> None:
        with contextlib.suppress(OSError):  # told by whoever opens it
            self.fetched(photo_id)


WorkingCopies = FolderCopies | StoredCopies


class _StoredCopy(_Path):
    """The path of a copy in a store: opened, it is a file of the cache; as text, it is its address."""

    _copies: StoredCopies | None = None
    _photo_id = ""

    def __fspath__(self) -> str:
        return str(self._copies.fetched(self._photo_id)) if self._copies else super().__str__()

    def __str__(self) -> str:
        return self._copies.objects.whole(self._copies.name(self._photo_id)) if self._copies else super().__str__()

    def __reduce__(self) -> Any:
        return (_stored, (self._copies, self._photo_id)) if self._copies else (Path, (super().__str__(),))

    def is_file(self, *_: Any, **__: Any) -> bool:
        return self.exists()

    def exists(self, *_: Any, **__: Any) -> bool:
        return self._copies is not None and self._copies.holds(self._photo_id)

    def unlink(self, missing_ok: bool = False) -> None:
        """Delete the copy from the store and from the cache, whether it is there or not."""
        if self._copies is not None:
            self._copies.delete(self._photo_id)


def _stored(copies: StoredCopies, photo_id: str) -> Path:
    path = _StoredCopy(copies.objects.whole(copies.name(photo_id)))
    path._copies, path._photo_id = copies, photo_id
    return path


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiesJob:
    """Working copies of the dataset at `root` that a worker of a cluster looks at."""

    root: Path
    ids: tuple[str, ...]


def copies_of(root: Path) -> WorkingCopies:
    """Return where the working copies of the dataset at `root` lie. Raises InvalidDatasetError."""
    try:
        text = (root / PLACE_FILE).read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return FolderCopies(root / "photos")
    except UnicodeDecodeError:
        text = ""
    try:
        address = json.loads(text)["address"]
        if not isinstance(address, str) or not address:
            raise ValueError
        return copies_at(root / address if isinstance(place_of(address), Path) else place_of(address))
    except (KeyError, TypeError, ValueError, UsageError) as error:
        where = safe_path(root / PLACE_FILE)
        raise InvalidDatasetError(f"{where} does not name where the working copies lie: restore it.") from error


def copies_at(place: Place) -> WorkingCopies:
    """Return the working copies at a place. Raises UsageError where none can lie there."""
    if isinstance(place, Path):
        return FolderCopies(place)
    return StoredCopies(writable_objects(place))


def place_bytes(copies: WorkingCopies) -> bytes:
    """Return what ``photos.json`` says of working copies that lie elsewhere."""
    if isinstance(copies, FolderCopies):
        return canonical_json({"address": os.fspath(copies.root)})
    return canonical_json({"address": copies.objects.address.url})
