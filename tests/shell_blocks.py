"""The shell blocks of the pages: which commands they hold, and what comments before a block say of them.

A block is fenced as `sh` or `console`, or indented and begins a line with a program. Its lines are run as they stand. A
comment before a block says where that is not so:

    <!-- not run: it asks OpenStreetMap -->                    the whole block
    <!-- not run: `img2gps serve RUN`: it waits for photos --> this command of the block
    <!-- dry run: `img2gps ablate ...`: it trains for hours --> with --dry-run, the commands that begin so
    <!-- exit 1: `img2gps audit ...`: the gate fails -->       another exit code than 0
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

How = Literal["run", "not run", "dry run"]

PROGRAMS = ("img2gps", "pip", "python", "python3.11", "pytest", "curl", "torchrun", "docker", "git", "sha256sum")
_COMMENT = re.compile(
    r"<!--\s*(not run|dry run|exit (?P<code>\d+)):\s*(?:`(?P<start>[^`]+)`:)?\s*(?P<reason>.+?)\s*-->"
)
_FENCE = re.compile(r"\s*(```+)\s*(\S*)")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One command of a page: its words, how it is run, why so, and the exit code that it ends with."""

    page: Path
    line: int
    words: tuple[str, ...]
    how: How = "run"
    reason: str = ""
    code: int = 0

    @property
    def text(self) -> str:
        return shlex.join(self.words)


@dataclass(frozen=True, kw_only=True)
class _Mark:
    kind: str
    start: str
    reason: str
    code: int

    def speaks_of(self, words: tuple[str, ...]) -> bool:
        """Say whether a command is meant: of all where none is named, else of one, or of those that begin so."""
        start, dots, _ = self.start.partition(" ...")
        named = tuple(shlex.split(start))
        return words[: len(named)] == named if dots or not named else words == named


def steps_of(page: Path) -> list[Step]:
    """Return the commands of all shell blocks of a page, in order; raises ValueError where a comment meets none."""
    found: list[Step] = []
    for marks, lines in _blocks(page.read_text(encoding="utf-8").splitlines()):
        met = set[_Mark]()
        for number, line in lines:
            for words in _commands(line):
                step = Step(page=page, line=number, words=words)
                for mark in marks:
                    if mark.speaks_of(words):
                        step = _marked(step, mark)
                        met.add(mark)
                found.append(step)
        for mark in marks:
            if mark not in met:
                raise ValueError(f"{page.name}: no command begins with {mark.start!r}, of which a comment speaks")
    return found


def _marked(step: Step, mark: _Mark) -> Step:
    how: How = "not run" if mark.kind == "not run" else "dry run" if mark.kind == "dry run" else step.how
    return Step(page=step.page, line=step.line, words=step.words, how=how, reason=mark.reason, code=mark.code)


def _commands(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands of a line, which `&&` joins; a comment at its end goes."""
    words: list[str] = []
    for word in [*shlex.split(line.removeprefix("$ "), comments=True), "&&"]:
        if word != "&&":
            words.append(word)
        elif words:
            yield tuple(words)
            words = []


def _blocks(lines: list[str]) -> Iterator[tuple[list[_Mark], list[tuple[int, str]]]]:
    """Yield (comments, numbered lines) of each shell block."""
    marks: list[_Mark] = []
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        if fence:
            end = next(n for n in range(at + 1, len(lines) + 1) if lines[n].strip().startswith(fence[1]))
            block, after, shell = range(at + 1, end), end + 1, fence[2] in ("sh", "console")
        elif lines[at].startswith("    ") and not (at and lines[at - 1].strip()):
            after = next((n for n in range(at, len(lines)) if lines[n] and not lines[n].startswith("    ")), len(lines))
            block, shell = range(at, after), any(lines[n].split()[:1] and _runs(lines[n]) for n in range(at, after))
        else:
            marks += [_mark(found) for found in _COMMENT.finditer(lines[at])]
            if lines[at].strip() and not lines[at].startswith("<!--"):
                marks = []
            at += 1
            continue
        if shell:
            yield marks, [(n + 1, lines[n]) for n in block if lines[n].strip()]
        marks, at = [], after


def _runs(line: str) -> bool:
    return line.split()[0] in PROGRAMS


def _mark(found: re.Match[str]) -> _Mark:
    return _Mark(kind=found[1], start=found["start"] or "", reason=found["reason"], code=int(found["code"] or 0))
