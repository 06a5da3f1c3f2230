"""What the steps of training change: the weights, their running mean, and what the optimiser keeps of them."""

import dataclasses
from typing import Any, Self

import torch

from train.config.schema import NetworkConfig
from train.models.network.ema import averaged_copy
from train.models.network.model import CoordinateNetwork, parameter_groups

__all__ = ["Learner"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """A network that is trained, its optimiser and, where the config has `ema`, the running mean of its weights.

    The three are the same objects from the first step to the last; steps and checkpoints change what they hold.
    """

    network: CoordinateNetwork
    optimizer: torch.optim.Optimizer
    average: CoordinateNetwork | None

    @classmethod
    def of(cls, network: CoordinateNetwork, config: NetworkConfig, device: torch.device) -> Self:
        """Return what trains `network` by the optimiser of `config`, before the first step."""
        return cls(
            network=network,
            optimizer=_optimizer(network, config, device),
            average=averaged_copy(network) if config.ema else None,
        )

    @property
    def model(self) -> CoordinateNetwork:
        """The network that locates photos: the running mean where there is one."""
        return self.average or self.network


def _optimizer(network: CoordinateNetwork, config: NetworkConfig, device: torch.device) -> torch.optim.Optimizer:
    groups = parameter_groups(network, config)
    options: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True, **options)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, fused=device.type in ("cpu", "cuda"), **options)
