"""Which photo gets which answer when photos of several walks are located together."""

import dataclasses
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from img2gps.errors import InvalidDatasetError
from img2gps.geo import FloatArray, LocalFrame
from img2gps.pixels import PixelSpec
from tests.datasets import FRAME
from train.inference.locate import locate_each_walk, locate_with_walks
from train.models.evidence import Evidence
from train.models.localizer import Estimate

NOON = datetime(2025, 6, 2, 12)
SPEC = PixelSpec(height=8, width=8, fit="squash")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Knows each photo by its grey level; a photo with company is put to the north by its second and its company."""

    frame: LocalFrame = FRAME
    pixels: PixelSpec = SPEC

    def locate(self, images: Tensor) -> Estimate:
        return self.estimate(self.evidence(images))

    def evidence(self, images: Tensor) -> Evidence:
        grey = images.double().mean(dim=(1, 2, 3))
        return Evidence(log_probs=grey[:, None], similarity=grey)

    def estimate(self, evidence: Evidence) -> Estimate:
        return Estimate(east_m=evidence.similarity.numpy().round(), north_m=np.zeros(len(evidence)))

    def share_near(self, evidence: Evidence, east_m: FloatArray, north_m: FloatArray) -> FloatArray:
        """Return the place that was asked about, to see that it is the photo's own."""
        return np.asarray(east_m, dtype=np.float64)

    def estimate_walk(self, evidence: Evidence, alone: Estimate, seconds: FloatArray) -> Estimate:
        east_m = evidence.log_probs[:, 0].numpy().round()
        assert east_m.tolist() == alone.east_m.tolist()
        return Estimate(
            east_m=east_m, north_m=1000 * seconds + east_m.sum(), company=np.full(len(seconds), float(len(seconds)))
        )


WALKS = ["a", "b", "a", "c", "b", "a", "d", "d"]
SECONDS = [30.0, 5.0, 10.0, 7.0, 1.0, np.nan, 3.0, 2.0]
COMPANY = {"a": [2, 0], "b": [4, 1], "d": [7, 6]}


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    """Return photos of grey levels 10, 20, ...: of three cameras that took two with a time each, others without."""
    result = []
    for number, (walk, second) in enumerate(zip(WALKS, SECONDS, strict=True)):
        exif = Image.Exif()
        exif[0x0110] = walk
        if not np.isnan(second):
            exif.get_ifd(0x8769)[0x9003] = f"{NOON + timedelta(seconds=second):%Y:%m:%d %H:%M:%S}"
        path = tmp_path / f"{number}.png"
        Image.new("L", (16, 16), 10 * (number + 1)).save(path, exif=exif)
        result.append(path)
    return result


def check(estimate: Estimate, *, start_s: float = 0.0) -> None:
    assert estimate.east_m.tolist() == [10.0 * (number + 1) for number in range(len(WALKS))]
    expected = np.zeros(len(WALKS))
    company = np.ones(len(WALKS))
    for rows in COMPANY.values():
        expected[rows] = 1000 * (np.asarray(SECONDS)[rows] + start_s) + 10.0 * (np.asarray(rows) + 1).sum()
        company[rows] = 2
    assert estimate.north_m.tolist() == expected.tolist()
    assert estimate.company is not None
    assert estimate.company.tolist() == company.tolist()


@pytest.mark.parametrize("batch_size", [1, 32])
def test_every_photo_of_a_dataset_gets_its_own_answer(paths: list[Path], batch_size: int) -> None:
    alone, together = locate_with_walks(
        Numbers(), paths, walks=np.asarray(WALKS), seconds=np.asarray(SECONDS), batch_size=batch_size
    )
    assert alone.east_m.tolist() == [10.0 * (number + 1) for number in range(len(WALKS))]
    assert not alone.north_m.any()
    assert together is not None
    check(together)


def test_every_photo_is_asked_about_its_own_label(paths: list[Path]) -> None:
    lon, lat = FRAME.to_lonlat(10.0 * np.arange(len(paths)), np.zeros(len(paths)))
    alone, _ = locate_with_walks(
        Numbers(), paths, walks=np.asarray(WALKS), seconds=np.asarray(SECONDS), labels=(lon, lat), batch_size=3
    )
    assert alone.label_share is not None
    assert alone.answer_share is not None
    assert np.allclose(alone.label_share, 10.0 * np.arange(len(paths)), atol=1e-3)
    assert alone.answer_share.tolist() == alone.east_m.tolist()


def test_every_file_gets_its_own_answer(paths: list[Path]) -> None:
    estimate, errors = locate_each_walk(Numbers(), paths, batch_size=3)
    assert errors == [None] * len(paths)
    check(estimate, start_s=(NOON - datetime(1970, 1, 1)).total_seconds())


def test_unreadable_files_among_them_move_nothing(paths: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("text")
    estimate, errors = locate_each_walk(Numbers(), [bad, *paths, bad])
    assert [error is None for error in errors] == [False, *[True] * len(paths), False]
    assert np.isnan(estimate.east_m[[0, -1]]).all()
    rows: NDArray[np.int64] = np.arange(1, len(paths) + 1)
    check(estimate.take(rows), start_s=(NOON - datetime(1970, 1, 1)).total_seconds())
    with pytest.raises(InvalidDatasetError, match=r"bad\.jpg"):
        locate_with_walks(Numbers(), [bad, *paths], walks=np.asarray(["a", *WALKS]), seconds=np.zeros(len(paths) + 1))


def test_nothing_to_locate_is_no_error() -> None:
    none: NDArray[np.float64] = np.empty(0)
    alone, together = locate_with_walks(Numbers(), [], walks=np.asarray([], dtype=str), seconds=none)
    assert together is not None
    assert len(alone.east_m) == len(together.east_m) == 0
    assert len(locate_each_walk(Numbers(), [])[0].east_m) == 0


def test_many_photos_without_company_are_located_in_parts(paths: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("train.inference.locate._ALONE_AT_ONCE", 3)
    names = np.asarray([str(number) for number in range(len(paths))])
    alone, together = locate_with_walks(Numbers(), paths, walks=names, seconds=np.asarray(SECONDS))
    assert together is not None
    assert alone.east_m.tolist() == together.east_m.tolist() == [10.0 * (number + 1) for number in range(len(paths))]
