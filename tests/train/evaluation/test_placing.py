"""Which photos of a dataset are placed by all its walks, and when that is done anew."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from img2gps.corrections import Correction, append_corrections
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from tests.datasets import NOON, make_dataset, make_photo
from train.data.training_data import DatasetPhotos, Photos
from train.evaluation.placing import with_places
from train.evaluation.truth import PLACED
from train.refinement.posterior import RADIUS_50, Positions


class Placer:
    """Stands in for the models: it counts its calls, and places photos 1 m east of their label."""

    def __init__(self, matches: int) -> None:
        self.matches, self.calls = matches, 0

    def __call__(
        self, _config: object, _source: DatasetPhotos, photos: Photos, *, device: str
    ) -> tuple[Positions, int]:
        self.calls += 1
        assert device == "cpu"
        radius_m = np.full(len(photos), 3.0 * RADIUS_50)
        xy = np.stack([photos.east_m + 1.0, photos.north_m], axis=1)
        return Positions(xy=xy, radius_50_m=radius_m, radius_90_m=radius_m, gross=np.zeros(len(photos))), self.matches


def placer(monkeypatch: pytest.MonkeyPatch, matches: int = 1000) -> Placer:
    found = Placer(matches)
    monkeypatch.setattr("train.refinement.refine.place_photos", found)
    return found


def dataset_of(root: Path, walks: int = 6, photos: int = 100) -> Dataset:
    rows = [
        make_photo(
            f"p{number}", 2.0 * number - 100, 0.0, walk=f"w{number % walks}", captured_at=NOON + timedelta(0, number)
        )
        for number in range(photos)
    ]
    return make_dataset(root, rows, grouped=True)


def scored(dataset: Dataset) -> pd.DataFrame:
    return pd.DataFrame({"id": dataset.frame()["id"].iloc[::2].tolist()})


def test_places_are_kept_beside_the_dataset_until_a_label_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = placer(monkeypatch)
    dataset = dataset_of(tmp_path / "ds")
    first, again = (with_places(scored(dataset), dataset, device="cpu") for _ in range(2))
    assert asked.calls == 1
    pd.testing.assert_frame_equal(first, again)
    frame = dataset.frame().set_index("id").loc[first["id"]]
    east_m, _ = dataset.site().frame.to_local(frame["lon"], frame["lat"])
    np.testing.assert_allclose(first["placed_east_m"], np.asarray(east_m) + 1.0)
    np.testing.assert_allclose(first["placed_spread_m"], 3.0)

    moved = str(first["id"].iloc[0])
    lon, lat = float(frame.loc[moved, "lon"]), float(frame.loc[moved, "lat"])
    correction = Correction(
        at="2026-01-01T00:00:00+00:00",
        by="kim",
        photo_id=moved,
        action="move",
        from_lon=lon,
        from_lat=lat,
        lon=lon + 1e-4,
        lat=lat,
    )
    append_corrections(dataset.corrections_path, [correction])
    changed = with_places(scored(dataset), dataset, device="cpu")
    assert asked.calls == 2
    assert changed["placed_east_m"].iloc[0] > first["placed_east_m"].iloc[0] + 5


@pytest.mark.parametrize(
    ("walks", "photos", "matches", "calls"), [(4, 100, 1000, 0), (6, 99, 1000, 0), (6, 100, 49, 1)]
)
def test_few_walks_photos_or_matches_place_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, walks: int, photos: int, matches: int, calls: int
) -> None:
    asked = placer(monkeypatch, matches)
    dataset = dataset_of(tmp_path / "ds", walks, photos)
    found = with_places(scored(dataset), dataset, device="cpu")
    assert asked.calls == calls
    assert found[PLACED[2]].isna().all()


@pytest.mark.parametrize(
    "error", [UsageError("One group."), NotFoundError("No such photo."), OSError(5, "Input/output")]
)
def test_where_photos_cannot_be_placed_the_scores_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refused(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr("train.refinement.refine.place_photos", refused)
    dataset = dataset_of(tmp_path / "ds")
    scores = scored(dataset)
    found = with_places(scores, dataset, device="cpu")
    assert found["id"].tolist() == scores["id"].tolist()
    assert found[list(PLACED)].isna().all().all()


def test_photos_without_a_working_copy_are_not_placed(tmp_path: Path) -> None:
    dataset = dataset_of(tmp_path / "ds")
    assert with_places(scored(dataset), dataset, device="cpu")[list(PLACED)].isna().all().all()
