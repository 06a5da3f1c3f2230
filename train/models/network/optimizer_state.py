"""An optimiser's tensors in a checkpoint: their names, and whether they are those that it needs to go on."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from img2gps.errors import InvalidCheckpointError
from img2gps.text import safe_text

__all__ = ["optimizer_tensors", "restore_optimizer"]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the optimiser's tensors under ``<parameter number>.<name>``."""
    state: Mapping[int, Mapping[str, Any]] = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value
        for number, values in state.items()
        for name, value in values.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(
    optimizer: torch.optim.Optimizer,
    tensors: Mapping[str, Tensor],
    unreached: Callable[[], set[nn.Parameter]],
    *,
    where: str,
) -> None:
    """Put the tensors of `optimizer_tensors` back after checking that they are what `optimizer` holds after some steps.

    `unreached` returns the parameters that no gradient reaches, of which an optimiser holds nothing. Raises
    InvalidCheckpointError naming the first tensor that is missing, unknown, or of another shape or dtype.
    """
    wanted = _wanted(optimizer)
    unknown = sorted(set(tensors) - set(wanted))
    if unknown:
        raise InvalidCheckpointError(
            f"{where} has the unknown tensor {safe_text(unknown[0])}: it belongs to another model."
        )
    missing = [key for key in wanted if key not in tensors]
    empty = unreached() if missing else set()
    for key in missing:
        if wanted[key] not in empty:
            raise InvalidCheckpointError(f"{where} lacks {key}: it belongs to another model.")
    for key, tensor in tensors.items():
        parameter, name = wanted[key], key.partition(".")[2]
        shape = torch.Size() if name == "step" else parameter.shape
        if tensor.shape != shape or tensor.dtype != parameter.dtype:
            raise InvalidCheckpointError(
                f"{where} holds {key} as {tensor.dtype} {list(tensor.shape)} where the optimiser has "
                f"{parameter.dtype} {list(shape)}: it belongs to another model."
            )
        optimizer.state[parameter][name] = _placed(tensor, parameter)


def _wanted(optimizer: torch.optim.Optimizer) -> dict[str, nn.Parameter]:
    """Return the names of the tensors after a step, each with the parameter that it belongs to."""
    names = ("momentum_buffer",) if isinstance(optimizer, torch.optim.SGD) else ("step", "exp_avg", "exp_avg_sq")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return {f"{number}.{name}": parameter for number, parameter in enumerate(parameters) for name in names}


def _placed(tensor: Tensor, parameter: nn.Parameter) -> Tensor:
    """Return the tensor beside its parameter, in its memory layout, which the fused kernels rely on."""
    if tensor.ndim == 0:
        return tensor.to(parameter.device)
    return torch.empty_like(parameter, requires_grad=False).copy_(tensor)
