"""Each large error has the cause whose rule it meets, and none has a cause for being small."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageFilter

from train.evaluation.bootstrap import Clusters
from train.evaluation.causes import CAUSES, NONE, cause_figures, cause_lines, causes_of, same_view_m
from train.evaluation.image_quality import brightness_and_sharpness


def walk(count: int = 9, **changes: Any) -> pd.DataFrame:
    """Return the scores of a walk along a line, 10 m and 10 s a photo; the fifth photo errs by 60 m, changed so."""
    along = 10.0 * np.arange(count)
    columns: dict[str, Any] = {
        "error_m": np.ones(count),
        "east_m": along,
        "north_m": np.zeros(count),
        "pred_east_m": along,
        "pred_north_m": np.zeros(count),
        "walk_east_m": along,
        "walk_north_m": np.zeros(count),
        "radius_90_m": np.full(count, 60.0),
        "label_share": np.full(count, 0.6),
        "answer_share": np.full(count, 0.6),
        "luma": np.full(count, 110.0),
        "sharpness": np.full(count, 1.0),
        "same_view_m": np.full(count, 4.0),
        "clock_s": along,
        "walk": ["w"] * count,
        "label_state": [""] * count,
    }
    frame = pd.DataFrame(columns)
    frame.loc[4, "error_m"] = 60.0
    frame.loc[4, "label_share"] = 0.01
    for name, value in changes.items():
        frame.loc[4, name] = value
    return frame


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"luma": 12.0, "pred_north_m": 60.0}, "dark or blurred"),
        ({"sharpness": 0.2, "pred_north_m": 60.0}, "dark or blurred"),
        ({"north_m": 60.0}, "label doubtful"),
        ({"north_m": 60.0, "label_state": "confirm"}, "other"),
        ({"pred_north_m": 60.0, "same_view_m": np.inf}, "unseen place"),
        ({"pred_north_m": 60.0, "label_share": 0.3}, "alike elsewhere"),
        ({"pred_north_m": 60.0, "label_share": 0.01}, "other"),
        ({"error_m": 20.0, "luma": 12.0}, NONE),
    ],
)
def test_an_error_has_the_cause_of_its_rule(changes: dict[str, Any], cause: str) -> None:
    found = causes_of(walk(**changes))
    assert found[4] == cause
    assert {*found[:4], *found[5:]} == {NONE}


def test_a_photo_without_company_has_no_doubtful_label() -> None:
    alone = walk(north_m=60.0).iloc[[4]].reset_index(drop=True)
    assert causes_of(alone) == ["other"]


def test_models_of_points_have_no_alike_places() -> None:
    points = walk(pred_north_m=60.0).assign(label_share=np.nan, answer_share=np.nan, radius_90_m=np.nan)
    assert causes_of(points)[4] == "other"


def test_causes_are_counted_with_intervals_and_remedies() -> None:
    causes = ["unseen place", NONE, NONE, "other"] * 6
    found = cause_figures(causes, Clusters.of("walks", np.repeat(np.arange(6), 4)))
    counts = {one.cause: one.photos for one in found.counts}
    assert counts == {cause: 6 if cause in ("unseen place", "other") else 0 for cause in CAUSES}
    assert found.photos == 12
    none = next(one for one in found.counts if one.cause == "label doubtful")
    assert none.interval is not None
    assert none.interval.high > 0  # what was not seen may still be
    assert "walk there" in "\n".join(cause_lines(found))
    assert cause_lines(cause_figures([NONE] * 8, Clusters.of("walks", np.arange(8)))) == []


def test_the_nearest_photo_that_looks_the_same_way_counts() -> None:
    photos = pd.DataFrame({"heading_deg": [350.0, 180.0, np.nan, 10.0], "fold": [-1, -1, -1, 0]})
    training = pd.DataFrame({"heading_deg": [20.0], "fold": [0]})
    found = same_view_m(photos, np.array([[0.0, 3.0]] * 4), training, np.zeros((1, 2)))
    assert found.tolist() == [3.0, np.inf, 3.0, np.inf]  # the last one's model had not seen its own fold


def test_blur_is_told_from_dark(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (256, 256, 3), dtype=np.uint8)
    sharp = Image.fromarray(noise)
    dark = Image.fromarray((noise * 0.1).astype(np.uint8))
    blurred = sharp.filter(ImageFilter.GaussianBlur(4))
    for name, picture in (("a", sharp), ("b", dark), ("c", blurred)):
        picture.save(tmp_path / f"{name}.png")
    (tmp_path / "d.png").write_text("no photo")
    luma, sharpness = brightness_and_sharpness([tmp_path / f"{name}.png" for name in "abcd"]).T
    assert luma[1] < 20 < luma[2]
    assert sharpness[1] > 0.9 * sharpness[0]
    assert sharpness[2] < 0.4 * sharpness[0]
    assert np.isnan(luma[3])
