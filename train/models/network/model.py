"""A backbone with a coordinate head, and the localizer made of it."""

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from img2gps.errors import InvalidCheckpointError, UsageError
from img2gps.geo import FloatArray, LocalFrame
from img2gps.pixels import PixelSpec
from img2gps.text import safe_path, safe_text
from train.config.schema import NetworkConfig
from train.config.values import config_values, network_of
from train.data.targets import TargetScale
from train.models.backbones import Backbone, build_backbone, stage_of
from train.models.localizer import Estimate
from train.models.pretrained import load_weights
from train.runs.checkpoint import Checkpoint, load_into
from train.runtime.devices import autocast

__all__ = [
    "CoordinateNetwork",
    "NetworkLocalizer",
    "build_network",
    "network_state",
    "on_device",
    "parameter_groups",
    "restore_network",
    "set_training_mode",
    "unreached_parameters",
]


class CoordinateNetwork(nn.Module):
    """(N, 3, height, width) RGB in [0, 255] to (N, 2) scaled coordinates (`train.data.targets.TargetScale`)."""

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone.module, head
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) * 255.0 for values in (backbone.mean, backbone.std))
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the scaled coordinates."""
        features: Tensor = self.backbone((images - self.mean) / self.std)
        # bfloat16 holds three digits: a third of a metre on a site of a hundred
        with torch.autocast(features.device.type, enabled=False):
            coordinates: Tensor = self.head(features.float())
        return coordinates


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class NetworkLocalizer:
    """A trained network on its device (`train.models.localizer.Localizer`). It gives a point, no distribution."""

    network: CoordinateNetwork
    scale: TargetScale
    frame: LocalFrame
    pixels: PixelSpec
    device: torch.device

    def locate(self, images: Tensor) -> Estimate:
        """Return the positions of a uint8 RGB batch of shape (N, 3, height, width)."""
        east_m, north_m = self.scale.decode(self.outputs(images), self.frame)
        return Estimate(east_m=east_m, north_m=north_m)

    @torch.inference_mode()
    def outputs(self, images: Tensor) -> FloatArray:
        """Return the scaled coordinates of a uint8 batch, shape (N, 2)."""
        self.network.eval()
        with autocast(self.device):
            scaled: Tensor = self.network(on_device(images, self.device))
        return np.asarray(scaled.float().cpu().numpy(), dtype=np.float64)


def on_device(images: Tensor, device: torch.device) -> Tensor:
    """Return a uint8 batch as float32 on the device, in the memory layout its convolutions are fastest in."""
    layout = torch.contiguous_format if device.type == "mps" else torch.channels_last
    return images.to(device, non_blocking=True).to(torch.float32, memory_format=layout)


def build_network(config: NetworkConfig, *, device: torch.device, with_weights: bool) -> CoordinateNetwork:
    """Return the network of a config on its device; `with_weights=False` where a checkpoint will fill it."""
    backbone = build_backbone(config.model, height=config.pixels.height, width=config.pixels.width)
    if with_weights:
        load_weights(backbone.module, config.model, config.weights)
    network = CoordinateNetwork(backbone, _head(config, backbone.features))
    layout = torch.contiguous_format if device.type == "mps" else torch.channels_last
    network.to(memory_format=layout)
    return _checked_input(network.to(device), config)


@torch.inference_mode()
def _checked_input(network: CoordinateNetwork, config: NetworkConfig) -> CoordinateNetwork:
    """Return the network if it takes the config's input. Raises UsageError where it is too small or of another form."""
    spec = config.pixels
    network.eval()
    try:
        network(torch.zeros(1, 3, spec.height, spec.width, device=network.mean.device))
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ValueError) as error:
        raise UsageError(
            f"{safe_text(config.model)} takes no input of {spec.width} x {spec.height} px: give another --size."
        ) from error
    return network


def _head(config: NetworkConfig, features: int) -> nn.Module:
    if config.head == "linear":
        return nn.Sequential(nn.Dropout(config.dropout), nn.Linear(features, 2))
    return nn.Sequential(
        nn.Linear(features, config.hidden), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(config.hidden, 2)
    )


def _stages(network: CoordinateNetwork) -> list[str]:
    return list(dict.fromkeys(stage_of(name) for name, _ in network.backbone.named_parameters()))


def _frozen_stages(network: CoordinateNetwork, share: float) -> set[str]:
    stages = _stages(network)
    return set(stages[: round(share * len(stages))])


def parameter_groups(network: CoordinateNetwork, config: NetworkConfig) -> list[dict[str, Any]]:
    """Return the optimiser's groups: the head, then each trained stage with its factor on the learning rate.

    Frozen stages stop requiring gradients. Layer-wise decay as in Howard and Ruder, "ULMFiT", ACL 2018.
    """
    stages, frozen = _stages(network), _frozen_stages(network, config.freeze)
    members: dict[str, list[nn.Parameter]] = {stage: [] for stage in stages}
    for name, parameter in network.backbone.named_parameters():
        parameter.requires_grad_(stage_of(name) not in frozen)
        members[stage_of(name)].append(parameter)
    groups: list[dict[str, Any]] = [{"params": list(network.head.parameters()), "factor": 1.0}]
    for depth, stage in enumerate(reversed(stages), start=1):
        if stage not in frozen:
            groups.append({"params": members[stage], "factor": config.layer_lr_decay**depth})
    return groups


def set_training_mode(network: CoordinateNetwork, config: NetworkConfig) -> None:
    """Put the network into training mode, but for the BatchNorm of frozen stages, or all (`freeze_batchnorm`)."""
    network.train()
    frozen = _frozen_stages(network, config.freeze)
    for name, module in network.backbone.named_modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and (
            config.freeze_batchnorm or stage_of(f"{name}.weight") in frozen
        ):
            module.eval()


def unreached_parameters(network: CoordinateNetwork, pixels: PixelSpec) -> set[nn.Parameter]:
    """Return the parameters that no loss has a gradient for: parts of a backbone that its features leave out."""
    network.eval()  # one photo has no variance
    outputs = network(torch.zeros(1, 3, pixels.height, pixels.width, device=network.mean.device))
    torch.autograd.backward(outputs.sum())
    unreached = {parameter for parameter in network.parameters() if parameter.grad is None}
    network.zero_grad(set_to_none=True)
    return unreached


def network_state(config: NetworkConfig, scale: TargetScale, frame: LocalFrame) -> dict[str, Any]:
    """Return what `restore_network` needs beside the tensors, as JSON values."""
    return {
        "method": "network",
        "config": config_values(config),
        "target": scale.to_json(),
        "frame": dataclasses.asdict(frame),
    }


def restore_network(checkpoint: Checkpoint, *, device: torch.device) -> NetworkLocalizer:
    """Return the model of a checkpoint. Raises InvalidCheckpointError where tensors and state do not fit."""
    where = safe_path(checkpoint.folder)
    try:
        config = network_of(checkpoint.state["config"], where=where)
        scale = TargetScale.from_json(checkpoint.state["target"])
        frame = LocalFrame(**checkpoint.state["frame"])
        network = build_network(config, device=device, with_weights=False)
    except (KeyError, TypeError, ValueError, UsageError) as error:
        raise InvalidCheckpointError(f"{where} has a damaged state.json ({error}): train again.") from error
    load_into(network, checkpoint.tensors, where=where)
    network.eval()
    return NetworkLocalizer(network=network, scale=scale, frame=frame, pixels=config.pixels, device=device)
