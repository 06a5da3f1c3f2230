"""YAML as far as cards and citations need it: mappings, lists, texts and numbers, written so that any reader agrees."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

__all__ = ["yaml_text"]

# a text of these that no YAML reader takes for a number, a date, a truth value or nothing
_PLAIN: Final = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*(?: [A-Za-z0-9_./-]+)*")
_WORDS: Final = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})


def yaml_text(value: object, indent: int = 0) -> str:
    """Return a block of YAML 1.2 that ends with a line end; what is no plain word stands in JSON's double quotes."""
    pad = " " * indent
    if isinstance(value, Mapping) and value:
        return "".join(f"{pad}{key}:{_after(entry, indent)}" for key, entry in value.items())
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        return "".join(f"{pad}- {yaml_text(entry, indent + 2).lstrip(' ')}" for entry in value)
    return f"{pad}{_scalar(value)}\n"


def _after(value: object, indent: int) -> str:
    """Return what follows a key: on its line, or below it."""
    is_block = isinstance(value, Mapping | Sequence) and not isinstance(value, str) and len(value) > 0
    return f"\n{yaml_text(value, indent + 2)}" if is_block else f" {_scalar(value)}\n"


def _scalar(value: object) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value, ensure_ascii=False)
