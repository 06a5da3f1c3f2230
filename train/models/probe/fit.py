"""Models of method ``probe``: frozen features and light heads, trained in a minute without a GPU."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from img2gps.answers import UNFAMILIAR_BELOW
from img2gps.errors import UsageError
from img2gps.geo import FloatArray, geodesic_m
from img2gps.metrics import metrics_of
from img2gps.progress import Advance, bar, stderr
from img2gps.walks import walk_rows
from train.config.schema import ProbeConfig
from train.config.values import config_of
from train.data.pixel_cache import cached_pixels, check_pixels
from train.data.training_data import Photos, TrainingData
from train.models.calibration import FEWEST_TO_CALIBRATE, Calibration, inner_parts
from train.models.evidence import Evidence
from train.models.familiarity import Familiarity, Power
from train.models.grid import Cells, site_cells
from train.models.probe.covisibility import Poses
from train.models.probe.features.extractor import CHUNK, FeatureExtractor, Features
from train.models.probe.features.feature_cache import features_path
from train.models.probe.finetune.augmented_views import check_views
from train.models.probe.finetune.extractor import FinetunedExtractor
from train.models.probe.heads.ensemble import head_names
from train.models.probe.model import ProbeLocalizer, make_extractor, points_of
from train.models.probe.site_model import DatasetFeatures, SiteModel, held_out_evidence, steps_in_all
from train.models.probe.state import restore_probe, save_probe
from train.models.restoring import whole
from train.models.strangers import STRANGERS, mixed_views
from train.models.walks import WalkSmoother
from train.runs.checkpoint import Checkpoint, write_checkpoint
from train.runs.folder import RunFolder
from train.runtime.distributed import world

__all__ = ["check_probe", "fit_probe"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unseen:
    """N photos that a model had not learned from, to calibrate it on: positions (N, 2) in metres and evidence.

    They are the validation photos, or training photos held out of models of their own; `by` says which.
    """

    photos: Photos
    xy: Tensor
    cells: Cells
    evidence: Evidence
    by: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ProbeTraining:
    """What a probe is fitted with: its config, the photos, and the frozen features of the whole dataset."""

    config: ProbeConfig
    data: TrainingData
    features: DatasetFeatures
    extractor: FeatureExtractor
    device: torch.device

    def selected(self, photos: Photos) -> tuple[DatasetFeatures, Poses]:
        """Return the features and the poses of some photos, on the device."""
        rows = torch.from_numpy(self.data.source.rows(photos))
        return self.features.take(rows).to(self.device), Poses.of(photos, self.device)


def fit_probe(
    config: ProbeConfig,
    data: TrainingData,
    run: RunFolder,
    *,
    device: torch.device,
    resume: Checkpoint | None = None,
) -> ProbeLocalizer:
    """Fit heads on frozen features of `data` and leave metrics and checkpoints in `run` (`registry.fit_model`).

    There are no epochs to resume at: a run that was cut off is fitted again, one that was not is read back.
    The model is a function of config, data, device, thread count and torch alone.
    """
    if resume is not None and _made_with(resume, config):
        localizer = whole(resume, restore_probe, device=device)
        if world().leads:
            for folder in (run.best, run.last):  # one of them may be damaged
                write_checkpoint(folder, tensors=resume.tensors, state=resume.state)
        return localizer
    started = time.perf_counter()
    head_names(config.heads)
    extractor = make_extractor(config, device)
    features = DatasetFeatures.of(data.source, config, extractor, device)
    training = ProbeTraining(config=config, data=data, features=features, extractor=extractor, device=device)
    localizer, val_features = _fitted(training)
    figures = _figures(localizer, data, val_features) | {"seconds": round(time.perf_counter() - started, 3)}
    if world().leads:  # every process of a distributed run fits the same model
        run.cut_metrics(0)
        run.append_metrics(figures)
        save_probe(localizer, data, run, figures)
    return localizer


def _made_with(checkpoint: Checkpoint, config: ProbeConfig) -> bool:
    """Return whether a checkpoint is of a model of this very config."""
    try:
        return config_of(checkpoint.state.get("config", {})) == config
    except UsageError:
        return False


def check_probe(config: ProbeConfig, parts: Sequence[TrainingData], *, device: torch.device) -> None:
    """Raise what `fit_probe` would before it fits (`train.models.registry.check_model`)."""
    head_names(config.heads)
    source = parts[0].source
    extractor = make_extractor(config, device)
    blank = torch.zeros(1, 3, config.pixels.height, config.pixels.width, dtype=torch.uint8)
    extractor(blank)
    if config.tune_epochs:
        check_views(source, FinetunedExtractor.of(extractor.last, scale=config.tune_scale), blank)
    if not features_path(source, config, device).is_file():
        check_pixels(source, config.pixels)


def _fitted(training: ProbeTraining) -> tuple[ProbeLocalizer, Features | None]:
    """Return the model, and the features of the validation photos, if there are any."""
    config, data, extractor, device = training.config, training.data, training.extractor, training.device
    own, poses = training.selected(data.train)
    cells = site_cells(_positions(data.train), size_m=config.cell_m, reach_m=config.reach_m).to(device)
    parts = None if _val_calibrates(data) else inner_parts(data.train)
    with bar("Fitting heads", steps_in_all(len(poses), None if parts is None else parts[0], config)) as advance:
        model = SiteModel.fit(own, poses, cells, config, frozen=extractor.last, advance=advance)
        unseen = _val_evidence(training, model, cells) if _val_calibrates(data) else None
        if parts is not None:
            unseen = _held_out_evidence(training, own, poses, parts, cells, advance)
    if model.backbone_extractor is not None:
        extractor.add(model.backbone_extractor)
    smoother = WalkSmoother.around(cells)  # of the squares, which are the same whatever the cells stand for
    alone, walks = _calibrated(unseen, smoother, config)
    if not alone.photos:
        stderr().print("Too few photos to calibrate the radii on: they are the distribution's own, and hold less.")
    similarity = torch.empty(0, device=device) if unseen is None else unseen.evidence.similarity
    localizer = ProbeLocalizer(
        extractor=extractor,
        ensemble=model.ensemble,
        calibration=alone,
        walk_calibration=walks,
        walk_smoother=smoother,
        familiarity=Familiarity.fit(similarity),
        config=config,
        frame=data.source.frame,
        device=device,
    )
    return _with_power(localizer, data), None if data.val is None else model.features(training.selected(data.val)[0])


def _val_calibrates(data: TrainingData) -> bool:
    """Return whether the validation photos are enough to calibrate on; else training photos have to be held out."""
    return data.val is not None and len(data.val) >= FEWEST_TO_CALIBRATE


def _val_evidence(training: ProbeTraining, model: SiteModel, cells: Cells) -> Unseen:
    val = training.data.val
    assert val is not None
    features, poses = training.selected(val)
    return Unseen(photos=val, xy=poses.xy, cells=cells, evidence=model.evidence(features), by="val")


def _held_out_evidence(
    training: ProbeTraining,
    own: DatasetFeatures,
    poses: Poses,
    parts: tuple[NDArray[np.int64], str],
    cells: Cells,
    advance: Advance,
) -> Unseen:
    middles = cells.middles  # the cells stand for the very positions that are held out here
    frozen, config = training.extractor.last, training.config
    evidence = held_out_evidence(own, poses, parts[0], middles, config, frozen=frozen, advance=advance)
    return Unseen(photos=training.data.train, xy=poses.xy, cells=middles, evidence=evidence, by=parts[1])


def _with_power(localizer: ProbeLocalizer, data: TrainingData) -> ProbeLocalizer:
    """Return the model with what its familiarity finds out, where it has one."""
    if not len(localizer.familiarity.held_out):
        return localizer
    config = localizer.config
    views = mixed_views(
        cached_pixels(data.source, config.pixels), data.source.rows(data.train), count=STRANGERS, seed=config.seed
    )
    with bar("Asking for views of nowhere", len(views)) as advance:
        found = []
        for images in torch.split(views, CHUNK):
            found.append(localizer.familiarity.of(localizer.evidence(images).similarity))
            advance(len(images))
    probs = np.concatenate([part for part in found if part is not None])
    power = Power.of(probs, below=UNFAMILIAR_BELOW, seed=config.seed)
    return dataclasses.replace(localizer, familiarity=dataclasses.replace(localizer.familiarity, power=power))


def _calibrated(unseen: Unseen | None, smoother: WalkSmoother, config: ProbeConfig) -> tuple[Calibration, Calibration]:
    """Return the calibration of photos alone, and of those that have company on their walk, with its other photos.

    The first is the second, too, where too few have company.
    """
    if unseen is None:
        return Calibration(), Calibration()

    def answer(log_probs: Tensor) -> Tensor:
        return points_of(log_probs, unseen.cells, config)[config.answer]

    log_probs, photos, xy = unseen.evidence.log_probs, unseen.photos, unseen.xy
    alone = Calibration.fit(log_probs, unseen.cells, xy, answer, by=unseen.by)
    company = [torch.from_numpy(rows).to(xy.device) for rows in walk_rows(photos.walk, photos.captured_s)]
    if sum(map(len, company)) < FEWEST_TO_CALIBRATE:
        return alone, alone
    walks = [smoother.log_probs(log_probs[rows], photos.captured_s[rows.cpu().numpy()]) for rows in company]
    return alone, Calibration.fit(torch.cat(walks), unseen.cells, xy[torch.cat(company)], answer, by=unseen.by)


def _figures(localizer: ProbeLocalizer, data: TrainingData, val_features: Features | None) -> dict[str, Any]:
    """Return the line of metrics: the errors on the validation photos, if there are any, and the calibration."""
    calibration = dataclasses.asdict(localizer.calibration)
    figures: dict[str, Any] = {"epoch": 1} | {f"calibration/{name}": value for name, value in calibration.items()}
    if data.val is None or val_features is None:
        return figures
    estimate = localizer.estimate(localizer.evidence_of(val_features))
    lon, lat = localizer.frame.to_lonlat(estimate.east_m, estimate.north_m)
    metrics = metrics_of(geodesic_m(data.val.lon, data.val.lat, lon, lat))
    figures |= {"val/rmse_m": metrics.rmse_m, "val/mean_m": metrics.mean_m}
    return figures | {"val/median_m": metrics.median_m, "val/p90_m": metrics.p90_m}


def _positions(photos: Photos) -> FloatArray:
    return np.stack([photos.east_m, photos.north_m], axis=1)
