"""Two times of one photo: which is believed, what is flagged, and that the photos of a walk are decided alike."""

import dataclasses
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collect.validation.sequence import Decision, TimeEvidence, decide

BERLIN, NEW_YORK = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
TRUTH = datetime(2024, 6, 12, 12, 10, 30, tzinfo=UTC)
ROLLOVER = timedelta(weeks=1024)

TimedWalk = tuple[list[datetime], list[TimeEvidence], ZoneInfo | None]


def evidence(
    truth: datetime = TRUTH,
    *,
    offset_min: int | None = 120,
    gps: datetime | None = None,
    clock_error: timedelta = timedelta(0),
    written: bool = True,
    name: str = "",
    stamped: bool = False,
) -> TimeEvidence:
    """Return the times of a photo taken at `truth`, its clock off by an error, its offset written or not."""
    local = (truth + timedelta(minutes=offset_min or 0) + clock_error).replace(tzinfo=None)
    return TimeEvidence(
        order=name,
        local=local,
        offset_min=offset_min if written else None,
        gps=gps,
        is_stamped=stamped or gps is not None,
    )


def alone(found: TimeEvidence, zone: ZoneInfo | None = BERLIN) -> Decision:
    return decide([found], zone)[0]


@pytest.mark.parametrize(
    ("gps", "kind"),
    [
        (TRUTH - ROLLOVER - timedelta(seconds=2), "weeks"),
        (TRUTH - 2 * ROLLOVER, "weeks"),
        (TRUTH + ROLLOVER, "weeks"),
        (TRUTH + timedelta(hours=2), "zone"),  # local time written as GPS time
        (TRUTH - timedelta(hours=2), "zone"),  # the offset taken off twice
        (TRUTH + timedelta(days=1), "day"),
        (TRUTH - timedelta(days=1, seconds=3), "day"),
        (TRUTH + timedelta(hours=1, minutes=7), "ahead"),
        (TRUTH - timedelta(days=400), "far"),
        (TRUTH + timedelta(days=2222), "far"),
        (TRUTH.replace(hour=0, minute=0, second=0), "stamp"),
        (datetime(1980, 1, 6, tzinfo=UTC), "stamp"),
    ],
)
def test_a_clock_that_names_its_offset_is_believed(gps: datetime, kind: str) -> None:
    decision = alone(evidence(gps=gps))
    assert (decision.captured_at, decision.source, decision.kind) == (TRUTH, "exif_offset", kind)
    assert decision.fix_age_s is None or abs(decision.fix_age_s) <= 3


def test_a_stamp_that_cannot_be_read_is_flagged() -> None:
    decision = alone(evidence(stamped=True))
    assert (decision.captured_at, decision.kind) == (TRUTH, "stamp")


@pytest.mark.parametrize("age_s", [0, 5, 60, 20 * 60, 3 * 3600 + 77])
def test_an_old_fix_is_no_contradiction(age_s: int) -> None:
    gps = TRUTH - timedelta(seconds=age_s)
    decision = alone(evidence(gps=gps))
    assert (decision.captured_at, decision.source, decision.kind, decision.fix_age_s) == (gps, "gps", None, age_s)


@pytest.mark.parametrize(
    "set_to", [datetime(1970, 1, 1, 0, 5), datetime(2000, 1, 1, 12, 0), datetime(2016, 1, 1, 3, 0)]
)
@pytest.mark.parametrize("offset_min", [None, 120])
def test_a_clock_that_was_never_set_gives_way_to_the_gps(set_to: datetime, offset_min: int | None) -> None:
    decision = alone(TimeEvidence(local=set_to, offset_min=offset_min, gps=TRUTH, is_stamped=True))
    assert (decision.captured_at, decision.source, decision.kind) == (TRUTH, "gps", "unset")


def test_a_clock_that_was_never_set_alone_is_no_time() -> None:
    for local in (datetime(1970, 1, 1), datetime(2000, 1, 1, 0, 3)):
        assert alone(TimeEvidence(local=local, offset_min=0)).captured_at is None
    assert alone(TimeEvidence(local=datetime(2012, 1, 1, 0, 3), offset_min=0)).captured_at is not None


def test_a_clock_of_the_site_s_zone_alone_does_not_outdo_the_gps() -> None:
    on_home_time = evidence(offset_min=-240, written=False, gps=TRUTH)
    decision = alone(on_home_time)
    assert (decision.captured_at, decision.kind) == (TRUTH, "zone")


