"""Models of method ``probe``: frozen features and light heads, trained in a minute without a GPU."""

import dataclasses
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from img2gps.errors import InvalidCheckpointError, UsageError
from img2gps.geo import LocalFrame, geodesic_m
from img2gps.metrics import metrics_of
from img2gps.progress import Advance, bar, stderr
from img2gps.text import safe_path
from train.checkpoint import Checkpoint, load_into, write_checkpoint
from train.config import TrainConfig, changed
from train.data import Photos, TrainingData
from train.heads.calibration import Calibration, inner_parts
from train.heads.cells import Cells, site_cells
from train.heads.described import Describer
from train.heads.distribution import mean_point, median_point, mode_point
from train.heads.ensemble import Ensemble, head_names
from train.heads.feature_cache import cached_features
from train.heads.features import FeatureExtractor, Features
from train.keeping import made_by
from train.localizer import Estimate
from train.pixels import PixelSpec
from train.run import RunFolder
from train.weights import load_weights

__all__ = ["ProbeLocalizer", "fit_probe", "restore_probe"]

_BACKBONE = "backbone."


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeLocalizer:
    """Heads over frozen features (`train.localizer.Localizer`); gives a distribution over the site."""

    extractor: FeatureExtractor
    ensemble: Ensemble
    calibration: Calibration
    config: TrainConfig
    frame: LocalFrame
    device: torch.device

    @property
    def pixels(self) -> PixelSpec:
        """The images it takes."""
        return self.config.pixels

    def locate(self, images: Tensor) -> Estimate:
        """Return the positions of a uint8 RGB batch of shape (N, 3, height, width)."""
        return self.locate_features(self.extractor(images))

    def locate_features(self, features: Features) -> Estimate:
        """Return the positions of photos whose features are known."""
        log_shares, cells = self.ensemble.log_shares(features), self.ensemble.cells
        points = _points(log_shares, cells, self.config)
        radii = self.calibration.radii(log_shares, cells, points[self.config.answer])
        columns = {"": points[self.config.answer], "mean_": points["mean"], "mode_": points["mode"]}
        named = {
            f"{name}{axis}_m": _array(point[:, k])
            for name, point in columns.items()
            for k, axis in enumerate(("east", "north"))
        }
        return Estimate(**named, radius_50_m=_array(radii[:, 0]), radius_90_m=_array(radii[:, 1]))


def fit_probe(
    config: TrainConfig,
    data: TrainingData,
    run: RunFolder,
    *,
    device: torch.device,
    resume: Checkpoint | None = None,
) -> ProbeLocalizer:
    """Fit heads on the frozen features of `data` and leave metrics and checkpoints in `run` (`train.methods.Fit`).

    There are no epochs to resume at: a run that was cut off is fitted again, one that was not is read back.
    The model is a function of config, data, device, thread count and torch alone.
    """
    if resume is not None and resume.state.get("config") == dataclasses.asdict(config):
        localizer = restore_probe(resume, device=device)
        write_checkpoint(run.best, tensors=resume.tensors, state=resume.state)
        return localizer
    started = time.perf_counter()
    head_names(config.heads)
    extractor = _extractor(config, device)
    features = cached_features(data.source, config, extractor, device=device)
    localizer = _fitted(config, data, features, extractor, device)
    figures = _figures(localizer, data, features) | {"seconds": round(time.perf_counter() - started, 3)}
    run.cut_metrics(0)
    run.append_metrics(figures)
    _save(localizer, data, run, figures)
    return localizer


def _extractor(config: TrainConfig, device: torch.device, *, with_weights: bool = True) -> FeatureExtractor:
    torch.manual_seed(config.seed)  # backbones without weights are random features, the same for the same seed
    extractor = FeatureExtractor(config.model, config.pixels)
    if with_weights:
        for reader in extractor.readers:
            load_weights(reader.backbone, reader.name, config.weights)
    return extractor.to(memory_format=torch.channels_last).to(device)


def _fitted(
    config: TrainConfig, data: TrainingData, features: Features, extractor: FeatureExtractor, device: torch.device
) -> ProbeLocalizer:
    own = features.take(torch.from_numpy(data.source.rows(data.train))).to(device)
    xy = _positions(data.train)
    cells = site_cells(xy, size_m=config.cell_m, reach_m=config.reach_m).to(device)
    place = torch.from_numpy(xy).float().to(device)
    describer = Describer.fit(own, config)
    parts = inner_parts(data.train) if data.val is None else None
    models = 1 + (0 if parts is None else int(parts[0].max()) + 1)
    with bar("Fitting heads", models * config.heat_seeds) as advance:
        ensemble = Ensemble.fit(own, place, cells, config, describer=describer, advance=advance)
        if data.val is not None:
            seen = features.take(torch.from_numpy(data.source.rows(data.val))).to(device)
            judged = ensemble.log_shares(seen), torch.from_numpy(_positions(data.val)).float().to(device), "val"
        elif parts is not None:
            judged = _held_out(own, place, parts[0], ensemble, config, advance), place, parts[1]
        else:
            judged = None
    calibration = Calibration()
    if judged is not None:
        log_shares, truth, by = judged
        calibration = Calibration.fit(
            log_shares, cells, truth, lambda shares: _points(shares, cells, config)[config.answer], by=by
        )
    if not calibration.photos:
        stderr().print("Too few photos to calibrate the radii on: they are the distribution's own, and hold less.")
    return ProbeLocalizer(
        extractor=extractor,
        ensemble=ensemble,
        calibration=calibration,
        config=config,
        frame=data.source.frame,
        device=device,
    )
