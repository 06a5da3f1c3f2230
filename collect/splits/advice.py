"""What a held-out part of so many photos can show, and what to do where that is little."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from img2gps.text import format_count
from img2gps.types import Photo

if TYPE_CHECKING:
    from collect.splits.split import SplitResult

__all__ = ["advice", "rmse_uncertainty"]

_FEW_GROUPS: Final = 30
"""Fewer groups than these leave an RMSE uncertain by more than a sixth."""

_FEW_WALKS: Final = 3


def rmse_uncertainty(groups: int) -> float:
    """Return the half-width of the 95 % interval of an RMSE from so many independent groups, as a share of it.

    Normal errors, alike along both axes, make the squared error exponential. Its mean over n has the relative standard
    deviation 1 / sqrt(n), and the root halves it: 1.96 / (2 sqrt(n)). Errors with a longer tail are less certain.
    """
    return 1.96 / (2 * math.sqrt(groups))


def advice(result: "SplitResult", dataset: str) -> list[str]:
    """Return what to say of small held-out parts, and of folds where they are the better choice."""
    options = result.options
    notes = [
        note for name in ("test", "val") if options[name] and (note := _small(name, result.part(name))) is not None
    ]
    if notes and not options["folds"]:
        notes.append(
            "Folds test every photo once, each by a model that did not train on it: "
            f"`img2gps split {dataset} --folds walk`, then `img2gps train {dataset} --folds`."
        )
    return notes


def _small(name: str, photos: Sequence[Photo]) -> str | None:
    if not photos:
        return None
    groups, walks = len({photo.group for photo in photos}), len({photo.walk for photo in photos})
    if groups >= _FEW_GROUPS and walks >= _FEW_WALKS:
        return None
    what = f"{format_count(len(photos), 'photo')} in {format_count(groups, 'group')} of {format_count(walks, 'walk')}"
    text = (
        f"The {name} split is small ({what}): an RMSE measured on it is known to about ±{rmse_uncertainty(groups):.0%}"
    )
    return f"{text}, and says little of other walks." if walks < _FEW_WALKS else f"{text}."
