"""How commands look: the command decorator, shared options, and what goes to stdout and stderr.

Data goes to stdout, messages and progress to stderr. Beside `img2gps.cli` the only module of this
package that knows Click.
"""

import json
import math
import os
import shlex
import sys
import tomllib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import rich_click as click
from click.core import ParameterSource
from rich.console import Console
from rich.markup import escape

from img2gps.address import Address, Place, place_of
from img2gps.errors import NotFoundError, UsageError
from img2gps.progress import stderr
from img2gps.stored_dataset import local_root
from img2gps.text import safe_path
from img2gps.text_table import text_tables, wrapped

__all__ = [
    "DATASET",
    "PATH",
    "PLACE",
    "WORDS",
    "FiniteRange",
    "cluster_option",
    "command",
    "command_line",
    "config_option",
    "dry_run_option",
    "environment_sources",
    "jobs_option",
    "json_option",
    "jsonable",
    "print_json",
    "print_table",
    "print_text",
    "say",
    "seed_option",
    "stdout_is_unicode",
    "warn",
]

Function = TypeVar("Function", bound=Callable[..., Any])

# Where the root context keeps the words that it was called with.
WORDS = "img2gps.words"


class _Place(click.ParamType[Place]):
    """A path of this machine, or an address such as ``s3://bucket/walks``."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Return what text names."""
        return place_of(value)


class _LocalPath(click.Path):
    """A path of this machine: an address is a usage error."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        place = place_of(value) if isinstance(value, str) else value
        if isinstance(place, Address):
            self.fail(f"{place} is an address: here, this command takes a path of this machine alone.", param, ctx)
        return super().convert(value, param, ctx)


class _DatasetFolder(_Place):
    """The folder of a dataset; of one at an address, the folder of this machine that stands for it."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        """Return the folder."""
        return local_root(value)


# Existence is checked by the functions that open the path: a path that does not exist is exit 3, not Click's 2.
PATH = _LocalPath(path_type=Path)
PLACE = _Place()
DATASET = _DatasetFolder()


class FiniteRange(click.FloatRange):
    """A number in a range; NaN, which a plain range lets through, and infinity are usage errors."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def command(name: str, *, example: str, short_help: str | None = None) -> Callable[[Callable[..., Any]], click.Command]:
    """Return a decorator for a command whose help ends in `example` (lines of a shell, without the prompt)."""
    decorator = click.command(
        name,
        # rich-click joins single line breaks and keeps doubled ones
        epilog="\n\n".join(["Example:", *(f"$ {line}" for line in example.strip().splitlines())]),
        short_help=short_help,
        context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    )

    def decorate(function: Callable[..., Any]) -> click.Command:
        made = decorator(function)
        for option in made.params:
            if isinstance(option, click.Option) and option.envvar is None:
                option.envvar = _variable(name, option)
                option.show_envvar = True
        return made

    return decorate


def _variable(name: str, option: click.Option) -> str:
    """Return the environment variable of an option, named as it is typed: Click names it after the parameter."""
    flag = max(option.opts, key=len).lstrip("-")
    return f"IMG2GPS_{name}_{flag}".upper().replace("-", "_")


def environment_sources() -> dict[str, str]:
    """Return the variables that the running command took values from, each by its option's name: ``batch_size``."""
    context = click.get_current_context()
    assert context is not None  # without a running command, Click raises
    taken = [
        option
        for option in context.command.params
        if isinstance(option, click.Option)
        and option.name
        and context.get_parameter_source(option.name) is ParameterSource.ENVIRONMENT
    ]
    names = [max(option.opts, key=len).lstrip("-").replace("-", "_") for option in taken]
    return {name: f"IMG2GPS_{context.command.name}_{name}".upper().replace("-", "_") for name in names}


def command_line() -> str:
    """Return the words of the running command, quoted for a shell, whether typed or run by another command."""
    context = click.get_current_context()
    assert context is not None  # without a running command, Click raises
    return shlex.join(["img2gps", *context.find_root().meta.get(WORDS, ())])


