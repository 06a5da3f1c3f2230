"""Where photos and tables lie: paths of this machine, and addresses of object stores, web servers and archives."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import unquote

__all__ = ["Address", "Place", "place_of", "without_secrets"]

_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
# in a text, white space ends an address; one that stands alone may hold some
_IN_TEXT, _ALONE = r"\s", r"\0"
_QUERY: Final = {end: re.compile(rf"(https?://[^?#{end}]*)[?#][^{end}]*", re.IGNORECASE) for end in (_IN_TEXT, _ALONE)}
# up to the last @ before a slash; else the password holds slashes, and what follows the colon is no port
_USER: Final = {
    end: re.compile(rf"(?<=://)(?<!zip://)(?:[^/{end}]*@|(?!arn:)[^/:@{end}]+:(?!:|\d+(?:/|$))[^{end}]*@)")
    for end in (_IN_TEXT, _ALONE)
}


@dataclass(frozen=True, slots=True)
class Address:
    """Files that no path of this machine names, such as ``s3://bucket/walks`` (in the words of fsspec).

    `url` may hold a password or a signature. Text for people comes from `str`, which leaves both out.
    """

    url: str = field(repr=False)

    def __str__(self) -> str:
        """Return the address without user, password and query."""
        return _cut(self.url, _ALONE)

    @property
    def name(self) -> str:
        """The last name of the path: for an archive within a store, the archive's."""
        text = str(self).rpartition("::")[2] if "::" in self.url else str(self)
        return unquote(text.rstrip("/").rpartition("/")[2])


Place = Path | Address


def place_of(given: str | Path | Address) -> Place:
    """Return an address where text is one, else a path; ``file://`` is a path."""
    if not isinstance(given, str):
        return given
    if given.lower().startswith("file:///"):
        return Path(unquote(given[len("file://") :]))
    return Address(given) if _SCHEME.match(given) else Path(given)


def without_secrets(text: str) -> str:
    """Return text with user and password taken out of its addresses, and what follows a question mark or #."""
    return _cut(text, _IN_TEXT)


def _cut(text: str, end: str) -> str:
    return _QUERY[end].sub(r"\1", _USER[end].sub("", text))
