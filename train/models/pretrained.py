"""Where a backbone's first weights come from: ImageNet by download, the installed package, a file, or nowhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from rich.markup import escape
from safetensors import torch as safetensors
from torch import Tensor, nn

from img2gps.errors import NotFoundError, UsageError
from img2gps.progress import stderr
from img2gps.text import safe_path, safe_text
from train.config.presets import BUNDLED_MODELS
from train.models.weights.matching import fill, grouped
from train.models.weights.on_disk import bundled_file

__all__ = ["load_weights"]

_WRAPPERS: Final = ("state_dict", "model_state_dict", "model", "teacher")
_WAYS_OUT: Final = (
    f"use --model {BUNDLED_MODELS[0]} --weights bundled (installed, no download), "
    "--weights FILE with weights fetched elsewhere, or --weights none"
)


def load_weights(model: nn.Module, name: str, weights: str) -> None:
    """Load weights into a backbone without classifier, in place.

    `weights` is ``imagenet`` (downloaded by torchvision or timm), ``bundled``, ``none``, or a file. A file is
    .safetensors, or a state dict of torch.save, which is read as data only. It may come from timm, torchvision, DINOv2,
    MegaLoc, SALAD or a run. What a file holds beside the backbone is named on stderr. Raises NotFoundError where
    weights cannot be had, UsageError, which lists what is wrong, where they do not fit.
    """
    if weights == "none":
        return
    if weights == "bundled":
        fill(model, _bundled(name), where=f"the bundled weights of {name}")
    elif weights == "imagenet":
        fill(model, _downloaded(name), where=f"the ImageNet weights of {name}")
    elif left := fill(model, _from_file(Path(weights)), where=safe_path(weights)):
        stderr().print(escape(f"{safe_path(weights)}: the backbone is taken; left out: {grouped(left)}."))


def _bundled(name: str) -> Mapping[str, Tensor]:
    path = bundled_file(name)
    if path is None:
        raise UsageError(f"No weights of {safe_text(name)} are bundled, only those of {' and '.join(BUNDLED_MODELS)}.")
    return _state_dict(torch.load(path, map_location="cpu", weights_only=True))


def _downloaded(name: str) -> Mapping[str, Tensor]:
    try:
        if name.startswith("timm/"):
            import timm

            _fail_fast_without_network()
            return _state_dict(timm.create_model(name.removeprefix("timm/"), pretrained=True).state_dict())
        from torchvision.models import get_model_weights

        chosen: Any = get_model_weights(name)
        return _state_dict(chosen.DEFAULT.get_state_dict(progress=False, check_hash=True, weights_only=True))
    except Exception as error:  # each hub fails in ways of its own; all mean the same here
        reason = safe_text(str(error).splitlines()[0] if str(error) else type(error).__name__, limit=120)
        raise NotFoundError(
            f"The ImageNet weights of {safe_text(name)} cannot be downloaded ({reason}): {_WAYS_OUT}."
        ) from error


def _fail_fast_without_network() -> None:
    """Leave the hub's client its local cache alone where the hub cannot be reached: its retries take a minute."""
    import socket

    from huggingface_hub import constants

    try:
        socket.create_connection(("huggingface.co", 443), timeout=10).close()
    except OSError:
        constants.HF_HUB_OFFLINE = True


def _from_file(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise NotFoundError(f"No weights at {safe_path(path)}: give imagenet, bundled, none or a file that exists.")
    try:
        if path.suffix == ".safetensors":
            return safetensors.load_file(path)
        return _state_dict(torch.load(path, map_location="cpu", weights_only=True))
    except UsageError:
        raise
    except Exception as error:  # the restricted unpickler and safetensors each raise types of their own
        raise UsageError(
            f"{safe_path(path)} holds no weights that can be read: "
            "give a .safetensors file or a state dict of torch.save."
        ) from error


def _state_dict(value: object) -> Mapping[str, Tensor]:
    """Return the state dict that a file holds, itself or under a name that trainers give it."""
    if isinstance(value, Mapping):
        value = next((value[key] for key in _WRAPPERS if isinstance(value.get(key), Mapping)), value)
    if not isinstance(value, Mapping) or not all(isinstance(tensor, Tensor) for tensor in value.values()):
        raise UsageError("The file holds something other than a state dict: save model.state_dict() alone.")
    return value
