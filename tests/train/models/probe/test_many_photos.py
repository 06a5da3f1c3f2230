"""Beyond `exact_photos`: features in their file, a packed gallery, an index, some walks that calibrate."""

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from torch.nn import functional as F

from tests.train.colours import TINY, colour_dataset
from train.config.presets import preset
from train.config.schema import TrainConfig
from train.config.values import changed
from train.data.training_data import Photos, read_photos
from train.inference.load import load_localizer
from train.inference.locate import locate_files
from train.models.calibration import some_units
from train.models.probe.features.descriptors import Descriptors
from train.models.probe.features.tensor_cache import is_intact
from train.models.probe.features.tensor_file import TensorFile
from train.models.probe.heads import photo_index
from train.models.probe.heads.codes import packed, products_of, unpacked
from train.models.probe.heads.gallery import CompactGallery, ExactGallery
from train.runs import checkpoint
from train.runs.checkpoint import InvalidCheckpointError, read_checkpoint
from train.runs.folder import RunFolder
from train.training.session import start_run


def _config(**values: object) -> TrainConfig:
    base = {"model": TINY, "weights": "none", "size": 32, "device": "cpu", "threads": 1, "epochs": 10}
    return changed(preset("quick"), base | {"exact_photos": 20} | values)


def _unit(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return F.normalize(torch.randn(count, width, generator=torch.Generator().manual_seed(seed)), dim=-1)


@settings(deadline=None)
@given(width=st.integers(1, 40), seed=st.integers(0, 99))
def test_what_is_packed_is_nearly_the_vectors_and_compared_without_unpacking_them(width: int, seed: int) -> None:
    vectors, queries = _unit(30, width, seed), _unit(4, width, seed + 1)
    codes = packed(vectors)
    assert codes.shape == (30, -(-width // 2))
    assert codes.dtype == torch.uint8
    assert torch.allclose(products_of(codes, queries), unpacked(codes, width) @ queries.T, atol=1e-5)
    if width >= 24:  # of fewer components one may be beyond the last step
        assert float(F.cosine_similarity(unpacked(codes, width), vectors).mean()) > 0.98


def _parts() -> Iterator[dict[str, torch.Tensor]]:
    for start in (0, 4, 8):
        rows = torch.arange(start, min(start + 4, 10))
        yield {"a": rows[:, None].float() * torch.ones(3), "b": (rows[:, None, None] * torch.ones(2, 2)).half()}


def test_a_file_of_tensors_is_written_in_parts_and_read_by_rows(tmp_path: Path) -> None:
    path = tmp_path / "cache" / "features-x-y.safetensors"
    file = TensorFile.write(path, 10, _parts())
    assert file.count() == 10
    rows = file.rows(np.asarray([7, 0, 7]))
    assert rows["a"].tolist() == [[7.0] * 3, [0.0] * 3, [7.0] * 3]
    assert rows["b"].dtype == torch.float16
    assert torch.equal(load_file(path)["a"], file.rows(np.arange(10))["a"])  # what others write and read, too
    assert is_intact(path)
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content[:-1] + b"\1")
    assert not is_intact(path)
    path.unlink()
    assert file.rows(np.asarray([3]))["a"].tolist() == [[3.0] * 3]  # what is open stays
    assert torch.equal(TensorFile.nameless(10, _parts()).rows(np.arange(10))["b"], file.rows(np.arange(10))["b"])


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="10 of 11"):
        TensorFile.write(tmp_path / "cache" / "x.safetensors", 11, _parts())
    assert not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize("with_index", [True, False])
def test_a_packed_gallery_finds_the_hundred_nearest_with_the_scores_of_comparing_all(with_index: bool) -> None:
    pooled, queries = _unit(3000, 32), _unit(8, 32, seed=1)
    exact = ExactGallery.of(Descriptors(pooled=pooled))
    compact = CompactGallery.fit(Descriptors(pooled=pooled))
    if not with_index:
        compact = dataclasses.replace(compact, index=None)
    again = CompactGallery.from_tensors(compact.tensors())
    assert (again.index is not None) == with_index
    scores, index, similarity = exact.nearest(queries, 100)
    for gallery in (compact, again):
        own_scores, own, own_similarity = gallery.nearest(queries, 100)
        found = [len(set(a) & set(b)) for a, b in zip(index.tolist(), own.tolist(), strict=True)]
        assert np.mean(found) >= 99
        assert torch.allclose(own_scores[:, :50], scores[:, :50], atol=0.01)
        assert torch.allclose(own_similarity, similarity, atol=0.001)
    damaged = compact.tensors() | {"mean": torch.zeros(3)}
    with pytest.raises(ValueError, match="statistics"):
        CompactGallery.from_tensors(damaged)


def test_without_faiss_all_are_compared_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    photo_index._faiss.cache_clear()
    try:
        gallery = CompactGallery.fit(Descriptors(pooled=_unit(100, 8)))
    finally:
        photo_index._faiss.cache_clear()
    assert gallery.index is None
    assert "img2gps[scale]" in capsys.readouterr().err
    assert gallery.nearest(_unit(100, 8)[:3], 1)[1].flatten().tolist() == [0, 1, 2]


def _photos(walks: list[str]) -> Photos:
    texts, numbers = np.asarray(walks), np.arange(len(walks), dtype=np.float64)
    columns = {field.name: numbers for field in dataclasses.fields(Photos)}
    return Photos(**{**columns, "walk": texts, "group": texts})  # type: ignore[arg-type]


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=2, max_size=12), st.integers(1, 100))
def test_whole_walks_are_held_out_and_no_more_photos_scored_than_asked(sizes: list[int], most: int) -> None:
    walks = [f"walk-{number}" for number, size in enumerate(sizes) for _ in range(size)]
    parts = some_units(_photos(walks), most)
    assert parts is not None
    assert parts.scored is not None
    held_out = {walk for walk, part in zip(walks, parts.part, strict=True) if part}
    assert held_out == set(walks) - {walk for walk, part in zip(walks, parts.part, strict=True) if not part}
    assert 0 < len(held_out) < len(sizes)
    assert 0 < len(parts.scored) <= most
    assert set(parts.part[parts.scored]) == {1}
    assert len(parts.scored) == min(most, int(parts.part.sum()))
    assert some_units(_photos(["walk-0"] * 5), most) is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunFolder, RunFolder]:
    folder = tmp_path_factory.mktemp("many")
    root = colour_dataset(folder / "ds", 140, val=0).root
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("train.training.session.write_curves", lambda *_: None, raising=False)
        packed_run = start_run(root, _config(), runs=folder, name="packed")
        exact_run = start_run(root, _config(exact_photos=1000), runs=folder, name="exact")
    return root, packed_run, exact_run


