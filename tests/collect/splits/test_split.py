"""Splits: what is held out, what is never broken, what is said."""

import errno
import json
import random
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.splits.advice import rmse_uncertainty
from collect.splits.groups import assign_groups
from collect.splits.split import METHODS, make_split, split_dataset
from img2gps.cli import run
from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset, frame_info
from img2gps.errors import DatasetLockedError, InvalidDatasetError, UsageError
from img2gps.geo import geodesic_m
from img2gps.manifest import photos_of, read_table
from img2gps.splits import emptied_splits, split_hashes
from img2gps.types import Photo
from tests.datasets import FRAME, NOON, box_site, four_walks, line, make_dataset, make_photo, make_walk

SITE = box_site()
MADE: dict[str, Any] = {"at": "2025-06-03T00:00:00Z", "by": "me", "from_lon": -75.19, "from_lat": 39.95}


def dense_walks(seed: int = 0, walks: int = 8) -> list[Photo]:
    """Return walks of differing lengths with several photos per place, all over the box."""
    draw = random.Random(seed)

    def place() -> tuple[float, float]:
        return draw.uniform(-95, 95), draw.uniform(-95, 95)

    return assign_groups(
        [
            photo
            for number in range(walks)
            for photo in make_walk(
                f"w{number}",
                start=NOON + timedelta(hours=7 * number),
                places=line(place(), place(), draw.randint(8, 25)),
                photos_per_place=draw.randint(1, 4),
            )
        ]
    )


def sides(photos: Sequence[Photo], key: str) -> dict[str, set[str]]:
    """Return the splits (excluded apart) that each value of a field is in."""
    found: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        if photo.split != "excluded":
            found[getattr(photo, key)].add(str(photo.split))
    return found


def counts(photos: Sequence[Photo]) -> Counter[str]:
    return Counter(str(photo.split) for photo in photos)


@pytest.mark.slow
@settings(max_examples=15)
@given(st.integers(0, 1000), st.sampled_from(METHODS), st.integers(0, 90), st.integers(0, 90))
def test_groups_are_never_broken_and_train_is_never_empty(seed: int, by: str, val: int, test: int) -> None:
    photos = dense_walks(seed)
    result = make_split(photos, by=by, val=val, test=test, seed=seed, site=SITE)  # type: ignore[arg-type]
    assert [photo.id for photo in result.photos] == [photo.id for photo in photos]
    assert all(len(found) == 1 for found in sides(result.photos, "group").values())
    assert counts(result.photos)["train"] > 0
    assert bool(val) or not counts(result.photos)["val"]
    assert bool(test) or not counts(result.photos)["test"]
    if by == "walk":
        assert all(len(found) == 1 for found in sides(result.photos, "walk").values())


@pytest.mark.parametrize("by", METHODS)
def test_the_same_photos_and_seed_give_the_same_split(by: str) -> None:
    photos = dense_walks()
    shuffled = random.Random(3).sample(photos, len(photos))
    options = {"by": by, "val": 40, "test": 40, "site": SITE, "folds": "3"}
    once = {photo.id: photo for photo in make_split(photos, **options).photos}  # type: ignore[arg-type]
    again = {photo.id: photo for photo in make_split(shuffled, **options).photos}  # type: ignore[arg-type]
    other = {photo.id: photo for photo in make_split(photos, seed=5, **options).photos}  # type: ignore[arg-type]
    assert once == again
    assert once != other or by == "walk"  # few walks: every seed finds the same best ones


def test_random_meets_the_counts_and_is_called_optimistic() -> None:
    result = make_split(dense_walks(), by="random", val=30, test=50, site=SITE)
    assert abs(counts(result.photos)["val"] - 30) <= 1
    assert abs(counts(result.photos)["test"] - 50) <= 1
    assert "optimistic" in " ".join(result.notes)


def test_walks_come_near_the_counts_and_spread() -> None:
    photos = dense_walks(seed=1, walks=20)
    found = counts(make_split(photos, by="walk", val=100, test=100, site=SITE).photos)
    assert 75 <= found["val"] <= 125
    assert 75 <= found["test"] <= 125


def test_of_equally_long_walks_the_one_that_covers_more_is_held_out() -> None:
    short = [make_walk(f"s{n}", places=line((n, 0), (n, 9), 20), start=NOON + timedelta(hours=n)) for n in range(5)]
    long = make_walk("long", places=line((-90, -90), (90, 90), 20), start=NOON + timedelta(hours=9))
    photos = assign_groups([photo for walk in [*short, long] for photo in walk])
    result = make_split(photos, by="walk", val=0, test=20, site=SITE)
    assert {photo.source_name[:4] for photo in result.photos if photo.split == "test"} == {"long"}


