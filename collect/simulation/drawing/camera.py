"""The viewpoint: where a photo is taken from, and how the ground plane and upright things project into it."""

import math
from dataclasses import dataclass, replace

import numpy as np

from collect.simulation.arrays import Doubles


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewpoint:
    """A pinhole camera `eye_m` above the ground.

    `heading_deg` is clockwise from north. Pitch (up is positive) and roll are small, and shift the image instead of
    turning it. That keeps upright edges upright, as phones do when they correct perspective.
    """

    east_m: float
    north_m: float
    heading_deg: float
    eye_m: float = 1.6
    view_deg: float = 66.0
    pitch_deg: float = 0.0
    roll_deg: float = 0.0
    width: int = 640
    height: int = 480

    @property
    def focal_px(self) -> float:
        """Focal length in pixels; `view_deg` spans the longer side of the image."""
        return max(self.width, self.height) / 2 / math.tan(math.radians(self.view_deg / 2))

    @property
    def forward(self) -> tuple[float, float]:
        """Unit vector (east, north) of the heading."""
        return math.sin(math.radians(self.heading_deg)), math.cos(math.radians(self.heading_deg))

    @property
    def right(self) -> tuple[float, float]:
        """Unit vector (east, north) to the right of the heading."""
        return math.cos(math.radians(self.heading_deg)), -math.sin(math.radians(self.heading_deg))

    def scaled(self, long_side_px: int) -> "Viewpoint":
        """The same camera with a sensor whose longer side has `long_side_px` pixels."""
        factor = long_side_px / max(self.width, self.height)
        return replace(self, width=round(self.width * factor), height=round(self.height * factor))

    def slopes(self) -> Doubles:
        """Per column: metres to the right for each metre ahead."""
        return (np.arange(self.width, dtype=np.float64) + 0.5 - self.width / 2) / self.focal_px

    def horizon_rows(self) -> Doubles:
        """Per column: the row (fractional, 0 at the top) of the horizon."""
        return self.horizon_at(np.arange(self.width, dtype=np.float64) + 0.5)

    def horizon_at(self, column: Doubles) -> Doubles:
        """The row of the horizon at fractional columns."""
        middle = self.height / 2 + self.focal_px * math.tan(math.radians(self.pitch_deg))
        return middle + (column - self.width / 2) * math.tan(math.radians(self.roll_deg))

    def ahead_and_right(self, east_m: Doubles, north_m: Doubles) -> tuple[Doubles, Doubles]:
        """Depth along the heading and offset to the right of points, in metres."""
        east, north = east_m - self.east_m, north_m - self.north_m
        ahead = east * self.forward[0] + north * self.forward[1]
        return ahead, east * self.right[0] + north * self.right[1]