def test_a_fix_that_agrees_vouches_for_the_clock_of_the_others() -> None:
    later = TRUTH + timedelta(minutes=1)
    walk = [
        evidence(written=False, gps=TRUTH + timedelta(hours=2)),
        evidence(later, written=False, gps=later - timedelta(seconds=2)),
    ]
    assert [decision.captured_at for decision in decide(walk, BERLIN)] == [TRUTH, later]
    assert [decision.kind for decision in decide(walk, BERLIN)] == ["zone", None]


def test_a_walk_on_new_year_s_day_is_no_clock_that_was_never_set() -> None:
    new_year = datetime(2024, 1, 1, 12, 0, tzinfo=UTC)
    walk = [
        evidence(new_year, offset_min=60, gps=new_year - timedelta(seconds=2)),
        evidence(new_year + timedelta(minutes=1), offset_min=60, gps=new_year + timedelta(days=999)),
    ]
    decisions = decide(walk, BERLIN)
    assert [decision.captured_at for decision in decisions] == [new_year, new_year + timedelta(minutes=1)]
    assert [decision.kind for decision in decisions] == [None, "far"]


def test_without_any_zone_a_receiver_s_lost_weeks_are_added() -> None:
    decision = alone(evidence(written=False, gps=TRUTH - ROLLOVER), None)
    assert (decision.captured_at, decision.source, decision.kind) == (TRUTH, "gps", "weeks")


def test_an_offset_that_cannot_be_read_is_not_replaced_by_the_site_s_zone() -> None:
    doubtful = TimeEvidence(local=datetime(2024, 6, 12, 10, 0), is_doubtful=True)
    assert alone(doubtful).captured_at is None


def test_a_walk_of_which_every_second_stamp_is_wrong_is_timed_by_its_clock() -> None:
    moments = [TRUTH + timedelta(minutes=minute) for minute in range(12)]
    walk = [
        evidence(moment, gps=None if at % 3 else moment - timedelta(seconds=2) - (ROLLOVER if at % 2 else timedelta(0)))
        for at, moment in enumerate(moments)
    ]
    decisions = decide(walk, BERLIN)
    assert [decision.captured_at for decision in decisions] == moments
    assert {decision.source for decision in decisions} == {"exif_offset"}
    assert [at for at, decision in enumerate(decisions) if decision.kind] == [3, 9]


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("age", [timedelta(minutes=20), timedelta(hours=3), timedelta(hours=11)])
@pytest.mark.parametrize("old", [{0}, {11}, {0, 1, 2}, {1, 3, 5, 7, 9, 11}, {4, 5, 6}])
def test_old_fixes_do_not_take_their_photos_out_of_the_walk(old: set[int], age: timedelta, written: bool) -> None:
    moments = [TRUTH + timedelta(seconds=40 * at) for at in range(12)]
    walk = [evidence(moment, written=written, gps=moment - age * (at in old)) for at, moment in enumerate(moments)]
    decisions = decide(walk, BERLIN)
    assert [decision.captured_at for decision in decisions] == moments
    assert {at for at, decision in enumerate(decisions) if (decision.fix_age_s or 0) > 10} == old


def test_a_stamp_that_stood_still_times_no_walk() -> None:
    moments = [TRUTH + timedelta(minutes=at) for at in range(6)]
    decisions = decide([evidence(moment, gps=TRUTH - timedelta(minutes=15)) for moment in moments], BERLIN)
    assert [decision.captured_at for decision in decisions] == moments


@pytest.mark.parametrize("rest", [timedelta(seconds=18), timedelta(hours=-4), timedelta(hours=5.75)])
@pytest.mark.parametrize("weeks", [-1, -2, 1])
def test_a_receiver_whose_weeks_are_wrong_does_not_correct_the_clock(weeks: int, rest: timedelta) -> None:
    moments = [TRUTH + timedelta(minutes=at) for at in range(5)]
    decisions = decide([evidence(moment, gps=moment + weeks * ROLLOVER - rest) for moment in moments], BERLIN)
    assert [(decision.captured_at, decision.kind) for decision in decisions] == [(at, "weeks") for at in moments]


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize(
    ("zone", "truth"),
    [
        ("America/New_York", datetime(2024, 6, 12, 2, 10, tzinfo=UTC)),  # still 11 June there
        ("Pacific/Auckland", datetime(2024, 6, 12, 20, 10, tzinfo=UTC)),  # already 13 June there
    ],
)
def test_the_local_day_as_the_day_of_the_gps_shows_itself(zone: str, truth: datetime, written: bool) -> None:
    local = truth.astimezone(ZoneInfo(zone))
    stamp = datetime.combine(local.date(), truth.time(), tzinfo=UTC) - timedelta(seconds=2)
    decision = alone(
        evidence(truth, offset_min=_offset_min(truth, ZoneInfo(zone)), written=written, gps=stamp), ZoneInfo(zone)
    )
    assert (decision.captured_at, decision.kind) == (truth, "day")