def test_a_walk_larger_than_asked_is_said_in_one_line() -> None:
    result = make_split(four_walks(), by="walk", val=5, test=5, site=SITE)
    assert counts(result.photos) == {"train": 70, "val": 20, "test": 20}
    assert result.notes[0] == ("val has 20 photos in 1 walk (the smallest left) instead of 5: walks are never broken.")


def test_val_and_test_share_the_short_walks() -> None:
    short = [make_walk(f"s{n}", places=line((n, 0), (n, 90), 20), start=NOON + timedelta(hours=n)) for n in range(3)]
    long = make_walk("long", places=line((-90, -90), (90, 90), 200), start=NOON + timedelta(hours=9))
    photos = assign_groups([photo for walk in [*short, long] for photo in walk])
    found = counts(make_split(photos, by="walk", val=60, test=60, site=SITE).photos)
    assert found["train"] == 200
    assert min(found["val"], found["test"]) == 20


def test_of_two_walks_one_is_for_test() -> None:
    walks = [make_walk(f"w{n}", places=line((n, 0), (n, 90), 20), start=NOON + timedelta(hours=n)) for n in range(2)]
    photos = assign_groups([photo for walk in walks for photo in walk])
    assert counts(make_split(photos, by="walk", val=20, test=20, site=SITE).photos) == {"train": 20, "test": 20}


def test_a_single_walk_is_all_training_and_said_so() -> None:
    photos = assign_groups(make_walk("only", places=line((-80, 0), (80, 0), 30)))
    result = make_split(photos, by="walk", val=5, test=5, site=SITE)
    assert counts(result.photos) == {"train": 30}
    assert sum("is empty" in note for note in result.notes) == 2


def test_more_than_there_is_keeps_half_for_training() -> None:
    photos = assign_groups(make_walk("only", places=line((-80, 0), (80, 0), 40)))
    result = make_split(photos, by="random", val=60, test=60, site=SITE)
    assert counts(result.photos) == {"train": 20, "val": 10, "test": 10}
    assert "cannot give that many" in result.notes[0]


def test_cells_keep_a_buffer_between_every_pair_of_splits() -> None:
    photos = dense_walks(walks=20)
    result = make_split(photos, by="cell", val=60, test=60, site=SITE)
    assert abs(counts(result.photos)["test"] - 60) <= 30
    kept = [photo for photo in result.photos if photo.split != "excluded"]
    lon, lat = np.array([photo.lon for photo in kept]), np.array([photo.lat for photo in kept])
    split = np.array([photo.split for photo in kept])
    first, second = np.nonzero(split[:, None] != split[None, :])
    assert geodesic_m(lon[first], lat[first], lon[second], lat[second]).min() > 10.0 - 1e-3
    assert {photo.split_reason for photo in result.photos if photo.split == "excluded"} == {
        "buffer: within 10 m of a val or test photo"
    }


def test_a_near_duplicate_of_a_held_out_walk_is_set_aside() -> None:
    phash = make_photo("x").phash
    walk = make_walk("small", places=line((0, 0), (20, 0), 5))
    twin = make_photo("twin", 0, 10, captured_at=NOON + timedelta(hours=5), phash=phash)
    other = make_walk("big", places=line((0, 60), (90, 60), 30), start=NOON + timedelta(hours=5, minutes=1))
    first = make_photo("first", 0, 0, captured_at=NOON - timedelta(minutes=1), phash=phash)
    result = make_split(assign_groups([*walk, first, twin, *other]), by="walk", val=0, test=6, site=SITE)
    split_of = {photo.source_name: photo.split for photo in result.photos}
    assert split_of["first.jpg"] == "test"
    assert split_of["twin.jpg"] == "excluded"
    assert counts(result.photos) == {"test": 6, "train": 30, "excluded": 1}


def test_identical_positions_share_a_split_within_a_walk(tmp_path: Path) -> None:
    walk = make_walk("back", places=[*line((0, 0), (90, 0), 10), *line((90, 0), (0, 0), 10)])
    result = make_split(assign_groups(walk), by="random", val=4, test=4, site=SITE)
    places = defaultdict(set)
    for photo in result.photos:
        places[photo.lon, photo.lat].add(photo.split)
    assert all(len(found) == 1 for found in places.values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "day"}, "choose walk, cell or random"),
        ({"val": -1}, "0 or more"),
        ({"folds": "1"}, "2 or more"),
        ({"folds": "weekly"}, "walk, day, cell or a number"),
        ({"folds": "5"}, "as many walks"),
        ({"folds": "1000", "by": "cell"}, "as many cells"),
    ],
)
def test_bad_options_are_usage_errors(options: dict[str, object], message: str) -> None:
    asked = {"by": "walk", "val": 5, "test": 5, **options}
    with pytest.raises(UsageError, match=message):
        make_split(four_walks(), site=SITE, **asked)  # type: ignore[arg-type]


