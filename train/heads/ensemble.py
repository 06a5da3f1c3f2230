"""Several heads as one: the product of their distributions over what they all know beforehand."""

import dataclasses
from collections.abc import Mapping
from typing import Final, Protocol, Self

import torch
from torch import Tensor
from torch.nn import functional as F

from img2gps.errors import UsageError
from img2gps.progress import Advance
from img2gps.text import join_words, safe_text
from train.config import TrainConfig
from train.heads.cells import Cells
from train.heads.described import Described, Describer
from train.heads.features import Features
from train.heads.heat_map import HeatMap
from train.heads.neighbours import Neighbours
from train.heads.regression import Regression
from train.heads.views import Places

__all__ = ["HEADS", "Ensemble", "Head", "head_names"]

HEADS: Final = ("neighbours", "heat_map", "regression")

_CELLS_AT_ONCE: Final = 1024
_LEAST_COUNT: Final = 0.1  # of photos: far from all of them their number says nothing
_AT_ONCE: Final = 64  # photos per pass: bounds the memory of their local vectors against the gallery's


class Head(Protocol):
    """Features in, a distribution over the site out."""

    def log_shares(self, photos: Described) -> Tensor:
        """Return log shares of the C cells for N photos, (N, C); they need not sum to one."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return everything fitted, by name."""
        ...


def head_names(text: str) -> list[str]:
    """Return the heads that `TrainConfig.heads` joins by ``+``. Raises UsageError for an unknown one."""
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in HEADS:
            raise UsageError(f"No head {safe_text(repr(name))}: heads joins {join_words(list(HEADS), 'or')} by +.")
    return names


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Fitted heads over the same cells."""

    describer: Describer
    heads: Mapping[str, Head]
    cells: Cells
    prior: Tensor
    """Log (C,) of how many training photos were taken near each cell; zero where that is not to be divided out."""
    exponent: float

    @classmethod
    def fit(
        cls,
        features: Features,
        places: Places,
        cells: Cells,
        config: TrainConfig,
        *,
        advance: Advance,
    ) -> Self:
        """Return the heads of `config` fitted on photos taken at `places`."""
        describer = Describer.fit(features, places, config)
        photos, xy = describer(features), places.xy
        heads: dict[str, Head] = {}
        for name in head_names(config.heads):
            if name == "neighbours":
                heads[name] = Neighbours.fit(photos, xy, cells, config)
            elif name == "heat_map":
                heads[name] = HeatMap.fit(photos, xy, cells, config, seed=config.seed, advance=advance)
            else:
                heads[name] = Regression.fit(photos, xy, cells, config, seed=config.seed)
        prior = _log_density(xy, cells, bandwidth_m=config.bandwidth_m)
        if not config.even_density:
            prior = torch.zeros_like(prior)
        return cls(describer=describer, heads=heads, cells=cells, prior=prior, exponent=config.exponent)

    @torch.inference_mode()
    def log_shares(self, features: Features) -> Tensor:
        """Return normalised log shares of the cells, (N, C).

        A product asks every head to agree: Hinton, "Training Products of Experts by Minimizing Contrastive
        Divergence", Neural Computation 14 (2002). Each of H heads says where training photos like this one were
        taken, so their product holds H times how many were taken there at all; all but one of these are divided out
        (the product rule of Kittler et al., "On combining classifiers", PAMI 20, 1998).
        """
        parts: list[Tensor] = []
        for rows in torch.split(torch.arange(len(features)), _AT_ONCE):
            photos = self.describer(features.take(rows))
            product = torch.stack([head.log_shares(photos) for head in self.heads.values()]).sum(dim=0)
            known = (len(self.heads) - 1) * self.prior
            parts.append(F.log_softmax(self.exponent * (product - known), dim=1))
        return torch.cat(parts)

    def tensors(self) -> dict[str, Tensor]:
        """Return all that was fitted, by name."""
        named = {f"describer.{name}": tensor for name, tensor in self.describer.tensors().items()}
        for head_name, head in self.heads.items():
            named |= {f"{head_name}.{name}": tensor for name, tensor in head.tensors().items()}
        return named | {"cells": self.cells.centres, "prior": self.prior}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], config: TrainConfig, *, cell_m: float) -> Self:
        """Return the ensemble of `tensors()`. Raises KeyError or RuntimeError where they do not fit the config."""
        cells = Cells(centres=tensors["cells"], size_m=cell_m)
        describer = Describer.from_tensors(_below("describer", tensors))
        inputs = describer.width
        heads: dict[str, Head] = {}
        for name in head_names(config.heads):
            own = _below(name, tensors)
            if name == "neighbours":
                heads[name] = Neighbours.from_tensors(own, cells, config)
            elif name == "heat_map":
                heads[name] = HeatMap.from_tensors(own, inputs, cells, config)
            else:
                heads[name] = Regression.from_tensors(own, inputs, cells, config)
        return cls(describer=describer, heads=heads, cells=cells, prior=tensors["prior"], exponent=config.exponent)


def _log_density(xy: Tensor, cells: Cells, *, bandwidth_m: float) -> Tensor:
    """Return the log (C,) of how many of the positions (N, 2) lie near each cell, counted by a Gaussian kernel."""
    counts = [
        torch.exp(-torch.cdist(centres, xy).square() / (2 * bandwidth_m**2)).sum(dim=1)
        for centres in torch.split(cells.centres, _CELLS_AT_ONCE)
    ]
    return torch.log(torch.cat(counts) + _LEAST_COUNT)


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
