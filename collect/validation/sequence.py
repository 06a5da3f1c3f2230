"""When photos were taken, decided alike for the photos of one device that follow each other by its clock.

One photo's two times are compared in `collect.validation.two_times`. This adds what the photos around it tell. A clock
that agrees with one fix is right for all. One that is off by the same time at several fixes is off in between, too.
"""

import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Final
from zoneinfo import ZoneInfo

from collect.validation.repeated_hour import later_passes
from collect.validation.two_times import STALE_AGE_S, ClockComparison, Kind, compare, is_never_set
from img2gps.types import TimeSource
from img2gps.walks import WALK_GAP_S

__all__ = ["Decision", "TimeEvidence", "decide"]

_VOUCHING_S: Final = 60.0
_STEADY_S: Final = 2.0


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class TimeEvidence:
    """What a file says of its time: see `img2gps.types.Photo`; `order` is its name, in which cameras count up.

    `is_doubtful` where the offset is written and cannot be read, `is_stamped` where a GPS time is, readable or not.
    """

    order: str = ""
    local: datetime | None = None
    offset_min: int | None = None
    gps: datetime | None = None
    is_doubtful: bool = False
    is_stamped: bool = False


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The time in UTC and where it comes from; `kind` says how the file's times contradict each other.

    `fix_age_s` is how much older the fix is than the photo. `is_repeated` where the local time came twice that day.
    """

    captured_at: datetime | None = None
    utc_offset_min: int | None = None
    source: TimeSource | None = None
    fix_age_s: float | None = None
    kind: Kind | None = None
    is_repeated: bool = False


@dataclasses.dataclass(slots=True, kw_only=True)
class _Case:
    evidence: TimeEvidence
    clock: datetime | None
    offset_min: int | None
    found: ClockComparison | None = None
    is_repeated: bool = False


def decide(evidence: Sequence[TimeEvidence], zone: ZoneInfo | None) -> list[Decision]:
    """Return the decision of each photo of one device at a site whose clocks follow `zone` (None: unknown)."""
    cases = _cases(evidence, zone)
    decisions = {
        number: decision
        for run in _runs(cases)
        for number, decision in zip(run, _decide_run([cases[number] for number in run], zone), strict=True)
    }
    return [decisions[number] for number in range(len(cases))]


def _cases(evidence: Sequence[TimeEvidence], zone: ZoneInfo | None) -> list[_Case]:
    by_zone = [found for found in evidence if _is_by_zone(found, zone)]
    later, repeated = _passes(by_zone, zone)
    cases = []
    for found in evidence:
        clock, offset_min = _clock_of(found, zone, fold=int(id(found) in later))
        cases.append(_Case(evidence=found, clock=clock, offset_min=offset_min, is_repeated=id(found) in repeated))
    return cases


def _is_by_zone(found: TimeEvidence, zone: ZoneInfo | None) -> bool:
    return zone is not None and found.local is not None and found.offset_min is None and not found.is_doubtful


def _passes(by_zone: Sequence[TimeEvidence], zone: ZoneInfo | None) -> tuple[set[int], set[int]]:
    """Return which photos were taken in the second pass of a repeated hour, and which in either, by identity."""
    if zone is None or not by_zone:
        return set(), set()
    rows = [(found.order, found.local, found.gps) for found in by_zone if found.local is not None]
    later, repeated = later_passes(rows, zone)
    return {id(by_zone[row]) for row in later}, {id(by_zone[row]) for row in repeated}


def _clock_of(found: TimeEvidence, zone: ZoneInfo | None, *, fold: int) -> tuple[datetime | None, int | None]:
    if found.local is None:
        return None, found.offset_min
    if found.is_doubtful:
        return None, None
    if found.offset_min is not None:
        return (found.local - timedelta(minutes=found.offset_min)).replace(tzinfo=UTC), found.offset_min
    if zone is None:
        return None, None
    clock = found.local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    return clock, _offset_min(clock, zone)


def _runs(cases: Sequence[_Case]) -> list[list[int]]:
    """Return the photos that follow each other by the clock; one without a clock in UTC stands alone."""

    def key(number: int) -> datetime:
        clock = cases[number].clock
        assert clock is not None
        return clock

    timed = sorted((number for number, case in enumerate(cases) if case.clock is not None), key=key)
    runs = [[number] for number, case in enumerate(cases) if case.clock is None]
    for place, number in enumerate(timed):
        if place and (key(number) - key(timed[place - 1])).total_seconds() <= WALK_GAP_S:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _decide_run(run: Sequence[_Case], zone: ZoneInfo | None) -> list[Decision]:
    vouched = any(_agree(case) for case in run)
    for case in run:
        case.found = _compared(case, is_vouched=vouched)
    kinds = {case.found.kind for case in run if case.found is not None and case.found.believed == "clock"}
    error_s = _steady_error_s(run)
    if error_s is None and len(run) > 1:
        _believe_clock_of_old_fixes(run)
    if not kinds - {None, "stamp"}:
        return [_one_by_one(case, error_s, zone) for case in run]
    doubtful = not vouched and bool(kinds & {"far", "ahead"})
    if error_s is not None:
        return [_corrected(case, error_s, zone) for case in run]
    return [_by_clock(case, kind=_kind(case) or ("clock" if doubtful else None)) for case in run]


def _believe_clock_of_old_fixes(run: Sequence[_Case]) -> None:
    """Time the photos whose fix is old by the clock: by their fixes they would leave the photos around them."""
    for case in run:
        found = case.found
        if found is not None and found.believed == "gps" and found.kind is None and (found.age_s or 0.0) > _VOUCHING_S:
            case.found = dataclasses.replace(found, believed="clock")


def _agree(case: _Case) -> bool:
    gps, clock = case.evidence.gps, case.clock
    return gps is not None and clock is not None and abs((clock - gps).total_seconds()) <= _VOUCHING_S


def _compared(case: _Case, *, is_vouched: bool) -> ClockComparison | None:
    found = case.evidence
    if found.gps is None:
        return ClockComparison(believed="clock", kind="stamp") if found.is_stamped else None
    if found.local is None:
        return ClockComparison(believed="gps")
    return compare(
        local=found.local,
        clock=case.clock,
        offset_min=case.offset_min,
        gps=found.gps,
        is_vouched=is_vouched,
        is_trusted=is_vouched or found.offset_min is not None,
    )


def _kind(case: _Case) -> Kind | None:
    return None if case.found is None else case.found.kind


def _steady_error_s(run: Sequence[_Case]) -> float | None:
    """Return by how much the clock of a run is ahead of the GPS where its fixes tell; None where it is right."""
    told = [(case.evidence.gps, error_s) for case in run if (error_s := _error_s(case)) is not None]
    if not told:
        return None
    errors_s = [error_s for _, error_s in told]
    middle_s = median(errors_s)
    disagree = any(case.found is not None and case.found.believed == "gps" and case.found.kind for case in run)
    steady = len({gps for gps, _ in told}) > 1 and max(errors_s) - min(errors_s) <= _STEADY_S
    return middle_s if abs(middle_s) > STALE_AGE_S and (disagree or steady) else None


def _error_s(case: _Case) -> float | None:
    """Return how far the clock is ahead of a GPS time, a shift that is known taken off the latter."""
    found, gps = case.found, case.evidence.gps
    if found is None or gps is None or case.clock is None or found.kind == "weeks":
        return None  # a receiver whose weeks are wrong is no judge of the clock's seconds
    return (case.clock - gps).total_seconds() if found.believed == "gps" else found.age_s


def _one_by_one(case: _Case, error_s: float | None, zone: ZoneInfo | None) -> Decision:
    if case.found is not None and case.found.believed == "gps":
        return _by_gps(case, zone)
    return _by_clock(case, kind=_kind(case)) if error_s is None else _corrected(case, error_s, zone)


def _corrected(case: _Case, error_s: float, zone: ZoneInfo | None) -> Decision:
    """Return the clock's time less its error, as the GPS of the photos around tells it."""
    assert case.clock is not None
    return _by_gps(case, zone, moment=case.clock - timedelta(seconds=error_s), kind=_kind(case) or "clock")


