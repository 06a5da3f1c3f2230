"""The hour that clocks show twice in autumn: which pass a photo belongs to, by the photos before and after it."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from img2gps.walks import WALK_GAP_S

__all__ = ["later_passes"]

_NEAR_S: Final = 7_200.0
_DISORDER_S: Final = 5.0  # photos of a burst are not always named in the order of their times

Row = tuple[str, datetime, datetime | None]


def later_passes(rows: Sequence[Row], zone: ZoneInfo) -> tuple[set[int], set[int]]:
    """Return the rows of the second pass, and all rows of either pass.

    `rows` are the photos of one device: the file's name, the naive local time, and the GPS time where there is one.
    Cameras count names up: a clock that steps back between two names has begun the second pass. Photos without a gap of
    ten minutes stay together. They follow a GPS time among them, or join what lies so near before or after the hour.
    Without such a sign it is the first pass.
    """
    repeated = {row for row, (_, local, _) in enumerate(rows) if _is_repeated(local, zone)}
    if not repeated:
        return set(), set()
    order = sorted(range(len(rows)), key=lambda row: _counted(rows[row][0]))
    certain = [_utc(rows[row][1], zone, 0) for row in order if row not in repeated]
    counts_up = not any(_steps_back(*pair) for pair in pairwise(certain)) and _steps_back_once(order, rows, repeated)
    told = {row for row in repeated if _is_told(rows[row], zone)}
    later = {row for row in told if _is_later_by_gps(rows[row], zone)}
    if counts_up:
        places = {row: place for place, row in enumerate(order)}
        for chain in _chains(order, rows, repeated):
            ends = places[chain[0]], places[chain[-1]]
            known = [row for row in chain if row in told]
            if known:
                later.update(row for row in chain if row not in told and _nearest(row, known, rows) in later)
            elif not any(rows[row][2] for row in chain) and _is_later(ends, order, rows, zone, later, repeated):
                later.update(chain)
    return later, repeated


def _steps_back_once(order: Sequence[int], rows: Sequence[Row], repeated: set[int]) -> bool:
    """Return whether the clock steps back at most once in each repeated hour, as it does where names count up."""
    hours = [rows[row][1] for row in order if row in repeated]
    back = [
        after.date()
        for before, after in pairwise(hours)
        if _steps_back(before, after) and after.date() == before.date()
    ]
    return len(set(back)) == len(back)


def _steps_back(before: datetime, after: datetime) -> bool:
    return (before - after).total_seconds() > _DISORDER_S


def _nearest(row: int, known: Sequence[int], rows: Sequence[Row]) -> int:
    """Return which of the rows that a GPS time tells the pass of is nearest by the clock."""
    return min(known, key=lambda other: abs(rows[other][1] - rows[row][1]))


def _is_repeated(local: datetime, zone: ZoneInfo) -> bool:
    first, second = (local.replace(tzinfo=zone, fold=fold).utcoffset() for fold in (0, 1))
    return first is not None and second is not None and first > second


def _utc(local: datetime, zone: ZoneInfo, fold: int) -> datetime:
    return local.replace(tzinfo=zone, fold=fold).astimezone(UTC)


def _counted(name: str) -> list[tuple[int, str]]:
    """Return a key by which IMG_9 comes before IMG_10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _is_told(row: Row, zone: ZoneInfo) -> bool:
    return row[2] is not None and min(_apart_s(row, zone)) < _NEAR_S


def _is_later_by_gps(row: Row, zone: ZoneInfo) -> bool:
    first, second = _apart_s(row, zone)
    return second < first


def _apart_s(row: Row, zone: ZoneInfo) -> tuple[float, float]:
    """Return how far the GPS time lies from the clock in the first and in the second pass."""
    _, local, gps = row
    assert gps is not None
    first, second = (abs((_utc(local, zone, fold) - gps).total_seconds()) for fold in (0, 1))
    return first, second


def _chains(order: Sequence[int], rows: Sequence[Row], repeated: set[int]) -> list[list[int]]:
    """Return the rows of a repeated hour that follow each other by name, the clock running on without a long gap."""
    chains: list[list[int]] = []
    before: int | None = None
    for row in order:
        if row in repeated:
            step_s = None if before is None else (rows[row][1] - rows[before][1]).total_seconds()
            if before in repeated and step_s is not None and -_DISORDER_S <= step_s <= WALK_GAP_S:
                chains[-1].append(row)
            else:
                chains.append([row])
        before = row
    return chains


def _is_later(
    ends: tuple[int, int],
    order: Sequence[int],
    rows: Sequence[Row],
    zone: ZoneInfo,
    later: set[int],
    repeated: set[int],
) -> bool:
    """Return whether a chain, by its first and last place in order, is of the second pass."""
    start, end = ends
    begins = _utc(rows[order[start]][1], zone, 0)
    if start > 0:
        before = order[start - 1]
        gap_s = (begins - _utc(rows[before][1], zone, int(before in later))).total_seconds()
        if gap_s < 0:
            return gap_s >= -_NEAR_S
        if gap_s <= WALK_GAP_S:
            return False
    if end + 1 < len(order) and order[end + 1] not in repeated:
        gap_s = (_utc(rows[order[end + 1]][1], zone, 0) - _utc(rows[order[end]][1], zone, 1)).total_seconds()
        return 0 <= gap_s <= WALK_GAP_S
    return False
