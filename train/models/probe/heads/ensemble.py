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
from train.config.schema import ProbeConfig
from train.models.evidence import Evidence
from train.models.grid import Cells, soft_labels
from train.models.probe.covisibility import Poses
from train.models.probe.features.descriptors import DescriptorModel, Descriptors
from train.models.probe.features.stored_features import AnyFeatures
from train.models.probe.heads.codes import packed_descriptors
from train.models.probe.heads.heat_map import HeatMap
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.heads.regression import Regression

__all__ = ["HEADS", "Ensemble", "Head", "head_names"]

HEADS: Final = ("neighbours", "heat_map", "regression")

_EVEN_SHARE: Final = 0.3  # of the density: bounds what a cell gains for having hardly any photos
_TAUGHT: Final = 4096  # of very many photos: more do not move the axes, and to look for pairs is quadratic
_AT_ONCE: Final = 64  # photos per pass: bounds the memory of their local vectors against the gallery's


class Head(Protocol):
    """Features in, a distribution over the site out."""

    def evidence(self, photos: Descriptors) -> Evidence:
        """Return log-probabilities (N, C) of C cells for N photos, not necessarily normalised, and similarities."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return everything fitted, by name."""
        ...


def head_names(text: str) -> list[str]:
    """Return the heads that `ProbeConfig.heads` joins by ``+``. Raises UsageError for an unknown one."""
    names = [name.strip() for name in text.split("+")]
    for name in names:
        if name not in HEADS:
            raise UsageError(f"No head {safe_text(repr(name))}: heads joins {join_words(list(HEADS), 'or')} by +.")
    return names


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Ensemble:
    """Fitted heads over the same cells."""

    descriptor_model: DescriptorModel
    heads: Mapping[str, Head]
    cells: Cells
    prior: Tensor
    """Log share (C,) of the training photos in each cell; zero where it is not to be divided out."""
    exponent: float

    @classmethod
    def fit(
        cls,
        features: AnyFeatures,
        poses: Poses,
        cells: Cells,
        config: ProbeConfig,
        *,
        advance: Advance,
    ) -> Self:
        """Return the heads of `config` fitted on photos with `poses`.

        Of more than `config.exact_photos`, some thousands, evenly drawn, teach what likeness is.
        """
        if len(features) <= config.exact_photos:
            known = features.loaded()
            descriptor_model = DescriptorModel.fit(known, poses, config)
            photos = descriptor_model(known)
        else:
            count = min(len(features), _TAUGHT)
            rows = torch.linspace(0, len(features) - 1, count, dtype=torch.float64).round().long()
            taught = features.take(rows).loaded()
            descriptor_model = DescriptorModel.fit(taught, poses.take(rows.to(poses.xy.device)), config)
            photos = packed_descriptors(descriptor_model, features)
        xy = poses.xy
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
        return cls(descriptor_model=descriptor_model, heads=heads, cells=cells, prior=prior, exponent=config.exponent)

    @torch.inference_mode()
    def evidence(self, features: AnyFeatures) -> Evidence:
        """Return normalised log-probabilities of the cells, (N, C), and the similarity (N,) of the training photos.

        A product asks every head to agree: Hinton, "Training Products of Experts by Minimizing Contrastive Divergence",
        Neural Computation 14 (2002). Each of H heads says where training photos like this one were taken. So their
        product holds H times how many were taken there at all. All but one of these are divided out. This is the
        product rule of Kittler et al., "On combining classifiers", PAMI 20, 1998.
        """
        parts: list[Evidence] = []
        for rows in torch.split(torch.arange(len(features)), _AT_ONCE):
            photos = self.descriptor_model(features.take(rows).loaded())
            by_head = [head.evidence(photos) for head in self.heads.values()]
            product = torch.stack([one.log_probs for one in by_head]).sum(dim=0)
            similarity = torch.stack([one.similarity for one in by_head]).nanmean(dim=0)
            known = (len(self.heads) - 1) * self.prior
            log_probs = F.log_softmax(self.exponent * (product - known), dim=1)
            parts.append(Evidence(log_probs=log_probs, similarity=similarity))
        return Evidence.cat(parts)

    def named(self, features: AnyFeatures, count: int) -> tuple[Tensor, Tensor]:
        """Return what `Neighbours.named` does; of heads that compare no photos, no column."""
        head = self.heads.get("neighbours")
        if not isinstance(head, Neighbours):
            nothing = torch.zeros(len(features), 0, device=self.cells.centres.device)
            return nothing.long(), nothing
        parts = [
            head.named(self.descriptor_model(features.take(rows).loaded()), count)
            for rows in torch.split(torch.arange(len(features)), _AT_ONCE)
        ]
        return torch.cat([index for index, _ in parts]), torch.cat([share for _, share in parts])

    def tensors(self) -> dict[str, Tensor]:
        """Return all that was fitted, by name."""
        # "describer" is a key of checkpoints
        named = {f"describer.{name}": tensor for name, tensor in self.descriptor_model.tensors().items()}
        for head_name, head in self.heads.items():
            named |= {f"{head_name}.{name}": tensor for name, tensor in head.tensors().items()}
        return named | {"cells": self.cells.centres, "prior": self.prior}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], config: ProbeConfig, *, cell_m: float) -> Self:
        """Return the ensemble of `tensors()`. Raises KeyError, ValueError or RuntimeError where they do not fit."""
        cells = Cells(centres=tensors["cells"], size_m=cell_m)
        descriptor_model = DescriptorModel.from_tensors(_below("describer", tensors))
        inputs = descriptor_model.width
        heads: dict[str, Head] = {}
        for name in head_names(config.heads):
            own = _below(name, tensors)
            if name == "neighbours":
                heads[name] = Neighbours.from_tensors(own, cells, config)
            elif name == "heat_map":
                heads[name] = HeatMap.from_tensors(own, inputs, cells, config)
            else:
                heads[name] = Regression.from_tensors(own, inputs, cells, config)
        prior = tensors["prior"]
        if prior.shape != cells.centres.shape[:1]:
            raise ValueError(f"a density over {len(prior)} of {len(cells)} cells")
        return cls(descriptor_model=descriptor_model, heads=heads, cells=cells, prior=prior, exponent=config.exponent)


def _log_density(xy: Tensor, cells: Cells, *, bandwidth_m: float) -> Tensor:
    """Return the log share (C,) of positions (N, 2) in each cell, spread by a Gaussian kernel and partly evened out."""
    density = torch.stack([soft_labels(part, cells, bandwidth_m).sum(dim=0) for part in torch.split(xy, _AT_ONCE)])
    return torch.log((1 - _EVEN_SHARE) * density.sum(dim=0) / len(xy) + _EVEN_SHARE / len(cells))


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(f"{prefix}."): t for name, t in tensors.items() if name.startswith(f"{prefix}.")}
