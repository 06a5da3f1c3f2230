"""Photos without a position: which are listed, and what becomes of them when they are placed."""

import json
from pathlib import Path

import pytest

from collect import ingest, verify
from collect.api.labels import placer_of
from collect.label.labelling import Labelling
from collect.label.unplaced import UnplacedPhotos
from img2gps.dataset import Dataset
from img2gps.errors import NotFoundError, UsageError
from tests.datasets import FRAME, box_site
from tests.labelling import running_server
from tests.photos import write_photo


@pytest.fixture
def scene(tmp_path: Path) -> tuple[Dataset, Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    write_photo(folder / "IMG_1.jpg", seed=1, lon=FRAME.origin_lon, lat=FRAME.origin_lat)
    write_photo(folder / "IMG_2.jpg", seed=2, lon=None, lat=None)
    write_photo(folder / "IMG_3.jpg", seed=3, lon=FRAME.origin_lon + 1, lat=FRAME.origin_lat)
    (tmp_path / "box.geojson").write_text(json.dumps(box_site(300, 300).to_geojson()))
    ingest(folder, tmp_path / "quad", site=tmp_path / "box.geojson")
    return Dataset.open(tmp_path / "quad"), folder


@pytest.mark.slow
def test_a_placed_photo_is_in_the_dataset_and_waits_no_longer(scene: tuple[Dataset, Path]) -> None:
    dataset, folder = scene
    photos = UnplacedPhotos(dataset, folder, placer_of(dataset))
    with running_server(Labelling.of(dataset, by="kim", unplaced=photos)) as client:
        (row,) = client.get("/api/unplaced")[1]
        assert (row["name"], row["reason"]) == ("IMG_2.jpg", "no gps")  # the one off the site has a position
    with pytest.raises(UsageError, match="cannot be the position"):
        photos.place(row["sha256"], 10.0, 10.0)
    with pytest.raises(NotFoundError):
        photos.place("0" * 64, FRAME.origin_lon, FRAME.origin_lat)
    assert photos.picture(row["sha256"])[:2] == b"\xff\xd8"
    photos.place(row["sha256"], FRAME.origin_lon, FRAME.origin_lat)
    assert photos.waiting() == []
    placed = dataset.frame().set_index("id").loc[row["sha256"]]
    assert (placed["gps_source"], placed["lon"]) == ("labels", FRAME.origin_lon)
    assert verify(dataset).problems == ()
    assert [r.name for r in UnplacedPhotos(dataset, folder, placer_of(dataset)).waiting()] == []


def test_a_folder_that_is_not_there_is_a_sentence(scene: tuple[Dataset, Path]) -> None:
    dataset, folder = scene
    with pytest.raises(NotFoundError, match="give the folder that was ingested"):
        UnplacedPhotos(dataset, folder / "absent", placer_of(dataset))
    with running_server(Labelling.of(dataset, by="kim")) as client:
        assert client.get("/api/unplaced") == (200, [])
