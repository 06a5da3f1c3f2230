"""What to expect of the next walk: levels of walks, shapes by distance and light, intervals that count few as few."""

import numpy as np
import pytest

from img2gps.estimation.error_shape import TrainingNear, error_shape, training_near
from img2gps.estimation.forecast import WalkErrors, forecast_law, walks_inside
from img2gps.sun import LIGHTS


def made_walks(walks: int, *, photos: int = 30, seed: int = 0, spread: float = 0.3, slope: float = 0.6) -> WalkErrors:
    """Return errors of walks whose levels differ by `spread` in logarithms and rise with the distance by `slope`."""
    rng = np.random.default_rng(seed)
    walk = np.repeat(np.arange(walks), photos)
    distance = rng.uniform(0, 60, len(walk))
    level = spread * rng.standard_normal(walks)
    logs = 2.0 + slope * np.log1p(distance / 10) + level[walk] + 0.6 * rng.standard_normal(len(walk))
    places = TrainingNear(
        distance_m=distance, walks_near=rng.uniform(0, 3, len(walk)), light=np.zeros(len(walk), dtype=np.int64)
    )
    return WalkErrors(error_m=np.exp(logs), places=places, walk=walk, weight=np.ones(len(walk)))


def test_errors_that_rise_with_the_distance_are_seen_to() -> None:
    many = [made_walks(15, slope=0.6, seed=seed) for seed in range(8)]
    shapes = [error_shape(errors.error_m, errors.places, errors.walk, errors.weight) for errors in many]
    assert np.mean([shape.effects[0] for shape in shapes]) == pytest.approx(0.6, abs=0.1)
    assert np.mean([shape.spread for shape in shapes]) == pytest.approx(0.6, abs=0.05)


def test_a_light_that_was_never_met_is_unsure() -> None:
    errors = made_walks(10)
    law = forecast_law(errors)
    assert law is not None
    dark = np.full(len(errors.walk), LIGHTS.index("night"))
    day = law.at(errors.places)
    night = law.at(TrainingNear(distance_m=errors.places.distance_m, walks_near=errors.places.walks_near, light=dark))
    assert night.rmse_m > day.rmse_m
    assert np.ptp(np.log(night.new_walk_interval_90_m)) > 1.3 * np.ptp(np.log(day.new_walk_interval_90_m))


def test_few_walks_count_as_few() -> None:
    widths, of_means = [], []
    for walks in (5, 20):
        found = [forecast_law(made_walks(walks, seed=seed)) for seed in range(5)]
        laws = [law for law in found if law is not None]
        pairs = [law.at(made_walks(walks).places) for law in laws]
        widths.append(np.mean([np.ptp(np.log(one.new_walk_interval_90_m)) for one in pairs]))
        of_means.append(np.mean([np.ptp(np.log(one.interval_90_m)) for one in pairs]))
        assert all(one.new_walk_interval_90_m[0] < one.interval_90_m[0] < one.interval_90_m[1] for one in pairs)
    assert widths[0] > 1.15 * widths[1]
    assert of_means[0] > 1.8 * of_means[1]
    assert forecast_law(made_walks(4)) is None


@pytest.mark.parametrize("walks", [6, 15])
def test_nine_new_walks_in_ten_lie_in_the_interval(walks: int) -> None:
    inside = 0
    for seed in range(60):
        every = made_walks(walks + 1, seed=seed)
        last = every.walk == walks
        law = forecast_law(every.without(walks))
        assert law is not None
        low, high = law.at(every.without(walks).places).new_walk_interval_90_m
        inside += bool(low <= np.sqrt(np.mean(every.error_m[last] ** 2)) <= high)
    assert 49 <= inside <= 60  # 54 expected, give or take 2.3


def test_the_median_is_that_of_photos_and_follows_the_ground() -> None:
    errors = made_walks(12)
    law = forecast_law(errors)
    assert law is not None
    here = law.at(errors.places)
    assert here.median_m == pytest.approx(np.median(errors.error_m), rel=0.1)
    assert here.median_m < here.rmse_m
    far = TrainingNear(
        distance_m=errors.places.distance_m + 60, walks_near=errors.places.walks_near, light=errors.places.light
    )
    assert law.at(far).median_m > 1.5 * here.median_m
    only_first = np.zeros(len(errors.walk))
    only_first[errors.places.distance_m.argmin()] = 1.0
    assert law.at(errors.places, only_first).median_m < here.median_m


def test_a_walk_has_no_part_in_its_own_forecast() -> None:
    errors = made_walks(8, spread=0.05)
    mad = np.where(errors.walk == 3, 40.0, 1.0) * errors.error_m
    inside, asked = walks_inside(WalkErrors(error_m=mad, places=errors.places, walk=errors.walk, weight=errors.weight))
    assert asked == 8
    assert inside <= 7


def test_walks_near_by_count_by_their_distance() -> None:
    training = np.array([[0.0, 0.0], [1.0, 0.0], [100.0, 0.0]])
    near = training_near(
        np.array([[0.0, 0.0], [50.0, 0.0]]), training, np.array(["a", "b", "b"]), np.zeros(2, dtype=int)
    )
    assert near.distance_m.tolist() == [0.0, 49.0]
    assert near.walks_near[0] == pytest.approx(2.0, abs=0.01)
    assert near.walks_near[1] < 0.2
