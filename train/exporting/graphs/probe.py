"""A probe as one pure function: pixels and the gallery in, a distribution over the cells out."""

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.pixels import PADDING
from train.exporting.graphs.backbone import PureExtractor
from train.exporting.graphs.neighbours import PureNeighbours
from train.models.grid import Cells
from train.models.probe.features.brightness import DARKEST
from train.models.probe.features.extractor import BackboneExtractor, FeatureExtractor, Features, nested_grids
from train.models.probe.heads.ensemble import Head
from train.models.probe.heads.heat_map import INPUT_SCALE, HeatMap
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.heads.regression import Regression
from train.models.probe.model import ProbeLocalizer

__all__ = ["BACKBONE_WEIGHTS", "PROBE_OUTPUTS", "PureProbe"]

BACKBONE_WEIGHTS = ("extractors.", "val")
"""What the names of a backbone's weights begin with in the graph; `val` are those that torch has turned around."""
PROBE_OUTPUTS = ("log_probs", "similarity", "matches", "match_similarity", "match_weight")


class PureProbe(nn.Module):
    """(N, 3, height, width) uint8 RGB and a gallery to the `PROBE_OUTPUTS`; without a gallery to the first alone."""

    prior: Tensor

    def __init__(self, localizer: ProbeLocalizer) -> None:
        super().__init__()
        ensemble = localizer.ensemble
        self.extractors = nn.ModuleList(_extractors(localizer.extractor))
        self.names = [extractor.name for extractor in _frozen(localizer.extractor)]
        self.descriptor_model, self.exponent = ensemble.descriptor_model, ensemble.exponent
        self.reliability = localizer.reliability
        self.heads = nn.ModuleList(_pure_head(head, ensemble.cells) for head in ensemble.heads.values())
        self.register_buffer("prior", (len(ensemble.heads) - 1) * ensemble.prior.detach().clone())

    def forward(self, images: Tensor, gallery: list[Tensor]) -> tuple[Tensor, ...]:
        """Return the outputs for N photos, each with N first."""
        photos = self.descriptor_model(self._features(images))
        by_head: list[Tensor] = []
        others: tuple[Tensor, ...] = ()
        for head in self.heads:
            if isinstance(head, PureNeighbours):
                found = head(photos, gallery)
                by_head.append(found.log_probs)
                others = (found.similarity, found.rows, found.cosine, found.weight)
            else:
                by_head.append(head(photos.pooled))
        product = torch.stack(by_head).sum(dim=0) - self.prior
        log_probs = F.log_softmax(self.exponent * product, dim=1)
        if self.reliability is not None:
            log_probs = self.reliability.log_probs(log_probs, others[0])
        return log_probs, *others

    def _features(self, images: Tensor) -> Features:
        pixels = images.float()
        pooled: list[Tensor] = []
        pyramids: dict[str, list[Tensor]] = {}
        for extractor, name in zip(self.extractors, self.names, strict=True):
            vectors, grid = extractor(pixels)
            pooled.append(vectors)
            if grid is not None:
                pyramids.setdefault(name, []).append(grid.half())
        return Features(
            pooled=tuple(pooled), brightness=_brightness(images), pyramids=tuple(map(nested_grids, pyramids.values()))
        )


def _brightness(images: Tensor) -> Tensor:
    """Return what `train.models.probe.features.brightness.brightness_of` does, without a look at the photos' edges."""
    bars = (images == images.new_tensor(PADDING).view(1, 3, 1, 1)).all(dim=1)
    rows, columns = ~bars.all(dim=2), ~bars.all(dim=1)
    counts = (rows[:, :, None] & columns[:, None]).float()
    counts = torch.where(counts.sum(dim=(1, 2), keepdim=True) == 0, torch.ones_like(counts), counts)
    total = (images.float().mean(dim=1) * counts).sum(dim=(1, 2))
    return torch.log2(total / counts.sum(dim=(1, 2)) / 255.0 + DARKEST)


class _PureHeatMap(nn.Module):
    def __init__(self, head: HeatMap) -> None:
        super().__init__()
        self.networks = copy.deepcopy(head.networks).eval()

    def forward(self, pooled: Tensor) -> Tensor:
        logits = [network(pooled * INPUT_SCALE) for network in self.networks]
        return torch.stack([F.log_softmax(part, dim=1) for part in logits]).logsumexp(dim=0)


class _PureRegression(nn.Module):
    centres: Tensor

    def __init__(self, head: Regression, cells: Cells) -> None:
        super().__init__()
        self.network = copy.deepcopy(head.network).eval()
        self.head = Regression(network=self.network, centre=head.centre, cells=cells)
        self.register_buffer("centres", cells.centres.detach().clone())

    def forward(self, pooled: Tensor) -> Tensor:
        point, spread = self.head.point_and_spread(pooled * INPUT_SCALE)
        distance = (point[:, None] - self.centres).square().sum(dim=2).sqrt()
        return F.log_softmax(-distance / spread[:, None], dim=1)


def _pure_head(head: Head, cells: Cells) -> nn.Module:
    match head:
        case Neighbours():
            return PureNeighbours(head, cells)
        case HeatMap():
            return _PureHeatMap(head)
        case Regression():
            return _PureRegression(head, cells)
    raise AssertionError(f"no graph of a head {type(head).__name__}")


def _frozen(extractor: FeatureExtractor) -> list[BackboneExtractor]:
    return [part for part in extractor.readers if isinstance(part, BackboneExtractor)]


def _extractors(extractor: FeatureExtractor) -> list[PureExtractor]:
    """Return the pure extractors; one backbone serves all sizes that a network looks at with the same weights."""
    made: list[tuple[BackboneExtractor, PureExtractor]] = []
    for part in _frozen(extractor):
        like = next((pure for other, pure in made if _has_weights_of(part, other)), None)
        made.append((part, PureExtractor(part, like=like)))
    return [pure for _, pure in made]


def _has_weights_of(one: BackboneExtractor, other: BackboneExtractor) -> bool:
    if (one.name, one.own_statistics) != (other.name, other.own_statistics):
        return False
    own, others = one.backbone.state_dict(), other.backbone.state_dict()
    return own.keys() == others.keys() and all(torch.equal(own[name], others[name]) for name in own)
