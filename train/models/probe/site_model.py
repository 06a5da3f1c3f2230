"""Everything that is fitted to a site: the heads, and the extractor that was finetuned for them."""

import dataclasses
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from img2gps.progress import Advance
from train.config.schema import ProbeConfig
from train.data.training_data import DatasetPhotos
from train.models.calibration import Parts
from train.models.evidence import Evidence
from train.models.grid import Cells
from train.models.probe.covisibility import Poses
from train.models.probe.features.extractor import BackboneExtractor, FeatureExtractor
from train.models.probe.features.feature_cache import cached_features
from train.models.probe.features.stored_features import AnyFeatures
from train.models.probe.finetune.augmented_views import AugmentedViews, cached_augmented_views
from train.models.probe.finetune.extractor import FinetunedExtractor
from train.models.probe.finetune.training import finetuned_extractor, steps_of, with_finetuned
from train.models.probe.heads.ensemble import Ensemble

__all__ = ["DatasetFeatures", "SiteModel", "held_out_evidence", "sampled_evidence", "steps_in_all"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class DatasetFeatures:
    """What frozen backbones make of N photos: features and, where stages are to be trained, augmented views."""

    features: AnyFeatures
    views: AugmentedViews | None

    @classmethod
    def of(cls, source: DatasetPhotos, config: ProbeConfig, extractor: FeatureExtractor, device: torch.device) -> Self:
        """Return the features of all photos of a dataset, kept beside it. Raises UsageError (`FinetunedExtractor`)."""
        backbone_extractor = (
            FinetunedExtractor.of(extractor.last, scale=config.tune_scale) if config.tune_epochs else None
        )
        return cls(
            features=cached_features(source, config, extractor, device=device),
            views=None
            if backbone_extractor is None
            else cached_augmented_views(source, config, backbone_extractor, device=device),
        )

    def take(self, rows: Tensor) -> Self:
        """Return the photos at `rows` (indices or a mask on the CPU, as the views are)."""
        return type(self)(
            features=self.features.take(rows), views=None if self.views is None else self.views.take(rows)
        )

    def to(self, device: torch.device) -> Self:
        """Return the features on a device; the views, which are many, stay where they are."""
        return dataclasses.replace(self, features=self.features.to(device))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SiteModel:
    """Fitted heads and, if there is one, the finetuned extractor whose vectors they take beside the frozen ones'."""

    ensemble: Ensemble
    backbone_extractor: FinetunedExtractor | None

    @classmethod
    def fit(
        cls,
        dataset_features: DatasetFeatures,
        poses: Poses,
        cells: Cells,
        config: ProbeConfig,
        *,
        frozen: BackboneExtractor,
        advance: Advance,
    ) -> Self:
        """Return the model of photos with `poses`; `frozen` is the extractor that is finetuned."""
        backbone_extractor = (
            None
            if dataset_features.views is None
            else finetuned_extractor(frozen, dataset_features.views, poses, cells, config, advance=advance)
        )
        features = _joined(dataset_features, backbone_extractor)
        return cls(
            ensemble=Ensemble.fit(features, poses, cells, config, advance=advance),
            backbone_extractor=backbone_extractor,
        )

    def features(self, dataset_features: DatasetFeatures) -> AnyFeatures:
        """Return the features the heads take."""
        return _joined(dataset_features, self.backbone_extractor)

    def evidence(self, dataset_features: DatasetFeatures) -> Evidence:
        """Return what the heads say of N photos."""
        return self.ensemble.evidence(self.features(dataset_features))


def _joined(dataset_features: DatasetFeatures, backbone_extractor: FinetunedExtractor | None) -> AnyFeatures:
    if backbone_extractor is None or dataset_features.views is None:
        return dataset_features.features
    return with_finetuned(dataset_features.features, backbone_extractor, dataset_features.views)


def held_out_evidence(
    dataset_features: DatasetFeatures,
    poses: Poses,
    part: NDArray[np.int64],
    cells: Cells,
    config: ProbeConfig,
    *,
    frozen: BackboneExtractor,
    advance: Advance,
) -> Evidence:
    """Return what is said of N photos, of each by a model fitted without its part.

    One heat map per part and stages trained half as long are enough. Such a model is a little worse than the one it
    stands for, so the regions come out a little larger.
    """
    single, device = _cheaper(config), poses.xy.device
    log_probs, similarity = poses.xy.new_zeros(len(poses), len(cells)), poses.xy.new_zeros(len(poses))
    for number in np.unique(part):
        out = torch.from_numpy(part == number)
        own = (~out).to(device)
        inner = SiteModel.fit(
            dataset_features.take(~out).to(device), poses.take(own), cells, single, frozen=frozen, advance=advance
        )
        found = inner.evidence(dataset_features.take(out).to(device))
        log_probs[~own], similarity[~own] = found.log_probs, found.similarity
    return Evidence(log_probs=log_probs, similarity=similarity)


def sampled_evidence(
    dataset_features: DatasetFeatures,
    poses: Poses,
    parts: Parts,
    cells: Cells,
    config: ProbeConfig,
    *,
    frozen: BackboneExtractor,
    advance: Advance,
) -> Evidence:
    """Return what one model, fitted without the photos of part 1, says of those of them that are scored.

    Of very many photos: some thousands calibrate as well as all, and one model more takes the time of one.
    """
    assert parts.scored is not None
    device, own = poses.xy.device, torch.from_numpy(parts.part == 0)
    inner = SiteModel.fit(
        dataset_features.take(own).to(device),
        poses.take(own.to(device)),
        cells,
        _cheaper(config),
        frozen=frozen,
        advance=advance,
    )
    return inner.evidence(dataset_features.take(torch.from_numpy(parts.scored)).to(device))


def steps_in_all(photos: int, parts: Parts | None, config: ProbeConfig) -> int:
    """Return how often a fit of so many photos advances its bar, with one inner fit per part of them."""
    numbers = [] if parts is None else [1] if parts.scored is not None else np.unique(parts.part)
    sizes = [photos - int((parts.part == number).sum()) for number in numbers] if parts is not None else []
    fits = [(photos, config), *((size, _cheaper(config)) for size in sizes)]
    tuning = sum(steps_of(size, own) for size, own in fits if own.tune_epochs)
    return tuning + sum(own.heat_seeds for _, own in fits if "heat_map" in own.heads)


def _cheaper(config: ProbeConfig) -> ProbeConfig:
    return config.model_copy(update={"heat_seeds": 1, "tune_epochs": -(-config.tune_epochs // 2)})
