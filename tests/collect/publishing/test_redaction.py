"""Regions made unrecognisable: nothing outside them changes, what a person said counts, and it is written down."""

import dataclasses
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from detectors import write_detector
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import scene
from PIL import Image
from publishing_scene import Published

from collect.api import fetch, publish, verify
from collect.publishing.redaction.detection import FaceDetector, file_detector, kept_apart
from collect.publishing.redaction.jpeg_blocks import UnreadableJpegError, hidden_box, hide_regions
from collect.publishing.redaction.looking import look
from img2gps.dataset import Dataset
from img2gps.errors import InvalidDatasetError, UsageError
from img2gps.manifest import photos_of, read_table
from img2gps.redactions import Box, PictureRegion, Redactions, load_redactions, save_redactions


def jpeg(size: tuple[int, int], **options: Any) -> bytes:
    file = io.BytesIO()
    scene(size, 7).save(file, "JPEG", **{"quality": 90} | options)
    return file.getvalue()


def pixels(data: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.int64)


PICTURES = [jpeg((75, 61)), jpeg((64, 48), subsampling=0), jpeg((50, 90), optimize=True), jpeg((33, 40), quality=40)]


@settings(max_examples=25)
@given(st.sampled_from(PICTURES), st.lists(st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(1, 40)] * 2), max_size=3))
def test_only_pixels_of_the_regions_change(data: bytes, sides: list[tuple[int, int, int, int]]) -> None:
    boxes = [Box(left=x, top=y, right=x + wide, bottom=y + high) for x, y, wide, high in sides]
    before, after = pixels(data), pixels(hide_regions(data, boxes))
    assert before.shape == after.shape
    outside = np.ones(before.shape[:2], dtype=bool)
    for box in boxes:
        changed = hidden_box(data, box)
        outside[changed.top : changed.bottom, changed.left : changed.right] = False
    assert (before[outside] == after[outside]).all()


def test_a_region_becomes_a_coarse_mosaic() -> None:
    data = jpeg((160, 160))
    box = Box(left=32, top=32, right=128, bottom=128)
    inside = pixels(hide_regions(data, [box]))[34:126, 34:126].astype(np.float64)
    detail = np.abs(np.diff(inside.mean(axis=2), axis=1))
    assert (detail < 1.01).mean() > 0.8  # flat but for the edges of its tiles
    assert np.abs(np.diff(pixels(data)[34:126, 34:126].mean(axis=2), axis=1)).mean() > 1.5 * detail.mean()


@pytest.mark.parametrize("data", [b"", b"\xff\xd8", PICTURES[0][:700], jpeg((64, 48), progressive=True), b"GIF89a"])
def test_another_kind_of_file_is_told(data: bytes) -> None:
    with pytest.raises(UnreadableJpegError):
        hide_regions(data, [Box(left=0, top=0, right=9, bottom=9)])


def regions_of(dataset: Dataset) -> dict[str, list[PictureRegion]]:
    return {key: list(some) for key, some in load_redactions(dataset).regions.items()}


def test_regions_drawn_by_hand_are_hidden_and_told(published: Published, tmp_path: Path) -> None:
    root = shutil.copytree(published.dataset.root, tmp_path / "quad")
    (tmp_path / "boxes.csv").write_text(
        f"photo,left,top,right,bottom\n{published.moved},10,10,30,30\nKIM2_0001.jpg,0,0,9,9\n"
    )
    result = publish(root, tmp_path / "out", license="mit", boxes=tmp_path / "boxes.csv")
    assert (result.redacted, result.redacted_photos) == (2, 2)
    rows = [r for path in (tmp_path / "out" / "data").iterdir() for r in pq.read_table(path).to_pylist()]
    for row in rows:
        same = row["image"]["bytes"] == published.dataset.photo_path(row["id"]).read_bytes()
        assert same == (row["redacted"] == 0)
    assert {row["id"] for row in rows if row["redacted"]} >= {published.moved}
    told = json.loads((tmp_path / "out" / "img2gps.json").read_text())["redaction"]
    assert (told["hidden"], told["hidden_photos"]) == ({"hand": 2}, 2)
    assert "coarse mosaics: 2 (hand), in 2 photos" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    fetch(tmp_path / "out", tmp_path / "back")
    assert verify(tmp_path / "back").problems == ()
    assert verify(root).problems == ()
    again = publish(root, tmp_path / "out", license="mit", boxes=tmp_path / "boxes.csv")
    assert again.redacted == 2  # the same file twice draws nothing twice


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nobody.jpg,1,1,2,2", "which is no photo of the dataset"),
        ("KIM2_0001.jpg,1,1,9999,2", "draws outside the picture, which has 96 x 72 pixels"),
        ("KIM2_0001.jpg,1,x,3,2", "no number of pixels"),
        ("KIM2_0001.jpg,1,1,2", "lacks bottom"),
    ],
)
def test_a_region_that_cannot_be_is_named(published: Published, tmp_path: Path, line: str, said: str) -> None:
    (tmp_path / "boxes.csv").write_text(f"photo,left,top,right,bottom\n{line}\n")
    for dry_run in (True, False):
        with pytest.raises(UsageError, match=said):
            publish(published.dataset, tmp_path / "out", license="mit", boxes=tmp_path / "boxes.csv", dry_run=dry_run)


