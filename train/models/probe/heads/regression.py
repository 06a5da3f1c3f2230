"""A point and a spread in metres, straight from the features, as a distribution over the cells."""

import dataclasses
from collections.abc import Mapping
from typing import Final, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.config.schema import ProbeConfig
from train.models.evidence import Evidence
from train.models.grid import Cells
from train.models.probe.features.descriptors import Descriptors

__all__ = ["Regression"]

_INPUT_SCALE: Final = 16.0
_LEAST_STEPS: Final = 60
_LEAST_SPREAD_M: Final = 5.0  # labels are off by as much


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A small network to a position and its spread, as a head (`train.models.probe.heads.ensemble.Head`).

    The density falls as exp(-distance / spread), so a training photo far off pulls no harder than one a little off.
    This robust loss learns its factor per photo (Kendall and Gal, "What Uncertainties Do We Need", NeurIPS 2017, sec.
    3.1).
    """

    network: nn.Sequential
    centre: Tensor
    cells: Cells

    @classmethod
    def fit(cls, photos: Descriptors, xy: Tensor, cells: Cells, config: ProbeConfig, *, seed: int) -> Self:
        """Return the head trained on photos at `xy` (N, 2) metres."""
        inputs, centre = photos.pooled * _INPUT_SCALE, xy.mean(dim=0)
        scale_m = float((xy - centre).square().mean().sqrt().clamp(min=1.0))
        with torch.random.fork_rng(devices=[inputs.device] if inputs.device.type == "cuda" else []):
            torch.manual_seed(seed)
            network = _network(inputs.shape[1], config).to(inputs.device)
            head = cls(network=network, centre=torch.cat([centre, centre.new_tensor([scale_m])]), cells=cells)
            head._descend(inputs, xy, config)
        network.eval()
        return head

    def _descend(self, inputs: Tensor, xy: Tensor, config: ProbeConfig) -> None:
        size = min(config.batch_size, len(inputs))
        steps = max(config.epochs * (len(inputs) // size), _LEAST_STEPS)
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, config.lr, total_steps=steps)
        for _ in range(steps):
            rows = torch.randint(len(inputs), (size,)).to(inputs.device)
            point, spread = self.point_and_spread(inputs[rows])
            distance = torch.linalg.vector_norm(point - xy[rows], dim=1)
            loss = (distance / spread + 2 * spread.log()).mean()
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()

    def point_and_spread(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the points (N, 2) and spreads (N,), in metres, of scaled inputs (N, K)."""
        raw = self.network(inputs)
        scale_m = self.centre[2]
        return self.centre[:2] + raw[:, :2] * scale_m, _LEAST_SPREAD_M + F.softplus(raw[:, 2]) * scale_m

    @torch.inference_mode()
    def evidence(self, photos: Descriptors) -> Evidence:
        """Return log-probabilities of the cells, (N, C)."""
        point, spread = self.point_and_spread(photos.pooled * _INPUT_SCALE)
        probs = F.log_softmax(-torch.cdist(point, self.cells.centres) / spread[:, None], dim=1)
        return Evidence.without_comparison(probs)

    def tensors(self) -> dict[str, Tensor]:
        """Return the weights as named tensors."""
        return {"centre": self.centre, **{f"network.{name}": t for name, t in self.network.state_dict().items()}}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], inputs: int, cells: Cells, config: ProbeConfig) -> Self:
        """Return the head of `tensors()`. Raises KeyError or RuntimeError where they do not fit."""
        network = _network(inputs, config)
        network.load_state_dict({name.removeprefix("network."): t for name, t in tensors.items() if name != "centre"})
        network.to(cells.centres.device).eval()
        return cls(network=network, centre=tensors["centre"], cells=cells)


def _network(inputs: int, config: ProbeConfig) -> nn.Sequential:
    hidden = [nn.Dropout(config.dropout), nn.Linear(inputs, config.hidden), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Dropout(config.dropout), nn.Linear(config.hidden, 3))
