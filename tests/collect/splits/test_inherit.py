"""Photos that come after the split."""

import dataclasses
from datetime import timedelta
from pathlib import Path

import pytest

from collect.splits.groups import assign_groups
from collect.splits.split import inherit_splits, make_split, split_dataset
from img2gps.dataset import Dataset
from img2gps.geo import geodesic_m
from img2gps.manifest import ManifestInfo, photos_of, read_table, write_manifest
from img2gps.types import Photo
from tests.datasets import DAY, NOON, box_site, four_walks, line, make_dataset, make_photo, make_walk

SITE = box_site()


def info_of(**options: object) -> ManifestInfo:
    split = {"by": "walk", "val": 20, "test": 20, "folds": None, "seed": 0, **options}
    return ManifestInfo(site_name="box", site_sha256="", device_salt="", split=split)


def split_then_add(added: list[Photo], **options: object) -> tuple[list[Photo], list[Photo]]:
    """Return the photos of four walks after a split, and those added later, after they inherited."""
    asked = {"by": "walk", "val": 20, "test": 20, "folds": None, "seed": 0, **options}
    before = make_split(four_walks(), site=SITE, **asked).photos  # type: ignore[arg-type]
    after = inherit_splits(assign_groups([*before, *added]), info_of(**asked))
    assert [(photo.split, photo.fold) for photo in after[: len(before)]] == [(p.split, p.fold) for p in before]
    return before, after[len(before) :]


def test_a_photo_of_a_known_walk_follows_it() -> None:
    added = make_photo("late", 80, 75, captured_at=NOON + DAY + timedelta(hours=9, minutes=20))
    before, (late,) = split_then_add([added])
    assert late.split == next(photo.split for photo in before if photo.walk == late.walk)


def test_a_photo_of_a_known_group_takes_its_split_and_fold() -> None:
    first = four_walks()[0]
    twin = dataclasses.replace(first, id="f" * 64, walk="", group="")
    before, (after,) = split_then_add([twin], by="random", folds="4")
    stored = next(photo for photo in before if photo.id == first.id)
    assert (after.group, after.split, after.fold) == (stored.group, stored.split, stored.fold)


def test_a_new_walk_waits_for_the_next_split() -> None:
    _, added = split_then_add(make_walk("new", places=line((0, 0), (50, 0), 5), start=NOON + 5 * DAY))
    assert {photo.split for photo in added} == {None}


def test_a_photo_that_would_join_two_splits_is_set_aside() -> None:
    one = make_walk("one", places=line((0, 0), (20, 0), 5))
    two = make_walk("two", places=line((0, 50), (20, 50), 5), start=NOON + timedelta(minutes=18))
    before = make_split(assign_groups([*one, *two]), by="walk", val=0, test=5, site=SITE).photos
    bridge = make_photo("bridge", 0, 25, captured_at=NOON + timedelta(minutes=10))
    *after, joined = inherit_splits(assign_groups([*before, bridge]), info_of())
    assert len({photo.walk for photo in after}) == 1
    assert [photo.split for photo in after] == [photo.split for photo in before]
    assert (joined.split, joined.split_reason) == ("excluded", "joined: it would join test and train")


def test_a_photo_that_would_join_two_folds_is_set_aside() -> None:
    photos = four_walks()
    before = make_split(photos, by="walk", val=0, test=0, folds="walk", site=SITE).photos
    options = info_of(val=0, test=0, folds="walk")
    between = make_photo("between", 0, 0, captured_at=NOON + timedelta(minutes=60))
    chain = [make_photo(f"c{n}", 0, n, captured_at=NOON + timedelta(minutes=6 + 9 * n)) for n in range(13)]
    *_, last = inherit_splits(assign_groups([*before, *chain, between]), options)
    assert (last.split, last.fold) == ("excluded", None)
    assert last.split_reason == "joined: it would join fold 0 and fold 1"


def test_without_a_split_nothing_is_inherited() -> None:
    photos = four_walks()
    assert inherit_splits(photos, dataclasses.replace(info_of(), split=None)) == photos


def test_the_buffer_holds_for_photos_that_come_later(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    split_dataset(dataset, by="cell", val=10, test=10)
    add(dataset, make_walk("new", places=line((-90, -70), (90, 70), 60), start=NOON + 5 * DAY))
    split_dataset(dataset, by="cell", val=10, test=10)
    photos = photos_of(read_table(dataset.manifest_path)[0])
    held_out = [photo for photo in photos if photo.split in ("val", "test")]
    trained = [photo for photo in photos if photo.split == "train"]
    assert any(photo.source_name.startswith("new") for photo in trained)
    assert any(photo.source_name.startswith("new") and photo.split == "excluded" for photo in photos)
    for photo in held_out:
        lons, lats = [other.lon for other in trained], [other.lat for other in trained]
        assert geodesic_m(photo.lon, photo.lat, lons, lats).min() > 10 - 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "folds"), [("walk", "walk"), ("walk", "day"), ("walk", "3"), ("cell", "cell"), ("random", "3")]
)
def test_a_rerun_keeps_what_is_stored_and_trains_on_the_rest(tmp_path: Path, by: str, folds: str) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    options = {"by": by, "val": 20, "test": 20, "folds": folds}
    before = {photo.id: photo for photo in split_dataset(dataset, **options).photos}  # type: ignore[arg-type]
    add(dataset, make_walk("new", places=line((-50, 90), (50, 90), 9), start=NOON + 5 * DAY))
    result = split_dataset(dataset, **options)  # type: ignore[arg-type]
    after = {photo.id: photo for photo in photos_of(read_table(dataset.manifest_path)[0])}
    assert {photo_id: after[photo_id] for photo_id in before} == before
    new = [photo for photo_id, photo in after.items() if photo_id not in before]
    assert len(new) == 9
    assert all((photo.split == "train" and photo.fold is not None) or photo.split == "excluded" for photo in new)
    assert any(photo.split == "train" for photo in new)
    assert len({photo.fold for photo in new if photo.fold is not None}) == 1 or folds in ("cell", "3")
    if folds == "walk":
        assert {photo.fold for photo in new} == {4}
    assert "9 new photos assigned" in result.notes[0]


def add(dataset: Dataset, photos: list[Photo]) -> None:
    """Do what a later ingest does."""
    table, info = read_table(dataset.manifest_path)
    write_manifest(dataset.manifest_path, inherit_splits(assign_groups([*photos_of(table), *photos]), info), info)
