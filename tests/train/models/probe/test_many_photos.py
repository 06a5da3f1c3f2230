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
from train.config.schema import ProbeConfig, TrainConfig
from train.config.values import changed
from train.data.training_data import Photos, read_photos
from train.inference.load import load_localizer
from train.inference.locate import locate_files
from train.models.calibration import some_units
from train.models.grid import site_cells
from train.models.probe.covisibility import Poses
from train.models.probe.features.descriptors import Descriptors
from train.models.probe.features.extractor import Features
from train.models.probe.features.feature_cache import cached_features, features_path
from train.models.probe.features.stored_features import StoredFeatures, named_tensors
from train.models.probe.features.tensor_cache import is_intact
from train.models.probe.features.tensor_file import TensorFile
from train.models.probe.heads import photo_index
from train.models.probe.heads.codes import packed, products_of, unpacked
from train.models.probe.heads.ensemble import Ensemble
from train.models.probe.heads.gallery import CompactGallery, ExactGallery
from train.models.probe.heads.neighbours import Neighbours
from train.models.probe.model import make_extractor, points_of
from train.runs import checkpoint
from train.runs.checkpoint import InvalidCheckpointError, read_checkpoint
from train.runs.folder import RunFolder
from train.training.session import start_run

CPU = torch.device("cpu")


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


def test_the_larger_a_packed_gallery_the_more_candidates_are_compared() -> None:
    places, draws = _unit(60, 64), torch.Generator().manual_seed(1)
    seen = places[torch.arange(64_000) % 60] + 0.075 * torch.randn(64_000, 64, generator=draws)
    pooled = F.normalize(seen, dim=1)  # a thousand photos of each place lie closer than the codes tell
    queries = F.normalize(places[:16] + 0.075 * torch.randn(16, 64, generator=draws), dim=1)
    nearest = (queries @ pooled.T).topk(100, dim=1).indices
    own = CompactGallery.fit(Descriptors(pooled=pooled)).nearest(queries, 100)[1]
    found = [len(set(a) & set(b)) for a, b in zip(nearest.tolist(), own.tolist(), strict=True)]
    assert np.mean(found) >= 99


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


def test_features_in_a_file_are_those_in_memory_row_by_row(tmp_path: Path) -> None:
    source = read_photos(colour_dataset(tmp_path / "ds", 30, val=0).root)
    config = _config()
    assert isinstance(config, ProbeConfig)
    extractor = make_extractor(config, CPU)
    stored = cached_features(source, config, extractor, device=CPU)
    assert isinstance(stored, StoredFeatures)
    features_path(source, config, CPU).unlink()
    known = cached_features(source, config.model_copy(update={"exact_photos": 1000}), extractor, device=CPU)
    rows = torch.tensor([29, 3, 3, 17])
    mask = torch.arange(30) % 3 == 1
    for own, expected in (
        (stored, known),
        (stored.take(rows), known.take(rows)),
        (stored.take(mask).take(torch.tensor([4, 0])), known.take(mask).take(torch.tensor([4, 0]))),
    ):
        found, wanted = named_tensors(own.loaded()), named_tensors(expected.loaded())
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


def _seen_again(count: int, seed: int) -> tuple[Features, Poses]:
    """Return photos of 40 places, each a little different every time, on walks of their own."""
    draws = torch.Generator().manual_seed(7)
    places, looks = 300 * torch.rand(40, 2, generator=draws), torch.randn(40, 48, generator=draws)
    grids = torch.randn(40, 6, 4, 24, generator=draws)
    own = torch.Generator().manual_seed(seed)
    place = torch.randint(40, (count,), generator=own)
    pooled = F.normalize(looks[place] + 1.5 * torch.randn(count, 48, generator=own), dim=1)
    grid = (grids[place] + 1.5 * torch.randn(count, 6, 4, 24, generator=own)).half()
    xy = places[place] + 3 * torch.randn(count, 2, generator=own)
    poses = Poses(xy=xy, heading_deg=torch.full((count,), torch.nan), walk=torch.arange(count) % 8)
    return Features(pooled=(pooled,), brightness=torch.zeros(count), pyramids=((grid,),)), poses


@pytest.mark.parametrize("without", ["", "index", "heat_map"])
def test_a_packed_gallery_places_new_photos_as_well_as_an_exact_one(without: str) -> None:
    (known, poses), (new, new_poses) = _seen_again(600, 1), _seen_again(120, 2)
    heads = "neighbours" if without == "heat_map" else "neighbours+heat_map"
    cells = site_cells(poses.xy.double().numpy(), size_m=4.0, reach_m=14.0)
    errors: list[torch.Tensor] = []
    for most in (1000, 100):
        config = _config(heads=heads, exact_photos=most)
        assert isinstance(config, ProbeConfig)
        ensemble = Ensemble.fit(known, poses, cells, config, advance=lambda *_, **__: None)
        head = ensemble.heads["neighbours"]
        assert isinstance(head, Neighbours)
        assert isinstance(head.gallery, CompactGallery) == (most == 100)
        if without == "index" and isinstance(head.gallery, CompactGallery):
            gallery = dataclasses.replace(head.gallery, index=None)
            ensemble = dataclasses.replace(
                ensemble, heads={**ensemble.heads, "neighbours": dataclasses.replace(head, gallery=gallery)}
            )
        point = points_of(ensemble.evidence(new).log_probs, cells, config)[config.answer]
        errors.append(torch.linalg.vector_norm(point - new_poses.xy, dim=1))
    exact, compact = (float(part.square().mean().sqrt()) for part in errors)
    assert 3 < exact < 60  # places are found again, and not all of them
    assert compact < 1.05 * exact + 0.5
    assert float((errors[0] - errors[1]).abs().median()) < 1.0


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
