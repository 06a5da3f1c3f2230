"""Training a coordinate network, top to bottom: data, network, epochs, checkpoints."""

import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.errors import DeviceError, InvalidDatasetError, UsageError
from img2gps.geo import FloatArray, geodesic_m
from img2gps.metrics import metrics_of
from img2gps.progress import Advance, bar
from train.config.schema import NetworkConfig
from train.data.augmentation import Augmentation, augment, epoch_order, photo_keys, photo_uniforms
from train.data.pixel_cache import cached_pixels, check_pixels
from train.data.targets import TargetScale
from train.data.training_data import Photos, TrainingData
from train.models.network.checkpointer import Checkpointer
from train.models.network.cuda_graphs import Stepping, graphed
from train.models.network.ema import averaged_copy, update_average
from train.models.network.model import (
    CoordinateNetwork,
    NetworkLocalizer,
    build_network,
    on_device,
    parameter_groups,
    set_training_mode,
)
from train.models.network.schedule import learning_rate
from train.runs.checkpoint import Checkpoint
from train.runs.folder import RunFolder
from train.runtime.devices import autocast, explaining_memory
from train.runtime.distributed import World, parallel, world

__all__ = ["Training", "check_network", "coordinate_loss", "fit_network", "prepare", "stepping_of", "train_epoch"]

