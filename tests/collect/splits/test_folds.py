"""Folds: whole groups, walks, days and blocks."""

import dataclasses
from collections import Counter, defaultdict
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from collect.splits.folds import local_day
from collect.splits.groups import assign_groups
from collect.splits.split import make_split
from img2gps.types import Photo
from tests.datasets import NOON, box_site, four_walks, line, make_photo, make_walk

SITE = box_site()


def folded(photos: list[Photo], folds: str, by: str = "walk") -> list[Photo]:
    return make_split(photos, by=by, val=0, test=0, folds=folds, site=SITE).photos  # type: ignore[arg-type]


def sizes(photos: list[Photo]) -> list[int]:
    counts = Counter(photo.fold for photo in photos)
    return [counts[fold] for fold in sorted(counts, key=lambda fold: fold or 0)]


def unbroken(photos: list[Photo], key: str) -> bool:
    found = defaultdict(set)
    for photo in photos:
        found[getattr(photo, key)].add(photo.fold)
    return all(len(folds) == 1 for folds in found.values())


def test_leave_one_walk_out_numbers_walks_in_time() -> None:
    photos = folded(four_walks()[::-1], "walk")
    assert sizes(photos) == [20, 20, 30, 40]
    assert unbroken(photos, "walk")
    assert {photo.split for photo in photos} == {"train"}


def test_a_walk_of_two_photos_is_a_fold_of_its_own() -> None:
    pair = make_walk("pair", places=[(0, 0), (50, 0)], start=NOON + timedelta(days=3))
    assert sizes(folded(assign_groups([*four_walks(), *pair]), "walk")) == [20, 20, 30, 40, 2]


def test_leave_one_day_out_follows_the_clocks_of_the_site() -> None:
    # 23:00 in Philadelphia is the next day in UTC, and this walk goes on after midnight
    late = make_walk("late", places=line((0, 0), (90, 0), 40), seconds=300, start=NOON + timedelta(hours=11))
    photos = folded(assign_groups([*make_walk("noon", places=[(0, 50), (9, 50)]), *late]), "day")
    assert sizes(photos) == [42]
    next_day = make_walk("next", places=[(0, 50), (9, 50)], start=NOON + timedelta(days=1))
    untimed = make_photo("untimed", captured_at=None)
    photos = folded(assign_groups([*four_walks(), *next_day, untimed]), "day")
    assert sizes(photos) == [40, 72, 1]


@pytest.mark.parametrize("by", ["walk", "cell", "random"])
def test_k_folds_are_whole_and_even(by: str) -> None:
    walks = [
        make_walk(f"w{n}", places=line((-90, n * 9 - 90), (90, n * 9 - 90), 12), start=NOON + timedelta(hours=n))
        for n in range(20)
    ]
    photos = folded(assign_groups([photo for walk in walks for photo in walk]), "4", by)
    assert sorted({photo.fold for photo in photos}) == [0, 1, 2, 3]
    assert min(sizes(photos)) >= 50
    assert unbroken(photos, "group")
    assert by != "walk" or unbroken(photos, "walk")


def test_cell_folds_are_blocks() -> None:
    walks = [
        make_walk(f"w{n}", places=line((-90, n * 9 - 90), (90, n * 9 - 90), 21), start=NOON + timedelta(hours=n))
        for n in range(21)
    ]
    photos = folded(assign_groups([photo for walk in walks for photo in walk]), "cell")
    assert len(sizes(photos)) == 5
    for fold in range(5):
        lons = [photo.lon for photo in photos if photo.fold == fold]
        lats = [photo.lat for photo in photos if photo.fold == fold]
        inside = [p for p in photos if min(lons) < p.lon < max(lons) and min(lats) < p.lat < max(lats)]
        assert sum(photo.fold == fold for photo in inside) >= 0.8 * len(inside)


def test_a_near_duplicate_of_two_walks_keeps_its_group_whole() -> None:
    photos = four_walks()
    twin = dataclasses.replace(photos[70], id="f" * 64, lon=photos[0].lon, lat=photos[0].lat, phash=photos[0].phash)
    photos = folded(assign_groups([*photos, twin]), "walk")
    assert unbroken(photos, "group")
    assert not unbroken(photos, "walk")


def test_local_day_falls_back_on_the_phone_and_utc() -> None:
    zone = ZoneInfo("America/New_York")
    midnight = datetime.fromisoformat("2025-06-02T01:30:00+00:00")
    photo = make_photo("p", captured_at=midnight, utc_offset_min=120)
    assert local_day(photo, zone) == "2025-06-01"
    assert local_day(photo, None) == "2025-06-02"
    assert local_day(make_photo("q", captured_at=midnight, utc_offset_min=-120), None) == "2025-06-01"
    assert local_day(make_photo("r", captured_at=None), zone) == "unknown"
