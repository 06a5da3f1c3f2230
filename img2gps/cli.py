"""The ``img2gps`` program: finds the commands, runs one, turns errors into a sentence and an exit code.

Commands come from the entry-point group ``img2gps.commands``, so that another package can add one.
"""

import io
import os
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import rich_click as click
from rich.markup import escape

from img2gps import __version__
from img2gps.console import PATH, WORDS, command, config_option, json_option, print_json, print_text, say, seed_option
from img2gps.errors import Img2GPSError
from img2gps.files import TEMPORARY_PREFIX
from img2gps.interrupts import held_back, interruptible
from img2gps.progress import stderr
from img2gps.text import safe_text
from img2gps.version import versions

__all__ = ["cli", "demo", "main"]

EXIT_IO_ERROR = 74  # EX_IOERR of sysexits.h: disk full, a read-only folder, permission lost midway

# The order in which a newcomer meets the commands; commands of other packages follow by name.
_GROUPS = {
    "Collect": ("doctor", "validate", "ingest", "basemap", "audit", "label", "split", "verify", "site"),
    "Train": ("train", "evaluate", "explain", "predict", "ablate", "export", "serve"),
    "Share": ("publish", "fetch", "forget", "merge", "migrate"),
    "Practise": ("demo", "simulate"),
}


class CommandGroup(click.RichGroup):
    """A group whose commands are the entry points of ``img2gps.commands``, imported on first use."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse, and keep the words: `img2gps.console.command_line` tells a command how it was called."""
        ctx.meta[WORDS] = tuple(args)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, known ones in the order of the loop."""
        names = set(_entry_points())
        order = [name for group in _GROUPS.values() for name in group]
        return [name for name in order if name in names] + sorted(names.difference(order))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a name that is nearly one is answered with that one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if ctx.resilient_parsing or args[0] in self.list_commands(ctx):
                raise
            from difflib import get_close_matches

            near = get_close_matches(args[0].lower(), self.list_commands(ctx), n=1)
            hint = f": did you mean `{near[0]}`?" if near else "; `img2gps --help` lists them."
            raise click.UsageError(f"No such command {safe_text(args[0])!r}{hint}", ctx=error.ctx or ctx) from error

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command and return it."""
        entry = _entry_points().get(cmd_name)
        if entry is None:
            return None
        loaded = entry.load()
        assert isinstance(loaded, click.Command)
        return loaded


@cache
def _entry_points() -> dict[str, EntryPoint]:
    """Return the commands of all installed packages; looking through these takes longer than all else of a help."""
    return {entry.name: entry for entry in entry_points(group="img2gps.commands")}


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "IMG2GPS"},
    epilog="Example:\n\n$ img2gps demo",
)
@click.command_panel("Collect", commands=list(_GROUPS["Collect"]))
@click.command_panel("Train", commands=list(_GROUPS["Train"]))
@click.command_panel("Share", commands=list(_GROUPS["Share"]))
@click.command_panel("Practise", commands=list(_GROUPS["Practise"]))
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=lambda ctx, _option, asked: _show_version(ctx) if asked else None,
    help="Show the version and exit; with --json, those of Python and of the packages, too.",
)
@click.option("--json", is_flag=True, expose_value=False, hidden=True)
def cli() -> None:
    """Turn a walk with a phone into a model that tells where on a site a photo was taken."""


def _show_version(ctx: click.Context) -> None:
    """Print the version, as JSON where the command line asks for it, and end."""
    if "--json" in ctx.meta[WORDS]:
        print_json(versions())
    else:
        print_text(f"img2gps, version {__version__}")
    ctx.exit()


@command("demo", example="img2gps demo --photos 240 --out img2gps-demo")
@click.option("--photos", type=click.IntRange(min=60), default=240, help="Good photos to render.")
@click.option("--out", type=PATH, default=Path("img2gps-demo"), help="A new folder for everything the demo makes.")
@seed_option
@config_option
@json_option
def demo(photos: int, out: Path, seed: int, as_json: bool) -> None:
    """Walk through the whole loop on a generated campus: no photos and no network needed."""
    from img2gps.demo import closing_block, run_demo

    report = run_demo(_run, photos=photos, out=out, seed=seed)
    if as_json:
        print_json(report.to_dict())
    else:
        print_text(closing_block(report))


def _run(arguments: list[str]) -> None:
    """Run one command by its name through the root group, as typed."""
    cli.main(arguments, prog_name="img2gps", standalone_mode=False)


def main(arguments: list[str] | None = None) -> None:
    """Run the program and exit: see `img2gps.errors` for the codes."""
    _go_on_without_stderr()
    _escape_what_cannot_be_encoded()
    with interruptible():
        code = run(sys.argv[1:] if arguments is None else arguments)
    sys.exit(code)


class _Unheard(io.FileIO):
    """A file that drops what cannot be written: its reader has gone, its disk is full, or its terminal closed."""

    def write(self, data: Any, /) -> int:
        """Write, or seem to."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


def _go_on_without_stderr() -> None:
    """Let no work end because nobody can read its messages any more."""
    if isinstance(sys.stderr, io.TextIOWrapper) and sys.stderr is sys.__stderr__:
        raw = _Unheard(sys.stderr.fileno(), "w", closefd=False)
        sys.stderr = io.TextIOWrapper(io.BufferedWriter(raw), encoding=sys.stderr.encoding, line_buffering=True)


def _escape_what_cannot_be_encoded() -> None:
    """Let stdout and stderr show a character that their encoding lacks as an escape, instead of failing on it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def run(arguments: list[str]) -> int:
    """Run the program and return its exit code; every failure is one message on stderr."""
    stdout = sys.stdout
    try:
        code = cli.main(arguments, prog_name="img2gps", standalone_mode=False)
        sys.stdout.flush()
    except Img2GPSError as error:
        _fail(str(error))
        return error.exit_code
    except click.UsageError as error:
        error.show()
        return error.exit_code
    except click.ClickException as error:
        _fail(error.format_message())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        with held_back():  # who asks twice is told once
            say("Interrupted.")
        return 130
    except BrokenPipeError:  # `img2gps ... | head`: the reader has gone, which is no error
        os.dup2(os.open(os.devnull, os.O_WRONLY), stdout.fileno())
        return 0
    except SystemExit as error:
        # Click meets a reader that has gone by wrapping stdout and leaving with 1, which means another thing here.
        return 0 if sys.stdout is not stdout else error.code if isinstance(error.code, int) else 1
    except OSError as error:
        where = f" ({safe_text(_place(error.filename))})" if error.filename else ""
        _fail(
            f"{error.strerror or error}{where}: nothing that was complete before is lost; mend the cause and run again."
        )
        return EXIT_IO_ERROR
    return code if isinstance(code, int) else 0


def _place(name: object) -> str:
    """Return a file's name; of a draft, which nobody asked for, the folder that it was to be in."""
    folder, last = os.path.split(os.fsdecode(name) if isinstance(name, bytes) else str(name))
    return os.path.realpath(folder) if last.startswith(TEMPORARY_PREFIX) else os.path.join(folder, last)  # noqa: PTH118


def _fail(message: str) -> None:
    stderr().print(f"[red]Error:[/red] {escape(message)}")
