"""Write the reference pages that follow from the code: ``python docs/write_reference.py``. A test holds them to it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args, get_origin

from img2gps import errors
from img2gps.cli import EXIT_IO_ERROR
from img2gps.manifest_schema import COLUMNS
from img2gps.reasons import FLAGS, REASONS, Explanation
from train.config.presets import PRESETS
from train.config.schema import NetworkConfig, ProbeConfig, TrainConfig

HERE = Path(__file__).parent / "reference"
_BY_HAND = "<!-- Written by docs/write_reference.py from the code: change it there. -->"


def pages() -> dict[str, str]:
    """Return the text of each page by its name."""
    return {
        "config.md": config_page(),
        "reasons.md": reasons_page(),
        "exit-codes.md": exit_codes_page(),
        "manifest.md": manifest_page(),
        "json.md": json_page(),
    }


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table in Markdown."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *(list(row) for row in rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def config_page() -> str:
    """Return the page of the training config."""
    shared = set(TrainConfig.model_fields)
    parts = [
        ("Both methods", TrainConfig, shared),
        ("Networks trained end to end", NetworkConfig, set(NetworkConfig.model_fields) - shared),
        ("Heads on frozen features", ProbeConfig, set(ProbeConfig.model_fields) - shared),
    ]
    text = f"""{_BY_HAND}

# Training config

Every choice of a training, with its bounds. Set one with `--set NAME=VALUE`, in a file of `--config`, or as an argument
of `train` in Python. `--dry-run` prints the config that would be used. `config.toml` in the run keeps it.

A preset is a set of values that belong together. Where a cell names no preset, the default counts for all.
"""
    for title, model, names in parts:
        rows = (_config_row(name, field) for name, field in model.model_fields.items() if name in names)
        text += f"\n## {title}\n\n" + table(("name", "default", "presets", "allowed", "meaning"), rows)
    return text


def _config_row(name: str, field: Any) -> tuple[str, ...]:
    others = {key: getattr(made, name) for key, made in PRESETS.items() if name in type(made).model_fields}
    differing = [f"{key}: `{_value(value)}`" for key, value in others.items() if value != field.default]
    own = "" if name in ("preset", "method") else "; ".join(differing)
    return f"`{name}`", f"`{_value(field.default)}`", own, _allowed(field), str(field.description or "")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.5g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _allowed(field: Any) -> str:
    """Return the bounds of a number, the words of a choice, or the kind of a value."""
    if get_origin(field.annotation) is not None and get_args(field.annotation):
        return ", ".join(f"`{word}`" for word in get_args(field.annotation))
    bounds = {
        word: getattr(one, word) for one in field.metadata for word in ("ge", "le", "multiple_of") if hasattr(one, word)
    }
    if bounds:
        step = f", in steps of {bounds['multiple_of']}" if "multiple_of" in bounds else ""
        return f"{_value(bounds['ge'])} to {_value(bounds['le'])}{step}"
    return {"str": "text", "bool": "`true`, `false`"}.get(field.annotation.__name__, field.annotation.__name__)


def reasons_page() -> str:
    """Return the page of why files are rejected, and what is remarkable about photos."""
    return f"""{_BY_HAND}

# Reasons and flags

`ingest` and `validate` give each file that is not accepted one reason. They also flag what is remarkable about accepted
photos. A flagged photo stays in the dataset. The codes are stable: programs may rely on them.

## Reasons

{table(("code", "meaning", "what to do"), _explained(REASONS.values()))}
## Flags

{table(("code", "meaning", "what to do"), _explained(FLAGS.values()))}"""


def _explained(codes: Iterable[Explanation]) -> Iterable[tuple[str, str, str]]:
    return ((f"`{one.code}`", one.text, one.remedy) for one in codes)


def exit_codes_page() -> str:
    """Return the page of exit codes, with the exceptions that stand for them in Python."""
    kinds: dict[int, list[type[errors.Img2GPSError]]] = {}
    for name in errors.__all__:
        kind = getattr(errors, name)
        if kind is not errors.Img2GPSError and kind.__bases__ == (errors.Img2GPSError,):
            kinds.setdefault(kind.exit_code, []).append(kind)
    rows = [(str(code), " ".join(_first_line(kind) for kind in kinds[code]), _names(kinds[code])) for code in kinds]
    rows += [
        ("0", "Done.", ""),
        (str(EXIT_IO_ERROR), "A disk or a folder failed: it is full, read-only, or gone.", "`OSError`"),
        ("130", "Interrupted, by Ctrl-C, SIGTERM or SIGHUP. What was complete is kept.", "`KeyboardInterrupt`"),
    ]
    return f"""{_BY_HAND}

# Exit codes

Every command ends with one of these. The message on stderr says what is wrong, where, and what to do. In Python the
same sentence is an exception of `img2gps.errors`. An ingest of which no file can be used ends with 7, too.

{table(("code", "meaning", "in Python"), sorted(rows, key=lambda row: int(row[0])))}"""


def _first_line(kind: type) -> str:
    return (kind.__doc__ or "").strip().splitlines()[0].replace("``", "`")


def _names(kinds: list[type[errors.Img2GPSError]]) -> str:
    return ", ".join(f"`{kind.__name__}`" for kind in kinds)


def manifest_page() -> str:
    """Return the page of the manifest's columns."""
    rows = ((f"`{one.name}`", one.kind, "yes" if one.nullable else "", str(one.since)) for one in COLUMNS)
    return f"""{_BY_HAND}

# Columns of the manifest

`manifest.parquet` is GeoParquet in EPSG:4326, with one row per accepted photo. `Dataset.open(PATH).frame()` reads it
with corrections applied. Units stand in the names. Times are UTC. [Positions and times](positions-and-times.md) says
where values come from.

{table(("column", "type", "may be empty", "since schema"), rows)}"""


def json_page() -> str:
    """Return the page of what commands print with ``--json``, from the schemas beside it."""
    text = f"""{_BY_HAND}

# JSON output

With `--json` a command prints one JSON document on stdout. Messages stay on stderr. Keys may be added, and never change
their name or meaning. `null` means not known, or too little data.

Each document has a JSON Schema (draft 2020-12) in `docs/reference/schemas`. Tests check real output against it. What
`POST /v1/locate` answers is described by the service itself, at `/openapi.json`.
"""
    for path in sorted((HERE / "schemas").glob("*.json")):
        schema = json.loads(path.read_text(encoding="utf-8"))
        name = schema["title"].removesuffix(" --json")
        listed = schema["type"] == "array"
        inner = schema["items"] if listed else schema
        rows = [
            (
                f"`{key}`",
                _json_kind(value, schema),
                value.get("description", ""),
                "yes" if key in inner["required"] else "",
            )
            for key, value in inner["properties"].items()
        ]
        text += f"\n## {name}\n\n[Schema](schemas/{path.name})" + (", a list of objects" if listed else "") + "\n\n"
        text += table(("key", "type", "meaning", "always there"), rows)
    return text


def _json_kind(value: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in value:
        value = schema["$defs"][value["$ref"].rpartition("/")[2]]
    kinds = value.get("type", "any")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        (HERE / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