def cluster_option(function: Function) -> Function:
    """Add ``--cluster``: other machines to work on."""
    return click.option(
        "--cluster",
        metavar="ADDRESS|local:N|slurm:FILE|FILE.yaml",
        help="Dask workers that do the work; they need the same version and the same paths.",
    )(function)


def json_option(function: Function) -> Function:
    """Add ``--json``: one JSON document on stdout, for other programs."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")(function)


def dry_run_option(function: Function) -> Function:
    """Add ``--dry-run``: say what would happen and write nothing."""
    return click.option("--dry-run", is_flag=True, help="Say what would happen; write nothing.")(function)


def jobs_option(function: Function) -> Function:
    """Add ``--jobs``: the number of worker processes."""
    return click.option(
        "--jobs",
        type=click.IntRange(min=1),
        default=lambda: len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        show_default="one per CPU",
        help="Worker processes.",
    )(function)


def seed_option(function: Function) -> Function:
    """Add ``--seed``: the same seed gives the same result."""
    return click.option("--seed", type=click.IntRange(min=0), default=0, help="The same seed, the same result.")(
        function
    )


def config_option(function: Function) -> Function:
    """Add ``--config FILE.toml``: defaults for this command's options, below the environment and the command line."""
    return click.option(
        "--config",
        type=PATH,
        is_eager=True,
        expose_value=False,
        callback=_read_config,
        help="A TOML file of options, at the top level or in a table named after the command.",
    )(function)


def _read_config(context: click.Context, _parameter: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    if not path.is_file():
        raise NotFoundError(f"No config file {safe_path(path)}.")
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{safe_path(path)} is not TOML ({error}).") from error
    table = document.get(context.command.name or "")
    options = table if isinstance(table, dict) else {k: v for k, v in document.items() if not isinstance(v, dict)}
    known = {flag.lstrip("-").replace("-", "_"): p.name for p in context.command.params for flag in (*p.opts, p.name)}
    unknown = sorted(key for key in options if key.replace("-", "_") not in known)
    if unknown:
        raise UsageError(
            f"{safe_path(path)} sets {', '.join(unknown)}, which img2gps {context.command.name} does not know."
        )
    several = {param.name for param in context.command.params if getattr(param, "multiple", False)}
    defaults = {known[key.replace("-", "_")]: value for key, value in options.items()}
    # of an option that may be given several times, one value may stand alone
    defaults |= {key: [defaults[key]] for key in several & defaults.keys() if not isinstance(defaults[key], list)}
    context.default_map = {**(context.default_map or {}), **defaults}


def print_text(text: str) -> None:
    """Print plain text on stdout: one line, or on a terminal as many as it takes to break no word."""
    click.echo(wrapped(text, Console()))


def print_json(value: object) -> None:
    """Print `value` as one JSON document on stdout; NaN and infinity become null.

    Where stdout is not Unicode the document is ASCII: its readers expect UTF-8, of which ASCII is a part.
    """
    click.echo(json.dumps(jsonable(value), indent=1, ensure_ascii=not stdout_is_unicode()))


def stdout_is_unicode() -> bool:
    """Return whether stdout takes every character."""
    return "utf" in (sys.stdout.encoding or "utf-8").lower()


def jsonable(value: Any) -> Any:
    """Return `value` with tuples as lists and non-finite floats, which JSON has no word for, as None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(item) for item in value]
    return value


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout; cells are plain text (markup in them is escaped), numbers align right."""
    cells = [[str(cell) for cell in row] for row in rows]
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    # a line of its own: as the table's title it would be folded to the table's width
    console.print(escape(wrapped(title, console)), style="bold", soft_wrap=True)
    for table in text_tables(columns, cells, console.width):
        console.print(table)


def say(text: str) -> None:
    """Print a message on stderr."""
    console = stderr()
    console.print(escape(wrapped(text, console)))


def warn(text: str) -> None:
    """Print a warning on stderr."""
    console = stderr()
    console.print(f"[yellow]Warning:[/yellow] {escape(wrapped(f'Warning: {text}', console).removeprefix('Warning: '))}")