def test_local_winter_time_as_gps_time_is_another_zone() -> None:
    decision = alone(evidence(offset_min=-240, gps=TRUTH - timedelta(hours=5, seconds=2)))
    assert (decision.captured_at, decision.kind) == (TRUTH, "zone")


def test_a_clock_that_is_off_alike_at_every_fix_is_off_in_between() -> None:
    error = timedelta(days=-3000, minutes=7)
    moments = [TRUTH + timedelta(minutes=minute) for minute in range(5)]
    walk = [
        evidence(moment, written=False, clock_error=error, gps=None if at == 2 else moment)
        for at, moment in enumerate(moments)
    ]
    decisions = decide(walk, BERLIN)
    assert [abs(decision.captured_at - moment) for decision, moment in zip(decisions, moments, strict=True)] <= [
        timedelta(hours=1)
    ] * 5
    assert [decision.kind is None for decision in decisions] == [False] * 5
    assert [decision.source for decision in decisions] == ["gps"] * 5


# --- the hour that autumn repeats


def autumn(*minutes: int, names: bool = True, gps: dict[int, datetime] | None = None) -> list[TimeEvidence]:
    """Return photos taken the given minutes after 00:00 UTC of 27 October 2024, when Berlin goes from 2 to 1 hours."""
    start = datetime(2024, 10, 27, tzinfo=UTC)
    moments = [start + timedelta(minutes=minute) for minute in minutes]
    return [
        TimeEvidence(
            order=f"IMG_{at + 7}.jpg" if names else "photo.jpg",
            local=moment.astimezone(BERLIN).replace(tzinfo=None),
            gps=(gps or {}).get(at),
        )
        for at, moment in enumerate(moments)
    ]


@pytest.mark.parametrize(
    ("minutes", "right"),
    [
        ((5, 15, 25, 58, 62, 70), True),  # runs through: the clock steps back at minute 60
        ((50, 65, 118, 125), True),
        ((112, 117, 121, 126), True),  # joins what comes after the hour
        ((-8, -2, 4, 9), True),  # joins what came before it
        ((70,), False),  # a photo alone says nothing
    ],
)
def test_the_order_of_the_walk_tells_the_repeated_hour(minutes: tuple[int, ...], right: bool) -> None:
    start = datetime(2024, 10, 27, tzinfo=UTC)
    decisions = decide(autumn(*minutes), BERLIN)
    truths = [start + timedelta(minutes=minute) for minute in minutes]
    assert ([decision.captured_at for decision in decisions] == truths) is right
    assert [decision.is_repeated for decision in decisions] == [0 <= minute < 120 for minute in minutes]


@pytest.mark.parametrize("told", [(0,), (2,), (0, 3)])
def test_photos_without_a_gps_time_follow_those_beside_them_in_the_repeated_hour(told: tuple[int, ...]) -> None:
    start = datetime(2024, 10, 27, tzinfo=UTC)
    for minutes in ((5, 9, 14, 20), (65, 69, 74, 80), (50, 57, 63, 70)):
        truths = [start + timedelta(minutes=minute) for minute in minutes]
        decisions = decide(autumn(*minutes, gps={at: truths[at] for at in told}), BERLIN)
        assert [decision.captured_at for decision in decisions] == truths, minutes


def test_a_burst_named_out_of_order_begins_no_second_pass() -> None:
    walk = autumn(5, 6, 7)
    walk[1], walk[2] = (
        dataclasses.replace(walk[at], local=datetime(2024, 10, 27, 2, 7, second)) for at, second in ((1, 1), (2, 0))
    )
    moments = [decision.captured_at for decision in decide(walk, BERLIN)]
    assert [moment.hour for moment in moments if moment] == [0, 0, 0]


def test_names_without_order_in_the_repeated_hour_tell_nothing() -> None:
    walk = autumn(5, 10, 15, 20, 25)
    shuffled = [dataclasses.replace(found, order=name) for name, found in zip("dbcae", walk, strict=True)]
    start = datetime(2024, 10, 27, tzinfo=UTC)
    assert [found.captured_at for found in decide(shuffled, BERLIN)] == [
        start + timedelta(minutes=minute) for minute in (5, 10, 15, 20, 25)
    ]


