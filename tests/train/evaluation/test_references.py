"""The model-free predictors and the oracle against brute force, fold by fold."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from img2gps.geo import geodesic_m
from tests.datasets import FRAME
from tests.photos import scene
from train.evaluation import baselines
from train.evaluation.references import REFERENCES, reference_errors


def table(positions_m: np.ndarray, fold: list[int]) -> pd.DataFrame:
    lon, lat = FRAME.to_lonlat(positions_m[:, 0], positions_m[:, 1])
    return pd.DataFrame({"lon": lon, "lat": lat, "fold": fold})


def positions(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-100, 100, (count, 2))


def test_each_photo_is_judged_by_the_training_photos_of_its_own_model() -> None:
    where, folds = positions(30), [0] * 10 + [1] * 20
    found = reference_errors(FRAME, table(where, folds), table(where, folds)).errors_m
    for rows, others in ((slice(0, 10), slice(10, 30)), (slice(10, 30), slice(0, 10))):
        mean = np.linalg.norm(where[rows] - where[others].mean(axis=0), axis=1)
        nearest = np.linalg.norm(where[rows, None] - where[None, others], axis=2).min(axis=1)
        np.testing.assert_allclose(found["mean_predictor"][rows], mean, rtol=1e-6)
        np.testing.assert_allclose(found["oracle"][rows], nearest, rtol=1e-6)


def test_a_run_without_folds_learned_from_every_training_photo() -> None:
    train, photos = positions(12, 1), positions(7, 2)
    found = reference_errors(FRAME, table(photos, [-1] * 7), table(train, [-1] * 12)).errors_m
    lon, lat = FRAME.to_lonlat(*np.median(train, axis=0))
    truth = table(photos, [-1] * 7)
    expected = geodesic_m(truth["lon"], truth["lat"], lon, lat)
    np.testing.assert_allclose(found["training_median"], expected, rtol=1e-9)


def test_nobody_answering_with_a_training_photo_beats_the_oracle() -> None:
    train, photos = positions(40, 1), positions(25, 2)
    found = reference_errors(FRAME, table(photos, [-1] * 25), table(train, [-1] * 40)).errors_m
    assert np.all(found["oracle"] <= found["random_training_photo"] + 1e-6)
    assert "nearest_thumbnail" not in found


def test_the_nearest_thumbnail_is_the_photo_of_the_same_view(tmp_path: Path) -> None:
    """A darker, smaller picture of the same view must find it among others."""
    train_paths, photo_paths = [], []
    for seed in range(8):
        train_paths.append(tmp_path / f"train-{seed}.jpg")
        scene((320, 240), seed).save(train_paths[-1])
        photo_paths.append(tmp_path / f"photo-{seed}.jpg")
        darker = scene((320, 240), seed).point(lambda value: value * 0.6)
        darker.resize((160, 120), Image.Resampling.BILINEAR).save(photo_paths[-1])
    where = positions(8)
    tables = table(where, [-1] * 8), table(where, [-1] * 8)
    found = reference_errors(FRAME, *tables, photo_paths=photo_paths, training_paths=train_paths).errors_m
    assert list(found) == list(REFERENCES)
    np.testing.assert_allclose(found["nearest_thumbnail"], 0, atol=1e-6)


def test_thumbnails_ignore_brightness_and_are_unit_vectors(tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    scene((64, 48), 3).save(path)
    vector = baselines.colour_thumbnail(path)
    assert vector.shape == (768,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)
    Image.new("RGB", (64, 48), "grey").save(path)
    assert np.isfinite(baselines.colour_thumbnail(path)).all()


def test_positions_of_random_photos_are_training_positions() -> None:
    train = positions(9)
    drawn = baselines.random_positions(train, 50, seed=4)
    assert all((train == row).all(axis=1).any() for row in drawn)
    np.testing.assert_array_equal(drawn, baselines.random_positions(train, 50, seed=4))
