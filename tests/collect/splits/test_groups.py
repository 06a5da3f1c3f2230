"""Walks, bursts and groups."""

import dataclasses
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from collect.splits import near_duplicates
from collect.splits.groups import assign_groups
from collect.splits.near_duplicates import (
    alike_pairs,
    is_informative,
    near_duplicate_links,
    near_duplicate_pairs,
    parse_hashes,
)
from img2gps.types import Photo
from tests.datasets import NOON, line, make_photo, make_walk


def at(seconds: float, name: str, east_m: float = 0.0, north_m: float = 0.0, **fields: object) -> Photo:
    return make_photo(name, east_m, north_m, captured_at=NOON + timedelta(seconds=seconds), **fields)


def flipped(phash: str, bits: int) -> str:
    """Return the hash with its lowest `bits` bits turned over."""
    return f"{int(phash, 16) ^ ((1 << bits) - 1):016x}"


def test_a_walk_ends_after_ten_minutes_without_a_photo() -> None:
    photos = assign_groups([at(0, "a"), at(600, "b", 50), at(1201, "c", 90)])
    assert photos[0].walk == photos[1].walk != photos[2].walk


def test_devices_walk_apart() -> None:
    one, two = assign_groups([at(0, "a"), at(1, "b", device="ffff0000")])
    assert one.walk != two.walk
    assert one.group != two.group


def test_photos_without_a_time_form_one_walk_per_device() -> None:
    photos = [at(0, "timed"), *(make_photo(f"u{n}", n * 40.0, captured_at=None) for n in range(3))]
    timed, *untimed = assign_groups([*photos, make_photo("other", captured_at=None, device="ffff0000")])
    assert len({photo.walk for photo in untimed[:3]}) == 1
    assert len({timed.walk, untimed[0].walk, untimed[3].walk}) == 3
    assert all(photo.burst is None for photo in untimed)


def test_a_burst_is_quick_and_in_place() -> None:
    first, second, slow, alone = assign_groups([at(0, "a"), at(4, "b", 3), at(9, "c", 6), at(100, "d", 60)])
    assert first.burst == second.burst is not None
    assert slow.burst is None
    assert alone.burst is None
    assert first.group == second.group != slow.group


def test_steady_photographing_while_walking_is_no_single_burst() -> None:
    walk = [at(3.0 * n, f"p{n:03d}", 4.0 * n) for n in range(100)]
    groups = [photo.group for photo in assign_groups(walk)]
    assert 20 <= len(set(groups)) <= 40


def test_identical_positions_of_a_walk_join() -> None:
    here, there, back = assign_groups([at(0, "a", 10, 10), at(60, "b", 50, 10), at(120, "c", 10, 10)])
    assert here.group == back.group != there.group


def test_identical_positions_of_two_walks_do_not_join() -> None:
    one, two = assign_groups([at(0, "a", 10, 10), at(5000, "b", 10, 10)])
    assert one.group != two.group


def test_near_duplicates_join_within_a_walk_or_within_25_metres() -> None:
    phash = make_photo("a").phash
    walk = [at(0, "a", phash=phash), at(300, "b", 90, phash=flipped(phash, 6)), at(400, "c", 90, 9)]
    other_walk = [
        at(9000, "near", 0, 20, phash=flipped(phash, 2)),
        at(9100, "far", 0, 80, phash=flipped(phash, 2)),
    ]
    a, b, c, near, far = (photo.group for photo in assign_groups([*walk, *other_walk]))
    assert a == b == near == far  # far joins through near: they are of one walk
    assert c not in (a, near)
    assert assign_groups([walk[0], other_walk[1]])[0].group != assign_groups([walk[0], other_walk[1]])[1].group


def test_black_frames_are_no_near_duplicates() -> None:
    photos = assign_groups([at(60.0 * n, f"p{n}", 40.0 * n, phash="8000000000000000") for n in range(5)])
    assert len({photo.group for photo in photos}) == 5


def test_names_stay_when_later_photos_are_added() -> None:
    before = assign_groups(make_walk("walk", places=line((0, 0), (90, 0), 8), photos_per_place=3))
    later = [*make_walk("later", places=line((0, 0), (90, 0), 8), start=NOON + timedelta(hours=3)), at(200, "more", 99)]
    after = {photo.id: photo for photo in assign_groups([*before, *later])}
    for photo in before:
        assert (after[photo.id].walk, after[photo.id].group) == (photo.walk, photo.group)
    assert before[0].walk == "20250602-160000-a1b2c3"


