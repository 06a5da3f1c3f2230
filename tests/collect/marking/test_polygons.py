"""Polygons become masks, survive their file, and are refused where they are none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from collect.marking.marking import Marking, create_marking_app
from collect.marking.polygons import FILE_NAME, Marks, Polygon, mask_of, parse_polygons, read_marks
from img2gps.cli import run as cli
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.masks import CLASSES, find_mask, read_mask
from img2gps.web.guard import policy_for
from tests.datasets import make_dataset, make_photo

LEFT = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
FRONT = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]


def polygons(*parts: tuple[str, list[list[float]]]) -> tuple[Polygon, ...]:
    return parse_polygons([{"class": name, "points": points} for name, points in parts])


def test_later_polygons_lie_over_earlier_ones() -> None:
    mask = mask_of(polygons(("building", LEFT), ("person", FRONT)), (40, 80))
    assert mask.shape == (80, 40)
    named = [CLASSES[mask[row, column]] for row, column in ((5, 5), (40, 15), (40, 25), (5, 35))]
    assert named == ["building", "person", "person", "other"]
    assert (mask == CLASSES.index("building")).mean() == pytest.approx(0.5 - 0.125, abs=0.03)


corners = st.lists(st.tuples(st.floats(-2, 3), st.floats(-2, 3)), min_size=3, max_size=9)


@given(drawn=st.lists(st.tuples(st.sampled_from(CLASSES), corners), max_size=5))
def test_polygons_survive_their_file(drawn: list[tuple[str, list[tuple[float, float]]]]) -> None:
    found = polygons(*((name, [list(point) for point in points]) for name, points in drawn))
    again = parse_polygons(json.loads(json.dumps([one.to_dict() for one in found])))
    assert again == found
    assert all(0 <= share <= 1 for one in found for point in one.points for share in point)


@pytest.mark.parametrize(
    "given_value",
    [
        {},
        [3],
        [{"class": "tower", "points": LEFT}],
        [{"class": "sky", "points": LEFT[:2]}],
        [{"class": "sky", "points": [[0, 1, 2]] * 3}],
        [{"class": "sky", "points": [["a", 1]] * 3}],
        [{"class": "sky", "points": [[float("nan"), 1]] * 3}],
    ],
)
def test_what_is_no_polygon_is_refused(given_value: Any) -> None:
    with pytest.raises(UsageError):
        parse_polygons(given_value)


def test_a_point_far_beyond_the_photo_is_moved_to_its_edge() -> None:
    (found,) = parse_polygons([{"class": "sky", "points": [[10**400, 0.5], [-(10**400), 2], [0, 0]]}])
    assert found.points == ((1.0, 0.5), (0.0, 1.0), (0.0, 0.0))


@pytest.mark.parametrize("content", ["no json", "[]", '{"photos": 3}', '{"photos": {"a": [3]}}'])
def test_a_damaged_file_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / FILE_NAME).write_text(content, encoding="utf-8")
    with pytest.raises(InvalidDatasetError):
        Marks.open(tmp_path)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path / "quad", [make_photo("a", width=40, height=80), make_photo("b", width=80, height=40)])


def test_a_page_saves_masks_and_takes_them_back(dataset: Dataset, tmp_path: Path) -> None:
    marking = Marking.of(dataset, tmp_path / "masks")
    policy = policy_for("127.0.0.1", 80)
    client = TestClient(create_marking_app(marking, policy), base_url="http://127.0.0.1:80")
    own = next(key for key, photo in marking.photos.items() if photo.name == "a.jpg")
    drawn = [{"class": "building", "points": LEFT}]
    assert client.post(f"/api/marks/{own}", json=drawn).json() == {"polygons": 1}
    assert client.get(f"/api/marks/{own}").json() == {
        "polygons": [one.to_dict() for one in polygons(("building", LEFT))]
    }
    path = find_mask(tmp_path / "masks", "a.jpg")
    assert path is not None
    assert read_mask(path).shape == (80, 40)
    assert client.post(f"/api/marks/{own}", json=[{"class": "tower", "points": LEFT}]).status_code == 400
    assert client.post("/api/marks/none", json=drawn).status_code == 404
    assert client.post(f"/api/marks/{own}", json=[]).json() == {"polygons": 0}
    assert find_mask(tmp_path / "masks", "a.jpg") is None
    assert read_marks(tmp_path / "masks" / FILE_NAME) == {}


def test_polygons_of_a_file_become_masks(dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = [{"class": "sky", "points": LEFT}]
    (tmp_path / "p.json").write_text(json.dumps({"photos": {"b.jpg": drawn, "c.jpg": drawn}}), encoding="utf-8")
    command = ["label", str(dataset.root), "--marks", str(tmp_path / "masks"), "--import", str(tmp_path / "p.json")]
    assert cli([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"photos": 1, "without_photo": 1}
    path = find_mask(tmp_path / "masks", "b.jpg")
    assert path is not None
    mask = read_mask(path)
    assert mask.shape == (40, 80)
    assert np.unique(mask[:, :38]).tolist() == [CLASSES.index("sky")]


def test_the_marked_photos_of_the_campus_are_marked_all_over() -> None:
    found = read_marks(Path(__file__).parents[2] / "data" / "campus-polygons.json")
    assert len(found) == 40
    masks = [mask_of(drawn, (192, 256)) for drawn in found.values()]
    assert min((mask > 0).mean() for mask in masks) > 0.95
    shown = {CLASSES[number] for mask in masks for number in np.unique(mask)}
    assert shown >= {"building", "vegetation", "ground", "sky", "person", "vehicle", "sign"}
