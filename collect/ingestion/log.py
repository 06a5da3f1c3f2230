"""ingests.jsonl: one line per ingest, whose command names no folder above those it was given."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from img2gps.address import Address, place_of
from img2gps.files import append_record, read_json_lines, replace_records

__all__ = ["finished_ingests", "log_ingest", "portable_command"]

# what a word may lead with: an option and its value in one word
_VALUE: Final = re.compile(r"(--?[\w-]+=)?(.*)", re.DOTALL)
_ELSEWHERE: Final = re.compile(r"/|\\|~|[A-Za-z]:[/\\]|(.*[/\\])?\.\.([/\\]|$)", re.DOTALL)
_SEPARATORS: Final = "/\\"


def log_ingest(path: Path, record: Mapping[str, Any]) -> None:
    """Append the line of an ingest; lines of earlier versions lose the folders that their commands name."""
    try:
        lines = read_json_lines(path)
    except ValueError:  # `verify` tells which line is damaged
        lines = []
    mended = [
        line | {"command": portable_command(str(line["command"]))} if "command" in line else line for line in lines
    ]
    if mended != lines:
        replace_records(path, mended)
    append_record(path, dict(record) | {"command": portable_command(str(record["command"]))})


def finished_ingests(path: Path) -> set[str]:
    """Return the names of the ingests that came to their end; a damaged log names none, which costs a regrouping."""
    try:
        return {str(line.get("ingest")) for line in read_json_lines(path)}
    except ValueError:
        return set()


def portable_command(command: str) -> str:
    """Return a command with the last name alone of each path that is absolute or leads out of the working folder."""
    try:
        words = shlex.split(command)
    except ValueError:  # no command of a shell: nobody can tell its paths
        return command.split(" ")[0] if _ELSEWHERE.search(command) else command
    return shlex.join([_portable(word) for word in words])


def _portable(word: str) -> str:
    found = _VALUE.fullmatch(word)
    assert found is not None
    option, value = found[1] or "", found[2]
    place = place_of(value)
    if isinstance(place, Address):
        return option + (place.name or ".")
    if not _ELSEWHERE.match(value):
        return word
    return option + (re.split(r"[/\\]", value.rstrip(_SEPARATORS))[-1] or ".")
