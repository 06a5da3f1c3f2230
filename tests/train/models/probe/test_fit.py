import dataclasses
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from img2gps.errors import InvalidCheckpointError, UsageError
from img2gps.geo import geodesic_m
from img2gps.manifest import photos_of, read_table
from img2gps.pixels import PixelSpec
from tests.datasets import make_dataset
from tests.train.colours import TINY, colour_dataset
from train.config.presets import preset
from train.config.schema import TrainConfig
from train.config.values import changed
from train.data.training_data import read_photos, select_fold, select_split
from train.evaluation.evaluate import evaluate_run
from train.inference import locate as locating
from train.inference.load import load_localizer
from train.inference.locate import locate_files
from train.inference.predict import predict_files
from train.inference.predictions import read_predictions
from train.models.probe import fit as probe
from train.models.probe.features.extractor import CHUNK, FeatureExtractor, Features, backbones_of
from train.models.probe.features.feature_cache import features_path
from train.models.probe.model import ProbeLocalizer
from train.models.reliability import Reliability
from train.runs.checkpoint import read_checkpoint, write_checkpoint
from train.runs.folder import RunFolder
from train.training.session import resume_run, start_run
from train.training.summary import summary


def _config(**values: object) -> TrainConfig:
    # random features tell colours apart: nothing about a tiny network is pretrained
    base = {"model": TINY, "weights": "none", "size": 32, "device": "cpu", "threads": 1, "epochs": 10}
    return changed(preset("quick"), base | values)


def _same(first: RunFolder, second: RunFolder) -> bool:
    one, other = read_checkpoint(first.best).tensors, read_checkpoint(second.best).tensors
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_probe_learns_where_colours_are_and_comes_back_from_its_checkpoint(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 60, val=20).root
    run = start_run(root, _config(), runs=tmp_path, name="probe")
    (line,) = run.read_metrics()
    val = select_split(read_photos(root)).val
    assert val is not None
    mean_position = geodesic_m(val.lon, val.lat, np.full(20, val.lon.mean()), np.full(20, val.lat.mean()))
    assert line["val/rmse_m"] < 0.8 * float(np.sqrt(np.mean(mean_position**2)))
    assert line["calibration/photos"] == 20
    assert summary(run)["models"][0]["epoch"] == 1

    localizer = load_localizer(run.root, device="cpu")
    paths = sorted((root / "photos").rglob("*.jpg"))[:5]
    for row in predict_files(localizer, paths):
        assert row.error is None
        assert row.radius_50_m is not None
        assert row.radius_90_m is not None
        assert 0 < row.radius_50_m <= row.radius_90_m


@pytest.mark.slow
def test_same_seed_same_model_and_a_finished_run_resumes_to_itself(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 24).root
    runs = [start_run(root, _config(heads="neighbours+heat_map+regression"), runs=tmp_path) for _ in range(2)]
    assert _same(*runs)
    line = runs[0].read_metrics()
    assert _same(resume_run(runs[0].root), runs[1])
    assert runs[0].read_metrics() == line