def test_the_split_is_stored_with_its_hashes(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    split_dataset(dataset, by="walk", val=20, test=20, seed=3)
    frame = dataset.frame()
    stored = frame_info(frame).split
    assert stored is not None
    assert {key: stored[key] for key in ("by", "val", "test", "folds", "seed")} == {
        "by": "walk",
        "val": 20,
        "test": 20,
        "folds": None,
        "seed": 3,
    }
    hashes = split_hashes(frame)
    assert stored["ids_sha256"] == hashes.ids
    assert stored["labels_sha256"] == hashes.labels


def test_the_stored_hashes_know_moves_but_the_split_does_not(tmp_path: Path) -> None:
    plain = make_dataset(tmp_path / "plain", four_walks())
    moved = make_dataset(tmp_path / "moved", four_walks())
    photo = four_walks()[0]
    lon, lat = FRAME.to_lonlat(90.0, 90.0)
    fields = {"at": "2025-06-03T00:00:00Z", "by": "me", "from_lon": photo.lon, "from_lat": photo.lat}
    move = Correction(photo_id=photo.id, action="move", lon=float(lon), lat=float(lat), **fields)
    append_corrections(moved.corrections_path, [move])
    for dataset in (plain, moved):
        split_dataset(dataset, by="cell", val=10, test=10, folds="cell")
    rows = [photos_of(read_table(dataset.manifest_path)[0]) for dataset in (plain, moved)]
    assert rows[0] == rows[1]
    frame = moved.frame()
    stored = frame_info(frame).split
    assert stored is not None
    assert stored["labels_sha256"] == split_hashes(frame).labels
    assert stored != frame_info(plain.frame()).split


def excluded(photo_ids: Sequence[str]) -> list[Correction]:
    return [Correction(photo_id=photo_id, action="exclude", **MADE) for photo_id in photo_ids]


@pytest.mark.slow
@pytest.mark.parametrize("by", METHODS)
def test_excluded_photos_are_neither_dealt_out_nor_counted(tmp_path: Path, by: str) -> None:
    photos = four_walks()
    dataset = make_dataset(tmp_path / "quad", photos)
    gone = [photo.id for photo in photos if photo.device == "e5f6a7b8" or photo.source_name.startswith("four")]
    append_corrections(dataset.corrections_path, excluded(gone))
    result = split_dataset(dataset, by=by, val=10, test=10, folds="2")  # type: ignore[arg-type]
    report = result.to_dict()
    splits = report["splits"]
    usable = len(photos) - len(gone)
    assert splits["train"]["photos"] + splits["val"]["photos"] + splits["test"]["photos"] <= usable == report["usable"]
    assert sum(part["photos"] for part in splits.values()) == report["photos"] == len(photos)
    assert splits["excluded"]["photos"] >= len(gone)
    assert sum(report["fold_sizes"]) <= usable
    stored = {photo.id: photo for photo in photos_of(read_table(dataset.manifest_path)[0])}
    assert {(stored[photo_id].split, stored[photo_id].fold) for photo_id in gone} == {(None, None)}
    for name in ("train", "val", "test"):  # what is printed is what training will find
        assert (dataset.frame()["split"] == name).sum() == splits[name]["photos"]


def test_a_split_that_exclusions_emptied_is_dealt_anew(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    first = split_dataset(dataset, by="walk", val=20, test=20)
    append_corrections(dataset.corrections_path, excluded([photo.id for photo in first.part("test")]))
    assert emptied_splits(dataset.frame()) == ("test",)
    again = split_dataset(dataset, by="walk", val=20, test=20)
    assert "drawn anew" in again.notes[0]
    assert len(again.part("test")) >= 20
    assert not {photo.id for photo in again.part("test")} & again.left_out
    assert emptied_splits(dataset.frame()) == ()


def test_an_exclusion_after_the_split_takes_a_photo_out_and_its_undo_brings_it_back(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    before = split_dataset(dataset, by="walk", val=20, test=20)
    gone = before.part("val")[0].id
    append_corrections(dataset.corrections_path, excluded([gone]))
    assert len(split_dataset(dataset, by="walk", val=20, test=20).part("val")) == len(before.part("val")) - 1
    append_corrections(dataset.corrections_path, [Correction(photo_id=gone, action="reset", **MADE)])
    assert split_dataset(dataset, by="walk", val=20, test=20).part("val") == before.part("val")


def test_nothing_but_excluded_photos_is_said(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    append_corrections(dataset.corrections_path, excluded([photo.id for photo in four_walks()]))
    with pytest.raises(InvalidDatasetError, match="excluded by a correction"):
        split_dataset(dataset)


def test_a_small_test_split_says_what_it_can_show_and_that_folds_show_more(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    small = " ".join(split_dataset(dataset, by="random", val=0, test=7).notes)
    assert "known to about ±37%" in small
    assert "--folds walk" in small
    walks = [make_walk(f"w{k}", start=NOON + timedelta(hours=k), places=line((-80, 9 * k - 90), (80, 9 * k - 90), 20))
             for k in range(20)]  # fmt: skip
    large = make_dataset(tmp_path / "large", [photo for walk in walks for photo in walk])
    assert not [note for note in split_dataset(large, by="walk", val=100, test=100).notes if "small" in note]


@pytest.mark.parametrize("groups", [7, 60, 300])
def test_the_uncertainty_of_an_rmse_is_what_random_errors_show(groups: int) -> None:
    draw = np.random.default_rng(groups).normal(size=(4000, groups, 2))  # normal along both axes
    rmse = np.sqrt((draw**2).sum(axis=2).mean(axis=1))
    assert 1.96 * rmse.std() / rmse.mean() == pytest.approx(rmse_uncertainty(groups), rel=0.1)


def test_a_rerun_changes_nothing_and_other_options_redraw(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    split_dataset(dataset, by="walk", val=20, test=20, folds="walk")
    before = dataset.manifest_path.read_bytes()
    assert "kept" in split_dataset(dataset, by="walk", val=20, test=20, folds="walk").notes[0]
    assert dataset.manifest_path.read_bytes() == before
    planned = split_dataset(dataset, by="random", val=20, test=20, dry_run=True)
    assert dataset.manifest_path.read_bytes() == before
    redrawn = split_dataset(dataset, by="random", val=20, test=20)
    assert "drawn anew" in redrawn.notes[0]
    assert (redrawn.photos, redrawn.notes[1:]) == (planned.photos, planned.notes[1:])
    assert "would be drawn anew" in planned.notes[0]
    assert "gone" not in planned.notes[0]
    assert dataset.manifest_path.read_bytes() != before


def test_a_locked_or_empty_dataset_is_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    with dataset.lock(), pytest.raises(DatasetLockedError):
        split_dataset(Dataset(root=dataset.root))
    with pytest.raises(InvalidDatasetError, match="no photo"):
        split_dataset(make_dataset(tmp_path / "empty", []))


def test_command_prints_counts_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    before = dataset.manifest_path.read_bytes()
    assert run(["split", str(dataset.root), "--val", "20", "--test", "20", "--folds", "walk", "--dry-run"]) == 0
    shown = capsys.readouterr()
    assert "4 folds by walk, photos in each: 20, 20, 30, 40" in shown.out
    assert "nothing was written" in shown.err
    assert dataset.manifest_path.read_bytes() == before
    assert run(["split", str(dataset.root), "--by", "random", "--val", "10", "--test", "10", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["photos"] == 110
    assert json.loads(shown.out)["dry_run"] is False
    assert "optimistic" in shown.err
    assert run(["split", str(dataset.root), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["dry_run"] is True
    assert run(["split", str(tmp_path / "nowhere")]) == 3


def test_a_dry_run_needs_no_lock_where_nobody_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    planned = split_dataset(dataset, val=15, test=15).photos

    def refused(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("img2gps.dataset.hold", refused)
    assert split_dataset(dataset, val=15, test=15, dry_run=True).photos == planned
    with pytest.raises(OSError, match="Read-only"):
        split_dataset(dataset, val=15, test=15)


def test_a_dry_run_refuses_what_the_split_refuses(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "quad", four_walks())
    split_dataset(dataset, dry_run=True)
    assert not (dataset.root / ".lock").exists()
    with dataset.lock(), pytest.raises(DatasetLockedError):
        split_dataset(dataset, dry_run=True)
    (dataset.root / "corrections.csv").write_text("no corrections\n")
    for dry_run in (True, False):
        with pytest.raises(InvalidDatasetError):
            split_dataset(dataset, dry_run=dry_run)


def test_shares_of_the_photos_are_not_taken_for_numbers_of_photos() -> None:
    with pytest.raises(UsageError, match="numbers of photos"):
        make_split(dense_walks(), by="walk", val=0.2, test=0.2, site=SITE)  # type: ignore[arg-type]
