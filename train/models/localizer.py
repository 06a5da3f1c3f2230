"""What every trained model is to the rest of the program: photos in, positions out."""

import dataclasses
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

import numpy as np

from img2gps.answers import UNFAMILIAR_BELOW
from img2gps.geo import FloatArray, LocalFrame
from img2gps.pixels import PixelSpec

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from train.models.evidence import Evidence

__all__ = ["UNFAMILIAR_BELOW", "Estimate", "Localizer", "WalkLocalizer"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """Positions of N photos in east/north metres of the run's frame; every array has shape (N,).

    `east_m`, `north_m` are the answer. A model with a distribution over the site also gives its mean and its mode. It
    gives the radii of the smallest discs around the answer that hold 50 % and 90 % of it.
    """

    east_m: FloatArray
    north_m: FloatArray
    radius_50_m: FloatArray | None = None
    radius_90_m: FloatArray | None = None
    mean_east_m: FloatArray | None = None
    mean_north_m: FloatArray | None = None
    mode_east_m: FloatArray | None = None
    mode_north_m: FloatArray | None = None
    familiarity: FloatArray | None = None
    """The p-value of each being of the site (`train.models.familiarity`); one for all of a walk."""
    company: FloatArray | None = None
    """How many photos each was located with, itself included; None: each by itself."""
    label_share: FloatArray | None = None
    """The probability within 15 m of a place that was asked about: where the photo's label says it was taken."""
    answer_share: FloatArray | None = None
    """The probability within 15 m of the answer."""

    def take(self, rows: "NDArray[np.int64]") -> "Self":
        """Return the photos at `rows`, in their order."""
        columns: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            columns[field.name] = None if values is None else values[rows]
        return type(self)(**columns)

    @classmethod
    def concatenate(cls, parts: "list[Self]") -> "Self":
        """Return the estimates of several batches as one."""
        columns: dict[str, Any] = {}
        for field in dataclasses.fields(cls):
            values = [getattr(part, field.name) for part in parts]
            columns[field.name] = None if not values or any(v is None for v in values) else np.concatenate(values)
        if not parts:
            columns |= {"east_m": np.empty(0), "north_m": np.empty(0)}
        return cls(**columns)


class Localizer(Protocol):
    """A trained model, ready on its device."""

    @property
    def frame(self) -> LocalFrame:
        """The frame of its metres."""
        ...

    @property
    def pixels(self) -> PixelSpec:
        """The images it takes: their height and width, and how photos of another aspect are brought to it."""
        ...

    def locate(self, images: "Tensor") -> Estimate:
        """Return the positions of a uint8 RGB batch of shape (N, 3, height, width)."""
        ...


@runtime_checkable
class WalkLocalizer(Localizer, Protocol):
    """A model with a distribution over the site, which can locate the photos of a walk together."""

    def evidence(self, images: "Tensor") -> "Evidence":
        """Return what a uint8 RGB batch of N photos shows: distributions over the site's cells."""
        ...

    def estimate(self, evidence: "Evidence") -> Estimate:
        """Return the positions of N photos, each by itself: what `locate` returns."""
        ...

    def share_near(self, evidence: "Evidence", east_m: FloatArray, north_m: FloatArray) -> FloatArray:
        """Return the probability (N,) that each of N photos was taken within 15 m of a place of its own."""
        ...

    def estimate_walk(self, evidence: "Evidence", alone: Estimate, seconds: FloatArray) -> Estimate:
        """Return the positions of the N photos of one walk, located together.

        `alone` are those of each by itself, `seconds` (N,) is when they were taken, in order of time; N is 2 or more.
        """
        ...
