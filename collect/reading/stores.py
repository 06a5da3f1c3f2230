"""Object stores, web servers and archives by fsspec: what lies below an address, and the bytes of one object."""

import contextlib
import hashlib
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import unescape
from typing import Any, Final
from urllib.parse import unquote

from img2gps.address import Address, without_secrets
from img2gps.errors import NotFoundError, UsageError
from img2gps.object_store import opened, protocol_of, retried, told, words_of
from img2gps.text import safe_text

__all__ = ["Listed", "StoredObject", "check_reach", "list_objects", "read_address", "read_object"]

# one request lists a thousand objects, whatever their folders
_FLAT: Final = ("s3", "s3a", "gs", "gcs")
_WEB: Final = ("http", "https")
_VERSION: Final = (("ETag",), ("etag",), ("md5Hash",), ("Content-MD5",), ("Digest",), ("CRC", "date_time"))
_MOMENT: Final = (("mtime",), ("LastModified",), ("updated",), ("Last-Modified",), ("created",), ("modified",))
_HEADS_AT_ONCE: Final = 16
_LAST_READ: Final = dict[str, "StoredObject"]()  # of each store, the last object that this process read


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """An object to read: `store` opens its file system, `key` is its path there. None of both is for people.

    `size` is in bytes, None where the store does not say. `version` changes when the object does: its ETag, else a
    checksum or the time of its last change. It is None if the store tells nothing of it.
    """

    store: str
    key: str
    size: int | None = None
    version: str | None = None

    @property
    def status(self) -> tuple[int, int, int]:
        """What stands for size, mtime_ns and inode of a file: the size, and 127 bits of a hash of the version."""
        if self.version is None:
            return self.size or 0, 0, 0
        digest = hashlib.sha256(self.version.encode()).digest()
        return self.size or 0, int.from_bytes(digest[:8]) >> 1, int.from_bytes(digest[8:16])

    @property
    def read_status(self) -> tuple[int, int, int]:
        """What the index holds after a reading: nothing that an unversioned object would be recognised by."""
        return (self.size or 0, -1, 0) if self.version is None else self.status


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object found below an address: its whole name as text, and its name relative to the address.

    `fault` says that a folder could not be listed, or that nothing could be learnt of the object.
    """

    whole: str
    name: str
    object: StoredObject
    fault: str | None = None


def list_objects(address: Address) -> Iterator[Listed]:
    """Yield every object below an address, or the one that it names, in the order of the store.

    Raises NotFoundError where there is nothing, UsageError where the store cannot be asked.
    """
    store = _store_of(address)
    with told(address):
        files, root = opened(store)
        protocol = protocol_of(files)
        entries = _web_entries(files, root) if protocol in _WEB else _entries(files, root, flat=protocol in _FLAT)
        found = False
        for info in entries:
            found = True
            key = str(info["name"])
            version, size = _version(info), info.get("size")
            yield Listed(
                whole=_whole(store, protocol, files, key),
                name=_relative(key, root, address, web=protocol in _WEB),
                object=StoredObject(store=store, key=key, size=size, version=version),
                fault=info.get("fault"),
            )
        if not found:
            raise NotFoundError(f"No photos at {safe_text(str(address))}: check the address.")


def read_object(source: StoredObject, *, start: int = 0, end: int | None = None) -> bytes:
    """Return the bytes of an object, from `start` to before `end`, however often the connection breaks.

    Raises OSError with words that hide no credentials where it cannot be read whole. Raises UsageError where the store
    refuses what it gave before, too: credentials that expired would cost every object that is left.
    """
    end = source.size if end is None else end

    def read() -> bytes:
        data = _bytes_of(source, start, end)
        if end is not None and len(data) < end - start and not _has_shrunk(source, len(data)):
            raise OSError(f"{len(data):,} of {end - start:,} bytes came")
        return data

    try:
        data = retried(read)
    except PermissionError:
        if not _refuses_all(source.store):
            raise
        with told(Address(source.store)):
            raise
    if data:
        _LAST_READ[source.store] = source
    return data


def _refuses_all(store: str) -> bool:
    """Return whether a store refuses even what it gave before: the last object of this process, else its root."""

    def ask() -> None:
        files, root = opened(store)
        known = _LAST_READ.get(store)
        if known is not None:
            _bytes_of(known, 0, 1)
        elif protocol_of(files) in _WEB:  # as it was listed: some servers refuse a HEAD alone
            files.cat_file(root, start=0, end=1)
        else:
            files.info(root)

    try:
        retried(ask)
    except PermissionError:
        return True
    except OSError:
        pass
    return False


def check_reach(source: StoredObject) -> None:
    """Raise UsageError where nothing of an object's store can be read here: for want of a password, say."""
    try:
        read_object(source, end=1)
    except OSError:  # of this object alone, or of all
        with contextlib.suppress(NotFoundError), told(Address(source.store)):
            files, root = opened(source.store)
            files.info(root)


