"""A running mean of the weights, which generalises better than the last step's (Polyak and Juditsky, 1992)."""

import copy

import torch
from torch import nn

from train.models.network.model import CoordinateNetwork

__all__ = ["averaged_copy", "update_average"]


def averaged_copy(network: CoordinateNetwork) -> CoordinateNetwork:
    """Return a copy that `update_average` keeps as the running mean of `network`."""
    copied = copy.deepcopy(network)
    return copied.requires_grad_(False)


@torch.no_grad()
def update_average(average: nn.Module, network: nn.Module, *, decay: float, step: int) -> None:
    """Move the mean towards the network after step number `step` (from 0); early steps weigh more."""
    pull = 1.0 - min(decay, (1 + step) / (10 + step))
    ours, theirs = average.state_dict(), network.state_dict()
    floating = [name for name, tensor in ours.items() if tensor.is_floating_point()]
    torch._foreach_lerp_([ours[name] for name in floating], [theirs[name] for name in floating], pull)
    for name in ours.keys() - set(floating):
        ours[name].copy_(theirs[name])