def test_names_that_do_not_count_up_tell_nothing() -> None:
    walk = autumn(-30, 5, 70, 200)
    shuffled = [TimeEvidence(order=name, local=found.local) for name, found in zip("dbca", walk, strict=True)]
    decisions = decide(shuffled, BERLIN)
    assert [decision.captured_at.minute for decision in decisions if decision.captured_at] == [30, 5, 10, 20]
    assert decisions[2].captured_at == datetime(2024, 10, 27, 0, 10, tzinfo=UTC)


# --- what the generator knows


@st.composite
def walks(draw: st.DrawFn) -> TimedWalk:
    """Return a walk's true times, what its files say, and the site's zone.

    The clock is right, or off with two right fixes at least to tell it: nobody could know otherwise.
    """
    zone = draw(st.sampled_from([BERLIN, NEW_YORK, None]))
    start = datetime(2024, 1, 3, tzinfo=UTC) + timedelta(seconds=draw(st.integers(0, 300 * 86_400)))
    truths = [start + timedelta(seconds=draw(st.integers(10, 50)) + 60 * at) for at in range(draw(st.integers(1, 7)))]
    written = draw(st.booleans()) or zone is None
    wrong = draw(st.booleans()) and len(truths) > 2
    error = (
        timedelta(seconds=draw(st.sampled_from([-40, 90, 700, -5000, 5000, 9 * 86_400, -400 * 86_400])))
        if wrong
        else timedelta(0)
    )
    fixed = draw(st.integers(-11, 14)) * 60 if written else None
    if fixed is None and any(_in_doubt(truth + error, zone) for truth in truths):
        error = timedelta(0)
        truths = [truth.replace(month=6) for truth in truths]
    kinds = [
        draw(st.sampled_from(["right", "missing", "rollover", "local", "day", "years", "zero", "corrupt"]))
        for _ in truths
    ]
    if wrong:
        kinds = ["right" if at < 2 or kind != "missing" else kind for at, kind in enumerate(kinds)]
    elif not written:  # one that agrees shows that the clock is in the site's zone
        kinds[0] = "right"
    photos = []
    for at, (truth, kind) in enumerate(zip(truths, kinds, strict=True)):
        offset_min = fixed if fixed is not None else _offset_min(truth, zone)
        stamp = _stamp(truth, kind, offset_min)
        photos.append(
            evidence(
                truth, offset_min=offset_min, written=written, gps=stamp, clock_error=error, name=f"{at:04}.jpg",
                stamped=kind == "corrupt",
            )
        )  # fmt: skip
    return truths, photos, zone


def _offset_min(truth: datetime, zone: ZoneInfo | None) -> int:
    offset = truth.astimezone(zone or UTC).utcoffset()
    assert offset is not None
    return int(offset.total_seconds() // 60)


def _in_doubt(moment: datetime, zone: ZoneInfo | None) -> bool:
    return any(_offset_min(moment + timedelta(hours=hours), zone) != _offset_min(moment, zone) for hours in (-3, 3))


def _since_midnight(truth: datetime) -> timedelta:
    return truth - truth.replace(hour=0, minute=0, second=0)


def _stamp(truth: datetime, kind: str, offset_min: int) -> datetime | None:
    return {
        "right": truth,
        "rollover": truth - ROLLOVER,
        "local": truth + timedelta(minutes=offset_min),
        "day": truth - timedelta(days=1),
        "years": truth + timedelta(days=2222, hours=5),
        # so near to midnight it is as good as right
        "zero": truth if _since_midnight(truth) <= timedelta(seconds=10) else truth - _since_midnight(truth),
    }.get(kind)


@given(walks())
def test_no_time_is_a_second_off_unless_flagged(
    walk: TimedWalk,
) -> None:
    truths, photos, zone = walk
    for truth, photo, decision in zip(truths, photos, decide(photos, zone), strict=True):
        if decision.captured_at is None or decision.kind is not None or decision.is_repeated:
            continue
        if decision.fix_age_s is not None and decision.fix_age_s > 10:
            continue  # a stale fix, which is flagged
        assert abs((decision.captured_at - truth).total_seconds()) <= 1, photo


@pytest.mark.slow
@given(walks(), st.randoms())
def test_the_order_in_which_photos_come_decides_nothing(walk: TimedWalk, random: object) -> None:
    _, photos, zone = walk
    straight = dict(zip((photo.order for photo in photos), decide(photos, zone), strict=True))
    shuffled = list(photos)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert dict(zip((photo.order for photo in shuffled), decide(shuffled, zone), strict=True)) == straight
