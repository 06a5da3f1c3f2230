"""A dataset in an object store, and the folder of this machine that stands for it.

Below its address lie working copies (``photos/``) and the dataset's other files as objects that never change
(``files/``). Numbered commits (``commits/00000001.json``) name all files of a version each. The newest commit is the
dataset. It is put on condition that there is none of its number, so of two writers one fails.

Commands work in a folder of this machine's cache, which a file ``.store.json`` marks. It is brought up to date when
the dataset is opened or locked. What changed in it is committed when the lock is released.
"""

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from img2gps.address import Address, Place, place_of
from img2gps.errors import DatasetLockedError, InvalidDatasetError
from img2gps.files import TEMPORARY_PREFIX, canonical_json, sha256_bytes, sha256_file, write_atomic
from img2gps.locks import hold
from img2gps.object_cache import cache_folder
from img2gps.object_store import Objects, told, writable_objects
from img2gps.text import call_path, safe_path, safe_text, shell_path

__all__ = ["RECORD", "address_of", "local_root", "publish", "refresh", "shown", "stored_orphans"]

RECORD: Final = ".store.json"
_LOCAL: Final = (".lock", RECORD)
_LOCAL_FOLDERS: Final = (".cache", "audit", "photos")
_WAIT_S: Final = 60.0
_READINGS: Final = 5  # of a version whose objects the next one took away meanwhile


