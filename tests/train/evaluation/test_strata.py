"""Walks, days, devices, light, distance and cells: every photo once, each part's figures its own."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from img2gps.metrics import metrics_of
from train.evaluation import strata
from train.evaluation.bootstrap import Clusters
from train.evaluation.strata import Bounds


def scores(count: int = 120) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    east, north = rng.uniform(-60, 60, (2, count))
    frame = pd.DataFrame({"east_m": east, "north_m": north})
    frame["pred_east_m"], frame["pred_north_m"] = east + 3, north + rng.normal(0, 5, count)
    frame["error_m"] = np.hypot(3, frame["pred_north_m"] - north)
    frame["mean_predictor_m"] = np.hypot(east, north)
    frame["walk"] = np.repeat(["long", "middle", "tiny"], [70, 45, 5])[:count]
    frame["light"] = np.where(np.arange(count) % 3 == 0, "night", "day")
    frame["device_name"] = np.where(np.arange(count) % 2 == 0, "phone a", "phone b")
    frame["nearest_train_m"] = rng.exponential(12, count)
    start = datetime(2025, 6, 2, tzinfo=UTC)
    frame["captured_at"] = pd.to_datetime([start + timedelta(minutes=n) for n in range(count)])
    frame["id"] = frame["file_name"] = [f"p{n}" for n in range(count)]
    for name in ("uncertainty_m", "lon", "lat", "pred_lon", "pred_lat"):
        frame[name] = 1.0
    return frame.assign(label_state="", cause="")


CLUSTERS = Clusters.of("bursts", np.arange(120) // 4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["device", "light", "nearest_train_m", "cell"])
def test_strata_share_out_the_photos(kind: str) -> None:
    rows = getattr(strata.strata(scores(), CLUSTERS), kind)
    assert sum(row.photos for row in rows) == 120
    assert all(row.photos > 0 for row in rows)


def test_figures_of_a_stratum_are_those_of_its_photos() -> None:
    frame = scores()
    night = next(row for row in strata.strata(frame, CLUSTERS).light if row.name == "night")
    part = frame[frame["light"] == "night"]
    assert night.figures == metrics_of(part["error_m"].to_numpy())
    assert night.mean_predictor == metrics_of(part["mean_predictor_m"].to_numpy())
    assert night.bias.east_m == pytest.approx(3)
    assert night.bounds == Bounds(low=-90, high=-6, unit="deg")


def test_distance_bins_are_half_open() -> None:
    frame = scores(6).assign(walk="w")
    frame["nearest_train_m"] = [0.0, 4.99, 5.0, 25.0, 49.9, 50.0]
    rows = strata.strata(frame, Clusters.of("photos", np.arange(6))).nearest_train_m
    assert {row.name: row.photos for row in rows} == {"0-5 m": 2, "5-10 m": 1, "25-50 m": 2, "over 50 m": 1}
    ends = [(row.bounds.low, row.bounds.high) for row in rows if row.bounds and row.bounds.unit == "m"]
    assert ends == [(0, 5), (5, 10), (25, 50), (50, None)]


def test_tiny_walks_pool_but_do_not_stand_alone() -> None:
    rows = strata.per(scores(), "walk", CLUSTERS)
    assert {row.name: row.stands_alone for row in rows} == {"long": True, "middle": True, "tiny": False}
    macro = strata.macro_average(rows)
    assert macro.of == ("long", "middle")
    alone = [row.figures.rmse_m for row in rows if row.stands_alone]
    assert macro.figures.rmse_m == pytest.approx(np.mean(alone))
    shares = [row.figures.within_m["10"] for row in rows if row.stands_alone]
    assert macro.figures.within_m["10"] == pytest.approx(np.mean(shares))


def test_where_no_walk_stands_alone_all_count() -> None:
    rows = strata.per(scores(9).assign(walk=["a"] * 4 + ["b"] * 5), "walk", Clusters.of("photos", np.arange(9)))
    assert strata.macro_average(rows).of == ("a", "b")


def test_cells_hold_the_truths_inside_them() -> None:
    frame = scores()
    for row in strata.cell_strata(frame, 25.0):
        inside = frame["east_m"].between(row.east_m, row.east_m + 25, inclusive="left")
        inside &= frame["north_m"].between(row.north_m, row.north_m + 25, inclusive="left")
        assert row.photos == inside.sum()
        assert row.median_m == pytest.approx(frame.loc[inside, "error_m"].median())


def test_bias_is_found_with_its_sign() -> None:
    found = strata.bias(scores(), CLUSTERS)
    assert found.east_m == pytest.approx(3)
    assert found.east_interval_m == pytest.approx((3, 3))
    assert found.north_interval_m is not None
    low, high = found.north_interval_m
    assert low < 0 < high


def test_worst_photos_come_worst_first() -> None:
    frame = scores()
    rows = strata.worst(frame, 5)
    assert [row.error_m for row in rows] == sorted(frame["error_m"], reverse=True)[:5]
    assert rows[0].captured_at is not None
    assert rows[0].captured_at.startswith("2025-06-02T")
