"""The next walk by the error to expect of a run: where it is largest, and what lowers it per minute."""

import json
from pathlib import Path

import numpy as np
import pytest

from collect.auditing.expected_error import ExpectedErrors, choose_by_error
from collect.auditing.grid import Grid
from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.estimation.error_law import ErrorLaw, read_error_law, some_ids
from img2gps.estimation.error_shape import TrainingNear, training_near

LAW = ErrorLaw(effects=np.array([0.8, -0.3, 0.0, 0.0]), log_scale=1.6, figures={})


def made_grid(side: int = 12) -> Grid:
    columns, rows = (axis.ravel() for axis in np.meshgrid(np.arange(side), np.arange(side)))
    return Grid(size_m=10.0, columns=columns, rows=rows, spots_m=np.stack([columns, rows], axis=1) * 10.0 + 5.0)


def expected_with(grid: Grid, photos_m: np.ndarray) -> ExpectedErrors:
    walks = np.full(len(photos_m), "one")
    near = training_near(grid.spots_m, photos_m, walks, np.zeros(len(grid), dtype=np.int64))
    return ExpectedErrors(run="folds-001", law=LAW, near=near, error_m=LAW.expected_m(near))


def mean_square(grid: Grid, photos_m: np.ndarray, chosen: list[int]) -> float:
    """Return the mean square error once a walk of its own has been to the chosen cells."""
    places = np.concatenate([photos_m, grid.spots_m[chosen]])
    walks = np.array(["one"] * len(photos_m) + ["two"] * len(chosen))
    near = training_near(grid.spots_m, places, walks, np.zeros(len(grid), dtype=np.int64))
    return float(np.mean(LAW.expected_m(near) ** 2))


def test_the_first_stop_lies_where_the_model_is_lost() -> None:
    grid = made_grid()
    expected = expected_with(grid, np.array([[5.0, 5.0], [15.0, 15.0]]))
    first = choose_by_error(grid, expected, 1)[0]
    assert expected.error_m[first] > np.median(expected.error_m)
    assert grid.spots_m[first].min() > 50


def test_stops_lower_the_error_more_than_places_at_random() -> None:
    grid = made_grid()
    photos_m = np.array([[5.0, 5.0], [15.0, 45.0], [85.0, 15.0]])
    chosen = choose_by_error(grid, expected_with(grid, photos_m), 5)
    assert len(set(chosen)) == 5
    rng = np.random.default_rng(0)
    others = [mean_square(grid, photos_m, rng.choice(len(grid), 5, replace=False).tolist()) for _ in range(40)]
    assert mean_square(grid, photos_m, chosen) < np.quantile(others, 0.1)


def test_where_no_visit_helps_there_are_no_stops() -> None:
    grid = made_grid(4)
    flat = ErrorLaw(effects=np.zeros(4), log_scale=1.0, figures={})
    near = TrainingNear(distance_m=np.full(16, 30.0), walks_near=np.zeros(16), light=np.zeros(16, dtype=np.int64))
    expected = ExpectedErrors(run="flat", law=flat, near=near, error_m=flat.expected_m(near))
    assert choose_by_error(grid, expected, 3) == []


def test_a_run_without_a_forecast_or_with_a_damaged_one_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="No run"):
        read_error_law(tmp_path / "none")
    with pytest.raises(NotFoundError, match="img2gps evaluate"):
        read_error_law(tmp_path)
    (tmp_path / "forecast.json").write_text('{"law": {}}')
    with pytest.raises(InvalidDatasetError, match="damaged"):
        read_error_law(tmp_path)
    effects = {"distance": 0.5, "walks_near": -0.2, "dusk": 0.0, "night": 0.3}
    law = {"effects": effects, "log_scale": 2.0, "log_light": 0.1}
    (tmp_path / "forecast.json").write_text(json.dumps({"rmse_m": 12.0, "law": law, "photo_ids": ["a", "b"]}))
    found = read_error_law(tmp_path)
    assert found.log_scale == pytest.approx(2.1)
    assert found.figures == {"rmse_m": 12.0}
    assert found.photo_ids == ("a", "b")


def test_a_run_of_another_dataset_is_refused_and_one_of_a_dataset_that_grew_is_not() -> None:
    law = ErrorLaw(effects=LAW.effects, log_scale=1.6, figures={}, photo_ids=("a", "b", "c"))
    quad, run = Path("quad"), Path("runs/folds-001")
    law.check_is_of(quad, ["a", "b", "c", "new", "newer"], run)
    law.check_is_of(quad, ["a", "b", "new"], run)
    with pytest.raises(UsageError, match=r"folds-001 is a run of other photos: quad holds 1 of 3"):
        law.check_is_of(quad, ["a", "x", "y"], run)


def test_the_photos_that_are_kept_are_few_and_do_not_depend_on_their_order() -> None:
    ids = [f"{number:05d}" for number in range(3500)]
    assert len(some_ids(ids)) <= 1000
    assert some_ids(ids) == some_ids(ids[::-1])
    assert some_ids(ids[:7]) == ids[:7]
    assert some_ids([]) == []
