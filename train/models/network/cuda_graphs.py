"""Whole batches as CUDA graphs: one launch for the forward and one for the backward pass, where there were hundreds.

A step of a small network at batch 16 takes a large GPU less time than launching its kernels one by one. See https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs.
"""

from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from img2gps.progress import stderr
from train.runtime.devices import autocast

__all__ = ["Stepping", "graphed"]

Stepping = Callable[[Tensor], Tensor]
"""A batch of images (N, 3, height, width) to outputs (N, 2), with gradients."""

_MOST_OFF: Final = 0.02  # of a vector's length: bfloat16 has eight bits, and kernels differ in how they sum


class _Whole(nn.Module):
    """The network behind one more module: the graphs replace the forward pass of this one, not of the network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.network(images)
        return outputs


def graphed(network: nn.Module, sample: Tensor) -> Stepping:
    """Return the network with batches of the size of `sample` (N, 3, height, width) replayed from CUDA graphs.

    The network must be in training mode and without dropout, because its first replay is compared with an ordinary
    pass, outputs and gradients. If they differ, or nothing can be captured, the network itself is returned. Its buffers
    are as they were.
    """
    buffers = {name: buffer.clone() for name, buffer in network.named_buffers()}
    replay: Stepping | None = None
    try:
        with autocast(sample.device, cache=False):
            captured: Any = torch.cuda.make_graphed_callables(_Whole(network), (sample.clone(),))
        if _same(network, captured, sample):
            replay = captured
        reason = "a replayed step differs from an ordinary one"
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:  # capture refuses in ways of its own
        reason = str(error).splitlines()[0] if str(error) else "nothing could be captured"
    finally:
        for name, buffer in network.named_buffers():
            buffer.copy_(buffers[name])
        network.zero_grad(set_to_none=True)
    if replay is None:
        stderr().print(f"No CUDA graphs ({reason}): steps are launched kernel by kernel.", markup=False)
        return network
    whole, size = replay, len(sample)
    return lambda images: whole(images) if len(images) == size else network(images)


def _same(network: nn.Module, whole: Stepping, sample: Tensor) -> bool:
    expected, found = _outputs_and_gradients(network, network, sample), _outputs_and_gradients(network, whole, sample)
    return all(bool((a - b).norm() <= _MOST_OFF * a.norm() + 1e-6) for a, b in zip(expected, found, strict=True))


def _outputs_and_gradients(network: nn.Module, stepping: Stepping, sample: Tensor) -> tuple[Tensor, Tensor]:
    network.zero_grad(set_to_none=True)
    with autocast(sample.device):
        outputs = stepping(sample).float()
    torch.autograd.backward(outputs.square().sum())
    gradients = [parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None]
    return outputs.detach().clone(), torch.cat(gradients).clone()
