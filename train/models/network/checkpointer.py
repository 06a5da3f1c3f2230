"""What an epoch leaves behind: a line of figures, the checkpoint to go on from, the best so far."""

import functools
import math
import platform
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from rich.markup import escape
from torch import Tensor

from img2gps import __version__
from img2gps.errors import DeviceError, InvalidCheckpointError
from img2gps.interrupts import held_back
from img2gps.progress import stderr
from img2gps.text import safe_path, safe_text
from train.config.schema import NetworkConfig
from train.data.targets import TargetScale
from train.data.training_data import TrainingData
from train.models.network.learner import Learner
from train.models.network.model import CoordinateNetwork, network_state, unreached_parameters
from train.models.network.optimizer_state import optimizer_tensors, restore_optimizer
from train.runs.checkpoint import (
    MODEL,
    OPTIMIZER,
    STATE,
    Checkpoint,
    load_into,
    read_tensors,
    rotate_checkpoint,
    write_checkpoint,
)
from train.runs.folder import RunFolder
from train.runtime.devices import device_name

__all__ = ["Checkpointer", "epoch_line", "made_by"]

_RAW = "raw."  # the weights that are trained, where their running mean is the model
_MOST_OF_THE_TIME = (
    0.1  # that checkpoints may take: where an epoch is short, writing and syncing every one could take longer
)

_Content = tuple[dict[str, Tensor], dict[str, Any], dict[str, Tensor]]
"""Tensors of the model, state, tensors of the optimiser."""


class Checkpointer:
    """Writes a run's metrics and checkpoints, and takes training up again from them.

    Order per epoch: the line of metrics, ``best``, ``last``. After a kill anywhere in between, the run resumes from the
    ``last`` that is there. It drops the lines ahead of it and comes to the same ``best`` again. If epochs are so short
    that writing would take more than a tenth of the time, checkpoints wait in memory. They wait for their turn, the end
    or an interruption, whichever comes first (`flush`).
    """

    def __init__(
        self,
        *,
        run: RunFolder,
        config: NetworkConfig,
        data: TrainingData,
        scale: TargetScale,
        device: torch.device,
        writes: bool,
    ) -> None:
        self._run, self._config, self._writes = run, config, writes
        self._chooses = data.val is not None
        self._device = device
        self._state = network_state(config, scale, data.source.frame) | {
            "site": data.source.site_name,
            "fold": data.fold,
            "made_by": made_by(device),
        }
        self._best: dict[str, Any] = {"epoch": 0, "val/rmse_m": None}
        self._final: tuple[dict[str, Tensor], dict[str, Any]] | None = None
        self._waiting_best: _Content | None = None
        self._waiting_last: _Content | None = None
        self._next_write = 0.0

    def restore(self, resume: Checkpoint | None, learner: Learner) -> int:
        """Return the number of epochs that are done, having loaded their result; epoch 0 is saved at once."""
        if resume is None:
            self._waiting_last = self._content(0, {}, learner)
            self.flush()
            return 0
        epoch, metrics = self._restored_state(resume)
        extra = read_tensors(resume.folder, OPTIMIZER)
        where = safe_path(resume.folder / f"{OPTIMIZER}.safetensors")
        load_into(learner.model, resume.tensors, where=safe_path(resume.folder / f"{MODEL}.safetensors"))
        if learner.average is not None:
            raw = {name: extra.pop(name) for name in list(extra) if name.startswith(_RAW)}
            load_into(learner.network, {name.removeprefix(_RAW): raw[name] for name in raw}, where=where)
        if epoch or extra:  # before the first step an optimiser holds nothing
            unreached = functools.partial(unreached_parameters, learner.network, self._config.pixels)
            restore_optimizer(learner.optimizer, extra, unreached, where=where)
        if self._writes:
            self._run.cut_metrics(epoch)
        self._final = (_tensors_of(learner.model), self._state_of(epoch, metrics))
        return epoch

    def _restored_state(self, resume: Checkpoint) -> tuple[int, Mapping[str, Any]]:
        """Return the epochs that are done and the last one's figures. Raises InvalidCheckpointError."""
        where, epoch, metrics = safe_path(resume.folder / STATE), resume.epochs_done, resume.state.get("metrics")
        if epoch > self._config.epochs:
            raise InvalidCheckpointError(f"{where} says {epoch} of {self._config.epochs} epochs are done: train again.")
        if not isinstance(metrics, dict):
            raise InvalidCheckpointError(f"{where} holds no metrics: train again.")
        self._best = _checked_best(resume.state, epoch, where)
        return epoch, metrics

    def save(self, epoch: int, figures: Mapping[str, Any], learner: Learner) -> None:
        """Save what epoch number `epoch` (from 1) gave. Raises DeviceError where weights are not finite."""
        _check_weights([learner.network.state_dict(), optimizer_tensors(learner.optimizer)], epoch, figures)
        rmse_m = figures.get("val/rmse_m")
        best_rmse_m = self._best["val/rmse_m"]
        is_best = rmse_m is not None and (best_rmse_m is None or rmse_m < best_rmse_m)
        if is_best:
            self._best = {"epoch": epoch, "val/rmse_m": rmse_m}
        if not self._writes:
            return
        self._run.append_metrics(figures)
        content = self._content(epoch, figures, learner)
        self._final = content[:2]
        self._waiting_last = content
        if is_best:
            self._waiting_best = content
        if time.monotonic() >= self._next_write:
            self.flush()
        else:
            self._detach()
        stderr().print(escape(epoch_line(figures, self._config.epochs, is_best=is_best)))

    def flush(self) -> None:
        """Write the checkpoints that still wait in memory: the best first, then the one to go on from."""
        if not self._writes or self._waiting_last is None:
            return
        with held_back():  # who asks twice to stop gets the epoch written all the same
            self._write()

    def _write(self) -> None:
        assert self._waiting_last is not None
        started = time.monotonic()
        if self._waiting_best is not None:
            tensors, state, _ = self._waiting_best
            write_checkpoint(self._run.best, tensors=tensors, state=state)
        tensors, state, extra = self._waiting_last
        rotate_checkpoint(self._run.last, tensors=tensors, state=state, extra={OPTIMIZER: extra})
        self._waiting_best = self._waiting_last = None
        now = time.monotonic()
        self._next_write = now + (now - started) * (1 / _MOST_OF_THE_TIME - 1)

    def _detach(self) -> None:
        """Copy what waits, on its device: the next step changes the tensors in place."""
        assert self._waiting_last is not None
        same = self._waiting_best is not None and self._waiting_best[1] is self._waiting_last[1]
        self._waiting_last = _copied(self._waiting_last)
        if same:
            self._waiting_best = self._waiting_last

    def finish(self) -> None:
        """Make the last epoch the model where no validation photos chose one."""
        if self._writes and self._final is not None and (not self._chooses or not self._run.best.is_dir()):
            tensors, state = self._final
            write_checkpoint(self._run.best, tensors=tensors, state=state)

    def _content(self, epoch: int, figures: Mapping[str, Any], learner: Learner) -> _Content:
        extra = optimizer_tensors(learner.optimizer)
        if learner.average is not None:
            extra |= {f"{_RAW}{name}": tensor for name, tensor in _tensors_of(learner.network).items()}
        return _tensors_of(learner.model), self._state_of(epoch, figures), extra

    def _state_of(self, epoch: int, figures: Mapping[str, Any]) -> dict[str, Any]:
        # Every random number is a function of the seed, the epoch and the photo: these two are the random states.
        random = {"seed": self._config.seed, "epochs_done": epoch}
        return self._state | {"epoch": epoch, "best": self._best, "metrics": dict(figures), "random": random}


