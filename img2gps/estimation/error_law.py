"""The forecast that a run's folder holds (forecast.json): what error to expect by what training photos are near.

Evaluations of all folds write it; whoever plans the next walk reads it, and needs to know nothing of runs.
"""

import dataclasses
import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.estimation.error_shape import EFFECTS, TrainingNear
from img2gps.geo import FloatArray
from img2gps.text import safe_path, shell_path

__all__ = ["FORECAST_FILE", "ErrorLaw", "read_error_law", "some_ids"]

FORECAST_FILE = "forecast.json"

_KEPT_IDS: Final = 1000  # enough to tell whose photos they are
_LEAST_SHARE: Final = 0.5  # of them that a dataset must hold: photos may have been removed since


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLaw:
    """The effects (4,) on the logarithm of an error, the logarithm of its scale, and the figures for a reader.

    The scale is that of the hours of a year in which people walk. `photo_ids` are some of the photos it was found from.
    """

    effects: FloatArray
    log_scale: float
    figures: dict[str, Any]
    photo_ids: Sequence[str] = ()

    def expected_m(self, places: TrainingNear) -> FloatArray:
        """Return the RMSE to expect at N places, in metres; shape (N,)."""
        return np.asarray(np.exp(self.log_scale + places.columns() @ self.effects))

    def check_is_of(self, dataset: Path, ids: Collection[str], run: Path) -> None:
        """Raise UsageError where `dataset`, which holds photos `ids`, is not the one that `run` was made from.

        A dataset may have grown since, and have lost some photos.
        """
        held = set(ids)
        known = sum(one in held for one in self.photo_ids)
        if known < _LEAST_SHARE * len(self.photo_ids):
            raise UsageError(
                f"{safe_path(run)} is a run of other photos: {safe_path(dataset)} holds {known} "
                f"of {len(self.photo_ids)} that were looked up. Give a run of {safe_path(dataset)}, "
                "or the dataset that the run is of."
            )


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
        law, ids = stored.pop("law"), [str(one) for one in stored.pop("photo_ids")]
        effects = np.array([float(law["effects"][name]) for name in EFFECTS])
        scale = float(law["log_scale"]) + float(law["log_light"])
        if not np.isfinite([*effects, scale]).all():
            raise ValueError("a number is not finite")
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise InvalidDatasetError(
            f"{safe_path(path)} is damaged: make it again with `img2gps evaluate {shell_path(run)}`."
        ) from error
    return ErrorLaw(effects=effects, log_scale=scale, figures=stored, photo_ids=tuple(ids))


def some_ids(ids: Sequence[str]) -> list[str]:
    """Return up to a thousand of the ids of photos, evenly drawn from them in order."""
    ordered = sorted(ids)
    return ordered[:: -(-len(ordered) // _KEPT_IDS)] if ordered else []
