"""From what was typed to a config: option over config file over preset."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from img2gps.errors import UsageError
from img2gps.text import safe_path, safe_text
from train.config import TrainConfig, changed, parse_assignments, read_toml, refuse_unread
from train.presets import BUNDLED_MODELS, preset

__all__ = ["DEFAULT_PRESET", "Choice", "resolve", "study_base"]

DEFAULT_PRESET = "default"

Choice = tuple[TrainConfig, Path | None, bool]
"""The config, the dataset that a config file names, and whether it asks for folds."""


def resolve(
    *, preset_name: str | None, options: Mapping[str, object], assignments: tuple[str, ...], config_path: Path | None
) -> Choice:
    """Return the config that options (None: not given), ``--set`` and a config file amount to.

    The file is one of options at its top level or in a table ``[train]``, such as the config.toml of a run.
    Raises UsageError for unknown names, wrong values and assignments that the method does not read, NotFoundError
    for a missing file.
    """
    values, where = _file_values(config_path)
    dataset, folds = values.pop("dataset", None), bool(values.pop("folds", False))
    named = values.get("preset")
    if preset_name is not None and named not in (None, preset_name):
        raise UsageError(
            f"{where} is for the preset {safe_text(str(named))}, --preset asks for {safe_text(preset_name)}: "
            "give one of them."
        )
    assigned = parse_assignments(assignments)
    given = _given(options) | assigned
    chosen = preset_name or named
    base = preset(str(chosen)) if chosen else _unnamed_preset([str((values | given).get("model") or "")])
    config = changed(changed(base, values, where=where), given)
    refuse_unread(config, assigned)
    return config, None if dataset is None else Path(str(dataset)), folds


def study_base(preset_name: str | None, *, models: Sequence[str], options: Mapping[str, object]) -> TrainConfig:
    """Return the config that the runs of a study of `models` (none: the preset's own) begin with, as `resolve` would.

    Raises UsageError for unknown names and wrong values.
    """
    base = preset(preset_name) if preset_name else _unnamed_preset(models)
    return changed(base, _given(options))


def _given(options: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value is not None}


def _unnamed_preset(models: Sequence[str]) -> TrainConfig:
    """Return the preset where none is named: a network of one's own choice is trained end to end.

    Its weights are random unless asked for otherwise: what needs a download must not be a default.
    """
    parts = [part.partition("@")[0] for model in models if model for part in model.split("+")]
    if all(part in BUNDLED_MODELS for part in parts):
        return preset(DEFAULT_PRESET)
    return dataclasses.replace(preset("finetune"), weights="none")


def _file_values(path: Path | None) -> tuple[dict[str, Any], str]:
    if path is None:
        return {}, ""
    table = read_toml(path)
    values = table["train"] if isinstance(table.get("train"), dict) else table
    return {name.replace("-", "_"): value for name, value in values.items() if not isinstance(value, dict)}, safe_path(
        path
    )