def epoch_line(figures: Mapping[str, Any], epochs: int, *, is_best: bool) -> str:
    """Return one epoch as a person reads it."""
    parts = [f"epoch {figures['epoch']:>{len(str(epochs))}}/{epochs}", f"train loss {figures['train/loss']:.4f}"]
    if figures.get("val/rmse_m") is not None:
        parts.append(f"val loss {figures['val/loss']:.4f}")
        parts.append(f"val RMSE {figures['val/rmse_m']:.1f} m, median {figures['val/median_m']:.1f} m")
    parts.append(f"lr {figures['lr']:.2e}")
    parts.append(f"{figures['images_per_s']:.0f} photos/s")
    return "  ".join(parts) + ("  best" if is_best else "")


def made_by(device: torch.device) -> dict[str, Any]:
    """Return what a repetition must share to give the same bits."""
    return {
        "img2gps": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": device_name(device),
        "threads": torch.get_num_threads(),
    }


def _copied(content: _Content) -> _Content:
    tensors, state, extra = content
    return (
        {name: tensor.clone() for name, tensor in tensors.items()},
        state,
        {name: tensor.clone() for name, tensor in extra.items()},
    )


def _tensors_of(network: CoordinateNetwork) -> dict[str, Tensor]:
    return dict(network.state_dict())


def _check_weights(parts: Sequence[Mapping[str, Tensor]], epoch: int, figures: Mapping[str, Any]) -> None:
    finite = all(bool(torch.isfinite(tensor).all()) for part in parts for tensor in part.values())
    if not finite or not math.isfinite(figures["train/loss"]):
        raise DeviceError(
            f"Weights, or what the optimiser keeps of them, stopped being finite in epoch {epoch}, at learning rate "
            f"{figures['lr']:.3g}. The run keeps epoch {epoch - 1}: train again with a smaller --lr."
        )


def _checked_best(state: Mapping[str, Any], epoch: int, where: str) -> dict[str, Any]:
    """Return which epoch was best so far. Raises InvalidCheckpointError where that cannot be."""
    best = state.get("best")
    if isinstance(best, dict) and {"epoch", "val/rmse_m"} <= best.keys():
        number, rmse_m = best["epoch"], best["val/rmse_m"]
        counted = isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= epoch
        judged = isinstance(rmse_m, int | float) and not isinstance(rmse_m, bool) and 0 <= rmse_m < math.inf
        if counted and (judged or rmse_m is None):
            return dict(best)
    raise InvalidCheckpointError(
        f"{where} names {safe_text(repr(best), limit=80)} as the best of {epoch} epochs: train again."
    )
