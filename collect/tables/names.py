"""Which file a name in a table means: relative, absolute and Windows paths, names alone, names without a suffix."""

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from urllib.parse import unquote

__all__ = ["NameBook", "has_photo_suffix", "is_absolute", "normal", "shared_end"]

_SUFFIXES: Final = (
    *(".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".mpo", ".dng", ".bmp"),
    *(".gif", ".jp2", ".raw", ".cr2", ".nef", ".arw"),
)
_DRIVE: Final = re.compile(r"[A-Za-z]:/")


def normal(name: str) -> str:
    """Return a name that is equal across systems but for case: macOS decomposes letters, Windows turns slashes.

    Absolute paths lose their beginning, and dots are taken away where they say nothing.
    """
    text = unicodedata.normalize("NFC", name.strip().replace("\\", "/"))
    if text.lower().startswith("file://"):
        text = unquote(text[7:])
    parts: list[str] = []
    for part in _DRIVE.sub("", text, count=1).split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return "/".join(parts)


def is_absolute(name: str) -> bool:
    """Return whether a name is a path from the root of some machine, whose folders may be called otherwise here."""
    text = name.strip().replace("\\", "/")
    return text.startswith(("/", "~/")) or text.lower().startswith("file://") or bool(_DRIVE.match(text))


def has_photo_suffix(name: str) -> bool:
    """Return whether a name ends as photos' names do."""
    return name.strip().lower().endswith(_SUFFIXES)


def shared_end(one: str, other: str) -> int:
    """Return how many folders and names two paths share at their ends, whatever the case of letters."""
    count = 0
    for mine, its in zip(reversed(one.casefold().split("/")), reversed(other.casefold().split("/")), strict=False):
        if mine != its:
            break
        count += 1
    return count


class NameBook:
    """The normal names of a table, to be looked up by files."""

    def __init__(self, names: Iterable[str], *, absolute: Iterable[str] = ()) -> None:
        self._names = dict.fromkeys(names)
        self._absolute = frozenset(absolute)
        self._folded: dict[str, list[str]] = {}
        self._by_base: dict[str, list[str]] = {}
        for name in self._names:
            self._folded.setdefault(name.casefold(), []).append(name)
            self._by_base.setdefault(name.casefold().rpartition("/")[2], []).append(name)

    def key(self, name: str, path: str = "") -> str | None:
        """Return the name of the table that means a file: its own, each shorter end, then longer ones.

        `name` is relative to the input, `path` the file's own absolute one, where that is known. A name without the
        suffix of a photo counts where none with it fits. None where none fits, or several do and nothing decides.
        """
        mine, path = normal(name), normal(path)
        found, known = self._fitting(mine, path or mine)
        if known or not has_photo_suffix(mine):
            return found
        stem, whole = mine.rpartition(".")[0], (path or mine).rpartition(".")[0]
        return self._fitting(stem, whole)[0]

    def _fitting(self, mine: str, path: str) -> tuple[str | None, bool]:
        """Return the name that fits, and whether any does; letters' case counts where it tells names apart."""
        for end in _ends(mine):
            if end in self._names:
                return end, True
            alike = self._folded.get(end.casefold(), ())
            if alike:
                return (alike[0] if len(alike) == 1 else None), True
        longer = self._longer(mine, path)
        return (longer[0] if len(longer) == 1 else None), bool(longer)

    def _longer(self, mine: str, path: str) -> list[str]:
        """Return the longer names that agree with most of a file's path; those from elsewhere need share the last."""
        fit: Mapping[str, int] = {
            name: shared
            for name in self._by_base.get(mine.casefold().rpartition("/")[2], ())
            if (shared := shared_end(name, path)) == name.count("/") + 1 or name in self._absolute
        }
        return [name for name, shared in fit.items() if shared == max(fit.values())]


def _ends(name: str) -> Iterator[str]:
    parts: Sequence[str] = name.split("/")
    return ("/".join(parts[start:]) for start in range(len(parts)))
