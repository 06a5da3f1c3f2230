"""What is stated once per figure of errors: the figures themselves, their intervals, their differences."""

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Generic, Literal, NamedTuple, Self, TypeVar

from img2gps.metrics import WITHIN_M, Metrics

__all__ = ["FigureIntervals", "Figures", "Interval", "Length", "PerFigure", "figures_of"]

T = TypeVar("T")

Length = Literal["rmse_m", "mean_m", "median_m", "p90_m"]
"""A figure that is a length; the others are shares of photos within a radius."""


class Interval(NamedTuple):
    """The ends of an interval, in the unit of what it is of."""

    low: float
    high: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PerFigure(Generic[T]):
    """One value for each figure of errors; those of `within_m` under the radius in metres, as text."""

    rmse_m: T
    mean_m: T
    median_m: T
    p90_m: T
    within_m: Mapping[str, T]

    @classmethod
    def of(cls, values: Iterable[T]) -> Self:
        """Return the values, given in the order of the fields, those of `within_m` in that of `WITHIN_M`."""
        rmse, mean, median, p90, *within = values
        shares = dict(zip(map(str, WITHIN_M), within, strict=True))
        return cls(rmse_m=rmse, mean_m=mean, median_m=median, p90_m=p90, within_m=shares)

    def length(self, name: Length) -> T:
        """Return the value of one of the lengths, by its name."""
        return {"rmse_m": self.rmse_m, "mean_m": self.mean_m, "median_m": self.median_m, "p90_m": self.p90_m}[name]

    def values(self) -> list[T]:
        """Return the values in the order of the fields."""
        return [self.rmse_m, self.mean_m, self.median_m, self.p90_m, *self.within_m.values()]


Figures = PerFigure[float]
FigureIntervals = PerFigure[Interval | None]


def figures_of(metrics: Metrics) -> Figures:
    """Return the figures of a set of photos without their number."""
    return PerFigure(
        rmse_m=metrics.rmse_m,
        mean_m=metrics.mean_m,
        median_m=metrics.median_m,
        p90_m=metrics.p90_m,
        within_m=metrics.within_m,
    )
