"""What a training run is made of: one flat table of named values, the same in Python, TOML and on the command line."""

import dataclasses
import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin, get_type_hints

from img2gps.errors import NotFoundError, UsageError
from img2gps.text import safe_path, safe_text
from train.pixels import Fit, PixelSpec

__all__ = [
    "FIELD_NAMES",
    "MOST_EPOCHS",
    "UNREAD",
    "TrainConfig",
    "changed",
    "config_values",
    "parse_assignments",
    "read_toml",
    "refuse_unread",
]

Method = Literal["network", "probe"]
Head = Literal["linear", "mlp"]
Target = Literal["degrees", "metres"]
Loss = Literal["mse", "huber"]
Optimizer = Literal["adam", "adamw", "sgd"]
Schedule = Literal["step", "cosine", "constant"]
Answer = Literal["mean", "median", "mode"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """Every choice of a run; `train.presets` gives sets of them that belong together.

    Together with the dataset, the device, the thread count and the version of torch it determines the
    weights. Lengths in pixels and metres, rates per epoch.
    """

    preset: str = "default"
    method: Method = "network"
    model: str = "resnet18"
    """A torchvision network or ``timm/NAME``; a probe takes several, joined by ``+``, each with ``@PIXELS`` at will."""
    weights: str = "none"
    size: int = 224
    """Short side of the input in pixels."""
    aspect: float = 1.0
    """Height over width of the input: 1 square, 4/3 the upright photo of a phone."""
    fit: Fit = "squash"
    head: Head = "linear"
    hidden: int = 256
    dropout: float = 0.0
    target: Target = "metres"
    loss: Loss = "mse"
    huber_delta_m: float = 10.0
    optimizer: Optimizer = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: Schedule = "constant"
    step_epochs: int = 5
    step_gamma: float = 0.1
    warmup_epochs: float = 0.0
    epochs: int = 15
    batch_size: int = 16
    val_batch_size: int = 32
    freeze: float = 0.0
    """Share of the backbone's stages, from the input on, that stay as they are: 0 trains all, 1 only the head."""
    freeze_batchnorm: bool = False
    layer_lr_decay: float = 1.0
    """Factor on the learning rate per stage of the backbone, from the head down."""
    ema: float = 0.0
    """Decay per step of the running mean of the weights that is kept as the model; 0 for none."""
    grad_clip: float = 0.0
    augment_crop: float = 0.0
    """Share of each side that a random crop may cut off."""
    augment_rotate_deg: float = 0.0
    augment_colour: float = 0.0
    """Strength of random brightness, contrast and saturation."""
    cuda_graphs: bool = True
    """Replay whole batches from CUDA graphs where the device and the network allow it."""
    tune_epochs: int = 0
    """Of a probe: epochs in which the last two stages of a copy of its last network learn the site; 0 adds none."""
    heads: str = "neighbours+heat_map"
    """Of a probe: the heads (neighbours, heat_map, regression) whose distributions are multiplied, joined by ``+``."""
    exponent: float = 1.0
    """On the product; below 1 the heads count as saying partly the same."""
    answer: Answer = "median"
    """The point of the distribution: its mean, its geometric median (least expected distance) or its mode."""
    cell_m: float = 4.0
    """Side of the cells; larger where the site would have over 20,000."""
    reach_m: float = 14.0
    """Cells reach this far from the training photos."""
    whiten_dims: int = 512
    whiten_power: float = 0.35
    """Eigenvalue ** power divides each principal axis: 0.5 whitens fully, 0 not at all. Only without learnt pairs."""
    own_statistics: float = 0.1
    """Of a probe: share of a photo's own mean and variance in the later half of its networks' batch normalisations."""
    even_light: bool = True
    """Of a probe: take off pooled features what the brightness of a photo alone foretells of them."""
    even_density: bool = True
    """Of a probe: divide the product by how many training photos were taken near, which every head has in it."""
    pair_m: float = 10.0
    """Photos of two walks no further apart may show one view, and teach what likeness is; 0 learns no metric."""
    neighbours: int = 20
    """Photos that carry the density."""
    shortlist: int = 100
    """Photos, most alike by pooled features, that are compared by local ones too; 0 compares none."""
    temperature: float = 0.75
    """Of the softmax over similarities, in their standard deviations."""
    bandwidth_m: float = 12.0
    """Standard deviation of the kernel around each neighbour's position."""
    floor: float = 1e-4
    """Share of the neighbours' density that lies anywhere."""
    label_sigma_m: float = 10.0
    """Standard deviation of the heat map's soft labels."""
    heat_seeds: int = 1
    """Heat maps that are trained and averaged."""
    mixup: float = 0.4
    """Parameter of the beta distribution that mixes pairs of photos for the heat map; 0 mixes none."""
    seed: int = 0
    device: str = "auto"
    threads: int = 0
    """CPU threads of torch; 0 for torch's own choice."""

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise UsageError(f"{name} is {value!r}; it must lie between {low!r} and {high!r}.")

    @property
    def pixels(self) -> PixelSpec:
        """The input of the model: the short side is `size`, the other follows from `aspect`."""
        long_side = round(self.size * max(self.aspect, 1 / self.aspect))
        height, width = (long_side, self.size) if self.aspect >= 1 else (self.size, long_side)
        return PixelSpec(height=height, width=width, fit=self.fit)


_UNBOUNDED: Final = 1e12
MOST_EPOCHS: Final = 1_000_000
_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "size": (16, 4096),
    "aspect": (0.2, 5.0),
    "hidden": (1, 65536),
    "dropout": (0.0, 0.99),
    "huber_delta_m": (1e-3, 1e6),
    "lr": (1e-12, 1e6),
    "weight_decay": (0.0, 1e3),
    "step_epochs": (1, 1_000_000),
    "step_gamma": (1e-9, 1.0),
    "warmup_epochs": (0.0, 1_000_000),
    "epochs": (1, MOST_EPOCHS),
    "batch_size": (1, 1_000_000),
    "val_batch_size": (1, 1_000_000),
    "freeze": (0.0, 1.0),
    "layer_lr_decay": (1e-3, 1.0),
    "ema": (0.0, 0.99999),
    "grad_clip": (0.0, _UNBOUNDED),
    "augment_crop": (0.0, 0.9),
    "augment_rotate_deg": (0.0, 45.0),
    "augment_colour": (0.0, 1.0),
    "tune_epochs": (0, 100_000),
    "exponent": (1e-3, 10.0),
    "own_statistics": (0.0, 1.0),
    "cell_m": (0.1, 1e6),
    "reach_m": (0.0, 1e6),
    "whiten_dims": (1, 65536),
    "whiten_power": (0.0, 0.5),
    "pair_m": (0.0, 1e6),
    "neighbours": (1, 1_000_000),
    "shortlist": (0, 1_000_000),
    "temperature": (1e-3, 1e3),
    "bandwidth_m": (0.1, 1e6),
    "floor": (1e-12, 1.0),
    "label_sigma_m": (0.1, 1e6),
    "heat_seeds": (1, 100),
    "mixup": (0.0, 100.0),
    "seed": (0, 2**63 - 1),
    "threads": (0, 4096),
}

