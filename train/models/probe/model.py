"""A probe: heads over frozen features, ready to locate photos."""

import dataclasses
from collections.abc import Iterator
from typing import Final

import numpy as np
import torch
from torch import Tensor

from img2gps.familiarity import walk_familiarity
from img2gps.geo import FloatArray, LocalFrame
from img2gps.pixels import PixelSpec
from img2gps.walks import evidence_weights
from train.config.schema import ProbeConfig
from train.models.calibration import Calibration
from train.models.distribution import mean_point, median_point, mode_point
from train.models.evidence import Evidence
from train.models.familiarity import Familiarity
from train.models.grid import Cells
from train.models.localizer import Estimate
from train.models.probe.features.extractor import CHUNK, FeatureExtractor
from train.models.probe.features.stored_features import AnyFeatures
from train.models.probe.finetune.extractor import FinetunedExtractor
from train.models.probe.heads.ensemble import Ensemble
from train.models.probe.heads.neighbours import Neighbours
from train.models.reliability import Reliability
from train.models.walks import WalkSmoother
from train.runtime.parts import in_parallel, threads_within

__all__ = ["ProbeLocalizer", "make_extractor", "points_of"]

_NEAR_M: Final = 15.0
_COLUMNS: Final = (
    *("east_m", "north_m", "mean_east_m", "mean_north_m", "mode_east_m", "mode_north_m"),
    *("radius_50_m", "radius_90_m"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLocalizer:
    """Heads over frozen features, a `WalkLocalizer`: a distribution over the site for every photo."""

    extractor: FeatureExtractor
    ensemble: Ensemble
    calibration: Calibration
    walk_calibration: Calibration
    """Of photos that were located with the others of their walk."""
    walk_smoother: WalkSmoother
    familiarity: Familiarity
    reliability: Reliability | None
    """How far the heads are believed; None: to the full, as by models of earlier versions."""
    config: ProbeConfig
    frame: LocalFrame
    device: torch.device

    @property
    def pixels(self) -> PixelSpec:
        """The images it takes."""
        return self.config.pixels

    def locate(self, images: Tensor) -> Estimate:
        """Return the positions of a uint8 RGB batch of shape (N, 3, height, width)."""
        each = self.extractor.each_pass(images, lambda features: self.estimate(self.evidence_of(features)))
        return Estimate.concatenate(each)

    def evidence(self, images: Tensor) -> Evidence:
        """Return what a uint8 RGB batch of N photos shows, over the model's cells."""
        return Evidence.cat(self.extractor.each_pass(images, self.evidence_of))

    def evidence_of(self, features: AnyFeatures) -> Evidence:
        """Return what photos show whose features are known."""
        count = len(features)
        chunks = [rows for rows, _ in _chunks(count)]
        filled = in_parallel(lambda rows: self.ensemble.evidence(features.take(rows)), chunks, self.device, small=True)
        if not filled:
            nothing = torch.empty(0, len(self.ensemble.cells), device=self.device)
            return Evidence(log_probs=nothing, similarity=nothing[:, 0])
        whole = Evidence.cat(filled)  # of the chunks only the last is filled up
        found = Evidence(log_probs=whole.log_probs[:count], similarity=whole.similarity[:count])
        return found if self.reliability is None else self.reliability.doubted(found)

    def estimate(self, evidence: Evidence) -> Estimate:
        """Return the positions of N photos, each by itself."""
        estimate = self._estimate(evidence.log_probs, self.calibration)
        return dataclasses.replace(estimate, familiarity=self.familiarity.of(evidence.similarity))

    def estimate_walk(self, evidence: Evidence, alone: Estimate, seconds: FloatArray) -> Estimate:
        """Return the positions of the photos of one walk, located together (`train.models.localizer.WalkLocalizer`)."""
        whole_walk = self._estimate(self.walk_smoother.log_probs(evidence.log_probs, seconds), self.walk_calibration)
        familiarity = alone.familiarity
        if familiarity is not None and alone.radius_90_m is not None:
            apart_m = np.hypot(alone.east_m - whole_walk.east_m, alone.north_m - whole_walk.north_m)
            walk = walk_familiarity(familiarity, apart_m <= alone.radius_90_m, evidence_weights(seconds))
            familiarity = np.full(len(seconds), walk)
        company = np.full(len(seconds), float(len(seconds)))
        return dataclasses.replace(whole_walk, familiarity=familiarity, company=company)

    def calibrated_probs(self, evidence: Evidence) -> Tensor:
        """Return the probabilities (N, C) of the cells that the regions of photos alone are made of."""
        return torch.softmax(evidence.log_probs * self.calibration.temper, dim=1)

    def share_near(self, evidence: Evidence, east_m: FloatArray, north_m: FloatArray) -> FloatArray:
        """Return the probability (N,) within 15 m of a place of each photo (`train.models.localizer.WalkLocalizer`)."""
        centres = self.ensemble.cells.centres
        place = torch.as_tensor(np.stack([east_m, north_m], axis=1)).to(centres)
        near = torch.cdist(place, centres) <= _NEAR_M
        share = (self.calibrated_probs(evidence) * near).sum(dim=1)
        return np.asarray(share.cpu().double().numpy(), dtype=np.float64)

    @property
    def neighbours(self) -> Neighbours | None:
        """The head that compares photos with the training photos, where there is one."""
        head = self.ensemble.heads.get("neighbours")
        return head if isinstance(head, Neighbours) else None

    def most_alike(self, features: AnyFeatures, count: int) -> list[tuple[int, ...]]:
        """Return which training photos look most like each of N, the most similar first; none without neighbours."""
        head = self.neighbours
        if head is None:
            return [()] * len(features)
        found = head.most_alike(self.ensemble.descriptor_model(features.loaded()), count)
        return [tuple(int(number) for number in row) for row in found.tolist()]

    def _estimate(self, log_probs: Tensor, calibration: Calibration) -> Estimate:
        with threads_within(1):  # operations so small that a second thread costs more than it does
            parts = [
                self._columns(log_probs[filled.to(log_probs.device)], calibration)[:count]
                for filled, count in _chunks(len(log_probs))
            ]
        columns = torch.cat(parts).cpu().double().numpy() if parts else np.empty((0, len(_COLUMNS)))
        return Estimate(**{name: columns[:, k] for k, name in enumerate(_COLUMNS)})

    @torch.inference_mode()
    def _columns(self, log_probs: Tensor, calibration: Calibration) -> Tensor:
        """Return the numbers of `_COLUMNS` for N photos, (N, 8)."""
        cells = self.ensemble.cells
        points = points_of(log_probs, cells, self.config)
        answer = points[self.config.answer]
        return torch.cat([answer, points["mean"], points["mode"], calibration.radii(log_probs, cells, answer)], dim=1)


def _chunks(count: int) -> Iterator[tuple[Tensor, int]]:
    """Yield rows in chunks of one size and how many of each are meant.

    Each is filled up with its first row: the same arithmetic for a photo, whatever comes with it.
    """
    for rows in torch.split(torch.arange(count), CHUNK):
        if len(rows):
            yield torch.cat([rows, rows[:1].expand(CHUNK - len(rows))]), len(rows)


def points_of(log_probs: Tensor, cells: Cells, config: ProbeConfig) -> dict[str, Tensor]:
    """Return the points that may stand for a distribution over N photos, each (N, 2): mean, median, mode."""
    probs = log_probs.exp()
    return {
        "mean": mean_point(probs, cells),
        "median": median_point(probs, cells),
        "mode": mode_point(probs, cells, bandwidth_m=config.bandwidth_m),
    }


def make_extractor(
    config: ProbeConfig, device: torch.device, *, with_weights: bool = True, tokens: bool = True
) -> FeatureExtractor:
    """Return the extractor of a config; without weights it waits for those of a checkpoint.

    `tokens` is false for a model that was made before transformers had maps.
    """
    torch.manual_seed(config.seed)  # backbones without weights are random features, the same for the same seed
    extractor = FeatureExtractor(config.model, config.pixels, own_statistics=config.own_statistics, tokens=tokens)
    if with_weights:
        extractor.load_weights(config.weights)
    elif config.tune_epochs:
        extractor.add(FinetunedExtractor.of(extractor.last, scale=config.tune_scale))
    return extractor.to(memory_format=torch.channels_last).to(device)
