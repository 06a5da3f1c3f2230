"""The kinds of model: what fits one, what finds out beforehand whether it can, what brings one back.

Each kind is a config (`train.config.schema`) and three functions; another kind is another branch in each `match` here.
Their modules are imported in the branches: frozen features should not pay for what networks need, nor the other way.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from img2gps.errors import InvalidCheckpointError
from img2gps.text import safe_path, safe_text
from train.config.schema import NetworkConfig, ProbeConfig, TrainConfig
from train.models.restoring import whole

if TYPE_CHECKING:
    import torch

    from train.data.training_data import TrainingData
    from train.models.localizer import Localizer
    from train.runs.checkpoint import Checkpoint
    from train.runs.folder import RunFolder

__all__ = ["check_model", "fit_model", "restored"]


def fit_model(
    config: TrainConfig,
    data: "TrainingData",
    run: "RunFolder",
    *,
    device: "torch.device",
    resume: "Checkpoint | None" = None,
) -> "Localizer":
    """Train a model and leave its checkpoints (``best`` at the end, ``last``) and metrics in the run folder.

    With `resume`, training goes on from that checkpoint of the run. Raises what the function of the method raises.
    """
    match config:
        case NetworkConfig():
            from train.models.network.fit import fit_network

            return fit_network(config, data, run, device=device, resume=resume)
        case ProbeConfig():
            from train.models.probe.fit import fit_probe

            return fit_probe(config, data, run, device=device, resume=resume)
    raise AssertionError(f"no method fits {type(config).__name__}")


def check_model(
    config: TrainConfig, parts: "Sequence[TrainingData]", *, device: "torch.device", with_weights: bool = True
) -> None:
    """Do everything but train for the models of `parts`, and write nothing: raise what `fit_model` would.

    `with_weights` is false where checkpoints take the place of first weights.
    """
    match config:
        case NetworkConfig():
            from train.models.network.fit import check_network

            check_network(config, parts, device=device, with_weights=with_weights)
        case ProbeConfig():
            from train.models.probe.fit import check_probe

            check_probe(config, parts, device=device)


def restored(checkpoint: "Checkpoint", *, device: "torch.device") -> "Localizer":
    """Return the model of a checkpoint on `device`. Raises InvalidCheckpointError, whatever is wrong with it."""
    return whole(checkpoint, _restored, device=device)


def _restored(checkpoint: "Checkpoint", *, device: "torch.device") -> "Localizer":
    match checkpoint.state.get("method"):
        case "network":
            from train.models.network.model import restore_network

            return restore_network(checkpoint, device=device)
        case "probe":
            from train.models.probe.state import restore_probe

            return restore_probe(checkpoint, device=device)
        case method:
            raise InvalidCheckpointError(
                f"{safe_path(checkpoint.folder)} holds a model of the unknown kind {safe_text(repr(method))}: "
                "use the img2gps that wrote it."
            )