_PHOTOS_AT_ONCE = 1024  # on their way to a GPU: main memory need not hold them all
# Looking at the loss makes the host wait for the device: on a GPU only now and then.
_STEPS_BETWEEN_LOOKS = {"cpu": 1, "cuda": 64, "mps": 16}


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
    network, here = training.network, training.world
    val = None if data.val is None else _load_photos(config, data, data.val, training.scale, torch.device("cpu"), here)
    checkpointer = Checkpointer(
        run=run, config=config, data=data, scale=training.scale, device=device, writes=here.leads
    )
    first = checkpointer.restore(resume, network, training.average, training.optimizer)
    localizer = NetworkLocalizer(
        network=training.average or network,
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
                if data.val is not None and val is not None and here.leads:
                    figures |= _validate(localizer, data.val, val, config)
                checkpointer.keep(epoch + 1, figures, network, training.average, training.optimizer)
        finally:
            checkpointer.flush()  # what waits is whole whatever ended the epochs: Ctrl-C, SIGTERM, a loss not finite
    checkpointer.finish()
    return localizer


def prepare(
    config: NetworkConfig, data: TrainingData, *, device: torch.device, with_weights: bool = True
) -> "Training":
    """Return network, optimiser and photos, ready for the first epoch; a checkpoint may then take their place."""
    here = world()
    network = _first_network(config, data, device=device, with_weights=with_weights)
    scale = TargetScale.of(config.target, data.train)
    return Training(
        config=config,
        network=network,
        optimizer=_optimizer(network, config, device),
        average=averaged_copy(network) if config.ema else None,
        photos=_load_photos(config, data, data.train, scale, device, here),
        scale=scale,
        device=device,
        world=here,
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
    _optimizer(network, config, device)
    check_pixels(fewest.source, config.pixels)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LoadedPhotos:
    """Photos as tensors: all pixels of the dataset (uint8), the rows of N photos in them, their targets (N, 2)."""

    pixels: Tensor
    rows: Tensor
    targets: Tensor
    keys: NDArray[np.uint64]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What the epochs share."""

    config: NetworkConfig
    network: CoordinateNetwork
    optimizer: torch.optim.Optimizer
    average: CoordinateNetwork | None
    photos: LoadedPhotos
    scale: TargetScale
    device: torch.device
    world: World

    @property
    def steps(self) -> int:
        """Steps per epoch. A last batch of one photo is left out: BatchNorm has no variance of one."""
        count, size = len(self.photos.rows), self.config.batch_size
        whole, rest = divmod(count, size)
        return max(1, whole + (rest > 1 or (rest == 1 and size == 1)))


def stepping_of(training: Training) -> Stepping:
    """Return the network as steps call it: over all processes, or from CUDA graphs, or as it is."""
    config, photos, network = training.config, training.photos, training.network
    capturable = config.cuda_graphs and training.device.type == "cuda" and training.world.size == 1
    # a first replay is checked against an ordinary pass, which dropout would make differ
    set_training_mode(network, config)
    if not capturable or config.dropout or len(photos.rows) < config.batch_size:
        return parallel(network, training.device)
    return graphed(network, on_device(photos.pixels[photos.rows[: config.batch_size]], training.device))


def _load_photos(
    config: NetworkConfig, data: TrainingData, photos: Photos, scale: TargetScale, device: torch.device, here: World
) -> LoadedPhotos:
    """Return photos as tensors: resident on a GPU where they fit, else mapped from the file of all photos."""
    if not here.leads:
        here.wait()
    pixels = torch.from_numpy(cached_pixels(data.source, config.pixels, may_write=here.leads))
    if here.leads:
        here.wait()
    rows = torch.from_numpy(data.source.rows(photos))
    if _fits(len(rows) * pixels[0].nbytes, device):
        pixels = torch.cat([pixels[part].to(device) for part in torch.split(rows, _PHOTOS_AT_ONCE)])
        rows = torch.arange(len(rows), device=device)
    targets = torch.from_numpy(scale.encode(photos)).to(device)
    return LoadedPhotos(pixels=pixels, rows=rows, targets=targets, keys=photo_keys(photos.ids))


def _fits(size: int, device: torch.device) -> bool:
    """Return whether `size` bytes of photos are to lie on the device: less than half of a GPU's free memory."""
    return device.type == "cuda" and size < torch.cuda.mem_get_info(device)[0] / 2


def _optimizer(network: CoordinateNetwork, config: NetworkConfig, device: torch.device) -> torch.optim.Optimizer:
    groups = parameter_groups(network, config)
    options: dict[str, Any] = {"lr": config.lr, "weight_decay": config.weight_decay}
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, nesterov=True, **options)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    return kind(groups, fused=device.type in ("cpu", "cuda"), **options)


def train_epoch(training: Training, stepping: Stepping, epoch: int, advance: Advance) -> dict[str, Any]:
    """Visit every photo once and return the epoch's figures."""
    config, photos = training.config, training.photos
    count, steps = len(photos.rows), training.steps
    # dropout: the same whether resumed here or not; torch takes no seed beyond 64 bits
    torch.manual_seed((config.seed * 1_000_003 + epoch) % 2**63)
    order = torch.from_numpy(epoch_order(count, seed=config.seed, epoch=epoch)).to(photos.rows.device)
    strength = Augmentation.of(config)
    draws = photo_uniforms(photos.keys, seed=config.seed, epoch=epoch).astype(np.float32)
    uniforms = torch.from_numpy(draws).to(training.device)
    losses = torch.zeros(steps, device=training.device)
    set_training_mode(training.network, config)
    rate = config.lr
    looks = _STEPS_BETWEEN_LOOKS[training.device.type]

    def attempt(size: int) -> None:
        part, alone = order[:size], stepping
        if training.world.size > 1:  # the other processes take no part in this: nothing may wait for them
            part, alone = training.world.share(part)[0], training.network.eval()
        torch.autograd.backward(_step_loss(training, alone, part, uniforms, strength))

    with explaining_memory(config.batch_size, attempt):
        for step in range(steps):
            rate = learning_rate(config, epoch + step / steps)
            part, weight = training.world.share(order[step * config.batch_size : (step + 1) * config.batch_size])
            loss = _step_loss(training, stepping, part, uniforms, strength) * weight
            _update(training, loss, rate, step=epoch * steps + step)
            losses[step] = loss.detach() / training.world.size
            note = None
            if (step + 1) % looks == 0:
                _check_finite(losses[: step + 1], epoch, rate)
                note = f"epoch {epoch + 1}/{config.epochs}  loss {losses[step].item():.4f}"
            advance(note=note)
    _check_finite(losses, epoch, rate)
    sizes = [min(config.batch_size, count - step * config.batch_size) for step in range(steps)]
    mean_loss = float(np.average(training.world.total(losses).double().cpu().numpy(), weights=sizes))
    advance(0, note=f"epoch {epoch + 1}/{config.epochs}  mean loss {mean_loss:.4f}")
    return {"epoch": epoch + 1, "train/loss": mean_loss, "lr": rate}


def _update(training: Training, loss: Tensor, rate: float, *, step: int) -> None:
    for group in training.optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    training.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    if training.config.grad_clip:
        nn.utils.clip_grad_norm_(training.network.parameters(), training.config.grad_clip)
    training.optimizer.step()
    if training.average is not None:
        update_average(training.average, training.network, decay=training.config.ema, step=step)


def _step_loss(
    training: Training, stepping: Stepping, part: Tensor, uniforms: Tensor, strength: Augmentation
) -> Tensor:
    """Return the summed loss of some training photos (indices into them)."""
    photos, here = training.photos, part.to(training.device)
    images = on_device(photos.pixels[photos.rows[part]], training.device)
    if strength.active:
        images = augment(images, uniforms[here], strength)
    try:
        with autocast(training.device):
            outputs = stepping(images)
    except ValueError as error:  # torch's own check of BatchNorm
        raise UsageError(
            "BatchNorm has no variance of a single value: use a larger --batch-size or --size, "
            "or --set freeze_batchnorm=true."
        ) from error
    return coordinate_loss(outputs.float(), photos.targets[here], training.config, training.scale).sum()


def coordinate_loss(outputs: Tensor, targets: Tensor, config: NetworkConfig, scale: TargetScale) -> Tensor:
    """Return the loss per photo, shape (N,), of scaled coordinates of shape (N, 2).

    ``huber`` is linear in the distance beyond `huber_delta_m` (Huber, "Robust Estimation", 1964), taken over
    the distance and not per axis, so that it does not depend on where north is.
    """
    if config.loss == "mse":
        return F.mse_loss(outputs, targets, reduction="none").mean(dim=1)
    delta = config.huber_delta_m / scale.metres_per_unit
    distance = torch.linalg.vector_norm(outputs - targets, dim=1)
    return F.huber_loss(distance, torch.zeros_like(distance), reduction="none", delta=delta) / delta


def _check_finite(losses: Tensor, epoch: int, rate: float) -> None:
    finite = torch.isfinite(losses)
    if not bool(finite.all()):
        step = int((~finite).nonzero()[0, 0]) + 1
        raise DeviceError(
            f"The loss stopped being finite at step {step} of epoch {epoch + 1}, at learning rate {rate:.3g}: "
            f"the run keeps epoch {epoch}; train again with a smaller --lr."
        )


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