def test_walk_names_tell_devices_with_equal_beginnings_apart() -> None:
    one, two = assign_groups([at(0, "a", device="a1b2c3-one"), at(0, "b", device="a1b2c3-two")])
    assert one.walk != two.walk


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_order_never_matters(seed: int) -> None:
    draw = random.Random(seed)
    photos = [
        at(draw.choice([0, 2, 3, 700, 2000, 2003]) + draw.randrange(3), f"p{n}", draw.randrange(4) * 6.0)
        for n in range(25)
    ]
    photos += [dataclasses.replace(photo, captured_at=None, id=photo.id[::-1]) for photo in photos[:4]]
    expected = {photo.id: photo for photo in assign_groups(photos)}
    shuffled = draw.sample(photos, len(photos))
    result = assign_groups(shuffled)
    assert [photo.id for photo in result] == [photo.id for photo in shuffled]
    assert {photo.id: photo for photo in result} == expected
    assert assign_groups(result) == result


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_pairs_are_those_of_comparing_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    texts = [make_photo(f"{seed}-{n}").phash for n in range(6)]
    hashes = parse_hashes([flipped(texts[rng.integers(6)], int(rng.integers(9))) for _ in range(40)])
    walks = rng.integers(0, 3, 40)
    points_m = rng.uniform(0, 60, (40, 2))
    expected = {
        (i, j)
        for i in range(40)
        for j in range(i + 1, 40)
        if int(hashes[i] ^ hashes[j]).bit_count() <= 6
        and (walks[i] == walks[j] or np.linalg.norm(points_m[i] - points_m[j]) <= 25)
    }
    assert [tuple(pair) for pair in near_duplicate_pairs(hashes, walks, points_m).tolist()] == sorted(expected)


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.integers(1, 4), st.integers(0, 6))
def test_whatever_blocks_agree_the_pairs_are_those_of_comparing_all(seed: int, whole: int, max_bits: int) -> None:
    rng = np.random.default_rng(seed)
    scenes = rng.integers(0, 1 << 63, 5, dtype=np.uint64)
    flips = [np.bitwise_or.reduce(one << rng.choice(64, bits, replace=False).astype(np.uint64), initial=np.uint64(0))
             for bits in rng.integers(0, 9, 120) for one in [np.uint64(1)]]  # fmt: skip
    hashes = scenes[rng.integers(0, 5, 120)] ^ np.array(flips, dtype=np.uint64)
    differ = np.bitwise_count(hashes[:, None] ^ hashes)
    expected = np.argwhere(np.triu(differ <= max_bits, k=1)).tolist()
    found = np.concatenate([*alike_pairs(hashes, max_bits=max_bits, whole=whole), np.empty((0, 2), dtype=np.int64)])
    assert sorted(found.tolist()) == expected


@pytest.mark.parametrize("long_run", [1, 4, 64])
@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_links_connect_what_all_pairs_connect_and_no_more_are_kept_than_that_takes(seed: int, long_run: int) -> None:
    rng = np.random.default_rng(seed)
    scenes = rng.integers(0, 1 << 63, 3, dtype=np.uint64)
    one, hashes = np.uint64(1), scenes[rng.integers(0, 3, 150)]
    for _ in range(int(rng.integers(1, 6))):
        hashes = hashes ^ (one << rng.integers(0, 64, 150, dtype=np.uint64))
    walks, points_m = rng.integers(0, 20, 150), rng.uniform(-40, 40, (150, 3)) + 4e6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(near_duplicates, "_LONG_RUN", long_run)
        links = near_duplicate_links(hashes, walks, points_m)
    assert components(150, links) == components(150, near_duplicate_pairs(hashes, walks, points_m))
    assert len(links) == 150 - len(set(components(150, links)))


def components(count: int, pairs: NDArray[np.int64]) -> list[int]:
    """Return the least row that each row is connected with."""
    least = list(range(count))
    for _ in range(count):
        before = list(least)
        for first, second in pairs.tolist():
            least[first] = least[second] = min(least[first], least[second])
        if least == before:
            break
    return least


def test_ten_thousand_photos_of_one_view_are_connected_without_comparing_all() -> None:
    rng = np.random.default_rng(0)
    one, hashes = np.uint64(1), np.full(10_000, 0x0123456789ABCDEF, dtype=np.uint64)
    for _ in range(3):
        hashes ^= one << rng.integers(0, 64, 10_000, dtype=np.uint64)
    links = near_duplicate_links(hashes, np.arange(10_000), rng.uniform(0, 10, (10_000, 3)))
    told = np.flatnonzero(is_informative(hashes))
    assert len(links) == len(told) - 1