def test_a_detector_of_ones_own_is_asked_once_and_a_person_has_the_last_word(
    published: Published, tmp_path: Path
) -> None:
    dataset = Dataset.open(shutil.copytree(published.dataset.root, tmp_path / "quad"))
    detector = write_detector(tmp_path / "plates.onnx", [20, 20, 40, 30, 0.9, 0])
    first = publish(dataset, tmp_path / "out", license="mit", detectors=[detector])
    assert first.redacted == first.photos == 14
    found = regions_of(dataset)
    assert found[published.moved][0].kind == "plates"
    said = [PictureRegion(box=found[published.moved][0].box, kind="plates", score=0.9, verdict="show")]
    known = load_redactions(dataset)
    with dataset.lock():
        save_redactions(dataset, type(known)(regions=found | {published.moved: said}, looked=known.looked))
    assert publish(dataset, tmp_path / "out", license="mit", detectors=[detector]).redacted == 13
    photos = photos_of(read_table(dataset.manifest_path)[0])
    again = look(dataset, photos, [file_detector(write_detector(tmp_path / "plates.onnx", [20, 20, 40, 30, 0.2, 0]))])
    region = again.regions[photos[0].id][0]
    assert (region.is_unsure, region.is_hidden) == (True, True)  # to be on the safe side, and for a person to look at


@pytest.mark.parametrize("verdict", ["hide", "show"])
def test_what_a_person_said_outlasts_another_detector(published: Published, tmp_path: Path, verdict: Any) -> None:
    dataset = Dataset.open(shutil.copytree(published.dataset.root, tmp_path / "quad"))
    photos = photos_of(read_table(dataset.manifest_path)[0])
    ones = [file_detector(write_detector(tmp_path / "plates.onnx", [20, 20, 40, 30, 0.9, 0]))]
    known = look(dataset, photos, ones)
    said = dataclasses.replace(known.regions[photos[0].id][0], verdict=verdict)
    with dataset.lock():
        save_redactions(dataset, Redactions(regions=known.regions | {photos[0].id: [said]}, looked=known.looked))
    for corners, regions in (([21, 20, 41, 30], 1), ([60, 50, 80, 60], 2)):  # the same thing, and another thing
        others = [file_detector(write_detector(tmp_path / "plates.onnx", [*corners, 0.8, 0]))]
        now = look(dataset, photos, others).regions
        assert (now[photos[0].id][0], len(now[photos[0].id])) == (said, regions)
        assert {len(now[photo.id]) for photo in photos[1:]} == {1}  # nobody said anything of theirs


class FacesBySize:
    """A network that sees a near face at every size, and a far one at the large size alone."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="picture")]

    def run(self, _: None, given: dict[str, Any]) -> list[Any]:
        high, wide = given["picture"].shape[2:]
        self.asked.append((wide, high))
        heat, sizes = np.zeros((1, 1, high // 4, wide // 4)), np.zeros((1, 2, high // 4, wide // 4))
        heat[0, 0, high // 8, wide // 8] = 0.5  # in the middle, at every size: once a face of a quarter
        sizes[0, :, high // 8, wide // 8] = np.log(high / 16)
        if high >= 1500:
            heat[0, 0, high // 32, wide // 32] = 0.2  # far, in the corner: at the large size alone
        return [heat, sizes, np.zeros_like(sizes), None]


def test_faces_of_two_sizes_are_found_once() -> None:
    network = FacesBySize()
    found = FaceDetector(session=network, sha256="0").find(Image.new("RGB", (256, 192)))
    assert network.asked == [(1024, 768), (2048, 1536)]
    assert [round(one.score, 2) for one in found] == [0.5, 0.2]
    assert found[0].left == pytest.approx(128 - 24, abs=2)
    assert (found[0].right - found[0].left, found[1].right - found[1].left) == pytest.approx((48, 0.5), abs=0.2)


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        ((512, 512), [(768, 768), (1536, 1536)]),
        ((2048, 2048), [(768, 768), (2048, 2048)]),  # what is there is not thrown away
        ((4096, 256), [(8704, 544)]),  # long: as large as memory allows, once
    ],
)
def test_a_picture_is_seen_small_and_large(size: tuple[int, int], asked: list[tuple[int, int]]) -> None:
    network = FacesBySize()
    FaceDetector(session=network, sha256="0").find(Image.new("RGB", size))
    assert network.asked == asked


def test_a_lower_score_looks_again_and_hides_more(published: Published, tmp_path: Path) -> None:
    root = shutil.copytree(published.dataset.root, tmp_path / "quad")
    detector = write_detector(tmp_path / "plates.onnx", [20, 20, 40, 30, 0.12, 0])

    def hidden(hide_from: float | None) -> int:
        return publish(root, tmp_path / "out", license="mit", detectors=[detector], hide_from=hide_from).redacted

    assert [hidden(None), hidden(0.1), hidden(0.13)] == [0, 14, 0]
    assert json.loads((tmp_path / "out" / "img2gps.json").read_text())["redaction"]["unsure_from"] == 0.13
    with pytest.raises(UsageError, match="--hide-from is a score of detectors"):
        publish(root, tmp_path / "out", license="mit", hide_from=0.2)


def test_a_file_that_is_no_detector_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(UsageError, match="is no ONNX model that can be run"):
        file_detector(tmp_path / "bad.onnx")


def test_boxes_of_one_thing_are_one() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [40, 40, 50, 50]], dtype=np.float32)
    found = kept_apart(boxes, np.array([0.5, 0.9, 0.3], dtype=np.float32))
    assert [(round(one.left), round(one.score, 1)) for one in found] == [(1, 0.9), (40, 0.3)]


def test_a_damaged_record_is_a_sentence(published: Published, tmp_path: Path) -> None:
    dataset = Dataset.open(shutil.copytree(published.dataset.root, tmp_path / "quad"))
    (dataset.root / "redaction.json").write_text('{"schema": 1, "regions": {}, "looked": {}, "digest": "0"}')
    with pytest.raises(InvalidDatasetError, match="damaged or changed"):
        load_redactions(dataset)