@pytest.mark.slow
def test_a_damaged_checkpoint_is_named_and_mended_from_the_other(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 24).root
    run = start_run(root, _config(), runs=tmp_path, name="probe")
    before = read_checkpoint(run.best).tensors
    with (run.last / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(InvalidCheckpointError, match=r"use .*best in its place"):
        resume_run(run.root)
    resume_run(run.best)
    assert read_checkpoint(run.last).tensors.keys() == before.keys()
    assert _same(resume_run(run.root), run)


@pytest.mark.slow
def test_a_run_cut_off_before_its_checkpoint_is_fitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = colour_dataset(tmp_path / "ds", 24).root
    whole = start_run(root, _config(), runs=tmp_path, name="whole")

    def interrupted(*_args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(probe, "save_probe", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start_run(root, _config(), runs=tmp_path, name="killed")
    killed = resume_run(tmp_path / "killed")
    assert _same(killed, whole)
    assert len(killed.read_metrics()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_few_photos_are_enough_for_a_model(tmp_path: Path, count: int) -> None:
    root = colour_dataset(tmp_path / "ds", count, split=False).root
    run = start_run(root, _config(), runs=tmp_path, name="few")
    estimate = locate_files(load_localizer(run.root, device="cpu"), sorted((root / "photos").rglob("*.jpg")))
    assert np.isfinite(estimate.east_m).all()
    assert len(estimate.east_m) == count


@pytest.mark.slow
@pytest.mark.parametrize("model", [TINY, f"{TINY}+{TINY}@24+{TINY}@16"])
def test_a_photo_is_located_the_same_in_any_company(tmp_path: Path, model: str) -> None:
    root = colour_dataset(tmp_path / "ds", 30).root
    run = start_run(root, _config(model=model), runs=tmp_path, name="probe")
    localizer = load_localizer(run.root, device="cpu")
    paths = sorted((root / "photos").rglob("*.jpg"))[:13]
    together = locate_files(localizer, paths)
    alone = [locate_files(localizer, [path]) for path in paths]
    assert together.east_m.tolist() == [float(part.east_m[0]) for part in alone]
    assert together.radius_90_m is not None
    assert together.radius_90_m.tolist() == [
        float(part.radius_90_m[0]) for part in alone if part.radius_90_m is not None
    ]


@pytest.mark.slow
def test_folds_look_at_each_photo_once_and_locate_it_by_a_model_that_did_not_see_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = colour_dataset(tmp_path / "ds", 24, folds=3).root
    passes = []
    real = FeatureExtractor._pass
    monkeypatch.setattr(FeatureExtractor, "_pass", lambda self, images: (passes.append(1), real(self, images))[1])
    run = start_run(root, _config(), folds=True, runs=tmp_path, name="folds")
    assert len(passes) == 3 + 3  # 24 photos in passes of eight, then eight held-out ones per fold
    rows = read_predictions(run.folds_path / "predictions.parquet")
    assert len(rows) == 24
    assert rows["radius_90_m"].notna().all()
    assert rows[["walk_lon", "walk_lat", "walk_radius_50_m", "walk_radius_90_m"]].notna().all(axis=None)


@pytest.mark.slow
def test_features_are_kept_beside_the_dataset_and_safe_to_delete_or_damage(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 24).root
    config = _config()
    first = start_run(root, config, runs=tmp_path, name="first")
    path = features_path(read_photos(root), config, torch.device("cpu"))
    path.write_bytes(b"damaged")
    assert _same(first, start_run(root, config, runs=tmp_path, name="second"))
    path.unlink()
    assert _same(first, start_run(root, config, runs=tmp_path, name="third"))
    assert path.is_file()


@pytest.mark.slow
@pytest.mark.parametrize("model", ["resnet18", "timm/test_vit", f"{TINY}+resnet18", f"{TINY}+{TINY}@24"])
def test_any_backbone_gives_features(tmp_path: Path, model: str) -> None:
    config = _config(model=model, epochs=1, aspect=1.0)
    features = FeatureExtractor(model, config.pixels)(torch.zeros(3, 3, config.pixels.height, 32, dtype=torch.uint8))
    assert len(features) == 3
    assert all(torch.isfinite(part).all() for part in features.pooled)
    root = colour_dataset(tmp_path / "ds", 10).root
    run = start_run(root, config, runs=tmp_path, name="probe")
    load_localizer(run.root, device="cpu")


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["neighbours.xy", "prior"])  # those of before there was a prior saw otherwise, too
def test_a_checkpoint_whose_parts_do_not_fit_is_refused(tmp_path: Path, missing: str) -> None:
    root = colour_dataset(tmp_path / "ds", 10).root
    run = start_run(root, _config(), runs=tmp_path, name="probe")
    checkpoint = read_checkpoint(run.best)
    tensors = {name: tensor for name, tensor in checkpoint.tensors.items() if name != missing}
    write_checkpoint(run.best, tensors=tensors, state=checkpoint.state)
    with pytest.raises(InvalidCheckpointError, match="does not fit together"):
        load_localizer(run.root, device="cpu")


def test_a_backbone_may_look_at_a_size_of_its_own() -> None:
    spec = PixelSpec(height=64, width=48, fit="pad")
    assert [(name, own.height, own.width) for name, own in backbones_of("a@24 + b", spec)] == [
        ("a", 32, 24),
        ("b", 64, 48),
    ]
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, 64, 48), dtype=np.uint8))
    torch.manual_seed(0)
    three = FeatureExtractor(f"{TINY}+{TINY}@48+{TINY}@24", spec)
    first, *others = three._extractors()
    for other in others:
        other.backbone.load_state_dict(first.backbone.state_dict())
    own, same, smaller = three(images).pooled
    assert torch.equal(own, same)
    assert not torch.equal(own, smaller)


