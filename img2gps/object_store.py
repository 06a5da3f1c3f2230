"""Object stores, web servers and archives by fsspec: opened, asked again where they stumble, told of in words.

Credentials are those that the libraries find in the environment. Errors are told without what an address hides.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, TypeVar

from img2gps.address import Address, without_secrets
from img2gps.errors import Img2GPSError, NotFoundError, UsageError
from img2gps.text import safe_text

__all__ = ["Objects", "is_of_this_process", "opened", "protocol_of", "retried", "told", "words_of", "writable_objects"]

Result = TypeVar("Result")

_ATTEMPTS: Final = 3
_PAUSE_S: Final = 0.5
_READ_ONLY: Final = ("http", "https", "zip", "file")
_OF_ENVIRONMENT: Final = ("s3", "s3a", "gs", "gcs")
_OF_CLOUD: Final = (*_OF_ENVIRONMENT, "http", "https")  # what the extra of that name brings
_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_NOT_FIRST: Final = ("pre-condition", "precondition")


@dataclass(frozen=True, slots=True)
class Objects:
    """The objects below an address, by their names relative to it.

    Every method tries three times where a store stumbles. Then it raises OSError with the address of the object:
    FileNotFoundError where there is none, PermissionError where the credentials do not allow it.
    """

    address: Address

    def read(self, name: str, *, end: bytes = b"") -> bytes:
        """Return the bytes of an object. `end` is what it ends with if it came whole; else its size decides."""
        files, key = self._key(name)

        def get() -> bytes:
            data = bytes(files.cat_file(key))
            if not data.endswith(end) and len(data) < int(files.info(key).get("size") or 0):
                raise OSError(f"only {len(data):,} bytes came")
            return data

        return self._tried(name, get)

    def write(self, name: str, data: bytes) -> None:
        """Put an object, whatever was there. A store shows the old bytes or the new, never half of one."""
        files, key = self._key(name)
        self._tried(name, lambda: files.pipe_file(key, data))

    def create(self, name: str, data: bytes) -> bool:
        """Put an object where there is none, and return whether there was none; of several writers one succeeds.

        A store may have kept the object although its answer was lost: then this is False, and it holds `data`.
        """
        files, key = self._key(name)

        def put() -> bool:
            try:
                files.pipe_file(key, data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if any(word in str(error).lower() for word in _NOT_FIRST):  # stores that do not say which it was
                    return False
                raise
            return True

        return self._tried(name, put)

    def holds(self, name: str) -> bool:
        """Return whether there is such an object."""
        files, key = self._key(name)
        try:
            self._tried(name, lambda: files.info(key))
        except FileNotFoundError:
            return False
        return True

    def upload(self, name: str, path: Path) -> None:
        """Put a file of this machine as an object, in parts where it is large."""
        files, key = self._key(name)
        self._tried(name, lambda: files.put_file(str(path), key))

    def below(self, name: str) -> "Objects":
        """Return the objects whose names begin with a folder's."""
        return Objects(Address(f"{self.address.url.rstrip('/')}/{name}"))

    def delete(self, name: str) -> None:
        """Delete an object, which may be gone already."""
        files, key = self._key(name)
        with contextlib.suppress(FileNotFoundError):
            self._tried(name, lambda: files.rm_file(key))

    def names(self) -> Iterator[str]:
        """Yield the names of all objects, in order."""
        files, root = opened(self.address.url)
        base = root.rstrip("/") + "/"
        found = self._tried("", lambda: files.find(root))
        yield from (str(key)[len(base) :] for key in sorted(found) if str(key).startswith(base))

    def whole(self, name: str) -> str:
        """Return the address of an object, for people."""
        return f"{str(self.address).rstrip('/')}/{name}"

    def _key(self, name: str) -> tuple[Any, str]:
        files, root = opened(self.address.url)
        return files, f"{root.rstrip('/')}/{name}"

    def _tried(self, name: str, action: Callable[[], Result]) -> Result:
        try:
            return retried(action)
        except OSError as error:
            error.filename = self.whole(name)
            raise


def writable_objects(address: Address) -> Objects:
    """Return the objects below an address that a dataset keeps. Raises UsageError where nothing can be written."""
    where, scheme = safe_text(str(address)), protocol_in(address.url)
    if "::" in address.url or scheme in _READ_ONLY:
        raise UsageError(f"{where} cannot be written to: give a folder or an object store, such as s3://bucket/x.")
    if without_secrets(address.url) != address.url:
        raise UsageError(f"A dataset keeps the address {where}: give its user and password in the environment.")
    return Objects(Address(address.url.rstrip("/")))


