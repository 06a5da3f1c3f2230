"""Which runs a study is made of: the product of its axes and seeds."""

import dataclasses
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from typing import Final, Literal

from img2gps.errors import UsageError
from img2gps.files import canonical_json, sha256_bytes
from img2gps.text import safe_text
from train.config.schema import TrainConfig
from train.config.values import changed, config_values, parse_assignments, refuse_unread
from train.runs.names import LONGEST_NAME

__all__ = ["REFERENCE_BATCH", "Axes", "Cell", "ScaleRule", "parse_axes", "study_cells"]

ScaleRule = Literal["none", "linear", "sqrt"]
"""How the learning rate follows the batch: not; in proportion (Goyal et al., 2017); by its root (Krizhevsky, 2014)."""

REFERENCE_BATCH: Final = 32

Axes = Mapping[str, tuple[object, ...]]
"""Config fields and the values that each takes, in the order given."""


_NUMBER: Final = 5  # characters to spare: a dash before the hash, and a number where the name is taken


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of a study: its place on the axes that vary, its seed and the config that follows from them."""

    values: tuple[tuple[str, object], ...]
    seed: int
    config: TrainConfig

    @property
    def setting(self) -> str:
        """The place on the axes, as a person reads it; runs that differ only in the seed share it."""
        return ", ".join(f"{name} {_short(value)}" for name, value in self.values) or self.config.preset

    @property
    def name(self) -> str:
        """The run's folder name: the place, cut where it is long, and a hash of the whole config."""
        parts = [f"{name}-{_short(value)}" for name, value in self.values]
        place = re.sub(r"[^A-Za-z0-9._-]+", "_", "-".join([*parts, f"seed-{self.seed}"]))
        digest = sha256_bytes(canonical_json(config_values(self.config)))[:8]
        return f"{place[: LONGEST_NAME - len(digest) - _NUMBER]}-{digest}"


def parse_axes(options: Mapping[str, str | None], assignments: tuple[str, ...]) -> dict[str, tuple[object, ...]]:
    """Return the axes of options like ``lr="1e-3,3e-3"`` (None: not given) and ``--set name=v1,v2``.

    Raises UsageError where a field is given twice or a list is empty.
    """
    given = [(name, text) for name, text in options.items() if text is not None]
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"--set takes name=value,value, not {safe_text(repr(assignment))}.")
        given.append((name.strip().replace("-", "_"), text))
    axes: dict[str, tuple[object, ...]] = {}
    for name, text in given:
        pieces = [piece.strip() for piece in text.split(",") if piece.strip()]
        if name in axes or not pieces:
            raise UsageError(f"The axis {safe_text(name)} is given twice or is empty.")
        axes[name] = tuple(dict.fromkeys(parse_assignments((f"{name}={piece}",))[name] for piece in pieces))
    return axes


def study_cells(base: TrainConfig, axes: Axes, *, seeds: int, scale_lr: ScaleRule = "none") -> list[Cell]:
    """Return the runs of a study, seeds innermost.

    With `scale_lr` the learning rate on the axis is that of a batch of `REFERENCE_BATCH`. Raises UsageError for a
    value that does not fit its field, and for a field that makes no difference to the method.
    """
    for name, instead in (("seed", "--seeds N"), ("preset", "--preset NAME")):
        if name in axes:
            raise UsageError(f"The {name} is no axis: give {instead}.")
    cells: list[Cell] = []
    for values in itertools.product(*axes.values()):
        named = dict(zip(axes, values, strict=True))
        config = changed(base, named, where="An axis")
        refuse_unread(config, named)
        config = changed(config, {"lr": config.lr * _factor(config.batch_size, scale_lr)}, where="--scale-lr")
        place = tuple((name, getattr(changed(base, named), name)) for name, given in axes.items() if len(given) > 1)
        cells += [
            Cell(values=place, seed=seed, config=changed(config, {"seed": seed}, where="--seeds"))
            for seed in range(seeds)
        ]
    return cells


def settings_of(cells: Sequence[Cell]) -> dict[str, list[Cell]]:
    """Return the cells of each setting, in order."""
    grouped: dict[str, list[Cell]] = {}
    for cell in cells:
        grouped.setdefault(cell.setting, []).append(cell)
    return grouped


def _short(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _factor(batch_size: int, rule: ScaleRule) -> float:
    ratio = batch_size / REFERENCE_BATCH
    return {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[rule]
