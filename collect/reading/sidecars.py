"""Which files beside a photo may say where and when it was taken: XMP sidecars, and the JSON of Google Takeout.

XMP: ``IMG_1.jpg.xmp`` (darktable, digiKam) before ``IMG_1.xmp`` (Lightroom, Adobe). Takeout: ``IMG_1.jpg.json``,
``IMG_1.json``, or ``IMG_1.jpg.supplemental-metadata.json``, cut to 46 characters before its ``.json``. The number of a
second ``IMG_1(1).jpg`` stands behind the name of the photo or before ``.json``. An edited copy has its original's.
"""

import dataclasses
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Literal

from collect.reading.stores import StoredObject

if TYPE_CHECKING:
    from collect.reading.found_files import FoundFile

__all__ = ["EDITED", "Sidecar", "find_sidecars"]

_ENDINGS: Final = (b".xmp", b".json")
_SUPPLEMENT: Final = ".supplemental-metadata"
_SHORTEST_CUT, _LONGEST_CUT = 40, 51
_NUMBERED: Final = re.compile(r"(.*)\((\d+)\)(\.[^.]*)?", re.DOTALL)
EDITED: Final = (
    r"edited|effects|smile|mix|bearbeitet|modifié|ha editado|editado|editada|editat|modificato|bewerkt|edytowane"
    r"|redigerad|muokattu|redigeret|redigert|upraveno|upravené|düzenlendi|szerkesztett|изменено|змінено"
    r"|編集済み|已修改|已編輯|已编辑|수정됨"
)
"""What Google Photos adds to the name of an edited copy, by the language of the account: a regular expression."""

_EDITED: Final = re.compile(rf"(.+)-(?:{EDITED})", re.DOTALL | re.IGNORECASE)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """A file beside a photo. `shared` marks one that was found by a name cut short, which several photos may have."""

    path: bytes
    kind: Literal["sidecar", "takeout"]
    state: str
    shared: bool = False
    stored: StoredObject | None = None


def find_sidecars(files: "Iterable[FoundFile]") -> dict[bytes, tuple[Sidecar, ...]]:
    """Return the sidecars of the files that have any, by path, XMP first; each folder is listed once.

    What lies beside an object of a store is among the files; these are gone through twice.
    """
    folders: dict[bytes, _Beside | None] = {}
    objects: dict[bytes, dict[bytes, StoredObject]] = defaultdict(dict)
    for file in files:
        folder, _, name = file.path.rpartition(b"/")
        if file.stored is not None and name.lower().endswith(_ENDINGS):
            objects[folder][name] = file.stored
        elif file.stored is None and _is_wanted(file) and folder not in folders:
            folders[folder] = _Beside.of(folder)
    folders |= {folder: _Beside(folder, sorted(stored), stored) for folder, stored in objects.items()}
    if not any(folders.values()):
        return {}
    found = {}
    for file in files:
        folder, _, name = file.path.rpartition(b"/")
        beside = folders.get(folder)
        if beside is not None and _is_wanted(file) and not name.lower().endswith(_ENDINGS):
            sidecars = tuple(beside.sidecars(name))
            if sidecars:
                found[file.path] = sidecars
    return found


def _is_wanted(file: "FoundFile") -> bool:
    return file.obstacle is None and file.left_out is None


