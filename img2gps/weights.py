"""Which weights of networks lie on this machine: told by the packages that use them.

They come from the entry-point group ``img2gps.weights``: the object of an entry is a function without arguments to a
sequence of `FoundWeights`. So ``doctor`` can tell them, and knows no network itself.
"""

import dataclasses
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Final

__all__ = ["FoundWeights", "found_weights"]

_GROUP: Final = "img2gps.weights"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FoundWeights:
    """A file of weights: where it comes from, what it is, where it lies, its size, and the options that use it."""

    source: str
    name: str
    path: str
    bytes: int
    use: str = ""


def found_weights() -> tuple[FoundWeights, ...]:
    """Return the weights on this machine that the installed packages can use; no network is asked."""
    found: list[FoundWeights] = []
    for entry in entry_points(group=_GROUP):
        tell: Callable[[], Sequence[FoundWeights]] = entry.load()
        found += tell()
    return tuple(found)
