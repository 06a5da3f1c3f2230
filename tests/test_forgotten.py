"""A forgotten photo is found by no hash and by no pixels: not in the dataset, its caches, nor what is published."""

import base64
import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest
from ingest_runs import rows, run_ingest
from numpy.typing import NDArray
from photos import write_walk
from PIL import Image, UnidentifiedImageError

from collect.api import audit, forget, publish, split
from img2gps.pixels import PixelSpec
from img2gps.tables import load_table
from img2gps.types import Photo
from train.data.pixel_cache import cached_pixels
from train.data.training_data import read_photos

_SIDE_PX: Final = 12  # pictures are compared this small
_ALIKE: Final = 8.0  # mean difference of grey values; other scenes are some 30 apart
_EMBEDDED: Final = re.compile(rb"data:image/[a-z]+;base64,([A-Za-z0-9+/=]+)")


def pictures_in(root: Path) -> Iterator[tuple[str, Image.Image]]:
    """Yield every picture in every file of a folder: JPEGs wherever they begin, in tables and pages, and arrays."""
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        data, name = path.read_bytes(), path.relative_to(root).as_posix()
        found = [data, *map(base64.b64decode, _EMBEDDED.findall(data))]
        if path.suffix == ".parquet":
            found += [value for row in load_table(path).table.to_pylist() for value in bytes_of(row)]
        for content in found:
            for start in (match.start() for match in re.finditer(rb"\xff\xd8\xff|\x89PNG", content)):
                try:
                    yield name, Image.open(io.BytesIO(content[start:])).convert("RGB")
                except (UnidentifiedImageError, OSError, ValueError):
                    continue
        if path.suffix == ".npy":
            for array in np.load(path):
                yield name, Image.fromarray(array.transpose(1, 2, 0))


def bytes_of(value: Any) -> Iterator[bytes]:
    if isinstance(value, bytes):
        yield value
    for inner in value.values() if isinstance(value, dict) else ():
        yield from bytes_of(inner)


def small(picture: Image.Image) -> NDArray[np.float64]:
    grey = picture.convert("L").resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BOX)
    return np.asarray(grey, dtype=np.float64)


def files_that_show(root: Path, wanted: Image.Image) -> set[str]:
    """Return the files of a folder that hold a picture that looks like one."""
    grey = small(wanted)
    return {name for name, picture in pictures_in(root) if np.abs(small(picture) - grey).mean() < _ALIKE}


def files_that_name(root: Path, photo: Photo) -> set[str]:
    """Return the files of a folder that hold a hash of a photo, but for the list of what must not come back."""
    words = [digest[:16] for digest in (photo.id, photo.photo_sha256, photo.phash)]
    found = set()
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.name != "forgotten.txt"):
        table = load_table(path).table if path.suffix == ".parquet" else None
        text = path.read_bytes().decode("latin-1") + str(path)
        text += f"{table.to_pydict()} {table.schema.metadata}" if table is not None else ""
        if any(word in text for word in words):
            found.add(path.relative_to(root).as_posix())
    return found


@pytest.mark.slow
def test_a_forgotten_photo_is_nowhere_found_by_hash_phash_or_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    quad, out = tmp_path / "quad", tmp_path / "out"
    write_walk(tmp_path / "in", 8, size=(160, 120), every_s=40.0)
    run_ingest(tmp_path / "in", quad)
    split(quad, by="random", val=2, test=2)
    gone = rows(quad)["IMG_0003.jpg"]
    copy = Image.open(io.BytesIO((quad / gone.file_name).read_bytes()))

    def make() -> None:
        """Make all that is made of the photos: the cache of a training, the audit's report, the published folder."""
        cached_pixels(read_photos(quad), PixelSpec(height=36, width=48, fit="squash"))
        audit(quad)
        publish(quad, out, license="mit", also=["csv"])

    make()
    assert {name.split("/")[0] for name in files_that_show(quad, copy)} == {"photos", ".cache"}
    assert {name.split("/")[0] for name in files_that_show(out, copy)} == {"data"}
    assert {"manifest.parquet", gone.file_name, "sources.parquet"} <= files_that_name(quad, gone)
    assert files_that_name(out, gone) >= {"photos.csv"}
    held = forget(quad, ids=[gone.id]).holders
    assert [one.folder.name for one in held] == ["out"]
    assert files_that_show(quad, copy) == files_that_name(quad, gone) == set()
    make()
    for root in (quad, out):
        assert files_that_show(root, copy) == files_that_name(root, gone) == set()
    other = rows(quad)["IMG_0004.jpg"]
    shown = Image.open(io.BytesIO((quad / other.file_name).read_bytes()))
    assert {name.split("/")[0] for name in files_that_show(quad, shown)} == {"photos", ".cache"}
    shutil.rmtree(out)
