"""ingests.jsonl: one line per ingest, whose command names no folder above those it was given."""

import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

from img2gps.address import Address, place_of
from img2gps.files import append_record, read_json_lines, replace_records

__all__ = [
    "finished_ingests",
    "forget_names",
    "log_ingest",
    "portable_command",
    "without_names",
    "without_names_in",
]

# what a word may lead with: an option and its value in one word
_VALUE: Final = re.compile(r"(--?[\w-]+=)?(.*)", re.DOTALL)
_ELSEWHERE: Final = re.compile(r"/|\\|~|[A-Za-z]:[/\\]|(.*[/\\])?\.\.([/\\]|$)", re.DOTALL)
_SEPARATORS: Final = "/\\"
_FORGOTTEN: Final = "FORGOTTEN"


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


def forget_names(path: Path, names: Collection[str]) -> None:
    """Take the names of forgotten files out of the commands of the log: a file given by itself stands there."""
    try:
        lines = read_json_lines(path)
    except ValueError:  # `verify` tells which line is damaged
        return
    mended = [without_names_in(line, names) for line in lines]
    if mended != lines:
        replace_records(path, mended)


def without_names_in(line: dict[str, Any], names: Collection[str]) -> dict[str, Any]:
    """Return a line of the log whose command names none of the files called `names` (names of sources)."""
    return line | {"command": without_names(str(line["command"]), names)} if "command" in line else line


def without_names(command: str, names: Collection[str]) -> str:
    """Return a command with another word for each file that is called as one of `names` (names of sources)."""
    last = {name.rpartition("/")[2] for name in names}
    try:
        words = shlex.split(command)
    except ValueError:
        return command
    if not any(_last_part(word) in last for word in words):
        return command
    return shlex.join([_FORGOTTEN if _last_part(word) in last else word for word in words])


def _last_part(word: str) -> str:
    return re.split(r"[/\\]", word.rstrip(_SEPARATORS))[-1]


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
    return option + (_last_part(value) or ".")
