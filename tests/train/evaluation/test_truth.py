"""Figures against the true places, of answers near and far from labels."""

import numpy as np
import pandas as pd
import pytest

from train.evaluation.truth import truth_figures, truth_lines


def scores(apart_m: float, walks: int = 6, each: int = 20) -> pd.DataFrame:
    """Return scored photos of some walks whose answers lie about so far from labels, in all directions."""
    count = walks * each
    off = np.random.default_rng(0).normal(0, apart_m / np.sqrt(2), (count, 2))
    return pd.DataFrame(
        {
            "walk": np.repeat([f"walk {number}" for number in range(walks)], each),
            "clock_s": np.tile(np.arange(each) * 20.0, walks),
            "label_state": "",
            "accuracy_m": np.nan,
            "east_m": 0.0,
            "north_m": 0.0,
            "pred_east_m": off[:, 0],
            "pred_north_m": off[:, 1],
            "error_m": np.hypot(off[:, 0], off[:, 1]),
            "walk_error_m": np.nan,
        }
    )


def test_of_answers_nearer_to_labels_than_labels_to_the_truth_no_rmse_is_told() -> None:
    truth = truth_figures(scores(1.0))
    assert truth is not None
    assert truth.rmse_m is None
    assert truth.to_dict()["rmse_m"] is None
    assert "RMSE too small to tell from the labels' own" in truth_lines(truth)[0]


def test_of_answers_far_off_the_labels_own_error_is_taken_out() -> None:
    apart = scores(60.0)
    truth = truth_figures(apart)
    assert truth is not None
    assert truth.rmse_m == pytest.approx(np.sqrt(np.mean(apart["error_m"] ** 2) - truth.label_rmse_m**2), rel=0.02)
    assert f"RMSE {truth.rmse_m:.1f} m (" in truth_lines(truth)[0]
    assert "The median is rough" in truth_lines(truth)[1]


def with_places_known(apart: pd.DataFrame, spread_m: float) -> pd.DataFrame:
    """Return scores whose photos were taken at zero, as far as is known, and whose labels are 30 m off."""
    return apart.assign(east_m=30.0, placed_east_m=0.0, placed_north_m=0.0, placed_spread_m=spread_m)


def test_where_places_are_known_labels_do_not_matter() -> None:
    apart = scores(6.0)
    error_m = apart["error_m"].to_numpy()
    truth = truth_figures(with_places_known(apart, 0.0))
    assert truth is not None
    assert truth.held_against == "places"
    assert truth.rmse_m == pytest.approx(np.sqrt(np.mean(error_m**2)))
    assert truth.median_m == pytest.approx(np.median(error_m), rel=0.05)
    assert truth.label_rmse_m == pytest.approx(30.0)
    low, high = truth.intervals["rmse_m"] or (np.nan, np.nan)
    assert low < truth.rmse_m < high
    assert "walks share views" in truth_lines(truth)[1]
    assert truth.to_dict()["held_against"] == "places"


def test_places_that_are_unsure_make_estimated_errors_larger() -> None:
    sure, unsure = (truth_figures(with_places_known(scores(6.0), spread_m)) for spread_m in (0.0, 4.0))
    assert sure is not None
    assert unsure is not None
    assert unsure.median_m > 1.05 * sure.median_m


def test_one_photo_without_a_place_and_labels_are_used() -> None:
    apart = with_places_known(scores(60.0), 2.0)
    apart.loc[7, "placed_spread_m"] = np.nan
    truth = truth_figures(apart)
    assert truth is not None
    assert truth.held_against == "labels"
