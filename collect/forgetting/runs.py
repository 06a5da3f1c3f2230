"""Runs, exports and published folders made of a dataset that still hold photos that it forgot.

A model cannot forget: what it learnt of a photo is in its weights, and one that compares photos holds their features
and positions. So these are named, to be trained again or deleted. They are known by their tables: photos.parquet of a
run lists what it learnt from, predictions.parquet where it placed what, model.json of an export whom it compares with.
"""

import dataclasses
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from img2gps.text import safe_path

__all__ = ["Holder", "holders", "usual_places"]

_COLUMNS: Final = ("id", "photo_id", "photo_sha256")
_KINDS: Final = {"config.toml": "run", "img2gps.json": "published", "model.json": "export"}
"""What a folder is, by the file that tells it."""
_REMEDIES: Final = {
    "run": "train again and delete it, with what was exported from it",
    "published": "publish again, and delete this one wherever it was copied to",
    "export": "export again from a run that was trained again, and delete this one wherever it was copied to",
    "folder": "make it again from the dataset, and delete this one wherever it was copied to",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A run, an export or a published folder that holds forgotten photos: how many, and in which of its files."""

    folder: Path
    kind: str
    photos: int
    files: tuple[str, ...]

    @property
    def remedy(self) -> str:
        """What to do about it."""
        return _REMEDIES[self.kind]


def usual_places(root: Path) -> list[Path]:
    """Return where what is made of a dataset usually lies, in the working folder and beside the dataset.

    That is `runs`, and the folders there that were published or exported.
    """
    around = [Path(), root.absolute().parent]
    places = [place for folder in around for place in (folder / "runs", *_made_folders(folder)) if place.is_dir()]
    return list({place.resolve(): place for place in places}.values())


def _made_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder` that were published or exported; a Space has its export one level below."""
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:  # a folder that nobody may list
        return []
    marks = [*_KINDS, "model/model.json"]
    return [path for path in inside if any((path / mark).is_file() for mark in marks)]


def holders(places: Collection[Path], words: Collection[str], *, beside: Path) -> list[Holder]:
    """Return the folders below `places` whose tables hold any of `words` (ids, hashes of copies).

    `beside` is the dataset itself, which is passed over.
    """
    wanted = frozenset(words)
    found: dict[Path, dict[str, set[str]]] = {}
    for path in _tables(places, beside.resolve()):
        ids = _held(path, wanted)
        if ids:
            folder = _folder_of(path, places)
            found.setdefault(folder, {})[path.relative_to(folder).as_posix()] = ids
    return [
        Holder(
            folder=folder,
            kind=_kind_of(folder) or "folder",
            photos=len(set().union(*files.values())),
            files=tuple(safe_path(name) for name in sorted(files)),
        )
        for folder, files in sorted(found.items())
    ]


def _tables(places: Collection[Path], dataset: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for place in places:
        for path in sorted([*place.rglob("*.parquet"), *place.rglob("model.json")]):
            resolved = path.resolve()
            if resolved not in seen and not resolved.is_relative_to(dataset):
                seen.add(resolved)
                yield path


def _held(path: Path, wanted: frozenset[str]) -> set[str]:
    try:
        rows = _ids_of_export(path) if path.suffix == ".json" else _ids_of_table(path)
    except (AttributeError, KeyError, NotImplementedError, OSError, RecursionError, TypeError, ValueError):
        # a damaged file: `verify` tells, and nobody can read it
        return set()
    return {row[0] for row in rows if wanted.intersection(row)}


def _ids_of_table(path: Path) -> list[tuple[str, ...]]:
    """Return what tells the photo of each row, first what it is counted by. Pictures in the table are not read."""
    import pyarrow.parquet as pq

    with path.open("rb") as file, pq.ParquetFile(file) as table:
        names = [name for name in _COLUMNS if name in table.schema_arrow.names]
        columns = table.read(columns=names)
    return list(zip(*(map(str, columns.column(name).to_pylist()) for name in names), strict=True))


def _ids_of_export(path: Path) -> list[tuple[str, ...]]:
    """Return the ids of the photos that an exported model compares with."""
    gallery = json.loads(path.read_bytes())["gallery"] or {}
    return [(str(photo_id),) for photo_id in gallery.get("ids") or ()]


def _kind_of(folder: Path) -> str | None:
    return next((kind for name, kind in _KINDS.items() if (folder / name).is_file()), None)


def _folder_of(path: Path, places: Collection[Path]) -> Path:
    """Return the run, export or published folder that a file belongs to, else the folder below the searched place."""
    for folder in path.parents:
        if _kind_of(folder):
            return folder
        if folder in places:
            return folder if path.parent == folder else folder / path.relative_to(folder).parts[0]
    return path.parent