class _Beside:
    """The sidecars of one folder: XMP by lower name; JSON by what stands before the number and ``.json``."""

    def __init__(
        self, folder: bytes, names: Sequence[bytes], stored: Mapping[bytes, StoredObject] | None = None
    ) -> None:
        self._folder = folder
        self._stored = stored or {}
        self._states: dict[bytes, str | None] = {}
        self._xmp: Mapping[str, bytes] = {_text(n).lower(): n for n in names if n.lower().endswith(b".xmp")}
        self._json: dict[tuple[str, str], bytes] = {}
        self._folded: dict[tuple[str, str], bytes] = {}
        for name in names:
            if name.lower().endswith(b".json"):
                file, number = _json_key(_text(name)[: -len(".json")])
                self._json.setdefault((file, number), name)
                self._folded.setdefault((file.casefold(), number), name)

    @classmethod
    def of(cls, folder: bytes) -> "_Beside | None":
        """Return the sidecars of a folder, None where it has none or cannot be listed."""
        try:
            with os.scandir(folder or b"/") as listing:
                names = sorted(entry.name for entry in listing if entry.name.lower().endswith(_ENDINGS))
        except OSError:
            return None
        return cls(folder, names) if names else None

    def sidecars(self, name: bytes) -> Iterator[Sidecar]:
        """Yield what may belong to a photo, the nearest first."""
        text = _text(name)
        stem = text.rpartition(".")[0] or text
        for candidate in (f"{text}.xmp", f"{stem}.xmp"):
            yield from self._sidecar(self._xmp.get(candidate.lower()), "sidecar")
        for file, number, shared in self._takeout(text):
            found = self._json.get((file, number)) or self._folded.get((file.casefold(), number))
            yield from self._sidecar(found, "takeout", shared=shared)

    def _takeout(self, text: str) -> Iterator[tuple[str, str, bool]]:
        """Yield the names under which Takeout may have put a photo's JSON, less its ending: the whole ones first."""
        if not self._json:
            return
        plain, number = _plain_name(text)
        for file, number_of_json in dict.fromkeys([(text, ""), (plain, number)]):
            for original in (file, *_originals(file)):
                yield original, number_of_json, False
                whole = original + _SUPPLEMENT
                for length in range(len(whole), len(original), -1):
                    yield whole[:length], number_of_json, False
                for length in range(min(len(original) - 1, _LONGEST_CUT), _SHORTEST_CUT - 1, -1):
                    yield original[:length], number_of_json, True
                yield original.rpartition(".")[0] or original, number_of_json, True

    def _sidecar(
        self, name: bytes | None, kind: Literal["sidecar", "takeout"], *, shared: bool = False
    ) -> list[Sidecar]:
        if name is None:
            return []
        if name not in self._states:
            self._states[name] = self._state(name)
        state = self._states[name]
        if state is None:
            return []
        path = self._folder + b"/" + name
        return [Sidecar(path=path, kind=kind, state=state, shared=shared, stored=self._stored.get(name))]

    def _state(self, name: bytes) -> str | None:
        """Return what changes when a sidecar does, None where it is gone."""
        if self._stored:
            return f"{self._stored[name].size}-{self._stored[name].version}"
        try:
            status = os.lstat(self._folder + b"/" + name)
        except OSError:
            return None
        return f"{status.st_size}-{status.st_mtime_ns}"


def _originals(file: str) -> Iterator[str]:
    """Yield the names that the original of an edited copy may have."""
    stem, dot, ending = file.rpartition(".")
    edited = _EDITED.fullmatch(stem)
    if edited:
        for other in dict.fromkeys([ending, "HEIC", "heic", "jpg", "JPG", "jpeg", "png"]):
            yield edited[1] + dot + other


def _json_key(stem: str) -> tuple[str, str]:
    """Return what stands before a number at the end, and the number ("" without one)."""
    numbered = _NUMBERED.fullmatch(stem)
    return (numbered[1], numbered[2]) if numbered and not numbered[3] else (stem, "")


def _plain_name(text: str) -> tuple[str, str]:
    """Return a photo's name without the number before its ending, and the number."""
    numbered = _NUMBERED.fullmatch(text)
    return (numbered[1] + (numbered[3] or ""), numbered[2]) if numbered and numbered[3] else (text, "")


def _text(name: bytes) -> str:
    """Return a name as text; macOS decomposes letters, and the files of one folder may come from two systems."""
    return unicodedata.normalize("NFC", name.decode("utf-8", "surrogateescape"))