def test_a_network_sees_with_the_same_weights_at_every_size() -> None:
    extractor = FeatureExtractor(f"{TINY}@48+resnet18+{TINY}@96", PixelSpec(height=128, width=96, fit="pad"))
    small, _, large = (backbone_extractor.backbone.state_dict() for backbone_extractor in extractor._extractors())
    assert all(torch.equal(small[name], large[name]) for name in small)


@pytest.mark.slow
def test_of_larger_sizes_the_middle_is_kept_finest_first() -> None:
    spec = PixelSpec(height=256, width=192, fit="pad")
    extractor = FeatureExtractor(f"{TINY}@96+resnet18+{TINY}", spec)
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (CHUNK, 3, 256, 192), dtype=np.uint8))
    features = extractor(images)
    (middle, whole), (other,) = features.pyramids
    maps = [backbone_extractor(images)[1] for backbone_extractor in extractor._extractors()]
    assert torch.equal(whole, maps[0])
    assert torch.equal(other, maps[1])
    assert maps[2] is not None
    assert maps[2].shape[1:3] == (2 * whole.shape[1], 2 * whole.shape[2])
    top, left = whole.shape[1] // 2, whole.shape[2] // 2
    assert torch.equal(middle, maps[2][:, top : top + whole.shape[1], left : left + whole.shape[2]])
    joined = Features.concatenate([features.take(torch.tensor([row])) for row in range(CHUNK)])
    assert torch.equal(joined.pyramids[0][0], middle)
    assert torch.equal(joined.brightness, features.brightness)


@pytest.mark.slow
def test_sizes_whose_maps_have_as_many_rows_are_ordered_by_columns() -> None:
    spec = PixelSpec(height=307, width=230, fit="pad")
    for model in (f"{TINY}+{TINY}@224", f"{TINY}@224+{TINY}"):
        extractor = FeatureExtractor(model, spec)
        images = torch.zeros(1, 3, 307, 230, dtype=torch.uint8)
        maps = [backbone_extractor(images)[1] for backbone_extractor in extractor._extractors()]
        rows, columns = zip(*(found.shape[1:3] for found in maps if found is not None), strict=True)
        assert len(set(rows)) == 1
        assert len(set(columns)) == 2
        assert {grid.shape[1:3] for grid in extractor(images).pyramids[0]} == {(rows[0], min(columns))}


def test_no_backbone_looks_at_more_than_photos_are_read_at() -> None:
    with pytest.raises(UsageError, match="more than the 48 pixels"):
        backbones_of("a@49", PixelSpec(height=64, width=48, fit="pad"))


@pytest.mark.parametrize("model", ["resnet18@", "resnet18@big", "resnet18@3", "resnet18@-5"])
def test_an_impossible_size_is_a_usage_error(model: str) -> None:
    with pytest.raises(UsageError, match="192"):
        backbones_of(model, PixelSpec(height=64, width=64, fit="pad"))


@pytest.mark.slow
def test_a_checkpoint_from_before_walks_were_located_together_is_read(tmp_path: Path) -> None:
    run = start_run(colour_dataset(tmp_path / "ds", 24).root, _config(), runs=tmp_path, name="probe")
    checkpoint = read_checkpoint(run.best)
    state = {name: value for name, value in checkpoint.state.items() if name not in ("walk_calibration", "format")}
    write_checkpoint(run.best, tensors=checkpoint.tensors, state=state)
    localizer = load_localizer(run.root, device="cpu")
    assert isinstance(localizer, ProbeLocalizer)
    assert localizer.walk_calibration == localizer.calibration