@pytest.mark.slow
def test_a_model_of_many_photos_answers_about_as_one_that_compares_all(
    trained: tuple[Path, RunFolder, RunFolder],
) -> None:
    root, packed_run, exact_run = trained
    source = read_photos(root)
    paths = [source.dataset.photo_path(photo_id) for photo_id in source.photos.ids]
    compact, exact = (locate_files(load_localizer(run.root, device="cpu"), paths) for run in (packed_run, exact_run))
    apart_m = np.hypot(compact.east_m - exact.east_m, compact.north_m - exact.north_m)
    assert float(np.median(apart_m)) < 10
    assert compact.familiarity is not None  # a part of the photos was held out, more than the fewest that tell
    names = set(read_checkpoint(packed_run.best).tensors)
    assert {"neighbours.codes.0.0", "neighbours.covariance", "neighbours.index"} <= names
    assert not list((root / ".cache").glob(".tmp-*"))


@pytest.mark.slow
def test_a_large_model_is_mapped_and_its_damage_is_told(
    trained: tuple[Path, RunFolder, RunFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    best = trained[1].best
    read = read_checkpoint(best)
    monkeypatch.setattr(checkpoint, "_MAPPED_FROM_BYTES", 1000)
    mapped = read_checkpoint(best)
    assert read.tensors.keys() == mapped.tensors.keys()
    assert all(torch.equal(mapped.tensors[name], tensor) for name, tensor in read.tensors.items())
    path = best / "model.safetensors"
    content = path.read_bytes()
    try:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        with pytest.raises(InvalidCheckpointError, match="SHA-256"):
            read_checkpoint(best)
    finally:
        path.write_bytes(content)
