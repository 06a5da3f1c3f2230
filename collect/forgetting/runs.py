"""Runs, exports, published folders, downloads of them and other datasets that still hold what a dataset forgot.

A model cannot forget: what it learnt of a photo is in its weights. One that compares photos holds their features and
positions. So these are named, to be trained again or deleted. They are known by their tables. A run has photos.parquet,
what it learnt from, and predictions.parquet, what it placed. An export's model.json says whom it compares with, and
which model it was made of. Downloads from the Hugging Face Hub lie in that library's caches.
"""

import dataclasses
import json
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from img2gps.files import SUMS, sha256_file
from img2gps.text import safe_path

__all__ = ["Holder", "holders", "hub_caches", "usual_places"]

_COLUMNS: Final = ("id", "photo_id", "photo_sha256")
_INNER: Final = "model"
"""Where a Space and a page have their export."""
_KINDS: Final = {
    "config.toml": "run",
    "img2gps.json": "published",
    "model.json": "export",
    "manifest.parquet": "dataset",
}
"""What a folder is, by the file that tells it."""
_REMEDIES: Final = {
    "run": "train again and delete it, with what was exported from it",
    "published": "publish again, and delete this one wherever it was copied to",
    "export": "export again from a run that was trained again, and delete this one wherever it was copied to",
    "dataset": "forget them there, too, with `img2gps forget`, or delete it",
    "cache": "delete it (`hf cache rm`, or the folder): what was published stays on the Hub until it is deleted there",
    "folder": "make it again from the dataset, and delete this one wherever it was copied to",
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A run, an export, a published folder, a dataset or a cache that holds forgotten photos: how many, and where."""

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

    That is `runs`, and the folders there that were published or exported, or are datasets.
    """
    around = [Path(), root.absolute().parent]
    places = [place for folder in around for place in (folder / "runs", *_made_folders(folder)) if place.is_dir()]
    return list({place.resolve(): place for place in places}.values())


def _made_folders(folder: Path) -> list[Path]:
    """Return the folders in `folder` of a known kind; a Space has its export one level below."""
    try:
        inside = sorted(path for path in folder.iterdir() if path.is_dir())
    except OSError:  # a folder that nobody may list
        return []
    return [path for path in inside if _kind_of(path)]


def hub_caches() -> list[Path]:
    """Return where copies from the Hub lie on this machine: snapshots of what was fetched, tables of `datasets`.

    The libraries' variables count: ``HF_HOME``, ``HF_HUB_CACHE``, ``HF_DATASETS_CACHE``.
    """
    home = _folder_of_variable("HF_HOME", _folder_of_variable("XDG_CACHE_HOME", Path.home() / ".cache") / "huggingface")
    hub, tables = (
        _folder_of_variable(name, home / below)
        for name, below in (("HF_HUB_CACHE", "hub"), ("HF_DATASETS_CACHE", "datasets"))
    )
    marked = [path for path in hub.glob("*--*--*/snapshots/*") if _kind_of(path)]
    made = {path.parent for path in tables.rglob("*.arrow")}
    return sorted([*marked, *made])


def _folder_of_variable(name: str, default: Path) -> Path:
    return Path(os.environ[name]).expanduser() if os.environ.get(name) else default


def holders(
    places: Collection[Path], words: Collection[str], *, beside: Path, caches: Collection[Path] = ()
) -> list[Holder]:
    """Return the folders below `places` and `caches` whose tables hold any of `words` (ids, hashes of copies).

    Exports without a gallery are known by the run that they were made of. `beside` is the dataset itself, which is
    passed over.
    """
    wanted, dataset = frozenset(words), beside.resolve()
    found: dict[Path, dict[str, set[str]]] = {}
    for path in _tables([*places, *caches], dataset):
        ids = _held(path, wanted)
        if ids:
            folder = path.parent if path.suffix == ".arrow" else _folder_of(path, [*places, *caches])
            found.setdefault(folder, {})[path.relative_to(folder).as_posix()] = ids
    for path, ids in _made_of(found, places):
        folder = _folder_of(path, places)
        found.setdefault(folder, {}).setdefault(path.relative_to(folder).as_posix(), ids)
    return [
        Holder(
            folder=folder,
            kind="cache" if any(folder.is_relative_to(cache) for cache in caches) else _kind_of(folder) or "folder",
            photos=len(set().union(*files.values())),
            files=tuple(safe_path(name) for name in sorted(files)),
        )
        for folder, files in sorted(found.items())
    ]


def _tables(places: Collection[Path], dataset: Path) -> Iterator[Path]:
    seen: set[Path] = set()
    for place in places:
        for path in sorted(path for pattern in _PATTERNS for path in place.rglob(pattern)):
            resolved = path.resolve()
            if resolved not in seen and not resolved.is_relative_to(dataset):
                seen.add(resolved)
                yield path


def _made_of(found: Mapping[Path, Mapping[str, set[str]]], places: Collection[Path]) -> Iterator[tuple[Path, set[str]]]:
    """Yield model.json of the exports that were made of the runs that were found, with the photos of the run."""
    models = {
        sha256_file(weights): set().union(*files.values())
        for folder, files in found.items()
        if _kind_of(folder) == "run"
        for weights in folder.rglob("model.safetensors")
    }
    for place in places if models else ():
        for path in sorted(place.rglob("model.json")):
            try:
                digest = str(json.loads(path.read_bytes())["run"]["model_sha256"])
            except _UNREADABLE:
                continue
            if digest in models:
                yield path, models[digest]


def _held(path: Path, wanted: frozenset[str]) -> set[str]:
    try:
        rows = _READERS[path.suffix](path)
    except _UNREADABLE:  # a damaged file: `verify` tells, and nobody can read it
        return set()
    return {row[0] for row in rows if wanted.intersection(row)}


def _ids_of_table(path: Path) -> list[tuple[str, ...]]:
    """Return what tells the photo of each row, first what it is counted by. Pictures in the table are not read."""
    import pyarrow.parquet as pq

    with path.open("rb") as file, pq.ParquetFile(file) as table:
        names = [name for name in _COLUMNS if name in table.schema_arrow.names]
        columns = table.read(columns=names)
    return list(zip(*(map(str, columns.column(name).to_pylist()) for name in names), strict=True))


def _ids_of_stream(path: Path) -> list[tuple[str, ...]]:
    """Return the ids of a table that the library `datasets` keeps, mapped into memory: pictures are not read."""
    import pyarrow as pa

    with pa.memory_map(os.fspath(path)) as file, pa.ipc.open_stream(file) as stream:
        if "id" not in stream.schema.names or stream.schema.field("id").type != pa.string():
            return []
        return [(photo_id,) for batch in stream for photo_id in batch.column("id").to_pylist() if photo_id]


def _ids_of_export(path: Path) -> list[tuple[str, ...]]:
    """Return the ids of the photos that an exported model compares with."""
    gallery = json.loads(path.read_bytes())["gallery"] or {}
    return [(str(photo_id),) for photo_id in gallery.get("ids") or ()]


_READERS: Final[Mapping[str, Callable[[Path], list[tuple[str, ...]]]]] = {
    ".parquet": _ids_of_table,
    ".json": _ids_of_export,
    ".arrow": _ids_of_stream,
}
_PATTERNS: Final = ("*.parquet", "model.json", "*.arrow")
_UNREADABLE: Final = (*(AttributeError, KeyError, NotImplementedError, OSError, RecursionError, TypeError, ValueError),)


def _kind_of(folder: Path) -> str | None:
    marks = {**_KINDS, f"{_INNER}/model.json": "export"}
    return next((kind for name, kind in marks.items() if (folder / name).is_file()), None)


def _is_inner(folder: Path) -> bool:
    """Return whether an export is part of a Space or of a page, which holds thumbnails beside it."""
    return folder.name == _INNER and (folder / "model.json").is_file() and (folder.parent / SUMS).is_file()


def _folder_of(path: Path, places: Collection[Path]) -> Path:
    """Return the run, export or published folder that a file belongs to, else the folder below the searched place."""
    for folder in path.parents:
        if _kind_of(folder):
            return folder.parent if _is_inner(folder) else folder
        if folder in places:
            return folder if path.parent == folder else folder / path.relative_to(folder).parts[0]
    return path.parent
