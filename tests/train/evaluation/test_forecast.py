"""The forecast of a run with folds, from its scores."""

import numpy as np
import pandas as pd
import pytest

from img2gps.site import Site
from train.evaluation.forecast import forecast_figures, forecast_lines, walk_errors, why_no_forecast


def made_scores(walks: int = 7, photos: int = 12) -> pd.DataFrame:
    """Return the scores of walks over the west of a site, each in a fold of its own."""
    rng = np.random.default_rng(0)
    walk = np.repeat(np.arange(walks), photos)
    places = rng.uniform((-100, -80), (-20, 80), (len(walk), 2))
    return pd.DataFrame(
        {
            "walk": [f"w{one}" for one in walk],
            "fold": walk,
            "east_m": places[:, 0],
            "north_m": places[:, 1],
            "error_m": np.exp(2.0 + 0.5 * rng.standard_normal(len(walk))),
            "light": "day",
            "clock_s": np.tile(np.arange(photos) * 20.0, walks),
        }
    )


@pytest.fixture(scope="module")
def site() -> Site:
    return Site.open("penn-engineering-quad")


def test_the_whole_site_is_harder_than_the_ground_of_the_photos(site: Site) -> None:
    scores = made_scores()
    here, anywhere = (forecast_figures(scores, site, where=where) for where in ("photos", "site"))
    assert here is not None
    assert anywhere is not None
    assert anywhere.forecast.rmse_m > 1.1 * here.forecast.rmse_m
    assert here.to_dict()["nested"] == {"inside": here.nested_inside, "walks": 7}
    assert "Forecast for a walk not yet taken" in forecast_lines(here)[0]
    east = here.map.east_m > 40
    assert here.map.rmse_m[east].mean() > 1.2 * here.map.rmse_m[here.map.east_m < -30].mean()


def test_each_photo_is_held_against_training_of_its_own_fold() -> None:
    scores = made_scores()
    scores.loc[:, ["east_m", "north_m"]] = scores.groupby("fold").ngroup().to_numpy()[:, None] * [30.0, 0.0]
    assert walk_errors(scores).places.distance_m.tolist() == [30.0] * len(scores)


def test_where_there_is_no_forecast_a_sentence_says_why(site: Site) -> None:
    scores = made_scores()
    for given, why in (
        (scores.assign(fold=np.arange(len(scores)) % 5), "7 of 7 walks lie in more than one fold"),
        (made_scores(walks=4), "there are 4 walks"),
        (scores.assign(fold=np.where(scores.index < 3, -1, scores["fold"])), "3 photos of those scored lie in no fold"),
        (scores.assign(fold=0), "there is one fold"),
    ):
        assert forecast_figures(given, site) is None
        reason = why_no_forecast(given)
        assert reason is not None
        assert why in reason
        assert forecast_lines(None, reason) == [reason]
    assert why_no_forecast(scores) is None
    assert forecast_lines(None) == []


def test_a_walk_that_a_near_duplicate_parts_is_left_out_and_the_others_tell(site: Site) -> None:
    scores = made_scores()
    parted = scores.assign(fold=np.where(scores.index == 30, 5, scores["fold"]))  # a photo of the third walk
    found, whole = forecast_figures(parted, site), forecast_figures(scores[scores["walk"] != "w2"], site)
    assert found is not None
    assert whole is not None
    assert (found.walks, found.broken_walks, found.photos) == (6, 1, 72)
    assert found.forecast.rmse_m == pytest.approx(whole.forecast.rmse_m, rel=0.05)
    assert "1 walk not held out whole left out." in forecast_lines(found)[0]
