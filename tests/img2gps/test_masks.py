"""Folders of masks: what is written is read again, tables of others are translated, damaged files are named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2gps.errors import InvalidDatasetError, NotFoundError
from img2gps.masks import (
    CLASSES,
    find_mask,
    fit_mask,
    names_of_marks,
    read_class_table,
    read_mask,
    write_class_table,
    write_mask,
)
from img2gps.pixels import PixelSpec, fit_pixels

MASK = np.arange(96, dtype=np.uint8).reshape(8, 12) % len(CLASSES)


def test_a_mask_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_mask(tmp_path / "a.png", MASK)
    assert (read_mask(tmp_path / "a.png") == MASK).all()


def test_the_table_written_means_the_own_classes(tmp_path: Path) -> None:
    write_class_table(tmp_path)
    table = read_class_table(tmp_path / "classes.csv")
    assert list(table[: len(CLASSES)]) == list(range(len(CLASSES)))
    assert not table[len(CLASSES) :].any()


def test_numbers_of_another_table_are_translated(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text("index,class\n2,building\n255,person\n", encoding="utf-8")
    Image.fromarray(np.array([[2, 255], [7, 0]], np.uint8)).save(tmp_path / "grey.png")
    mask = read_mask(tmp_path / "grey.png", read_class_table(tmp_path / "classes.csv"))
    assert [[CLASSES[k] for k in row] for row in mask] == [["building", "person"], ["other", "other"]]


@pytest.mark.parametrize(
    ("line", "word"), [("x,building", "index"), ("256,sky", "index"), ("3,castle", "class"), ("3", "class")]
)
def test_a_wrong_line_of_a_table_is_named(tmp_path: Path, line: str, word: str) -> None:
    (tmp_path / "classes.csv").write_text(f"index,class\n1,sky\n{line}\n", encoding="utf-8")
    with pytest.raises(InvalidDatasetError, match=f"line 3: {word}"):
        read_class_table(tmp_path / "classes.csv")


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"classes\.csv"):
        read_class_table(tmp_path / "classes.csv")


@pytest.mark.parametrize("content", [b"no png", b""])
def test_a_damaged_mask_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InvalidDatasetError, match=r"a\.png"):
        read_mask(tmp_path / "a.png")


def test_a_picture_in_colours_is_no_mask(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(InvalidDatasetError, match="indexed or grey"):
        read_mask(tmp_path / "a.png")


def test_a_mask_goes_by_the_photos_name_with_or_without_its_suffix(tmp_path: Path) -> None:
    write_mask(tmp_path / "IMG_1.jpg.png", MASK)
    write_mask(tmp_path / "IMG_2.png", MASK)
    assert find_mask(tmp_path, "walk/IMG_1.jpg") == tmp_path / "IMG_1.jpg.png"
    assert find_mask(tmp_path, "unknown", "IMG_2.jpg") == tmp_path / "IMG_2.png"
    assert find_mask(tmp_path, "IMG_3.jpg") is None


def test_photos_of_one_name_are_marked_by_their_ids() -> None:
    names = ["monday/IMG_1.jpg", "tuesday/IMG_1.jpg", "tuesday/IMG_2.jpg", ""]
    assert names_of_marks(["a", "b", "c", "d"], names) == ["a", "b", "IMG_2.jpg", "d"]


@pytest.mark.parametrize("fit", ["pad", "squash"])
def test_a_mask_lies_on_the_pixels_that_it_is_of(fit: str) -> None:
    spec = PixelSpec(height=40, width=30, fit=fit)  # type: ignore[arg-type]
    mask = np.zeros((60, 80), np.uint8)
    mask[20:40, 30:60] = 1
    photo = Image.fromarray(np.stack([mask * 255] * 3, axis=2))
    shown = fit_pixels(photo, spec)[0]
    fitted = fit_mask(mask, spec)
    assert fitted.shape == (40, 30)
    assert (fitted[shown > 250] == 1).all()
    assert (fitted[shown < 5] == 0).all()