def retried(action: Callable[[], Result]) -> Result:
    """Return what an action returns that a store may fail at: after a pause it is tried again, twice.

    Raises OSError with words that hide no credentials.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return action()
        except FileNotFoundError as error:
            raise FileNotFoundError(errno.ENOENT, words_of(error) or os.strerror(errno.ENOENT)) from None
        except PermissionError as error:
            raise PermissionError(errno.EACCES, words_of(error)) from None
        except ImportError as error:
            raise OSError(errno.ENOSYS, words_of(error)) from None
        except Exception as error:  # noqa: BLE001  every library of a store has errors of its own
            if _status_of(error) in _REFUSED:
                raise PermissionError(errno.EACCES, words_of(error)) from None
            if attempt + 1 == _ATTEMPTS:
                raise OSError(errno.EIO, words_of(error)) from None
            time.sleep(_PAUSE_S * 4**attempt)
    raise AssertionError


@lru_cache(maxsize=16)
def opened(store: str) -> tuple[Any, str]:
    """Return the file system that opens an address, and its path there; listings are not kept in memory.

    Raises UsageError where it names a user of a store that finds credentials in the environment alone.
    """
    from fsspec.core import url_to_fs

    last = store.rpartition("::")[2]  # without it, a library would take the user for a part of the bucket's name
    if protocol_in(last) in _OF_ENVIRONMENT and without_secrets(last) != last:
        where = safe_text(without_secrets(store))
        raise UsageError(f"{where} takes no user and password: give the credentials in the environment.")
    options: dict[str, Any] = {} if "::" in store else {"use_listings_cache": False}
    files, root = url_to_fs(store, **options)
    return files, str(root)


def protocol_in(url: str) -> str:
    """Return the protocol that an address begins with, in small letters."""
    return url.partition("://")[0].lower()


def protocol_of(files: Any) -> str:
    """Return the first name of a file system's protocol."""
    return str(files.protocol if isinstance(files.protocol, str) else files.protocol[0])


def is_of_this_process(store: str) -> bool:
    """Return whether other processes cannot read what lies at an address, as with ``memory://``."""
    return store.lower().startswith("memory://") or "::memory://" in store.lower()


@contextlib.contextmanager
def told(address: Address) -> Iterator[None]:
    """Turn what the libraries raise into one sentence about the address."""
    where = safe_text(str(address))
    try:
        yield
    except Img2GPSError:
        raise
    except ImportError as error:
        scheme = protocol_in(address.url.rpartition("::")[2])
        how = "pip install 'img2gps[cloud]'" if scheme in _OF_CLOUD else words_of(error)
        raise UsageError(f"{scheme}:// needs a library that is missing: {how.rstrip('.')}.") from error
    except FileNotFoundError as error:
        # fsspec says so of whatever a web server answers, and of one that does not answer
        if _status_of(error.__cause__) in _REFUSED:
            raise _refused(where, error.__cause__ or error) from None
        if isinstance(error.__cause__, OSError) and not isinstance(error.__cause__, FileNotFoundError):
            raise UsageError(f"Cannot read {where} ({words_of(error.__cause__)}).") from None
        raise NotFoundError(f"Nothing at {where}: check the address.") from error
    except PermissionError as error:
        raise _refused(where, error) from error
    except Exception as error:  # noqa: BLE001  every library of a store has errors of its own
        if _status_of(error) in _REFUSED:
            raise _refused(where, error) from None
        if "credentials" in f"{type(error).__name__} {error}".lower():
            public = ", or FSSPEC_S3_ANON=true for a public bucket" if "s3://" in address.url.lower() else ""
            raise UsageError(f"No credentials for {where}: set them as its library expects them{public}.") from None
        raise UsageError(f"Cannot read {where} ({words_of(error)}).") from None


def _refused(where: str, error: BaseException) -> UsageError:
    return UsageError(f"No permission to read {where} ({words_of(error)}): check the credentials.")


def _status_of(error: BaseException | None) -> HTTPStatus | None:
    """Return the status that a web server answered with, None for any other error."""
    with contextlib.suppress(ValueError):
        return HTTPStatus(getattr(error, "status", 0))
    return None


def words_of(error: BaseException) -> str:
    """Return what an error says, without the secrets of an address."""
    if status := _status_of(error):  # a server's own words may repeat what it was asked
        return f"HTTP {status.value} {status.phrase}"
    said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return safe_text(without_secrets(" ".join(str(said).split())) or type(error).__name__, limit=200)
