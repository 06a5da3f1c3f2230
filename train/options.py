"""From what was typed to a config: option over config file over preset."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from img2gps.errors import UsageError
from img2gps.text import safe_path, safe_text
from train.config import TrainConfig, changed, parse_assignments, read_toml
from train.presets import preset

__all__ = ["DEFAULT_PRESET", "Choice", "resolve"]

DEFAULT_PRESET = "default"

Choice = tuple[TrainConfig, Path | None, bool]
"""The config, the dataset that a config file names, and whether it asks for folds."""


def resolve(
    *, preset_name: str | None, options: Mapping[str, object], assignments: tuple[str, ...], config_path: Path | None
) -> Choice:
    """Return the config that options (None: not given), ``--set`` and a config file amount to.

    The file is one of options at its top level or in a table ``[train]``, such as the config.toml of a run.
    Raises UsageError for unknown names and wrong values, NotFoundError for a missing file.
    """
    values, where = _file_values(config_path)
    dataset, folds = values.pop("dataset", None), bool(values.pop("folds", False))
    named = values.get("preset")
    if preset_name is not None and named not in (None, preset_name):
        raise UsageError(
            f"{where} is for the preset {safe_text(str(named))}, --preset asks for {safe_text(preset_name)}: "
            "give one of them."
        )
    base = preset(preset_name or str(named or DEFAULT_PRESET))
    given = {name: value for name, value in options.items() if value is not None}
    config = changed(base, values, where=where)
    config = changed(config, given | parse_assignments(assignments))
    return config, None if dataset is None else Path(str(dataset)), folds


def _file_values(path: Path | None) -> tuple[dict[str, Any], str]:
    if path is None:
        return {}, ""
    table = read_toml(path)
    values = table["train"] if isinstance(table.get("train"), dict) else table
    return {name.replace("-", "_"): value for name, value in values.items() if not isinstance(value, dict)}, safe_path(
        path
    )
