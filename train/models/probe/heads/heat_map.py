"""A classifier over the cells of the site whose targets are soft: a label is off by metres, and so is its cell."""

import dataclasses
from collections.abc import Mapping
from typing import Final, Self

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.progress import Advance
from train.config.schema import ProbeConfig
from train.models.evidence import Evidence
from train.models.grid import Cells, soft_labels
from train.models.probe.features.descriptors import Descriptors

__all__ = ["INPUT_SCALE", "HeatMap"]

INPUT_SCALE: Final = 16.0  # of the unit-length inputs: the weights of a few dozen epochs can reach sharp answers
_LEAST_STEPS: Final = 60
_RISE: Final = 0.15  # share of the steps in which the learning rate climbs


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Cell classifiers (one per seed, averaged) as a head (`train.models.probe.heads.ensemble.Head`)."""

    networks: nn.ModuleList

    @classmethod
    def fit(
        cls, photos: Descriptors, xy: Tensor, cells: Cells, config: ProbeConfig, *, seed: int, advance: Advance
    ) -> Self:
        """Return the head trained on photos at `xy` (N, 2) metres; `advance` is called once per network."""
        networks = nn.ModuleList()
        for number in range(config.heat_seeds):
            own_seed = (seed * 1009 + number) % 2**63  # torch takes no seed beyond 64 bits
            networks.append(_trained(photos.pooled, xy, cells, config, seed=own_seed))
            advance()
        return cls(networks=networks)

    @torch.inference_mode()
    def evidence(self, photos: Descriptors) -> Evidence:
        """Return log-probabilities of the cells, (N, C)."""
        logits = [network(photos.pooled * INPUT_SCALE) for network in self.networks]
        probs = torch.stack([F.log_softmax(part, dim=1) for part in logits]).logsumexp(dim=0)
        return Evidence.without_comparison(probs)

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights as named tensors."""
        return dict(self.networks.state_dict())

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], inputs: int, cells: Cells, config: ProbeConfig) -> Self:
        """Return the head of `tensors()`. Raises RuntimeError where they do not fit."""
        networks = nn.ModuleList(_network(inputs, len(cells), config) for _ in range(config.heat_seeds))
        networks.load_state_dict(dict(tensors))
        return cls(networks=networks.to(cells.centres.device).eval())


def _network(inputs: int, outputs: int, config: ProbeConfig) -> nn.Sequential:
    if config.head == "linear":
        return nn.Sequential(nn.Dropout(config.dropout), nn.Linear(inputs, outputs))
    hidden = [nn.Dropout(config.dropout), nn.Linear(inputs, config.hidden), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Dropout(config.dropout), nn.Linear(config.hidden, outputs))


def _trained(inputs: Tensor, xy: Tensor, cells: Cells, config: ProbeConfig, *, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[inputs.device] if inputs.device.type == "cuda" else []):
        torch.manual_seed(seed)
        network = _network(inputs.shape[1], len(cells), config).to(inputs.device)
        return _descend(network, inputs, xy, cells, config, np.random.default_rng(seed))


def _descend(
    network: nn.Sequential, inputs: Tensor, xy: Tensor, cells: Cells, config: ProbeConfig, draws: np.random.Generator
) -> nn.Sequential:
    size = min(config.batch_size, len(inputs))
    steps = max(config.epochs * (len(inputs) // size), _LEAST_STEPS)
    optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=steps, pct_start=_RISE)
    for _ in range(steps):
        rows = torch.from_numpy(draws.integers(0, len(inputs), size)).to(inputs.device)
        batch, targets = _mixed(
            inputs[rows] * INPUT_SCALE, soft_labels(xy[rows], cells, config.label_sigma_m), config, draws
        )
        loss = -(targets * F.log_softmax(network(batch), dim=1)).sum(dim=1).mean()
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
        schedule.step()
    return network.eval()


def _mixed(inputs: Tensor, targets: Tensor, config: ProbeConfig, draws: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Return pairs of photos and of targets, mixed: Zhang et al., "mixup", ICLR 2018."""
    if not config.mixup:
        return inputs, targets
    share = draws.beta(config.mixup, config.mixup, (len(inputs), 1)).astype(np.float32)
    keep = torch.from_numpy(np.maximum(share, 1 - share)).to(inputs.device)
    mixed = (keep * part + (1 - keep) * part.roll(1, dims=0) for part in (inputs, targets))
    first, second = mixed
    return first, second
