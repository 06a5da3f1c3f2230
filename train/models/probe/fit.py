"""Models of method ``probe``: frozen features and light heads, trained in a minute without a GPU."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch

from img2gps.answers import UNFAMILIAR_BELOW
from img2gps.errors import UsageError
from img2gps.geo import FloatArray, geodesic_m
from img2gps.metrics import metrics_of
from img2gps.progress import Advance, bar, stderr
from train.config.schema import ProbeConfig
from train.config.values import config_of, for_refined
from train.data.pixel_cache import PixelRows, cached_pixels, check_pixels
from train.data.training_data import Photos, TrainingData
from train.models.calibration import FEWEST_TO_CALIBRATE, Parts, inner_parts, some_units
from train.models.familiarity import Familiarity, Power
from train.models.grid import Cells, site_cells
from train.models.localizer import Estimate
from train.models.probe.covisibility import Poses
from train.models.probe.features.extractor import CHUNK, FeatureExtractor
from train.models.probe.features.feature_cache import features_path
from train.models.probe.features.stored_features import AnyFeatures
from train.models.probe.finetune.augmented_views import check_views
from train.models.probe.finetune.extractor import FinetunedExtractor
from train.models.probe.heads.ensemble import head_names
from train.models.probe.model import ProbeLocalizer, make_extractor
from train.models.probe.site_model import DatasetFeatures, SiteModel, held_out_evidence, sampled_evidence, steps_in_all
from train.models.probe.state import restore_probe, save_probe
from train.models.probe.unseen import Unseen, calibrated
from train.models.restoring import whole
from train.models.strangers import STRANGERS, mixed_views
from train.models.walks import WalkSmoother
from train.runs.checkpoint import Checkpoint, write_checkpoint
from train.runs.folder import RunFolder
from train.runtime.distributed import world

__all__ = ["ProbeTraining", "check_probe", "fit_probe", "fitted"]

_MOST_SCORED: Final = 4096  # photos that calibrate a model of very many
_MOST_NUMBERS: Final = 1 << 26  # of distributions that calibrate a model: 256 MB


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
        features = self.features.take(rows).to(self.device)
        if len(photos) <= self.config.exact_photos:
            features = dataclasses.replace(features, features=features.features.loaded())
        return features, Poses.of(photos, self.device)


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
    own = config if data.label_error_m is None else for_refined(config)
    training = ProbeTraining(config=own, data=data, features=features, extractor=extractor, device=device)
    localizer, val_features = fitted(training)
    localizer = _with_power(localizer, data)
    figures = _figures(localizer, data, val_features) | {"seconds": round(time.perf_counter() - started, 3)}
    if world().leads:  # every process of a distributed run fits the same model
        run.cut_metrics(0)
        run.append_metrics(figures)
        save_probe(localizer, config, data, run, figures)
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


def fitted(training: ProbeTraining) -> tuple[ProbeLocalizer, AnyFeatures | None]:
    """Return the model, and the features of the validation photos, if there are any."""
    config, data, extractor, device = training.config, training.data, training.extractor, training.device
    own, poses = training.selected(data.train)
    cells = site_cells(_positions(data.train), size_m=config.cell_m, reach_m=config.reach_m).to(device)
    parts = None if _val_calibrates(data) else _parts(data.train, config, cells)
    with bar("Fitting heads", steps_in_all(len(poses), parts, config)) as advance:
        model = SiteModel.fit(own, poses, cells, config, frozen=extractor.last, advance=advance)
        unseen = _val_evidence(training, model, cells) if _val_calibrates(data) else None
        if parts is not None:
            unseen = _held_out_evidence(training, own, poses, parts, cells, advance)
    if model.backbone_extractor is not None:
        extractor.add(model.backbone_extractor)
    smoother = WalkSmoother.around(cells)  # of the squares, which are the same whatever the cells stand for
    reliability = None if unseen is None else unseen.reliability()
    if unseen is not None and reliability is not None:
        unseen = dataclasses.replace(unseen, evidence=reliability.doubted(unseen.evidence))
    alone, walks = calibrated(unseen, smoother, config)
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
        reliability=reliability,
        config=config,
        frame=data.source.frame,
        device=device,
    )
    return localizer, None if data.val is None else model.features(training.selected(data.val)[0])


def _val_calibrates(data: TrainingData) -> bool:
    """Return whether the validation photos are enough to calibrate on; else training photos have to be held out."""
    return data.val is not None and len(data.val) >= FEWEST_TO_CALIBRATE


def _val_evidence(training: ProbeTraining, model: SiteModel, cells: Cells) -> Unseen:
    val, config = training.data.val, training.config
    assert val is not None
    if len(val) > config.exact_photos:  # some thousands calibrate as well, and their distributions fit into memory
        parts = some_units(val, _most_scored(cells))
        rows = np.arange(len(val)) if parts is None or parts.scored is None else parts.scored
        val = val.take(rows[: _most_scored(cells)])
    features, poses = training.selected(val)
    apart = not np.isin(val.walk, training.data.train.walk).any()
    evidence = model.evidence(features)
    return Unseen(photos=val, xy=poses.xy, cells=cells, evidence=evidence, by="val", whole_walks=apart)


def _held_out_evidence(
    training: ProbeTraining,
    own: DatasetFeatures,
    poses: Poses,
    parts: Parts,
    cells: Cells,
    advance: Advance,
) -> Unseen:
    middles = cells.middles  # the cells stand for the very positions that are held out here
    frozen, config = training.extractor.last, training.config
    photos = training.data.train
    if parts.scored is None:
        evidence = held_out_evidence(own, poses, parts.part, middles, config, frozen=frozen, advance=advance)
    else:
        evidence = sampled_evidence(own, poses, parts, middles, config, frozen=frozen, advance=advance)
        photos = photos.take(parts.scored)
        poses = Poses.of(photos, training.device)
    return Unseen(
        photos=photos,
        xy=poses.xy,
        cells=middles,
        evidence=evidence,
        by=parts.by,
        whole_walks=parts.by == "walk",
        label_error_m=training.data.label_error_m,
    )


def _parts(photos: Photos, config: ProbeConfig, cells: Cells) -> Parts | None:
    """Return which photos are held out of which model: all of some, a few walks of very many."""
    if len(photos) <= config.exact_photos:
        return inner_parts(photos)
    return some_units(photos, min(_most_scored(cells), len(photos) // 3))


def _most_scored(cells: Cells) -> int:
    """Return of how many photos the distributions over the cells are held in memory."""
    return max(FEWEST_TO_CALIBRATE, min(_MOST_SCORED, _MOST_NUMBERS // len(cells)))


def _with_power(localizer: ProbeLocalizer, data: TrainingData) -> ProbeLocalizer:
    """Return the model with what its familiarity finds out, where it has one."""
    if not len(localizer.familiarity.held_out):
        return localizer
    config = localizer.config
    source, spec = data.source, config.pixels
    few = len(source.photos) <= config.exact_photos
    pixels = cached_pixels(source, spec) if few else PixelRows(source=source, spec=spec)
    views = mixed_views(pixels, source.rows(data.train), count=STRANGERS, seed=config.seed)
    with bar("Estimating the power", len(views)) as advance:
        found = []
        for images in torch.split(views, CHUNK):
            found.append(localizer.familiarity.of(localizer.evidence(images).similarity))
            advance(len(images))
    probs = np.concatenate([part for part in found if part is not None])
    power = Power.of(probs, below=UNFAMILIAR_BELOW, seed=config.seed)
    return dataclasses.replace(localizer, familiarity=dataclasses.replace(localizer.familiarity, power=power))


def _figures(localizer: ProbeLocalizer, data: TrainingData, val_features: AnyFeatures | None) -> dict[str, Any]:
    """Return the line of metrics: the errors on the validation photos, if there are any, and the calibration."""
    calibration = dataclasses.asdict(localizer.calibration)
    figures: dict[str, Any] = {"epoch": 1} | {f"calibration/{name}": value for name, value in calibration.items()}
    if data.val is None or val_features is None:
        return figures
    at_once = torch.split(torch.arange(len(val_features)), localizer.config.exact_photos)
    parts = [localizer.estimate(localizer.evidence_of(val_features.take(rows))) for rows in at_once]
    estimate = Estimate.concatenate(parts)
    lon, lat = localizer.frame.to_lonlat(estimate.east_m, estimate.north_m)
    metrics = metrics_of(geodesic_m(data.val.lon, data.val.lat, lon, lat))
    figures |= {"val/rmse_m": metrics.rmse_m, "val/mean_m": metrics.mean_m}
    return figures | {"val/median_m": metrics.median_m, "val/p90_m": metrics.p90_m}


def _positions(photos: Photos) -> FloatArray:
    return np.stack([photos.east_m, photos.north_m], axis=1)
