"""Training a coordinate network, top to bottom: data, network, epochs, checkpoints."""

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from img2gps.errors import InvalidDatasetError
from img2gps.geo import FloatArray, geodesic_m
from img2gps.metrics import metrics_of
from img2gps.progress import bar
from train.config.schema import NetworkConfig
from train.data.pixel_cache import check_pixels
from train.data.targets import TargetScale
from train.data.training_data import Photos, TrainingData
from train.models.network.checkpointer import Checkpointer
from train.models.network.epoch import Training, coordinate_loss, stepping_of, train_epoch
from train.models.network.learner import Learner
from train.models.network.loaded_photos import LoadedPhotos
from train.models.network.model import CoordinateNetwork, NetworkLocalizer, build_network
from train.runs.checkpoint import Checkpoint
from train.runs.folder import RunFolder
from train.runtime.distributed import world

__all__ = ["check_network", "fit_network", "prepare"]


def fit_network(
    config: NetworkConfig,
    data: TrainingData,
    run: RunFolder,
    *,
    device: torch.device,
    resume: Checkpoint | None = None,
) -> NetworkLocalizer:
    """Train a network on `data` and leave metrics and checkpoints in `run` (`train.models.registry.fit_model`).

    The weights are a function of config, data, device, thread count and torch alone, wherever training was
    interrupted and resumed. Raises DeviceError where memory runs out or the loss leaves the finite.
    """
    training = prepare(config, data, device=device, with_weights=resume is None)
    learner, leads = training.learner, training.world.leads
    val: LoadedPhotos | None = None
    if data.val is not None:
        val = LoadedPhotos.of(data, data.val, pixels=config.pixels, scale=training.scale, device=torch.device("cpu"))
    checkpointer = Checkpointer(run=run, config=config, data=data, scale=training.scale, device=device, writes=leads)
    first = checkpointer.restore(resume, learner)
    localizer = NetworkLocalizer(
        network=learner.model,
        scale=training.scale,
        frame=data.source.frame,
        pixels=config.pixels,
        device=device,
    )
    stepping = stepping_of(training)
    with bar("Training", (config.epochs - first) * training.steps) as advance:
        try:
            for epoch in range(first, config.epochs):
                started = time.perf_counter()
                figures = train_epoch(training, stepping, epoch, advance)
                figures["images_per_s"] = len(data.train) / (time.perf_counter() - started)
                if data.val is not None and val is not None and leads:
                    figures |= _validate(localizer, data.val, val, config)
                checkpointer.save(epoch + 1, figures, learner)
        finally:
            checkpointer.flush()  # what waits is whole whatever ended the epochs: Ctrl-C, SIGTERM, a loss not finite
    checkpointer.finish()
    return localizer


def prepare(config: NetworkConfig, data: TrainingData, *, device: torch.device, with_weights: bool = True) -> Training:
    """Return network, optimiser and photos, ready for the first epoch; a checkpoint may then take their place."""
    network = _first_network(config, data, device=device, with_weights=with_weights)
    scale = TargetScale.of(config.target, data.train)
    return Training(
        config=config,
        learner=Learner.of(network, config, device),
        photos=LoadedPhotos.of(data, data.train, pixels=config.pixels, scale=scale, device=device),
        scale=scale,
        device=device,
        world=world(),
    )


def _first_network(
    config: NetworkConfig, data: TrainingData, *, device: torch.device, with_weights: bool
) -> CoordinateNetwork:
    """Return the network as training begins with it. Raises InvalidDatasetError where there are too few photos."""
    if len(data.train) < 2:
        raise InvalidDatasetError("One training photo is not enough: split with smaller --val and --test.")
    torch.manual_seed(config.seed)
    return build_network(config, device=device, with_weights=with_weights)


def check_network(
    config: NetworkConfig, parts: Sequence[TrainingData], *, device: torch.device, with_weights: bool
) -> None:
    """Raise what `fit_network` would before its first step (`train.models.registry.check_model`)."""
    fewest = min(parts, key=lambda data: len(data.train))
    network = _first_network(config, fewest, device=device, with_weights=with_weights)
    Learner.of(network, config, device)
    check_pixels(fewest.source, config.pixels)


def _validate(
    localizer: NetworkLocalizer, val: Photos, loaded: LoadedPhotos, config: NetworkConfig
) -> Mapping[str, Any]:
    """Return loss and geodesic errors on the validation photos, through the very path of `predict`."""
    batches = torch.split(loaded.rows, config.val_batch_size)
    outputs: FloatArray = np.concatenate([localizer.outputs(loaded.pixels[rows]) for rows in batches])
    loss = coordinate_loss(torch.from_numpy(outputs).float(), loaded.targets, config, localizer.scale).mean()
    pred_lon, pred_lat = localizer.frame.to_lonlat(*localizer.scale.decode(outputs, localizer.frame))
    figures = metrics_of(geodesic_m(val.lon, val.lat, pred_lon, pred_lat))
    named = {"val/loss": float(loss), "val/rmse_m": figures.rmse_m, "val/mean_m": figures.mean_m}
    named |= {"val/median_m": figures.median_m, "val/p90_m": figures.p90_m}
    return {name: value if math.isfinite(value) else None for name, value in named.items()}