@dataclass(frozen=True, slots=True)
class _File:
    """A file of a version: the object that holds it, and the SHA-256 and size in bytes of what it holds."""

    object: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class _Record:
    """What a folder holds: the files of a version (0: of none), and size and time of each as it was written here."""

    address: str
    version: int = 0
    files: Mapping[str, _File] = field(default_factory=dict)
    seen: Mapping[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def objects(self) -> Objects:
        """The objects below the dataset's address."""
        return Objects(Address(self.address))


def local_root(place: str | Place) -> Path:
    """Return the folder of a dataset: a path as it is, and for an address the folder that stands for it.

    Raises UsageError where no dataset can lie at the address.
    """
    place = place_of(place)
    if isinstance(place, Path):
        return place
    address = writable_objects(place).address
    words = re.sub(r"[^A-Za-z0-9.]+", "-", str(address).partition("://")[2])[-60:]
    root = cache_folder() / "datasets" / f"{words}-{sha256_bytes(address.url.encode())[:12]}"
    if not (root / RECORD).exists():
        _save(root, _Record(address.url))
    call_path(root, str(address))
    return root


def address_of(root: Path) -> Address | None:
    """Return the address of the dataset that a folder stands for, None where it is a dataset itself."""
    record = _record(root)
    if record is None:
        return None
    call_path(root, record.address)
    return Address(record.address)


def shown(root: Path) -> str:
    """Return what a person calls a dataset: its address, or its folder; for a shell, as a word of a command."""
    address = address_of(root)
    return shell_path(str(address) if address else root)


def refresh(root: Path, *, locked: bool = False) -> None:
    """Bring a folder that stands for a stored dataset up to date; any other stays as it is.

    Changes that were not committed stay as long as nobody committed anything else. While another process of this
    machine writes to the folder, it is left alone, unless the caller is that one (`locked`). Raises UsageError where
    the store cannot be read.
    """
    record = _record(root)
    if record is None:
        return
    with told(Address(record.address)):
        if record.version and not record.objects.holds(_commit(record.version + 1)):
            return
        with contextlib.ExitStack() as stack:
            if not locked:
                try:
                    stack.enter_context(hold(root / ".lock", otherwise=_busy(record), wait_s=_wait_s(record)))
                except DatasetLockedError:
                    return
            _fetch_newest(root)


def publish(root: Path) -> None:
    """Commit what changed in a folder that stands for a stored dataset; the caller holds its lock.

    Raises DatasetLockedError where another machine committed meanwhile: the folder then holds what that wrote. Raises
    the OSError of a store.
    """
    record = _record(root)
    if record is None:
        return
    files, seen, changed = _compared(root, record)
    if not changed and files.keys() == record.files.keys():
        if seen != record.seen:
            _save(root, replace(record, seen=seen))
        return
    number, writer = record.version + 1, uuid4().hex
    objects = record.objects
    for name in changed:
        stored = replace(files[name], object=f"files/{number:08d}-{writer[:8]}/{name}")
        objects.upload(stored.object, root / name)
        files[name] = stored
    commit = canonical_json({"version": number, "writer": writer, "files": {key: asdict(files[key]) for key in files}})
    if not objects.create(_commit(number), commit) and objects.read(_commit(number)) != commit:
        for name in changed:
            objects.delete(files[name].object)
        _fetch_newest(root)
        raise _busy(record)
    _save(root, replace(record, version=number, files=files, seen=seen))
    with contextlib.suppress(OSError):  # `verify` names what stays, the next commit deletes it
        for name in _outdated(objects, number, {stored.object for stored in files.values()}):
            objects.delete(name)


def stored_orphans(root: Path) -> list[str]:
    """Return the objects of a stored dataset that its newest commit does not name. Raises OSError."""
    record = _record(root)
    if record is None:
        return []
    named = {stored.object for stored in record.files.values()}
    return [f"files/{name}" for name in record.objects.below("files").names() if f"files/{name}" not in named]


def _outdated(objects: Objects, number: int, named: set[str]) -> list[str]:
    """Return the files of versions up to `number` that it does not name; those of later ones are being written."""
    found = [f"files/{name}" for name in objects.below("files").names()]
    return [name for name in found if name not in named and name[len("files/") :][:8] <= f"{number:08d}"]


def _commit(number: int) -> str:
    return f"commits/{number:08d}.json"


def _busy(record: _Record) -> DatasetLockedError:
    where = safe_text(str(Address(record.address)))
    return DatasetLockedError(f"{where} was written by another process meanwhile: run the command again.")


def _wait_s(record: _Record) -> float:
    return 0.0 if record.version else _WAIT_S  # another process may be fetching it for the first time


def _fetch_newest(root: Path) -> None:
    """Make the folder what the newest commit says, where that is another version; the caller holds its lock."""
    for reading in range(_READINGS):
        record = _record(root)
        assert record is not None
        newest = max(record.objects.below("commits").names(), default=None)
        if newest is None or int(newest[:8]) == record.version:
            return
        try:
            _fetch(root, record, int(newest[:8]))
        except FileNotFoundError:
            if reading + 1 == _READINGS:
                raise
        else:
            return


def _fetch(root: Path, record: _Record, number: int) -> None:
    objects = record.objects
    try:
        said = json.loads(objects.read(_commit(number)))
        files = {str(name): _File(**stored) for name, stored in said["files"].items()}
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
            raise ValueError
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        where = safe_text(objects.whole(_commit(number)))
        raise InvalidDatasetError(f"{where} is damaged: restore it from a backup.") from error
    for name in sorted(files, key=lambda name: name == "manifest.parquet"):  # the rows after what they rest on
        kept = record.files.get(name)
        if kept is None or kept.sha256 != files[name].sha256 or _stat(root / name) != record.seen.get(name):
            write_atomic(root / name, _whole(objects, files[name]))
    for name in _names(root):
        if name not in files:
            (root / name).unlink(missing_ok=True)
    seen = {name: stat for name in files if (stat := _stat(root / name)) is not None}
    _save(root, replace(record, version=number, files=files, seen=seen))


def _whole(objects: Objects, stored: _File) -> bytes:
    data = objects.read(stored.object)
    for _ in range(2):
        if sha256_bytes(data) == stored.sha256:
            return data
        data = objects.read(stored.object)  # it may have come by half
    raise InvalidDatasetError(f"{safe_text(objects.whole(stored.object))} was changed: restore it from a backup.")


def _compared(root: Path, record: _Record) -> tuple[dict[str, _File], dict[str, tuple[int, int]], list[str]]:
    """Return the files of the folder as they are stored, what they look like here, and which have changed."""
    files: dict[str, _File] = {}
    seen: dict[str, tuple[int, int]] = {}
    changed = []
    for name in _names(root):
        path, kept = root / name, record.files.get(name)
        stat = _stat(path)
        if stat is None:
            continue
        seen[name] = stat
        if kept is not None and stat == record.seen.get(name):
            files[name] = kept
            continue
        digest = sha256_file(path)
        if kept is not None and digest == kept.sha256:
            files[name] = kept
            continue
        files[name] = _File(object="", sha256=digest, size=stat[0])
        changed.append(name)
    return files, seen, changed


def _names(root: Path) -> Iterator[str]:
    """Yield the names of the dataset's files in a folder, without what is of this machine alone."""
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root)
        ours = name.parts[0] not in (*_LOCAL, *_LOCAL_FOLDERS) and not name.name.startswith(TEMPORARY_PREFIX)
        if ours and path.is_file():
            yield name.as_posix()


def _stat(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _record(root: Path) -> _Record | None:
    try:
        text = (root / RECORD).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        plain: dict[str, Any] = json.loads(text)
        files = {name: _File(**stored) for name, stored in plain["files"].items()}
        seen = {name: (int(size), int(time)) for name, (size, time) in plain["seen"].items()}
        return _Record(address=plain["address"], version=int(plain["version"]), files=files, seen=seen)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InvalidDatasetError(f"{safe_path(root / RECORD)} is damaged: delete this folder of the cache.") from error


def _save(root: Path, record: _Record) -> None:
    plain = {"address": record.address, "version": record.version, "seen": dict(record.seen)}
    plain["files"] = {name: asdict(stored) for name, stored in record.files.items()}
    write_atomic(root / RECORD, canonical_json(plain))
