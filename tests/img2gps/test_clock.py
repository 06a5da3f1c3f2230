"""Spellings of times and offsets: what has one meaning is read, all else is no time."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from img2gps.clock import clock_text, is_blank, read_clock, read_offset
from img2gps.exif import CaptureClock, clock_of

MOMENT = datetime(2024, 6, 12, 14, 15, 30)


@pytest.mark.parametrize(
    "spelling",
    [
        "2024:06:12 14:15:30",
        "2024-06-12 14:15:30",
        "2024/06/12 14:15:30",
        "2024.06.12 14:15:30",
        "2024:6:12 14:15:30",
        "2024-06-12T14:15:30",
        "20240612T141530",
        "20240612 141530",
        "30/06/2024 14:15:30",
        "2024:06:12 02:15:30 PM",
        "2024:06:12 02:15:30 p.m.",
        "2024:06:12 02:15:30pm",
        "2024:06:12 下午 02:15:30",
        "2024:06:12 14:15:30下午",
        "2024:06:12 오후 2:15:30",
        "2024:06:12 午後 2:15:30",
        "2024:06:12 02:15:30 م",
        "２０２４:06:12 14:15:30",
        "2024:06:12 14:15:30\0leftover",
    ],
)
def test_one_moment_in_many_spellings(spelling: str) -> None:
    read = read_clock(clock_text(spelling))
    assert read is not None
    assert (read.local, read.offset_min) == (MOMENT.replace(day=30) if spelling.startswith("30") else MOMENT, None)


@pytest.mark.parametrize(
    ("spelling", "local"),
    [
        ("2024:06:12 24:08:19", datetime(2024, 6, 12, 0, 8, 19)),  # clocks that count 1 to 24 name the day that begins
        ("2024:06:12 10:15:60", datetime(2024, 6, 12, 10, 16)),
        ("2024:12:31 23:59:60", datetime(2025, 1, 1)),
        ("2024:06:12 10:15", datetime(2024, 6, 12, 10, 15)),
        ("2024:06:12 10:15:", datetime(2024, 6, 12, 10, 15)),
        ("2024:6:2 9:05:00", datetime(2024, 6, 2, 9, 5)),
        ("2024: 6: 2  9: 5: 3", datetime(2024, 6, 2, 9, 5, 3)),
        ("2024:06:12 12:15:30 AM", datetime(2024, 6, 12, 0, 15, 30)),
        ("2024:06:12 12:15:30 PM", datetime(2024, 6, 12, 12, 15, 30)),
        ("2024:06:12 10:15:30.25", datetime(2024, 6, 12, 10, 15, 30, 250_000)),
        ("2024:06:12 10:15:30,250", datetime(2024, 6, 12, 10, 15, 30, 250_000)),
    ],
)
def test_what_clocks_write_at_their_edges(spelling: str, local: datetime) -> None:
    read = read_clock(clock_text(spelling))
    assert read is not None
    assert read.local == local


@pytest.mark.parametrize(
    "spelling",
    [
        "0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", "", "2024:06:12",
        "05/06/2024 10:15:30",  # June or May
        "24:06:12 10:15:30",
        "2024:02:30 10:15:30",
        "2024:06:12 25:15:30",
        "2024:06:12 24:00:00",  # the day's beginning for some clocks, its end by ISO 8601
        "2024:06:12 10:61:30", "2024:06:12 10:15:61",
        "2024:06:12 14:15:30 AM", "2024:06:12 00:15:30 PM",
        "2024:06:12 10:15:30 EST",  # of three continents
        "2024:06:12 10:15:30-03:75",
        "2024:06:12 10:15:30 AM PM",
    ],
)  # fmt: skip
def test_what_is_no_time_or_two_is_not_read(spelling: str) -> None:
    assert read_clock(clock_text(spelling)) is None


@pytest.mark.parametrize(
    ("spelling", "minutes"),
    [
        ("Z", 0), ("UTC", 0), ("gmt", 0), ("+00:00", 0), ("-5:00", -300), ("-0400", -240), ("-04", -240), ("+2", 120),
        ("+05:30", 330), ("+0545", 345), ("GMT+2", 120), ("UTC-03:00", -180), ("\u221204:00", -240), ("+14:00", 840),
        ("-12:00", -720), ("04:00", None), ("-03:75", None), ("+15:00", None), ("-13:00", None), ("EST", None),
        ("   :  ", None), ("", None),
    ],
)  # fmt: skip
def test_offsets(spelling: str, minutes: int | None) -> None:
    assert read_offset(clock_text(spelling)) == minutes
    if minutes is not None:
        read = read_clock(clock_text(f"2024:06:12 14:15:30{spelling}"))
        assert read is not None
        assert (read.local, read.offset_min) == (MOMENT, minutes)


def test_text_that_pillow_hands_out_as_latin_1_is_read() -> None:
    for encoding in ("utf-8", "gb18030"):
        garbled = "2024:06:12 02:15:30 下午".encode(encoding)
        for value in (garbled, garbled.decode("latin-1")):
            read = read_clock(clock_text(value))
            assert read is not None
            assert read.local == MOMENT
    assert is_blank(clock_text("   :  "))


@given(st.text(max_size=30) | st.binary(max_size=30) | st.integers() | st.none())
def test_no_value_breaks_the_reader(value: object) -> None:
    text = clock_text(value)
    read_clock(text)
    read_offset(text)


@given(st.datetimes(datetime(1990, 1, 1), datetime(2099, 1, 1)), st.integers(-12 * 60, 14 * 60))
def test_iso_times_come_back(moment: datetime, offset_min: int) -> None:
    sign, (hours, minutes) = "-" if offset_min < 0 else "+", divmod(abs(offset_min), 60)
    read = read_clock(clock_text(f"{moment.isoformat()}{sign}{hours:02}:{minutes:02}"))
    assert read is not None
    assert (read.local, read.offset_min) == (moment, offset_min)


ORIGINAL, OFFSET, OFFSET_ORIGINAL, OFFSET_DIGITIZED, ZONE_HOURS = 0x9003, 0x9010, 0x9011, 0x9012, 0x882A


@pytest.mark.parametrize(
    ("main", "camera", "offset_min", "doubtful"),
    [
        ({}, {}, None, False),
        ({}, {OFFSET_ORIGINAL: "-04:00", OFFSET: "+02:00"}, -240, False),
        ({}, {OFFSET_DIGITIZED: "-0400"}, -240, False),
        ({}, {OFFSET: "+02:00"}, 120, False),
        ({0x0132: "2024:06:12 14:15:30"}, {OFFSET: "+02:00"}, 120, False),
        ({0x0132: "2025:01:02 10:00:00"}, {OFFSET: "+01:00"}, None, False),  # that of a later edit
        ({}, {ZONE_HOURS: -4}, -240, False),
        ({}, {ZONE_HOURS: (-4, 0)}, -240, False),
        ({}, {OFFSET_ORIGINAL: "   :  "}, None, False),
        ({}, {OFFSET_ORIGINAL: "-03:75"}, None, True),
        ({}, {OFFSET_ORIGINAL: "04:00"}, None, True),
        ({}, {OFFSET_ORIGINAL: "04:00", OFFSET_DIGITIZED: "-04:00"}, -240, False),
    ],
)
def test_the_offset_of_the_exposure(
    main: dict[int, str], camera: dict[int, object], offset_min: int | None, doubtful: bool
) -> None:
    clock = clock_of(main, {ORIGINAL: "2024:06:12 14:15:30", **camera})
    assert clock == CaptureClock(local_time=MOMENT, utc_offset_min=offset_min, is_doubtful=doubtful)


def test_a_zone_inside_the_time_counts_unless_the_offset_contradicts_it() -> None:
    inside = {ORIGINAL: "2024-06-12T14:15:30.250Z"}
    assert clock_of({}, inside) == CaptureClock(local_time=MOMENT.replace(microsecond=250_000), utc_offset_min=0)
    assert not clock_of({}, inside | {OFFSET_ORIGINAL: "+00:00"}).is_doubtful
    assert clock_of({}, inside | {OFFSET_ORIGINAL: "-04:00"}).is_doubtful


def test_fractions_stand_in_a_tag_of_their_own() -> None:
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({ORIGINAL: "2024:06:12 14:15:30", 0x9291: "042"})
    assert clock_of(dict(exif), exif.get_ifd(0x8769)).local_time == MOMENT.replace(microsecond=42_000)
