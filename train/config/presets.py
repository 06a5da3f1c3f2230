"""Sets of choices that belong together, as data. A preset means one thing on every machine."""

import difflib
from typing import Final

from img2gps.errors import UsageError
from img2gps.text import safe_text
from train.config.schema import NetworkConfig, ProbeConfig, TrainConfig
from train.config.values import changed

__all__ = ["BUNDLED_MODELS", "PRESETS", "PUBLISHED_ASSUMPTIONS", "preset"]

BUNDLED_MODELS: Final = ("timm/tf_efficientnet_lite0", "timm/tf_efficientnet_lite2")
"""The networks whose pretrained weights install with the package."""

_PUBLISHED: Final = NetworkConfig(
    preset="published",
    # Stated by the authors: the network, both batch sizes, optimiser, schedule, input, epochs and loss.
    model="resnet18",
    batch_size=16,
    val_batch_size=32,
    optimizer="adam",
    lr=1e-3,
    schedule="step",
    step_epochs=5,
    step_gamma=0.1,
    size=224,
    aspect=1.0,
    epochs=15,
    loss="mse",
    # Not stated: see PUBLISHED_ASSUMPTIONS.
    target="degrees",
    weights="none",
    fit="squash",
    head="linear",
)

PUBLISHED_ASSUMPTIONS: Final = (
    "latitude and longitude are scaled, each by the mean and standard deviation of the training photos",
    "no augmentation",
    "weights start from random values (none are stated)",
    "photos are stretched to the square input, pixels scaled by ImageNet's mean and deviation",
    "the coordinate head is one linear layer in place of the classifier",
    "the epoch with the lowest validation RMSE is the model",
)
"""What the authors of the published recipe do not state and this preset therefore chooses."""

_FINE_TUNED: Final = NetworkConfig(
    preset="finetune",
    # Weights that arrive with the package: no download, no hub, the same result on every machine.
    model="timm/tf_efficientnet_lite0",
    weights="bundled",
    size=192,
    aspect=4 / 3,  # the upright photo of a phone, uncropped
    fit="pad",
    target="metres",  # one shared scale: an error east weighs as much as one north
    loss="huber",  # wrong labels exist; their pull is bounded
    huber_delta_m=10.0,
    head="mlp",
    hidden=512,
    dropout=0.2,
    optimizer="adamw",
    weight_decay=0.05,
    lr=1e-3,
    schedule="cosine",
    warmup_epochs=1.0,
    batch_size=32,
    val_batch_size=64,
    epochs=15,
    layer_lr_decay=0.7,
    ema=0.98,
    grad_clip=1.0,
    augment_crop=0.15,
    augment_rotate_deg=5.0,
    augment_colour=0.3,
)

_QUICK: Final = ProbeConfig(
    preset="quick",
    # Weights that arrive with the package and are never trained: the heads need seconds, no GPU and no network.
    model="timm/tf_efficientnet_lite0",
    weights="bundled",
    size=192,
    aspect=4 / 3,
    fit="pad",
    heads="neighbours+heat_map",
    head="linear",
    dropout=0.3,
    lr=3e-3,
    weight_decay=0.05,
    epochs=40,
    batch_size=128,
)

# The same backbone looks three times, each time at more pixels, so that a view is found again from nearer and from
# farther away; heat maps with a hidden layer are averaged. Better, for some minutes more.
_DEFAULT: Final = changed(
    _QUICK,
    {
        "preset": "default",
        "model": "timm/tf_efficientnet_lite0+timm/tf_efficientnet_lite0@288+timm/tf_efficientnet_lite0@192",
        "size": 432,
        "head": "mlp",
        "hidden": 512,
        "lr": 1e-3,
        "epochs": 80,
        "heat_seeds": 3,
        "temperature": 0.5,  # three kinds of similarity are steadier than the two of `quick`
        "exponent": 0.8,  # heads that look at the same features agree more than independent witnesses would
    },
    where="the preset default",
)

PRESETS: Final[dict[str, TrainConfig]] = {
    "published": _PUBLISHED,
    "quick": _QUICK,
    "default": _DEFAULT,
    "finetune": _FINE_TUNED,
}


def preset(name: object, where: str = "") -> TrainConfig:
    """Return a preset by its name, which was given at `where`. Raises UsageError."""
    if isinstance(name, str) and name in PRESETS:
        return PRESETS[name]
    close = difflib.get_close_matches(str(name), PRESETS, n=1)
    hint = f"did you mean {close[0]}, of {', '.join(PRESETS)}?" if close else f"there are {', '.join(PRESETS)}."
    raise UsageError(f"No preset {safe_text(repr(name))}{f' ({where})' if where else ''}: {hint}")
