"""One epoch: every photo once, its loss, the step of the optimiser."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from img2gps.errors import DeviceError, UsageError
from img2gps.progress import Advance
from train.config.schema import NetworkConfig
from train.data.augmentation import Augmentation, augment, epoch_order, photo_uniforms
from train.data.targets import TargetScale
from train.models.network.cuda_graphs import Stepping, graphed
from train.models.network.ema import update_average
from train.models.network.learner import Learner
from train.models.network.loaded_photos import LoadedPhotos
from train.models.network.model import on_device, set_training_mode
from train.models.network.schedule import learning_rate
from train.runtime.devices import autocast, explaining_memory
from train.runtime.distributed import World, parallel

__all__ = ["Training", "coordinate_loss", "stepping_of", "train_epoch"]

# Reading the loss makes the host wait for the device: on a GPU only now and then.
_STEPS_BETWEEN_CHECKS = {"cpu": 1, "cuda": 64, "mps": 16}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What every epoch of a training works with."""

    config: NetworkConfig
    learner: Learner
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
    config, photos, network = training.config, training.photos, training.learner.network
    capturable = config.cuda_graphs and training.device.type == "cuda" and training.world.size == 1
    # a first replay is checked against an ordinary pass, which dropout would make differ
    set_training_mode(network, config)
    if not capturable or config.dropout or len(photos.rows) < config.batch_size:
        return parallel(network, training.device)
    return graphed(network, on_device(photos.pixels[photos.rows[: config.batch_size]], training.device))


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
    set_training_mode(training.learner.network, config)
    rate = config.lr
    steps_between_checks = _STEPS_BETWEEN_CHECKS[training.device.type]

    def attempt(size: int) -> None:
        part, alone = order[:size], stepping
        if training.world.size > 1:  # the other processes take no part in this: nothing may wait for them
            part, alone = training.world.shard(part)[0], training.learner.network.eval()
        torch.autograd.backward(_step_loss(training, alone, part, uniforms, strength))

    with explaining_memory(config.batch_size, attempt):
        for step in range(steps):
            rate = learning_rate(config, epoch + step / steps)
            part, weight = training.world.shard(order[step * config.batch_size : (step + 1) * config.batch_size])
            loss = _step_loss(training, stepping, part, uniforms, strength) * weight
            _update(training, loss, rate, step=epoch * steps + step)
            losses[step] = loss.detach() / training.world.size
            note = None
            if (step + 1) % steps_between_checks == 0:
                _check_finite(losses[: step + 1], epoch, rate)
                note = f"epoch {epoch + 1}/{config.epochs}  loss {losses[step].item():.4f}"
            advance(note=note)
    _check_finite(losses, epoch, rate)
    sizes = [min(config.batch_size, count - step * config.batch_size) for step in range(steps)]
    mean_loss = float(np.average(training.world.total(losses).double().cpu().numpy(), weights=sizes))
    advance(0, note=f"epoch {epoch + 1}/{config.epochs}  mean loss {mean_loss:.4f}")
    return {"epoch": epoch + 1, "train/loss": mean_loss, "lr": rate}


def _update(training: Training, loss: Tensor, rate: float, *, step: int) -> None:
    learner, config = training.learner, training.config
    for group in learner.optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    learner.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    if config.grad_clip:
        nn.utils.clip_grad_norm_(learner.network.parameters(), config.grad_clip)
    learner.optimizer.step()
    if learner.average is not None:
        update_average(learner.average, learner.network, decay=config.ema, step=step)


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

    ``huber`` is linear in the distance beyond `huber_delta_m` (Huber, "Robust Estimation", 1964). It uses the distance
    and not each axis, so it does not depend on where north is.
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
            f"The loss stopped being finite at step {step} of epoch {epoch + 1}, at learning rate {rate:.3g}. "
            f"The run keeps epoch {epoch}: train again with a smaller --lr."
        )