FIELD_NAMES: Final = tuple(field.name for field in dataclasses.fields(TrainConfig))


_NETWORKS_ALONE: Final = frozenset(
    (
        *("target", "loss", "huber_delta_m", "optimizer", "schedule", "step_epochs", "step_gamma", "warmup_epochs"),
        *("val_batch_size", "freeze", "freeze_batchnorm", "layer_lr_decay", "ema", "grad_clip", "cuda_graphs"),
        *("augment_crop", "augment_rotate_deg", "augment_colour"),
    )
)
_PROBES_ALONE: Final = frozenset(
    (
        *("tune_epochs", "heads", "exponent", "answer", "cell_m", "reach_m", "whiten_dims", "whiten_power"),
        *("own_statistics", "even_light", "even_density", "pair_m", "neighbours", "shortlist", "temperature"),
        *("bandwidth_m", "floor", "label_sigma_m", "heat_seeds", "mixup"),
    )
)
UNREAD: Final[dict[str, frozenset[str]]] = {"network": _PROBES_ALONE, "probe": _NETWORKS_ALONE}
"""The fields that make no difference to a method."""


def refuse_unread(config: TrainConfig, names: Iterable[str]) -> None:
    """Raise UsageError where one of the fields that were asked for makes no difference to the config's method."""
    unread = [name for name in names if name in UNREAD[config.method]]
    if unread:
        other = "finetune or --preset published" if config.method == "probe" else "quick or --preset default"
        raise UsageError(
            f"{unread[0]} makes no difference to the method {config.method} of the preset {config.preset}: "
            f"leave it out, or use --preset {other}."
        )


def config_values(config: TrainConfig) -> dict[str, Any]:
    """Return the config as a table that TOML and JSON can hold; `changed` reads it back."""
    return dataclasses.asdict(config)


def changed(base: TrainConfig, values: Mapping[str, object], *, where: str = "the options") -> TrainConfig:
    """Return `base` with `values` in place, each checked against the type of its field.

    Raises UsageError naming the field, and `where` it was given.
    """
    hints = get_type_hints(TrainConfig)
    checked: dict[str, Any] = {}
    for name, value in values.items():
        if name not in hints:
            close = difflib.get_close_matches(name, FIELD_NAMES, n=1)
            hint = f"; did you mean {close[0]}?" if close else "."
            raise UsageError(f"{where} sets {safe_text(name)}, which is no field of a training config{hint}")
        checked[name] = _typed(name, value, hints[name], where)
    return dataclasses.replace(base, **checked)


def _typed(name: str, value: object, kind: Any, where: str) -> object:
    if get_origin(kind) is Literal:
        if value in get_args(kind):
            return value
        choices = ", ".join(map(str, get_args(kind)))
        raise UsageError(f"{where} sets {name} to {safe_text(repr(value))}; it is one of {choices}.")
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    raise UsageError(f"{where} sets {name} to {safe_text(repr(value))}, which is not of type {kind.__name__}.")


def parse_assignments(assignments: tuple[str, ...]) -> dict[str, object]:
    """Return ``name=value`` texts as a table; values are TOML where they parse as such, else plain text."""
    values: dict[str, object] = {}
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set takes name=value, not {safe_text(repr(assignment))}.")
        values[name.strip().replace("-", "_")] = _value_of(text.strip())
    return values


def _value_of(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file as a table. Raises NotFoundError or UsageError."""
    if not path.is_file():
        raise NotFoundError(f"No config file {safe_path(path)}: give a TOML file, or a run's config.toml.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{safe_path(path)} is not TOML ({error}).") from error
