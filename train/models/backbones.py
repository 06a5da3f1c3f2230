"""Networks that turn a photo into features: torchvision's by name, any of timm's as ``timm/NAME``."""

import dataclasses
import difflib
import re
from typing import Any, Final

from torch import nn

from img2gps.errors import UsageError
from img2gps.text import join_words, safe_text

__all__ = ["Backbone", "build_backbone", "is_torchvision", "stage_of"]

IMAGENET_MEAN: Final = (0.485, 0.456, 0.406)
IMAGENET_STD: Final = (0.229, 0.224, 0.225)

# torchvision also holds segmentation, detection and video networks under names of their own
_FAMILIES: Final = re.compile(
    r"(resnet|resnext|wide_resnet|regnet|efficientnet|convnext|mobilenet|shufflenet|densenet|mnasnet|swin)"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Backbone:
    """A network without its classifier: (N, 3, height, width) normalised photos to (N, features)."""

    module: nn.Module
    features: int
    height: int
    width: int
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


def build_backbone(name: str, *, height: int, width: int, whole_patches: bool = False) -> Backbone:
    """Return the backbone of that name with random weights, for photos of a size in pixels.

    A transformer sees no pixels beyond its last whole patch. With `whole_patches` its size is the largest one that its
    patches divide, so it sees the whole photo. Raises UsageError for an unknown name, or a size that the network does
    not take.
    """
    if name.startswith("timm/"):
        return _timm(name.removeprefix("timm/"), height, width, whole_patches=whole_patches)
    from torchvision.models import get_model

    known = _of_torchvision()
    if name not in known:
        close = difflib.get_close_matches(name, known, n=3)
        hint = f"did you mean {join_words(close, 'or')}?" if close else "use resnet18, resnet50 or timm/NAME."
        raise UsageError(f"No model {safe_text(repr(name))}: {hint}")
    model: nn.Module = get_model(name, weights=None)
    return Backbone(module=model, features=_drop_classifier(model), height=height, width=width)


def is_torchvision(name: str) -> bool:
    """Return whether `build_backbone` takes the name for a network of torchvision."""
    return name in _of_torchvision()


def _of_torchvision() -> list[str]:
    from torchvision.models import list_models

    return [model for model in list_models() if _FAMILIES.match(model)]


def _timm(name: str, height: int, width: int, *, whole_patches: bool) -> Backbone:
    import timm

    if not timm.is_model(name):
        close = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f"did you mean {join_words(['timm/' + model for model in close], 'or')}?" if close else "see timm."
        raise UsageError(f"timm has no model {safe_text(repr(name))}: {hint}")
    model = _sized(name, height, width)
    if whole_patches and (fitting := _whole_patches(model, height, width)) != (height, width):
        if not all(fitting):
            raise UsageError(f"{width} x {height} px are less than one patch of timm/{safe_text(name)}: raise --size.")
        height, width = fitting
        model = _sized(name, height, width)
    facts: Any = model  # timm's models describe themselves in attributes that no type declares
    features = int(getattr(facts, "head_hidden_size", None) or facts.num_features)
    given = facts.pretrained_cfg
    mean, std = tuple(given["mean"]), tuple(given["std"])
    return Backbone(module=model, features=features, height=height, width=width, mean=mean, std=std)


def _sized(name: str, height: int, width: int) -> nn.Module:
    import timm

    options: dict[str, Any] = {"pretrained": False, "num_classes": 0}
    try:
        return timm.create_model(name, img_size=(height, width), **options)
    except TypeError:  # a convolutional network takes any size and knows no such option
        return timm.create_model(name, **options)
    except AssertionError as error:
        raise UsageError(
            f"timm/{safe_text(name)} does not take photos of {width} x {height} px ({safe_text(str(error))}): "
            "give a --size that its patches divide."
        ) from error


def _whole_patches(model: nn.Module, height: int, width: int) -> tuple[int, int]:
    """Return the height and width of the largest input within the given one that holds whole patches."""
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    if not isinstance(patch, tuple) or len(patch) != 2:
        return height, width
    return height // patch[0] * patch[0], width // patch[1] * patch[1]


def _drop_classifier(model: nn.Module) -> int:
    """Replace the last linear layer, the classifier, by nothing and return the features it took."""
    name, last = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.Linear)][-1]
    parent_name, _, own_name = name.rpartition(".")
    setattr(model.get_submodule(parent_name), own_name, nn.Identity())
    return last.in_features


def stage_of(parameter_name: str) -> str:
    """Return the stage a parameter of a backbone belongs to: ``layer1``, ``blocks.3``, ``conv1``, ..."""
    parts = parameter_name.split(".")
    return (
        ".".join(parts[:2]) if len(parts) > 2 and parts[1].isdigit() and not parts[0].startswith("layer") else parts[0]
    )
