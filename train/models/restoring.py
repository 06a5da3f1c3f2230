"""Bringing a model back: whatever is wrong with a checkpoint is one sentence."""

import math
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from img2gps.errors import Img2GPSError, InvalidCheckpointError
from img2gps.text import safe_path, safe_text

if TYPE_CHECKING:
    import torch

    from train.models.localizer import Localizer
    from train.runs.checkpoint import Checkpoint

__all__ = ["Restore", "whole"]

_LARGEST_LON: Final = 360.0
_LARGEST_LAT: Final = 90.0

Model = TypeVar("Model", bound="Localizer", covariant=True)


class Restore(Protocol[Model]):
    """Brings a model of one kind back from its checkpoint."""

    def __call__(self, checkpoint: "Checkpoint", *, device: "torch.device") -> Model:
        """Return the model on `device`; a checkpoint that does not fit together can raise anything."""
        ...


def whole(checkpoint: "Checkpoint", restore: Restore[Model], *, device: "torch.device") -> Model:
    """Return what `restore` makes of a checkpoint. Raises InvalidCheckpointError, whatever is wrong with it."""
    import torch

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
