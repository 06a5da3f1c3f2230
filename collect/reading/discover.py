"""The walk over the inputs: every name below them ends up in the count, whatever it is.

Names are bytes until they are shown. Symbolic links are never followed below an argument, so loops cannot arise and
nothing is counted twice. The argument itself may be one, as with ``find -H``.
"""

import dataclasses
import os
import stat
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final

from collect.reading.found_files import FoundFile, FoundFiles
from collect.reading.left_out import left_out_as
from collect.reading.sidecars import find_sidecars
from collect.reading.stores import Listed, list_objects
from img2gps.address import Address, Place
from img2gps.errors import NotFoundError, UsageError
from img2gps.progress import bar
from img2gps.text import safe_path, safe_text, shell_path

__all__ = ["check_inputs", "discover", "portable_name"]

_COUNTED_AT_ONCE: Final = 100
_MADE_BY_INGEST: Final = {b"manifest.parquet", b"site.geojson"}
_WORKING_COPIES: Final = b"photos"


def discover(inputs: Sequence[Place], *, exclude: Path | None = None, include_hidden: bool = False) -> FoundFiles:
    """Return every file below `inputs` once, ordered by file name, then path; `exclude` is never entered.

    What is no photo of the walk (trash, thumbnails) says so, unless `include_hidden`; what is named itself is meant.
    Raises what `check_inputs` raises.
    """
    check_inputs(inputs)
    entries = _entries(inputs, exclude, include_hidden=include_hidden)
    files = FoundFiles.gather(_counted(entries) if any(isinstance(one, Address) for one in inputs) else entries)
    return files.with_sidecars(find_sidecars(files))


def _counted(entries: Iterable[FoundFile]) -> Iterator[FoundFile]:
    """Yield the entries, and show how many there are so far: a large store takes minutes to list."""
    with bar("Listing objects", None) as advance:
        for number, entry in enumerate(entries, start=1):
            yield entry
            if number % _COUNTED_AT_ONCE == 0:
                advance(0, note=f"{number:,} so far")


def _entries(inputs: Sequence[Place], exclude: Path | None, *, include_hidden: bool) -> Iterator[FoundFile]:
    excluded = _identity(os.fsencode(exclude)) if exclude is not None else None
    entered = {excluded} if excluded else set[tuple[int, int]]()
    for argument in inputs:
        folder, entries = _stored(argument) if isinstance(argument, Address) else _local(argument, entered)
        for entry in entries:
            code = (entry.left_out or left_out_as(entry.name)) if folder and not include_hidden else None
            yield entry if code == entry.left_out else dataclasses.replace(entry, left_out=code)


def _local(argument: Path, entered: set[tuple[int, int]]) -> tuple[bool, Iterable[FoundFile]]:
    root = os.path.realpath(os.fsencode(argument))
    folder = argument.is_dir()
    return folder, _walk(root, root, entered) if folder else [_entry(root, _base(root))]


def _stored(address: Address) -> tuple[bool, Iterable[FoundFile]]:
    """Return whether an address is a folder, and its objects, which raise UsageError where it is a dataset."""
    listed = list_objects(address)
    first = list(islice(listed, 2))
    folder = len(first) > 1 or first[0].name != first[0].whole.rpartition("/")[2]
    return folder, map(_stored_entry, _of_no_dataset(address, chain(first, listed)))


def _of_no_dataset(address: Address, listed: Iterable[Listed]) -> Iterator[Listed]:
    missing = {"manifest.parquet", "site.geojson"}
    for one in listed:
        missing.discard(one.name)
        if not missing:
            raise UsageError(f"{safe_text(str(address))} is a dataset that img2gps made, not a folder of raw photos.")
        yield one


def _stored_entry(one: Listed) -> FoundFile:
    size, mtime_ns, inode = one.object.status
    return FoundFile(
        path=os.fsencode(one.whole),
        name=portable_name(os.fsencode(one.name)),
        size=size,
        mtime_ns=mtime_ns,
        inode=inode,
        unlistable=one.fault,
        stored=one.object,
    )


