"""The shape of a model's input, and how a photo is brought to it."""

import dataclasses
from typing import Literal

__all__ = ["Fit", "PixelSpec"]

Fit = Literal["squash", "pad"]
"""squash: stretched to the size, as the published study does; pad: aspect kept, the rest filled with grey."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PixelSpec:
    """The shape of a model's input in pixels, and how a photo of another aspect is brought to it."""

    height: int
    width: int
    fit: Fit
