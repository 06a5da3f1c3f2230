"""Spans: runs of pixels in single image columns, which is how walls, ground and sky fill a view.

Upright things and the ground plane change linearly along a span, or by the column alone. So most arithmetic happens
once per span and little of it once per pixel.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from collect.simulation.arrays import Doubles, Floats, Ints, Mask

Scalar = TypeVar("Scalar", bound=np.generic)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spans:
    """Spans in columns `column`, rows `first` up to but without `last`; arrays of length n.

    The pixels of all spans, span by span from the top, are the order of every per-pixel array.
    """

    column: Ints
    first: Ints
    last: Ints

    @property
    def lengths(self) -> Ints:
        """Pixels of each span."""
        return self.last - self.first

    def chosen(self, which: Mask | Ints) -> "Spans":
        """Some of the spans."""
        return Spans(column=self.column[which], first=self.first[which], last=self.last[which])

    def rows(self) -> Ints:
        """The row of each pixel."""
        lengths = self.lengths
        shift = self.first - (np.cumsum(lengths) - lengths)
        rows: Ints = np.arange(int(lengths.sum())) + np.repeat(shift, lengths)
        return rows

    def each(self, value: Doubles | Floats) -> Floats:
        """A value of each span for each of its pixels, in single precision."""
        return np.repeat(value.astype(np.float32), self.lengths)

    def repeated(self, value: NDArray[Scalar]) -> NDArray[Scalar]:
        """The same as `each`, whatever the type."""
        return np.repeat(value, self.lengths)


def covered(column: Ints, first: Doubles, last: Doubles, height: int) -> Spans:
    """The pixels whose middles lie between the fractional rows `first` and `last` in an image `height` rows high."""
    top = np.clip(np.ceil(first - 0.5), 0, height).astype(np.intp)
    bottom = np.clip(np.ceil(last - 0.5), 0, height).astype(np.intp)
    return Spans(column=column, first=top, last=np.maximum(top, bottom))