def read_address(address: Address, *, limit: int) -> bytes:
    """Return the bytes of the one object at an address, `limit` + 1 at most.

    Raises NotFoundError, or UsageError where it cannot be read.
    """
    store = _store_of(address)
    with told(address):
        files, root = opened(store)
        info = files.info(root)
        if info.get("type") == "directory":
            raise UsageError(f"{safe_text(str(address))} is a folder: give the address of a file.")
        source = StoredObject(store=store, key=str(info["name"]), size=info.get("size"))
        return read_object(source, end=min(source.size, limit + 1) if source.size is not None else None)


def _store_of(address: Address) -> str:
    """Return an address in the words of fsspec: ``zip://walk.zip`` is the archive, not a file within one."""
    url = address.url
    if url.lower().startswith("zip://") and "::" not in url:
        return f"zip://::file://{os.path.abspath(url[len('zip://') :])}"  # noqa: PTH100  of a worker, too
    return url


def _entries(files: Any, root: str, *, flat: bool) -> Iterator[Mapping[str, Any]]:
    """Yield what the store says of each file below `root`; a folder that cannot be listed is told as a fault."""
    if flat or (root.strip("/") and files.isfile(root)):
        yield from _only_files(files.find(root, detail=True).values())
        return
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            entries = files.ls(folder, detail=True)
        except FileNotFoundError:
            if folder == root:
                return
            continue
        except Exception as error:
            if folder == root:
                raise
            yield {"name": folder, "fault": words_of(error)}
            continue
        pending += [entry["name"] for entry in entries if entry["type"] == "directory" and entry["name"] != folder]
        yield from _only_files(entries)


def _only_files(entries: Any) -> Iterator[Mapping[str, Any]]:
    return (entry for entry in entries if entry["type"] == "file" and not str(entry["name"]).endswith("/"))


def _web_entries(files: Any, root: str) -> Iterator[Mapping[str, Any]]:
    """Yield what a web server says of the files that its listings name; a name with an ending is a file itself."""
    if not root.endswith("/") and "." in root.partition("://")[2].partition("/")[2].rpartition("/")[2]:
        info = files.info(root)
        if not str(info.get("url", "")).partition("?")[0].endswith("/"):  # where a server leads who names a folder
            yield {**info, "name": root}
            return
    pending, names, faults, seen = [root.rstrip("/") + "/"], [], [], set[str]()
    while pending:
        folder = pending.pop()
        try:
            links = {unescape(link) for link in files.ls(folder, detail=False)}
        except Exception as error:
            if not seen:
                raise
            faults.append({"name": folder.rstrip("/"), "fault": words_of(error)})
            continue
        seen.add(folder)
        below = sorted(link for link in links if link.startswith(folder) and not {"?", "#"} & set(link))
        pending += [link for link in below if link.endswith("/") and link not in seen]
        names += [link for link in below if not link.endswith("/")]
    yield from faults
    with ThreadPoolExecutor(_HEADS_AT_ONCE, thread_name_prefix="img2gps-head") as threads:
        yield from threads.map(lambda name: _web_info(files, name), names)


def _web_info(files: Any, name: str) -> dict[str, Any]:
    try:
        return {**files.info(name), "name": name}
    except Exception as error:  # noqa: BLE001  told of this file alone
        return {"name": name, "fault": words_of(error)}


def _version(info: Mapping[str, Any]) -> str | None:
    for keys in (*_VERSION, *_MOMENT):
        if all(info.get(key) for key in keys):
            return " ".join(str(info[key]) for key in keys)
    return None


def _whole(store: str, protocol: str, files: Any, key: str) -> str:
    """Return what tells an object from all others and hides no credentials; its last part is its name."""
    if "::" in store:
        return f"{protocol}:{without_secrets(store.partition('::')[2])}/{key.lstrip('/')}"
    return without_secrets(str(files.unstrip_protocol(key)))


def _relative(key: str, root: str, address: Address, *, web: bool) -> str:
    if web:  # elsewhere a question mark is a letter of the name
        key, root = key.partition("?")[0], root.partition("?")[0]
    name = key[len(root) :].lstrip("/") or key.rpartition("/")[2] or address.name
    return unquote(name) if web else name


def _bytes_of(source: StoredObject, start: int, end: int | None) -> bytes:
    if end is not None and end <= start:
        return b""
    files, _ = opened(source.store)
    if protocol_of(files) in _WEB and (start > 0 or end == source.size):
        return bytes(files.cat_file(source.key))[start:end]  # a server that knows no ranges begins at the beginning
    data = bytes(files.cat_file(source.key, start=start, end=end))
    return data if end is None else data[: end - start]


def _has_shrunk(source: StoredObject, size: int) -> bool:
    """Return whether an object was replaced by a smaller one since the listing, which the next ingest sees."""
    files, _ = opened(source.store)
    return bool(files.info(source.key).get("size") == size)
