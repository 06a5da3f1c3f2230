"""The corrections of two datasets as one chain, in order of time, and where two people disagreed."""

import dataclasses
import heapq
from collections.abc import Collection, Sequence
from typing import Any

from img2gps.corrections import Correction
from img2gps.text import safe_text

__all__ = ["CorrectionConflict", "merged_corrections"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionConflict:
    """A photo that both datasets corrected, each in its own way: the later line holds."""

    photo_id: str
    first: Correction
    second: Correction
    holds: Correction

    def to_dict(self) -> dict[str, Any]:
        """Return the conflict for ``merge --json``."""
        return {
            "id": self.photo_id,
            "first": _told(self.first),
            "second": _told(self.second),
            "holds": "second" if self.holds is self.second else "first",
        }


def _told(line: Correction) -> dict[str, Any]:
    return {"at": line.at, "by": safe_text(line.by), "action": line.action, "lon": line.lon, "lat": line.lat}


def merged_corrections(
    first: Sequence[Correction], second: Sequence[Correction], kept: Collection[str]
) -> tuple[list[Correction], list[CorrectionConflict]]:
    """Return the lines of both about the photos `kept`, in order of time, each once, and the conflicts.

    Lines that both have (one dataset began as a copy of the other) count once. Each dataset's own order stays, whatever
    its clock said. If somebody else's line came between, a line that takes another back becomes an ordinary line. It
    says where the photo is now, like every line. The digests are of the old chains: `write_corrections` makes them
    anew.
    """
    common = 0
    while common < min(len(first), len(second)) and first[common].digest == second[common].digest:
        common += 1
    known = {_content(line) for line in first}
    others = [line for line in second[common:] if _content(line) not in known]
    rest = heapq.merge(_timed(first[common:]), _timed(others), key=lambda item: item[0])
    lines = [line for line in (*first[:common], *(line for _, line in rest)) if line.photo_id in kept]
    return _without_dangling(lines), _conflicts(list(first), list(second), others, set(kept), lines)


def _content(line: Correction) -> Correction:
    return dataclasses.replace(line, digest="", undoes="")


def _timed(lines: Sequence[Correction]) -> list[tuple[str, Correction]]:
    """Return the lines with a time that never goes back: the latest so far."""
    latest = ""
    timed = []
    for line in lines:
        latest = max(latest, line.at)
        timed.append((latest, line))
    return timed


def _without_dangling(lines: list[Correction]) -> list[Correction]:
    """Return the lines, those that take back a line which is not the photo's last as lines of their own."""
    stacks: dict[str, list[str]] = {}
    result = []
    for line in lines:
        stack = stacks.setdefault(line.photo_id, [])
        if line.undoes and stack and stack[-1] == line.undoes:
            stack.pop()
            result.append(line)
            continue
        stack.append(line.digest)
        result.append(dataclasses.replace(line, undoes="") if line.undoes else line)
    return result


def _conflicts(
    first: list[Correction], second: list[Correction], others: list[Correction], kept: set[str], lines: list[Correction]
) -> list[CorrectionConflict]:
    """Return the photos on which both datasets have lines that the other lacks, and which they leave differently."""
    theirs = {_content(line) for line in second}
    touched = {line.photo_id for line in others}
    touched &= {line.photo_id for line in first if _content(line) not in theirs} & kept
    last_first, last_second, last = _last(first), _last(second), _last(lines)
    found = []
    for photo_id in sorted(touched):
        one, other = last_first[photo_id], last_second[photo_id]
        if _state(one) != _state(other):
            holds = other if _content(last[photo_id]) == _content(other) else one
            found.append(CorrectionConflict(photo_id=photo_id, first=one, second=other, holds=holds))
    return found


def _last(lines: list[Correction]) -> dict[str, Correction]:
    return {line.photo_id: line for line in lines}


def _state(line: Correction) -> tuple[Any, ...]:
    return line.action, line.lon, line.lat, line.heading_deg