def _by_clock(case: _Case, *, kind: Kind | None) -> Decision:
    found = case.evidence
    if case.clock is None or found.local is None or is_never_set(found.local):
        return Decision(utc_offset_min=found.offset_min, kind=kind)
    return Decision(
        captured_at=case.clock,
        utc_offset_min=case.offset_min,
        source="site_zone" if found.offset_min is None else "exif_offset",
        fix_age_s=None if case.found is None else case.found.age_s,
        kind=kind,
        is_repeated=case.is_repeated,
    )


def _by_gps(
    case: _Case, zone: ZoneInfo | None, *, moment: datetime | None = None, kind: Kind | None = None
) -> Decision:
    found, compared = case.evidence, case.found
    if moment is None:
        assert found.gps is not None
        assert compared is not None
        moment = found.gps + timedelta(weeks=1024 * compared.weeks)
    offset_min = found.offset_min
    if offset_min is None and zone is not None:
        offset_min = _offset_min(moment, zone)
    return Decision(
        captured_at=moment,
        utc_offset_min=offset_min,
        source="gps",
        fix_age_s=None if compared is None else compared.age_s,
        kind=kind or _kind(case),
    )


def _offset_min(moment: datetime, zone: ZoneInfo) -> int:
    offset = moment.astimezone(zone).utcoffset()
    assert offset is not None
    return round(offset.total_seconds() / 60)
