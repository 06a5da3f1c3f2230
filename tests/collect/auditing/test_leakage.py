"""What splits leak."""

import dataclasses
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collect.auditing.leakage import SplitDraw, leakage_of, leakage_table
from collect.auditing.photo_arrays import PhotoArrays
from collect.splits.groups import assign_groups
from img2gps.geo import geodesic_m
from img2gps.types import Photo
from tests.datasets import NOON, box_site, four_walks, line, make_dataset, make_photo, make_walk

SITE = box_site()
NO_PAIRS = np.empty((0, 2), dtype=np.int64)


def arrays_of(root: Path, photos: Sequence[Photo]) -> PhotoArrays:
    return PhotoArrays(frame=make_dataset(root, photos, grouped=True).frame(), site=SITE)


def split_photo(name: str, split: str, east_m: float, **fields: object) -> Photo:
    return make_photo(name, east_m, split=split, walk=f"walk of {name}", group=name, **fields)


def test_distances_and_headings(tmp_path: Path) -> None:
    photos = [
        split_photo("train", "train", 0.0, heading_deg=0.0),
        split_photo("near, looking alike", "val", 4.0, heading_deg=-44.0 % 360),
        split_photo("nearer, looking back", "test", 0.5, heading_deg=180.0),
        split_photo("near, looking anywhere", "test", 9.0),
        split_photo("far", "test", 80.0, heading_deg=0.0),
        split_photo("set aside", "excluded", 0.1, heading_deg=0.0),
    ]
    arrays = arrays_of(tmp_path / "quad", photos)
    found = leakage_of(arrays, arrays.splits, NO_PAIRS, by="test")
    assert found.photos == 4
    assert found.set_aside == 1
    assert found.within_m == {1: 0.25, 5: 0.5, 10: 0.75, 25: 0.75}
    assert set(found.within_m_same_walk.values()) == {0.0}
    assert found.photos_with_heading == 3
    assert found.within_m_heading == {
        1: 0.0,
        5: pytest.approx(1 / 3),
        10: pytest.approx(1 / 3),
        25: pytest.approx(1 / 3),
    }


@pytest.mark.slow
@settings(max_examples=6)
@given(st.integers(0, 10_000))
def test_shares_are_those_of_all_distances(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    rng = np.random.default_rng(seed)
    photos = [
        make_photo(
            f"{seed}-{n}",
            float(rng.uniform(0, 12)),
            float(rng.uniform(0, 12)),
            split=str(rng.choice(["train", "val", "test"], p=[0.8, 0.1, 0.1])),
            heading_deg=float(rng.choice([rng.uniform(0, 60), rng.uniform(0, 360)])) if n % 3 else None,
        )
        for n in range(120)
    ]
    arrays = arrays_of(tmp_path_factory.mktemp("any") / "quad", photos)
    found = leakage_of(arrays, arrays.splits, NO_PAIRS, by="test")
    frame = arrays.frame
    trained = frame[frame["split"] == "train"]
    held_out = frame[frame["split"].isin(["val", "test"]) & frame["heading_deg"].notna()]
    for radius in (1, 5, 10, 25):
        hits = []
        for row in held_out.itertuples():
            distance_m = geodesic_m(row.lon, row.lat, trained["lon"].to_numpy(), trained["lat"].to_numpy())
            turned = np.abs((trained["heading_deg"].to_numpy(dtype=float) - row.heading_deg + 180) % 360 - 180)
            hits.append(bool(((distance_m <= radius) & (turned <= 45)).any()))
        expected = np.mean(hits) if hits else None
        assert found.within_m_heading[radius] == (pytest.approx(expected) if hits else None)


def test_what_spans_splits_is_counted(tmp_path: Path) -> None:
    walk = assign_groups(make_walk("walk", places=line((0, 0), (90, 0), 5), photos_per_place=2))
    broken = [dataclasses.replace(photo, split="train" if n % 2 else "test") for n, photo in enumerate(walk)]
    arrays = arrays_of(tmp_path / "quad", broken)
    found = leakage_of(arrays, arrays.splits, np.array([[0, 1], [0, 2]]), by="test")
    assert (found.bursts, found.walks, found.days, found.near_duplicates) == (5, 1, 1, 1)
    assert found.within_m[1] == found.within_m_same_walk[1] == 1.0


def test_the_table_shows_the_price_of_each_way(tmp_path: Path) -> None:
    photos = assign_groups(
        [
            photo
            for number in range(6)
            for photo in make_walk(
                f"w{number}",
                places=line((-90, number * 30 - 80), (90, number * 30 - 80), 30),
                photos_per_place=2,
                start=NOON + timedelta(hours=30 * number),
            )
        ]
    )
    rows = leakage_table(arrays_of(tmp_path / "quad", photos), photos, SplitDraw())
    by = {row.by: row for row in rows}
    assert list(by) == ["walk", "cell", "random"]
    assert not any(row.stored for row in rows)
    assert by["random"].within_m[10] >= 0.9
    assert by["cell"].within_m[10] == 0.0
    assert by["walk"].within_m[25] == 0.0
    assert by["walk"].walks == 0 < by["random"].walks
    assert by["walk"].within_m_same_walk[25] == 0.0 < by["random"].within_m_same_walk[10]
    assert by["cell"].set_aside > 0
    assert all(row.bursts == 0 for row in rows)


def test_the_stored_split_comes_first(tmp_path: Path) -> None:
    photos = [
        dataclasses.replace(photo, split="test" if photo.device.startswith("e5") else "train") for photo in four_walks()
    ]
    rows = leakage_table(arrays_of(tmp_path / "quad", photos), photos, SplitDraw(by="walk", test=30))
    assert rows[0].by == "stored (walk)"
    assert rows[0].stored
    assert rows[0].photos == 30


def test_few_or_no_photos_are_no_error(tmp_path: Path) -> None:
    assert leakage_table(arrays_of(tmp_path / "none", []), [], SplitDraw()) == ()
    one = assign_groups([make_photo("one")])
    assert leakage_table(arrays_of(tmp_path / "one", one), one, SplitDraw()) == ()
