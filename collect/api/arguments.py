"""What the functions of this folder take: a dataset or its folder, one path or several, as text or as paths."""

from collections.abc import Sequence
from pathlib import Path

from img2gps.address import Address, Place, place_of
from img2gps.dataset import Dataset
from img2gps.stored_dataset import local_root

__all__ = ["DatasetOrPath", "Paths", "Places", "as_path", "as_paths", "as_places", "opened", "root_of"]

DatasetOrPath = Dataset | str | Path
Paths = str | Path | Sequence[str | Path]
Places = str | Place | Sequence[str | Place]


def opened(dataset: DatasetOrPath) -> Dataset:
    """Return the dataset. Raises NotFoundError or InvalidDatasetError where the folder is none."""
    return dataset if isinstance(dataset, Dataset) else Dataset.open(dataset)


def root_of(dataset: DatasetOrPath) -> Path:
    """Return the folder of a dataset that may not be there yet, or the one that stands for an address."""
    return dataset.root if isinstance(dataset, Dataset) else local_root(dataset)


def as_path(path: str | Path | None) -> Path | None:
    """Return a path that may be left out."""
    return None if path is None else Path(path)


def as_paths(given: Paths) -> list[Path]:
    """Return however many paths were given."""
    return [Path(given)] if isinstance(given, str | Path) else list(map(Path, given))


def as_places(given: Places) -> list[Place]:
    """Return however many paths and addresses (``s3://bucket/walks``) were given."""
    return [place_of(given)] if isinstance(given, str | Path | Address) else list(map(place_of, given))