def check_inputs(inputs: Sequence[Place]) -> None:
    """Raise NotFoundError where an input does not exist, UsageError where one is a dataset or lies in one.

    A dataset's working copies carry no EXIF: taken for raw photos they would all be rejected for a false reason.
    Inputs that are all ZIP archives raise UsageError, too: as files they hold no photo, as ``zip://`` they do.
    """
    for argument in inputs:
        if isinstance(argument, Address):  # asked once, when it is listed
            continue
        if not argument.exists():
            raise NotFoundError(f"No file or folder {safe_path(argument)}: check the path.")
        dataset = _dataset_around(argument.resolve())
        if dataset is not None:
            where = shell_path(dataset)
            raise UsageError(
                f"{safe_path(argument)} is {'' if dataset == argument.resolve() else 'part of '}a dataset that img2gps "
                f"made, not a folder of raw photos: go on with `img2gps audit {where}`, or give the phone's originals."
            )
    archives = [one for one in inputs if isinstance(one, Path) and _is_archive(one)]
    if archives and len(archives) == len(inputs):
        name = shell_path(archives[0])
        raise UsageError(f"{name} is a ZIP archive: give zip://{name} to read the photos in it.")


def _is_archive(path: Path) -> bool:
    """Return whether a file is called, and is, a ZIP archive: a photo with one behind its picture is still a photo."""
    return path.suffix.lower() == ".zip" and zipfile.is_zipfile(path)


def _dataset_around(path: Path) -> Path | None:
    """Return the dataset that `path` is or, as a part of its working copies, lies in."""
    nearest = (path, *list(path.parents)[:3])  # DATASET/photos/ab/<id>.jpg
    inside = [
        folder for folder in nearest if (folder / "manifest.parquet").is_file() and (folder / "site.geojson").is_file()
    ]
    found = inside[0] if inside else None
    return found if found in (None, path) or (found / "photos") in (path, *path.parents) else None


def portable_name(name: bytes) -> str:
    r"""Return a file name as text that any encoding of files accepts: undecodable bytes become ``\xff``."""
    return name.decode("utf-8", "backslashreplace")


def _identity(path: bytes) -> tuple[int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116  names are bytes here, which Path does not take
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _walk(folder: bytes, root: bytes, entered: set[tuple[int, int]]) -> Iterator[FoundFile]:
    """Yield the files below `folder`, without recursion: folders may be nested deeper than the stack.

    Working copies of a dataset that is met say so: taken for raw photos, they are rejected for a false reason.
    """
    pending: list[tuple[bytes, str | None]] = [(folder, None)]
    while pending:
        current, left_out = pending.pop()
        identity = _identity(current)
        if identity in entered:  # the dataset itself, or a folder mounted into itself
            continue
        if identity is not None:
            entered.add(identity)
        try:
            with os.scandir(current) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except FileNotFoundError:  # gone since
            continue
        except OSError as error:
            yield FoundFile(
                path=current, name=portable_name(_relative(current, root)), unlistable=error.strerror or "unknown error"
            )
            continue
        is_dataset = {entry.name for entry in entries} >= _MADE_BY_INGEST
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append((entry.path, "dataset" if is_dataset and entry.name == _WORKING_COPIES else left_out))
            else:
                found = _entry(entry.path, _relative(entry.path, root, entry.name), entry)
                yield dataclasses.replace(found, left_out=left_out) if left_out else found


def _base(path: bytes) -> bytes:
    return path.rsplit(b"/", 1)[-1]


def _relative(path: bytes, root: bytes, name: bytes | None = None) -> bytes:
    # the slice equals os.path.relpath, which normalises both paths anew for each of 100,000 files
    return path[len(root) :].lstrip(b"/") or name or _base(root)


def _entry(path: bytes, name: bytes, entry: "os.DirEntry[bytes] | None" = None) -> FoundFile:
    shown = portable_name(name)
    try:
        status = os.lstat(path) if entry is None else entry.stat(follow_symlinks=False)
    except OSError as error:
        return FoundFile(path=path, name=shown, unlistable=error.strerror or "unknown error")
    obstacle = None if stat.S_ISREG(status.st_mode) else _kind(status.st_mode)
    return FoundFile(
        path=path,
        name=shown,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        inode=status.st_ino,
        obstacle=obstacle,
    )


def _kind(mode: int) -> str:
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFIFO: "a named pipe",
        stat.S_IFSOCK: "a socket",
        stat.S_IFCHR: "a device",
        stat.S_IFBLK: "a device",
    }
    return kinds.get(stat.S_IFMT(mode), "not a regular file")
