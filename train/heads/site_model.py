"""Everything that is fitted to a site: the heads, and the reader that was tuned for them."""

import dataclasses
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from img2gps.progress import Advance
from train.config import ProbeConfig
from train.data import DatasetPhotos
from train.heads.cells import Cells
from train.heads.ensemble import Ensemble
from train.heads.evidence import Evidence
from train.heads.feature_cache import cached_features
from train.heads.features import FeatureExtractor, Features, Reader
from train.heads.looks import Looks, cached_looks
from train.heads.tuned import TunedReader
from train.heads.tuning import steps_of, tuned_reader, with_tuned
from train.heads.views import Places

__all__ = ["Seen", "SiteModel", "held_out_evidence", "steps_in_all"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What frozen backbones saw of N photos: their features, and where stages are to be trained, the looks."""

    features: Features
    looks: Looks | None

    @classmethod
    def of(cls, source: DatasetPhotos, config: ProbeConfig, extractor: FeatureExtractor, device: torch.device) -> Self:
        """Return what is seen of all photos of a dataset, kept beside it. Raises UsageError (`TunedReader`)."""
        reader = TunedReader.of(extractor.last, scale=config.tune_scale) if config.tune_epochs else None
        return cls(
            features=cached_features(source, config, extractor, device=device),
            looks=None if reader is None else cached_looks(source, config, reader, device=device),
        )

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows` (indices or a mask on the CPU, as the looks are)."""
        return type(self)(
            features=self.features.take(rows), looks=None if self.looks is None else self.looks.take(rows)
        )

    def to(self, device: torch.device) -> Self:
        """Return the features on a device; the looks, which are many, stay where they are."""
        return dataclasses.replace(self, features=self.features.to(device))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SiteModel:
    """Fitted heads and the tuned reader whose vectors they take beside those of the frozen ones, if there is one."""

    ensemble: Ensemble
    reader: TunedReader | None

    @classmethod
    def fit(
        cls, seen: Seen, places: Places, cells: Cells, config: ProbeConfig, *, frozen: Reader, advance: Advance
    ) -> Self:
        """Return the model of photos taken at `places`; `frozen` is the reader that is tuned."""
        reader = (
            None if seen.looks is None else tuned_reader(frozen, seen.looks, places, cells, config, advance=advance)
        )
        features = _joined(seen, reader)
        return cls(ensemble=Ensemble.fit(features, places, cells, config, advance=advance), reader=reader)

    def features(self, seen: Seen) -> Features:
        """Return the features the heads take."""
        return _joined(seen, self.reader)

    def evidence(self, seen: Seen) -> Evidence:
        """Return what the heads say of N photos."""
        return self.ensemble.evidence(self.features(seen))


def _joined(seen: Seen, reader: TunedReader | None) -> Features:
    if reader is None or seen.looks is None:
        return seen.features
    return with_tuned(seen.features, reader, seen.looks)


def held_out_evidence(
    seen: Seen,
    places: Places,
    part: NDArray[np.int64],
    cells: Cells,
    config: ProbeConfig,
    *,
    frozen: Reader,
    advance: Advance,
) -> Evidence:
    """Return what is said of N photos, of each by a model fitted without its part.

    One heat map per part and stages trained half as long have to do: such a model is a little worse than the one it
    stands for, so the regions come out a little larger.
    """
    single, device = _cheaper(config), places.xy.device
    log_shares, likeness = places.xy.new_zeros(len(places), len(cells)), places.xy.new_zeros(len(places))
    for number in np.unique(part):
        out = torch.from_numpy(part == number)
        own = (~out).to(device)
        inner = SiteModel.fit(
            seen.take(~out).to(device), places.take(own), cells, single, frozen=frozen, advance=advance
        )
        found = inner.evidence(seen.take(out).to(device))
        log_shares[~own], likeness[~own] = found.log_shares, found.likeness
    return Evidence(log_shares=log_shares, likeness=likeness)


def steps_in_all(photos: int, part: NDArray[np.int64] | None, config: ProbeConfig) -> int:
    """Return how often a fit of so many photos advances its bar, with one inner fit per part of them."""
    sizes = [] if part is None else [photos - int((part == number).sum()) for number in np.unique(part)]
    fits = [(photos, config), *((size, _cheaper(config)) for size in sizes)]
    tuning = sum(steps_of(size, own) for size, own in fits if own.tune_epochs)
    return tuning + sum(own.heat_seeds for _, own in fits if "heat_map" in own.heads)


def _cheaper(config: ProbeConfig) -> ProbeConfig:
    return config.model_copy(update={"heat_seeds": 1, "tune_epochs": -(-config.tune_epochs // 2)})
