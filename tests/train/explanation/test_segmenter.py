"""A segmenter's classes become masks by its table; what is no segmenter is said to be none."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from img2gps.errors import InvalidDatasetError, NotFoundError, UsageError
from img2gps.masks import CLASSES, find_mask, read_mask
from train.explanation.segmenter import Segmenter, write_segmented

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

TABLE = "index,class\n0,building\n1,vegetation\n2,sky\n"


def strongest_channel(path: Path, *, numbers: bool = False, channels: int = 3) -> Path:
    """Write a model whose scores are the channels themselves, or the numbers of the strongest."""
    given = onnx.helper.make_tensor_value_info("photos", onnx.TensorProto.FLOAT, ["n", channels, 32, 24])
    kind = onnx.TensorProto.INT64 if numbers else onnx.TensorProto.FLOAT
    told = onnx.helper.make_tensor_value_info("told", kind, None)
    node = (
        onnx.helper.make_node("ArgMax", ["photos"], ["told"], axis=1, keepdims=0)
        if numbers
        else onnx.helper.make_node("Identity", ["photos"], ["told"])
    )
    graph = onnx.helper.make_graph([node], "strongest", [given], [told])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)
    return path


def halves(path: Path) -> Path:
    """Write a photo with a blue upper half, a red lower one with green in its right part."""
    pixels = np.zeros((120, 90, 3), np.uint8)
    pixels[:60, :, 2] = 255
    pixels[60:, :, 0] = 255
    pixels[60:, 45:] = (0, 255, 0)
    Image.fromarray(pixels).save(path)
    return path


@pytest.mark.parametrize("numbers", [False, True])
def test_classes_become_masks_by_the_table(tmp_path: Path, *, numbers: bool) -> None:
    (tmp_path / "classes.csv").write_text(TABLE, encoding="utf-8")
    found = Segmenter.load(strongest_channel(tmp_path / "m.onnx", numbers=numbers), tmp_path / "classes.csv")
    (tmp_path / "no.jpg").write_text("no photo")
    photos = [("a.png", halves(tmp_path / "a.png")), ("no.jpg", tmp_path / "no.jpg")]
    write_segmented(found, photos, tmp_path / "masks")
    assert find_mask(tmp_path / "masks", "no.jpg") is None
    path = find_mask(tmp_path / "masks", "a.png")
    assert path is not None
    mask = read_mask(path)
    assert mask.shape == (512, 384)  # as the photo lies
    places = ((50, 200), (450, 50), (450, 350))
    assert [CLASSES[mask[place]] for place in places] == ["sky", "building", "vegetation"]


def test_masks_that_are_there_are_kept(tmp_path: Path) -> None:
    (tmp_path / "classes.csv").write_text(TABLE, encoding="utf-8")
    model = Segmenter.load(strongest_channel(tmp_path / "m.onnx"), tmp_path / "classes.csv")
    photos = [("a.png", halves(tmp_path / "a.png"))]
    write_segmented(model, photos, tmp_path / "masks")
    kept = tmp_path / "masks" / "a.png.png"
    kept.write_bytes(b"mine")
    write_segmented(model, photos, tmp_path / "masks")
    assert kept.read_bytes() == b"mine"


def test_what_is_no_segmenter_is_refused(tmp_path: Path) -> None:
    table = tmp_path / "classes.csv"
    with pytest.raises(NotFoundError, match="No segmenter"):
        Segmenter.load(tmp_path / "none.onnx", table)
    damaged = tmp_path / "damaged.onnx"
    damaged.write_bytes(b"no model")
    with pytest.raises(NotFoundError, match="No table"):
        Segmenter.load(damaged, table)
    table.write_text("index,class\n0,tower\n", encoding="utf-8")
    with pytest.raises(InvalidDatasetError, match="line 2"):
        Segmenter.load(damaged, table)
    table.write_text(TABLE, encoding="utf-8")
    with pytest.raises(UsageError, match="can be run"):
        Segmenter.load(damaged, table)
    with pytest.raises(UsageError, match="takes no photos"):
        Segmenter.load(strongest_channel(tmp_path / "grey.onnx", channels=1), table)