@pytest.mark.slow
def test_a_model_remembers_how_far_it_is_to_be_believed(tmp_path: Path) -> None:
    """A photo that looks like nothing is of any place; a model from before that was known believes its heads."""
    run = start_run(colour_dataset(tmp_path / "ds", 60, val=0).root, _config(), runs=tmp_path, name="probe")
    localizer = load_localizer(run.root, device="cpu")
    assert isinstance(localizer, ProbeLocalizer)
    assert localizer.reliability is not None
    assert localizer.reliability.photos == 58
    images = torch.zeros(1, 3, localizer.pixels.height, localizer.pixels.width, dtype=torch.uint8)
    unlike = Reliability(middle=float(localizer.evidence(images).similarity) + 9.0, slope=1.0, photos=30)
    doubting = dataclasses.replace(localizer, reliability=unlike).evidence(images).log_probs.exp()
    assert float(doubting.max()) < 0.01 + 1 / doubting.shape[1]
    checkpoint = read_checkpoint(run.best)
    state = {name: value for name, value in checkpoint.state.items() if name not in ("reliability", "format")}
    write_checkpoint(run.best, tensors=checkpoint.tensors, state=state)
    earlier = load_localizer(run.root, device="cpu")
    assert isinstance(earlier, ProbeLocalizer)
    assert earlier.reliability is None
    believing = dataclasses.replace(localizer, reliability=None).evidence(images).log_probs
    assert torch.allclose(earlier.evidence(images).log_probs, believing)


@pytest.mark.slow
def test_walks_have_a_calibration_of_their_own(tmp_path: Path) -> None:
    """Photos of one place a moment apart err alike when they are located together: the regions must know."""
    dataset = colour_dataset(tmp_path / "ds", 60, val=30)
    run = start_run(dataset.root, _config(), runs=tmp_path, name="probe")
    localizer = load_localizer(run.root, device="cpu")
    assert isinstance(localizer, ProbeLocalizer)
    assert localizer.walk_calibration.photos == localizer.calibration.photos == 30
    assert localizer.reliability is None  # photos of the training's own walks do not tell how unlike another day's are
    assert localizer.walk_calibration != localizer.calibration
    images = torch.zeros(2, 3, localizer.pixels.height, localizer.pixels.width, dtype=torch.uint8)
    evidence, seconds = localizer.evidence(images), np.array([0.0, 1.0])
    alone = localizer.estimate(evidence)
    answer = torch.from_numpy(np.stack([alone.east_m, alone.north_m], axis=1)).float()
    radii = localizer.calibration.radii(evidence.log_probs, localizer.ensemble.cells, answer)
    assert alone.radius_90_m == pytest.approx(radii[:, 1].numpy(), rel=1e-3)
    own = localizer.estimate_walk(evidence, alone, seconds)
    as_alone = dataclasses.replace(localizer, walk_calibration=localizer.calibration).estimate_walk(
        evidence, alone, seconds
    )
    assert own.east_m.tolist() == as_alone.east_m.tolist()
    assert own.radius_50_m is not None
    assert as_alone.radius_50_m is not None
    assert own.radius_50_m.tolist() != as_alone.radius_50_m.tolist()


@pytest.mark.slow
def test_folds_and_evaluations_hand_on_walks_and_clock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos of a walk seconds apart are located together, and the same, whether by a fold's training or afterwards."""
    dataset = colour_dataset(tmp_path / "ds", 24, folds=3)
    source = read_photos(dataset.root)
    run = start_run(dataset.root, _config(), folds=True, runs=tmp_path, name="folds")
    stored = read_predictions(run.folds_path / "predictions.parquet").set_index("id")
    given: list[tuple[list[str], list[float]]] = []
    real = locating.locate_with_walks

    def spy(*arguments: Any, walks: Any, seconds: Any, **options: Any) -> Any:
        given.append((walks.tolist(), seconds.tolist()))
        return real(*arguments, walks=walks, seconds=seconds, **options)

    monkeypatch.setattr(locating, "locate_with_walks", spy)
    held_out = select_fold(source, 1).held_out
    assert held_out is not None
    photos = [photo for photo in photos_of(read_table(dataset.manifest_path)[0]) if photo.fold == 1]
    other = make_dataset(tmp_path / "other", photos, grouped=True)
    shutil.copytree(dataset.root / "photos", other.root / "photos", dirs_exist_ok=True)
    found = evaluate_run(run.root / "folds" / "1", on=other.root, write=False).scores.set_index("id")
    ((walks, seconds),) = given
    own = zip(held_out.walk.tolist(), held_out.captured_s.tolist(), strict=True)
    assert sorted(zip(walks, seconds, strict=True)) == sorted(own)
    assert len(set(seconds)) == len(seconds)
    assert (found["walk_photos"] > 1).any()
    for name in ("walk_lon", "walk_lat", "walk_photos", "walk_radius_90_m"):
        assert found[name].to_numpy() == pytest.approx(stored.loc[found.index, name].to_numpy(), rel=1e-6)
