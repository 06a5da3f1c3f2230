"""Runs and other folders made of a dataset that still hold photos that it forgot.

A model cannot forget: what it learnt of a photo is in its weights, and one that compares photos holds their features
and positions. So these are named, to be trained again or deleted. They are known by their tables: photos.parquet of a
run lists what it learnt from, predictions.parquet where it placed what.
"""

import dataclasses
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

from img2gps.tables import DamagedTableError, load_table
from img2gps.text import safe_path

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Holder", "holders", "usual_places"]

_COLUMNS: Final = ("id", "photo_id", "photo_sha256")


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
        if self.kind == "run":
            return "train again and delete it, with what was exported from it"
        return "make it again from the dataset, and delete this one wherever it was copied to"


def usual_places(root: Path) -> list[Path]:
    """Return where runs of a dataset usually lie: `runs` in the working folder and beside the dataset."""
    places = [Path("runs"), root.absolute().parent / "runs"]
    return list({place.resolve(): place for place in places if place.is_dir()}.values())


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
            kind="run" if (folder / "config.toml").is_file() else "folder",
            photos=len(set().union(*files.values())),
            files=tuple(safe_path(name) for name in sorted(files)),
        )
        for folder, files in sorted(found.items())
    ]


def _tables(places: Collection[Path], dataset: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for place in places:
        for path in sorted(place.rglob("*.parquet")):
            resolved = path.resolve()
            if resolved not in seen and not resolved.is_relative_to(dataset):
                seen.add(resolved)
                yield path


def _held(path: Path, wanted: frozenset[str]) -> set[str]:
    try:
        table = load_table(path).table
    except DamagedTableError:  # `verify` tells; nobody can read it
        return set()
    rows: set[int] = set()
    for name in _COLUMNS:
        if name in table.column_names:
            rows |= {row for row, value in enumerate(table.column(name).to_pylist()) if value in wanted}
    return {_label(table, row) for row in rows}


def _label(table: "pa.Table", row: int) -> str:
    """Return what a row's photo is counted by, whatever table it stands in."""
    return str(next(table.column(name)[row].as_py() for name in _COLUMNS if name in table.column_names))


def _folder_of(path: Path, places: Collection[Path]) -> Path:
    """Return the run that a table belongs to; outside of runs, the folder below the place that was searched."""
    for folder in path.parents:
        if (folder / "config.toml").is_file():
            return folder
        if folder in places:
            return folder if path.parent == folder else folder / path.relative_to(folder).parts[0]
    return path.parent
