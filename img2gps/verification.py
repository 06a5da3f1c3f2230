"""What verifying a folder gives, whatever kind it is, and who verifies which kind.

Datasets are known to the package that makes them. Other kinds come from the entry-point group ``img2gps.verifiers``.
The name of an entry is a file or folder that marks its kind, its object a function from the folder to a `Report`.
"""

import dataclasses
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Final, Protocol

from img2gps.errors import InvalidDatasetError, NotFoundError
from img2gps.text import safe_path

__all__ = ["Problem", "Report", "verify_folder"]

_GROUP: Final = "img2gps.verifiers"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong: the file or row, what is wrong with it, and what to do."""

    where: str
    what: str
    remedy: str = ""


class Report(Protocol):
    """What a verification found."""

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong; nothing where the folder is as it was written."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Return the result for ``verify --json``."""
        ...

    def sentence(self) -> str:
        """Return the result in words."""
        ...


def verify_folder(root: Path) -> Report:
    """Check a folder of a kind that a package has registered (a run), completely.

    Raises NotFoundError where there is none, InvalidDatasetError where it is of no kind that can be verified.
    """
    if not root.exists():
        raise NotFoundError(f"No dataset or run at {safe_path(root)}: give the folder that `ingest` or `train` made.")
    for entry in entry_points(group=_GROUP):
        if (root / entry.name).exists():
            verify: Callable[[Path], Report] = entry.load()
            return verify(root)
    raise InvalidDatasetError(
        f"{safe_path(root)} is neither a dataset nor a run: give the folder that `ingest` or `train` made."
    )
