"""The kinds of model: what fits one and what brings one back from a checkpoint.

A method is a module with two functions of these signatures; another kind of model is another line in
the table.
"""

import importlib
import math
from typing import TYPE_CHECKING, Any, Final, Protocol

from img2gps.errors import Img2GPSError, InvalidCheckpointError
from img2gps.text import safe_path, safe_text

if TYPE_CHECKING:
    import torch

    from train.checkpoint import Checkpoint
    from train.config import TrainConfig
    from train.data import TrainingData
    from train.localizer import Localizer
    from train.run import RunFolder

__all__ = ["Fit", "Restore", "fit_method", "restore_method", "restored"]


class Fit(Protocol):
    """Trains one model and leaves its checkpoints (``best`` at the end, ``last``) and metrics in the run folder."""

    def __call__(
        self,
        config: "TrainConfig",
        data: "TrainingData",
        run: "RunFolder",
        *,
        device: "torch.device",
        resume: "Checkpoint | None" = None,
    ) -> "Localizer":
        """Return the model; with `resume`, training goes on from that checkpoint of the run."""


class Restore(Protocol):
    """Brings a model back from its checkpoint."""

    def __call__(self, checkpoint: "Checkpoint", *, device: "torch.device") -> "Localizer":
        """Return the model on `device`. Raises InvalidCheckpointError."""


_LARGEST_LON, _LARGEST_LAT = 360.0, 90.0
_FIT: Final = {"network": "train.trainer:fit_network", "probe": "train.probe:fit_probe"}
_RESTORE: Final = {"network": "train.networks:restore_network", "probe": "train.probe:restore_probe"}


def fit_method(method: str) -> Fit:
    """Return the function that trains models of a `TrainConfig.method`."""
    function: Fit = _imported(_FIT[method])
    return function


def restore_method(checkpoint: "Checkpoint") -> Restore:
    """Return the function that restores the model of a checkpoint. Raises InvalidCheckpointError."""
    method = checkpoint.state.get("method")
    if method not in _RESTORE:
        raise InvalidCheckpointError(
            f"{safe_path(checkpoint.folder)} holds a model of the unknown kind {safe_text(repr(method))}: "
            "use the img2gps that wrote it."
        )
    function: Restore = _imported(_RESTORE[method])
    return function


def restored(checkpoint: "Checkpoint", *, device: "torch.device") -> "Localizer":
    """Return the model of a checkpoint on `device`. Raises InvalidCheckpointError, whatever is wrong with it."""
    import torch

    restore = restore_method(checkpoint)
    try:
        localizer = restore(checkpoint, device=device)
        origin = [localizer.frame.origin_lon + 0.0, localizer.frame.origin_lat + 0.0]
        if not (math.isfinite(sum(origin)) and abs(origin[0]) <= _LARGEST_LON and abs(origin[1]) <= _LARGEST_LAT):
            raise ValueError(f"a frame around {origin}")
    except (Img2GPSError, OSError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # sums that fit to a state that does not: it can raise anything
        reason = safe_text(str(error).splitlines()[0] if str(error) else type(error).__name__, limit=120)
        raise InvalidCheckpointError(
            f"{safe_path(checkpoint.folder)} holds a model that does not fit together ({reason}): train again."
        ) from error
    return localizer


def _imported(target: str) -> Any:
    # imported on use: a frozen-feature model should not pay for what networks need, nor the other way round
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)