def test_many_hashes_take_more_blocks_and_lose_no_pair() -> None:
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 1 << 63, 70_000, dtype=np.uint64)  # more than three blocks of six and two can part
    copies = hashes[:500].copy()
    for _ in range(6):
        copies ^= np.uint64(1) << rng.integers(0, 64, 500).astype(np.uint64)
    pairs = np.concatenate(list(alike_pairs(np.concatenate([hashes, copies]))))
    assert {(row, 70_000 + row) for row in range(500)} <= set(map(tuple, pairs.tolist()))
    assert len(np.unique(pairs, axis=0)) == len(pairs)


def named(name: str, seconds: float | None = 0, east_m: float = 0.0, **fields: object) -> Photo:
    moment = None if seconds is None else NOON + timedelta(seconds=seconds)
    return make_photo(f"{name}-{seconds}-{east_m}", east_m, 0.0, source_name=name, captured_at=moment, **fields)


def joined(*photos: Photo) -> bool:
    return len({photo.group for photo in assign_groups(list(photos))}) == 1


EDITS = ["IMG_7-EFFECTS.jpg", "IMG_7-ha editado.jpg", "IMG_7 - Kopie.jpg", "IMG_7 copy.jpg", "IMG_7-modifie\u0301.jpg",
         "IMG_E7.JPG", "IMG_7.HEIC", "IMG_7(1).jpg", "IMG_7 (1).jpg", "IMG_7-edited.jpg", "IMG_7 (edited).jpg",
         "IMG_7~2.jpg", "img_7_edited.jpg", "IMG_7-edited(1).jpg"]  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_joins_the_group_of_its_original(name: str) -> None:
    assert joined(named("a/IMG_7.JPG"), named(f"a/{name}", 1, 90, device="ffff0000"))
    assert not joined(named("a/IMG_7.JPG"), named(f"b/{name}", 1, 90, device="ffff0000"))
    assert not joined(named("a/IMG_7.JPG"), named(f"a/{name}", 60, 90, device="ffff0000"))
    assert not joined(named("a/IMG_7.JPG", model="One"), named(f"a/{name}", 1, 90, model="Two", device="ffff0000"))
    assert not joined(named("a/IMG_8.JPG"), named(f"a/{name}", 1, 90, device="ffff0000"))


def test_an_edit_without_a_time_joins_where_nothing_contradicts() -> None:
    assert joined(named("IMG_7.JPG"), named("IMG_E7.JPG", None, 90, device="ffff0000", make=None, model=None))
    assert not joined(named("IMG_7.JPG"), named("IMG_7(1).JPG", None, 90, device="ffff0000"))
    walk = [named(f"photo ({number}).jpg", number * 60.0, number * 40.0) for number in range(5)]
    assert len({photo.group for photo in assign_groups(walk)}) == 5


def test_the_cameras_clocks_are_compared_where_both_are_known() -> None:
    clock = "2025-06-02T12:00:00"
    original, edit = named("IMG_7.JPG", clock_local=clock), named("IMG_E7.JPG", 40, 90, device="f", clock_local=clock)
    assert joined(original, edit)


def test_nothing_gives_nothing() -> None:
    assert assign_groups([]) == []
    assert parse_hashes(["", "zz", "f" * 20]).tolist() == [0, 0, 0]


def test_a_clock_in_an_unknown_zone_makes_walks_and_bursts_of_its_own() -> None:
    def taken(name: str, clock: str, **fields: Any) -> Photo:
        return make_photo(name, 0.0, 0.0, captured_at=None, clock_local=clock, **fields)

    photos = [
        taken("a", "2025-06-01T12:00:00"),
        taken("b", "2025-06-01T12:00:02"),
        taken("c", "2025-06-01T15:00:00"),
        make_photo("d", 0.0, 0.0, captured_at=datetime(2025, 6, 1, 12, 0, 1, tzinfo=UTC)),
        make_photo("e", 0.0, 0.0, captured_at=None),
    ]
    a, b, c, d, e = assign_groups(photos)
    assert a.walk == b.walk == "clock-20250601-120000-a1b2c3"
    assert a.burst == b.burst is not None
    assert len({a.walk, c.walk, d.walk, e.walk}) == 4
    assert e.walk.startswith("untimed-")
