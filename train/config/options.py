"""From what was typed to a config: option over environment over config file over preset."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from img2gps.errors import UsageError
from img2gps.text import safe_path, safe_text
from train.config.presets import BUNDLED_MODELS, preset
from train.config.schema import TrainConfig
from train.config.values import changed, parse_assignments, read_toml, refuse_unread

__all__ = ["DEFAULT_PRESET", "Choice", "resolve", "study_base"]

DEFAULT_PRESET = "default"

Value = TypeVar("Value")

Choice = tuple[TrainConfig, Path | None, bool]
"""The config, the dataset that a config file names, and whether it asks for folds."""


def resolve(
    *,
    preset_name: str | None,
    options: Mapping[str, object],
    assignments: tuple[str, ...],
    config_path: Path | None,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> Choice:
    """Return the config that options (None: not given), ``--set``, the environment and a config file amount to.

    `environment` names the variable that an option came from, ``set`` and ``preset`` among them; all others were typed.
    The file is one of options at its top level or in a table ``[train]``, such as the config.toml of a run. Raises
    UsageError for unknown names, wrong values, fields that the method does not read, and a preset that contradicts the
    config of a run. Raises NotFoundError for a missing file.
    """
    values, file = _file_values(config_path)
    dataset, folds = _popped(values, "dataset", str, file), _popped(values, "folds", bool, file)
    assigned = parse_assignments(assignments)
    layers = [
        (values, dict.fromkeys(values, file)),
        *_layers({**options, "preset": preset_name}, assigned, environment),
    ]
    merged: dict[str, object] = {}
    where: dict[str, str] = {}
    for given, sources in layers:
        merged, where = merged | given, where | sources
    chosen = merged.pop("preset", None)
    base = _unnamed_preset([str(merged.get("model") or "")]) if chosen is None else preset(chosen, where["preset"])
    if "method" in values and chosen != values.get("preset", chosen):
        raise UsageError(
            f"{file} is the whole config of a run of {safe_text(str(values['preset']))}, "
            f"{where['preset']} asks for {base.preset}: give one of them."
        )
    for given, sources in layers:  # a wrong value is refused where another overrides it, too
        changed(base, {name: value for name, value in given.items() if name != "preset"}, where=sources)
    config = changed(base, merged, where=where)
    refuse_unread(config, assigned)
    return config, None if dataset is None else Path(dataset), bool(folds)


def _layers(
    options: Mapping[str, object], assigned: Mapping[str, object], environment: Mapping[str, str]
) -> list[tuple[dict[str, object], dict[str, str]]]:
    """Return what the environment and then what the command line sets, each with the source of every value."""
    of_environment: tuple[dict[str, object], dict[str, str]] = ({}, {})
    typed: tuple[dict[str, object], dict[str, str]] = ({}, {})
    for name, value in _given(options).items():
        given, sources = of_environment if name in environment else typed
        given[name], sources[name] = value, environment.get(name, f"--{name.replace('_', '-')}")
    for name, value in assigned.items():
        given, sources = of_environment if "set" in environment else typed
        given[name], sources[name] = value, environment.get("set", "--set")
    return [of_environment, typed]


def study_base(
    preset_name: str | None,
    *,
    models: Sequence[str],
    options: Mapping[str, object],
    environment: Mapping[str, str] = MappingProxyType({}),
) -> TrainConfig:
    """Return the config that the runs of a study of `models` (none: the preset's own) begin with, as `resolve` would.

    Raises UsageError for unknown names and wrong values.
    """
    source = environment.get("preset", "--preset")
    base = _unnamed_preset(models) if preset_name is None else preset(preset_name, source)
    sources = {name: environment.get(name, f"--{name.replace('_', '-')}") for name in options}
    return changed(base, _given(options), where=sources)


def _given(options: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}


def _unnamed_preset(models: Sequence[str]) -> TrainConfig:
    """Return the preset where none is named: a network of one's own choice is trained end to end.

    Its weights are random unless asked for otherwise: what needs a download must not be a default.
    """
    parts = [part.partition("@")[0] for model in models if model for part in model.split("+")]
    if all(part in BUNDLED_MODELS for part in parts):
        return preset(DEFAULT_PRESET)
    return changed(preset("finetune"), {"weights": "none"})


def _file_values(path: Path | None) -> tuple[dict[str, Any], str]:
    if path is None:
        return {}, ""
    table = read_toml(path)
    values = table["train"] if isinstance(table.get("train"), dict) else table
    return {name.replace("-", "_"): value for name, value in values.items() if not isinstance(value, dict)}, safe_path(
        path
    )


def _popped(values: dict[str, Any], name: str, kind: type[Value], file: str) -> Value | None:
    """Take a value of the file that is no field of the config out of `values`. Raises UsageError."""
    value = values.pop(name, None)
    if value is None or isinstance(value, kind):
        return value
    raise UsageError(f"{file} sets {name} to {safe_text(repr(value))}, which is not of type {kind.__name__}.")
