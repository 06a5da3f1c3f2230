"""What a network is asked for: positions brought to about unit scale, and back."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from img2gps.geo import FloatArray, LocalFrame
from train.config.schema import Target
from train.data.training_data import Photos

__all__ = ["TargetScale"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TargetScale:
    """``metres``: (east, north) by one shared scale. ``degrees``: (lat, lon), each by its own mean and deviation."""

    kind: Target
    offset: tuple[float, float]
    scale: tuple[float, float]
    metres_per_unit: float
    """How far one unit of output is on the ground, both axes together: what turns a length into a loss's scale."""

    @classmethod
    def of(cls, kind: Target, train: Photos) -> Self:
        """Return the scale that the training photos give."""
        spread_m = float(np.sqrt((np.var(train.east_m) + np.var(train.north_m)) / 2)) or 1.0
        columns = (train.lat, train.lon) if kind == "degrees" else (train.east_m, train.north_m)
        offset = (float(columns[0].mean()), float(columns[1].mean()))
        deviations = (float(columns[0].std()) or 1.0, float(columns[1].std()) or 1.0)
        scale = deviations if kind == "degrees" else (spread_m, spread_m)
        return cls(kind=kind, offset=offset, scale=scale, metres_per_unit=spread_m)

    def encode(self, photos: Photos) -> NDArray[np.float32]:
        """Return the targets of N photos, shape (N, 2)."""
        columns = (photos.lat, photos.lon) if self.kind == "degrees" else (photos.east_m, photos.north_m)
        return ((np.stack(columns, axis=1) - self.offset) / self.scale).astype(np.float32)

    def decode(self, outputs: FloatArray, frame: LocalFrame) -> tuple[FloatArray, FloatArray]:
        """Return (east_m, north_m), each of shape (N,), of outputs of shape (N, 2)."""
        values = np.asarray(outputs, dtype=np.float64) * self.scale + self.offset
        if self.kind == "metres":
            return values[:, 0], values[:, 1]
        # an untrained network may point past a pole, where a projection has no answer
        return frame.to_local(values[:, 1], np.clip(values[:, 0], -90.0, 90.0))

    def to_json(self) -> dict[str, Any]:
        """Return the scale as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """Return the scale that `to_json` gave. Raises KeyError, TypeError or ValueError for anything else."""
        if value["kind"] not in ("metres", "degrees"):
            raise ValueError(value["kind"])
        first, second = (float(part) for part in value["offset"])
        scale_first, scale_second = (float(part) for part in value["scale"])
        return cls(
            kind=value["kind"],
            offset=(first, second),
            scale=(scale_first, scale_second),
            metres_per_unit=float(value["metres_per_unit"]),
        )
