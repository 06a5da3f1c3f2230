"""Files that are still to be read, each with the label that was given for it."""

from collections.abc import Iterator, Sequence
from typing import Final, overload

import numpy as np
from numpy.typing import NDArray

from collect.reading.found_files import FoundFile, FoundFiles
from collect.validation.labels import LabelRow

__all__ = ["Labelled", "LabelledFiles"]

Labelled = tuple[FoundFile, LabelRow | None]

_BLOCK: Final = 2048


class LabelledFiles(Sequence[Labelled]):
    """Some of the files, by their places, each with its label."""

    def __init__(self, files: FoundFiles, labels: Sequence[LabelRow | None], rows: NDArray[np.int64]) -> None:
        self._files, self._labels, self._rows = files, labels, rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Labelled: ...
    @overload
    def __getitem__(self, index: slice) -> list[Labelled]: ...

    def __getitem__(self, index: int | slice) -> Labelled | list[Labelled]:
        rows = self._rows[index]
        some = list(zip(self._files.at(np.atleast_1d(rows)), self._of(np.atleast_1d(rows)), strict=True))
        return some if isinstance(index, slice) else some[0]

    def __iter__(self) -> Iterator[Labelled]:
        for start in range(0, len(self), _BLOCK):
            yield from self[start : start + _BLOCK]

    def _of(self, rows: NDArray[np.int64]) -> list[LabelRow | None]:
        return [self._labels[row] for row in rows.tolist()]
