"""The forecast that a run's folder holds (forecast.json): what error to expect by what training photos are near.

Evaluations of all folds write it; whoever plans the next walk reads it, and needs to know nothing of runs.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from img2gps.errors import InvalidDatasetError, NotFoundError
from img2gps.estimation.error_shape import EFFECTS, TrainingNear
from img2gps.geo import FloatArray
from img2gps.text import safe_path, shell_path

__all__ = ["FORECAST_FILE", "ErrorLaw", "read_error_law"]

FORECAST_FILE = "forecast.json"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLaw:
    """The effects (4,) on the logarithm of an error, the logarithm of its scale, and the figures for a reader.

    The scale is that of the hours of a year in which people walk.
    """

    effects: FloatArray
    log_scale: float
    figures: dict[str, Any]

    def expected_m(self, places: TrainingNear) -> FloatArray:
        """Return the RMSE to expect at N places, in metres; shape (N,)."""
        return np.asarray(np.exp(self.log_scale + places.columns() @ self.effects))


def read_error_law(run: Path) -> ErrorLaw:
    """Return the forecast in the folder of a run. Raises NotFoundError without one, InvalidDatasetError if damaged."""
    path = run / FORECAST_FILE
    if not run.is_dir():
        raise NotFoundError(f"No run {safe_path(run)}: give a folder that `img2gps train --folds` made.")
    if not path.is_file():
        raise NotFoundError(
            f"{safe_path(run)} holds no forecast: make one with `img2gps evaluate {shell_path(run)}`, "
            "which needs folds of five walks or more."
        )
    try:
        stored = json.loads(path.read_bytes())
        law = stored.pop("law")
        effects = np.array([float(law["effects"][name]) for name in EFFECTS])
        scale = float(law["log_scale"]) + float(law["log_light"])
        if not np.isfinite([*effects, scale]).all():
            raise ValueError("a number is not finite")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InvalidDatasetError(
            f"{safe_path(path)} is damaged: make it again with `img2gps evaluate {shell_path(run)}`."
        ) from error
    return ErrorLaw(effects=effects, log_scale=scale, figures=stored)
