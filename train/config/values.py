"""Configs from tables of values and back; what does not fit is one sentence that names the field and its source."""

import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from img2gps.errors import NotFoundError, UsageError
from img2gps.text import safe_path, safe_text
from train.config.schema import CONFIGS, AnyConfig, NetworkConfig, ProbeConfig, TrainConfig

__all__ = [
    "KERNELS",
    "changed",
    "config_of",
    "config_values",
    "field_names",
    "for_refined",
    "network_of",
    "parse_assignments",
    "probe_of",
    "read_toml",
    "refuse_unread",
]

KERNELS: Final = ("bandwidth_m", "label_sigma_m")
"""The widths of kernels in a `ProbeConfig`: they hold the error of labels, and how far off a view is seen."""

_ADAPTER: Final[TypeAdapter[NetworkConfig | ProbeConfig]] = TypeAdapter(AnyConfig)
_OF_REFINED: Final = 2 / 3  # of their width, for labels that are refined
_CLOSE: Final = 0.8  # likeness of names from which on a slip of the finger is likelier than another word


def _fields() -> dict[str, FieldInfo]:
    return {name: field for kind in CONFIGS.values() for name, field in kind.model_fields.items()}


def field_names() -> tuple[str, ...]:
    """Return the names of all fields, of whatever method."""
    return tuple(_fields())


def config_values(config: TrainConfig) -> dict[str, Any]:
    """Return the config as a table that TOML and JSON can hold; `config_of` and `changed` read it back.

    The fields of the other method are there, too, at their defaults: readers of earlier runs expect every key.
    """
    values: dict[str, Any] = {}
    for kind in CONFIGS.values():
        values |= kind().model_dump()
    return values | config.model_dump()


def config_of(values: object, *, where: str = "the config") -> NetworkConfig | ProbeConfig:
    """Return the config of a table, such as an earlier run stored; fields that it lacks have their defaults.

    Fields that its method does not read are dropped. Raises UsageError naming a wrong field and `where` it stands.
    """
    if not isinstance(values, Mapping):
        raise UsageError(f"{where} is no table of fields, but {safe_text(repr(values))}.")
    return changed(NetworkConfig(), values, where=where)


def network_of(values: object, *, where: str) -> NetworkConfig:
    """Return `config_of` a table that is to be a network's. Raises UsageError where it is a probe's."""
    config = config_of(values, where=where)
    if not isinstance(config, NetworkConfig):
        raise UsageError(f"{where} sets method to {config.method}, where network is expected.")
    return config


def probe_of(values: object, *, where: str) -> ProbeConfig:
    """Return `config_of` a table that is to be a probe's. Raises UsageError where it is a network's."""
    config = config_of(values, where=where)
    if not isinstance(config, ProbeConfig):
        raise UsageError(f"{where} sets method to {config.method}, where probe is expected.")
    return config


def changed(
    base: TrainConfig, values: Mapping[str, object], *, where: str | Mapping[str, str] = "the options"
) -> NetworkConfig | ProbeConfig:
    """Return `base` with `values` in place; those that only another method reads are checked, and dropped.

    Raises UsageError naming the field, what it may be, and `where` it was given: one place, or one per field.
    """
    chosen = values.get("method", base.method)
    method = chosen if isinstance(chosen, str) and chosen in CONFIGS else base.method
    others = set().union(*(kind.model_fields for name, kind in CONFIGS.items() if name != method))
    unread = {name: value for name, value in values.items() if name in others - set(CONFIGS[method].model_fields)}
    for name, kind in CONFIGS.items():
        if name != method:
            _validated({"method": name} | {key: unread[key] for key in unread if key in kind.model_fields}, where)
    kept = {name: value for name, value in base.model_dump().items() if name in CONFIGS[method].model_fields}
    new = {name: value for name, value in values.items() if name not in unread}
    return _validated(kept | {"method": method} | new, where)


def for_refined(config: ProbeConfig) -> ProbeConfig:
    """Return the config with the narrower kernels that serve where labels were refined: two thirds as wide."""
    return config.model_copy(update={name: round(_OF_REFINED * getattr(config, name), 1) for name in KERNELS})


def _validated(values: Mapping[str, object], where: str | Mapping[str, str]) -> NetworkConfig | ProbeConfig:
    try:
        return _ADAPTER.validate_python(dict(values))
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
    name = "method" if found["type"].startswith("union_tag") else str(found["loc"][-1])
    value = values.get(name)
    source = where if isinstance(where, str) else where.get(name, "the options")
    raise UsageError(f"{source} sets {_sentence(name, value, found)}")


def _sentence(name: str, value: object, found: ErrorDetails) -> str:
    """Return what is wrong with a field and what to do, as the end of a sentence."""
    if found["type"] == "extra_forbidden":
        return f"{safe_text(name)}, which is no field of a training config{_suggestion(name)}"
    field = _fields()[name]
    shown = f"{name} to {repr(value) if isinstance(value, int | float) else safe_text(repr(value))}"
    if choices := get_args(field.annotation):
        listed = CONFIGS if name == "method" else choices
        return f"{shown}; it is one of {', '.join(map(str, listed))}."
    if found["type"].endswith("_type"):
        kind = getattr(field.annotation, "__name__", str(field.annotation))
        return f"{shown}, which is not of type {kind}{_within(field, '; it lies')}."
    if found["type"] == "multiple_of":
        return f"{shown}; it must be a multiple of {found['ctx']['multiple_of']}."
    return f"{shown}{_within(field, '; it must lie')}."


def _within(field: FieldInfo, lead: str) -> str:
    """Return the bounds of a field of numbers as words after `lead`; nothing where it has none."""
    bounds = {key: getattr(rule, key) for rule in field.metadata for key in ("ge", "le") if hasattr(rule, key)}
    return f"{lead} between {bounds['ge']!r} and {bounds['le']!r}" if len(bounds) == 2 else ""


def _suggestion(name: str) -> str:
    """Return the field that was probably meant: one spelt like it, else one whose meaning says these words."""
    fields = _fields()
    words = re.sub(r"[^a-z0-9]+", " ", name.lower()).strip()
    meant = [own for own, field in fields.items() if words and words in (field.description or "").lower()]
    meant.sort(key=lambda own: len(fields[own].description or ""))
    close = (
        difflib.get_close_matches(name, fields, n=1, cutoff=_CLOSE) or meant or difflib.get_close_matches(name, fields)
    )
    return f"; did you mean {close[0]}{_within(fields[close[0]], ', which lies')}?" if close else "."


def refuse_unread(config: TrainConfig, names: Iterable[str]) -> None:
    """Raise UsageError where one of the fields that were asked for makes no difference to the config's method."""
    unread = [name for name in names if name not in type(config).model_fields]
    if unread:
        other = "finetune or --preset published" if config.method == "probe" else "quick or --preset default"
        raise UsageError(
            f"{unread[0]} makes no difference to the method {config.method} of the preset {config.preset}: "
            f"leave it out, or use --preset {other}."
        )


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
