"""The last stages of a network learn a site, and what was cut apart for it still gives the same vectors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from img2gps.errors import UsageError
from img2gps.geo import geodesic_m
from img2gps.pixels import PixelSpec
from tests.train.colours import TINY, colour_dataset
from train.config.presets import preset
from train.config.schema import TrainConfig
from train.config.values import changed
from train.data.training_data import read_photos, select_split
from train.inference.load import load_localizer
from train.inference.locate import locate_files
from train.inference.predictions import read_predictions
from train.models.grid import Cells
from train.models.probe.covisibility import Poses
from train.models.probe.features.extractor import BackboneExtractor, FeatureExtractor, Features
from train.models.probe.finetune import augmented_views as views_module
from train.models.probe.finetune.augmented_views import AugmentedViews, cached_augmented_views
from train.models.probe.finetune.extractor import FinetunedExtractor
from train.models.probe.finetune.training import _contrast, _Partners, finetuned_extractor, with_finetuned
from train.runs.checkpoint import read_checkpoint
from train.training.session import start_run

SPEC = PixelSpec(height=64, width=48, fit="pad")
CPU = torch.device("cpu")


def _config(**values: object) -> TrainConfig:
    base = {"model": TINY, "weights": "none", "size": 48, "device": "cpu", "threads": 1, "epochs": 5, "tune_epochs": 2}
    return changed(preset("quick"), base | values)


def _frozen(model: str = TINY, own_statistics: float = 0.0) -> BackboneExtractor:
    torch.manual_seed(0)
    return BackboneExtractor(model, SPEC, own_statistics=own_statistics).requires_grad_(requires_grad=False).eval()


def _images(count: int) -> Tensor:
    draws = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (count, 3, 64, 48), generator=draws, dtype=torch.uint8)


def _poses(xy: Tensor, walk: list[int]) -> Poses:
    return Poses(xy=xy, heading_deg=torch.full((len(xy),), float("nan")), walk=torch.tensor(walk))


def _none(steps: float = 1, *, note: str | None = None) -> None:
    """Show no progress."""


@pytest.mark.slow
@pytest.mark.parametrize("model", [TINY, "resnet18", "mobilenet_v3_small", "timm/tf_efficientnet_lite0"])
@pytest.mark.parametrize("own_statistics", [0.0, 0.3])
@torch.inference_mode()
def test_trunk_and_tail_make_what_the_whole_network_makes(model: str, own_statistics: float) -> None:
    frozen = _frozen(model, own_statistics)
    backbone_extractor = FinetunedExtractor.of(frozen, scale=16.0)
    images = _images(3)
    whole, grid = backbone_extractor(images)
    final = len(frozen.passed(frozen.normalised(images))[0][0])
    assert torch.allclose(whole[:, :final], frozen(images)[0][:, :final], atol=1e-5)
    assert grid is None
    assert torch.allclose(backbone_extractor.tail(backbone_extractor.trunk(images)), whole, atol=1e-5)
    assert torch.allclose(backbone_extractor.embedding(whole).norm(dim=1), torch.ones(3), atol=1e-5)


@torch.inference_mode()
def test_stages_behind_the_cut_that_work_in_place_leave_its_maps_alone() -> None:
    extractor = FinetunedExtractor.of(_frozen("resnet18"), scale=16.0)
    images = _images(3)
    expected = extractor.trunk(images)
    rows: list[int] = []

    def overwrite(_module: object, inputs: tuple[Tensor]) -> None:
        rows.append(len(inputs[0].zero_()))

    extractor.backbone.get_submodule("layer3").register_forward_pre_hook(overwrite)
    assert torch.equal(extractor.trunk(images), expected)
    assert rows == [1]  # the stages behind are not in use here: they see no more than a pass needs


@pytest.mark.slow
@pytest.mark.parametrize("model", ["timm/test_vit", "timm/hrnet_w18_small", "densenet121"])
def test_a_network_that_cannot_be_cut_is_refused_in_one_sentence(tmp_path: Path, model: str) -> None:
    root = colour_dataset(tmp_path / "ds", 24).root
    with pytest.raises(UsageError, match="tune_epochs to 0"):
        start_run(root, _config(model=model, size=64, aspect=1.0), runs=tmp_path, name="uncut")


def test_too_many_photos_to_hold_are_refused_in_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(views_module, "_MOST_BYTES", 1000)
    with pytest.raises(UsageError, match="GB of maps"):
        start_run(colour_dataset(tmp_path / "ds", 24).root, _config(), runs=tmp_path, name="many")


def _tuned(walks: list[int]) -> tuple[BackboneExtractor, FinetunedExtractor, AugmentedViews, Poses]:
    """Tune on photos of four places in four colours, seen on the given walks; light differs between walks."""
    draws = torch.Generator().manual_seed(2)
    count = 4 * len(walks)
    place = torch.arange(count) % 4
    walk = [walks[row // 4] for row in range(count)]
    colours = torch.tensor([[200.0, 60, 60], [60, 200, 60], [60, 60, 200], [160, 160, 40]])[place]
    light = torch.tensor([0.5 + 0.5 * number for number in walk])[:, None]
    images = (colours * light)[:, :, None, None] + 30 * torch.randn(count, 3, 64, 48, generator=draws)
    frozen = _frozen("resnet18")
    start = FinetunedExtractor.of(frozen, scale=16.0)
    with torch.inference_mode():
        maps = start.trunk(images.clamp(0, 255).byte())
    views = AugmentedViews(maps=maps[:, None].half().clone(), rows=torch.arange(count))
    poses = _poses(torch.stack([60.0 * place, torch.zeros(count)], dim=1), walk)
    cells = Cells(centres=torch.tensor([[60.0 * k, 0.0] for k in range(4)]), size_m=4.0)
    backbone_extractor = finetuned_extractor(frozen, views, poses, cells, _config(tune_epochs=40), advance=_none)
    return frozen, backbone_extractor, views, poses


@pytest.mark.slow
def test_views_of_one_place_on_two_walks_become_more_alike_than_those_of_others() -> None:
    _, backbone_extractor, views, poses = _tuned([0, 1, 0, 1, 0, 1])
    embedding = backbone_extractor.embedding(
        with_finetuned(
            Features(pooled=(torch.zeros(24, 1),), brightness=torch.zeros(24)), backbone_extractor, views
        ).pooled[1]
    )
    cosine = embedding @ embedding.T
    same_place = torch.cdist(poses.xy, poses.xy) < 1
    other_walk = poses.walk[:, None] != poses.walk[None]
    assert float(cosine[same_place & other_walk].mean()) > float(cosine[~same_place].mean()) + 0.3


@pytest.mark.slow
def test_only_the_last_stages_are_trained_and_the_frozen_network_stays_as_it_is() -> None:
    frozen, backbone_extractor, _, _ = _tuned([0, 1])
    for before, after in zip(_frozen("resnet18").parameters(), frozen.parameters(), strict=True):
        assert torch.equal(before, after)
    changed_parts = {
        name.split(".")[0]
        for (name, before), after in zip(
            frozen.backbone.named_parameters(), backbone_extractor.backbone.parameters(), strict=True
        )
        if not torch.equal(before, after)
    }
    assert changed_parts == {"layer3", "layer4"}
    for before, after in zip(frozen.backbone.buffers(), backbone_extractor.backbone.buffers(), strict=True):
        assert torch.equal(before, after)
    assert not any(part.requires_grad for part in backbone_extractor.parameters())


def test_photos_of_one_walk_alone_teach_no_similarity() -> None:
    xy = torch.tensor([[0.0, 0.0], [1.0, 0.0], [90.0, 0.0]])
    embedding = F.normalize(torch.randn(3, 8, generator=torch.Generator().manual_seed(0)), dim=1)
    assert float(_contrast(embedding, _poses(xy, [0, 0, 0]), _config())) == 0.0


def test_contrast_falls_as_views_of_one_place_meet() -> None:
    xy = torch.tensor([[0.0, 0.0], [2.0, 0.0], [90.0, 0.0], [92.0, 0.0]])
    poses = _poses(xy, [0, 1, 0, 1])
    apart = F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [0.1, 1.0]]), dim=1)
    together = F.normalize(torch.tensor([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]]), dim=1)
    assert float(_contrast(together, poses, _config())) < float(_contrast(apart, poses, _config())) - 1.0


def test_every_other_photo_of_a_batch_is_joined_by_its_view_on_another_walk() -> None:
    xy = torch.tensor([[0.0, 0.0], [5.0, 0.0], [200.0, 0.0], [201.0, 0.0], [500.0, 0.0]])
    poses = _poses(xy, [0, 1, 0, 1, 0])
    first, second = _Partners(poses, _config()).drawn(torch.Generator().manual_seed(0)).chunk(2)
    expected = torch.tensor([1, 0, 3, 2, 4])  # the last has no partner, and joins itself
    assert torch.equal(second, expected[first])
    assert set(first.tolist()) == {0, 1, 2, 3, 4}


@pytest.mark.slow
def test_a_tuned_model_comes_back_from_its_checkpoint_and_is_the_same_again(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 40, val=20).root
    runs = [start_run(root, _config(), runs=tmp_path) for _ in range(2)]
    one, other = (read_checkpoint(run.best).tensors for run in runs)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    localizer = load_localizer(runs[0].root, device="cpu")
    source = read_photos(root)
    val = select_split(source).val
    assert val is not None
    estimate = locate_files(localizer, [source.dataset.photo_path(photo_id) for photo_id in val.ids])
    lon, lat = source.frame.to_lonlat(estimate.east_m, estimate.north_m)
    error_m = geodesic_m(val.lon, val.lat, lon, lat)
    (line,) = runs[0].read_metrics()
    assert float(np.sqrt(np.mean(error_m**2))) == pytest.approx(line["val/rmse_m"], rel=0.02)  # maps are kept as halves
    paths = sorted((root / "photos").rglob("*.jpg"))[:9]
    together = locate_files(localizer, paths)
    assert together.east_m.tolist() == [float(locate_files(localizer, [path]).east_m[0]) for path in paths]


@pytest.mark.slow
def test_each_fold_tunes_without_its_photos(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 24, folds=2).root
    run = start_run(root, _config(), folds=True, runs=tmp_path, name="folds")
    one, other = (read_checkpoint(run.folds_path / f"{fold}" / "best").tensors for fold in range(2))
    name = next(name for name in one if name.endswith("embed.weight"))
    assert not torch.equal(one[name], other[name])
    assert len(read_predictions(run.folds_path / "predictions.parquet")) == 24
    assert len(list((root / ".cache").glob("looks-*"))) == 1


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 3])
def test_a_few_photos_are_enough_to_tune_on(tmp_path: Path, count: int) -> None:
    root = colour_dataset(tmp_path / "ds", count, split=False).root
    run = start_run(root, _config(), runs=tmp_path, name="few")
    estimate = locate_files(load_localizer(run.root, device="cpu"), sorted((root / "photos").rglob("*.jpg")))
    assert torch.isfinite(torch.from_numpy(estimate.east_m)).all()


def test_views_are_kept_beside_the_dataset_and_the_first_is_the_photo_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = read_photos(colour_dataset(tmp_path / "ds", 10).root)
    config = _config()
    extractor = FeatureExtractor(config.model, config.pixels)
    backbone_extractor = FinetunedExtractor.of(extractor.last, scale=16.0)
    views = cached_augmented_views(source, config, backbone_extractor, device=CPU)
    rows = torch.tensor([3, 7])
    assert views.count == 6
    assert torch.equal(views.drawn(rows, torch.tensor([0, 0])), views.maps[rows, 0])
    assert not torch.equal(views.drawn(rows, torch.tensor([1, 1])), views.maps[rows, 0])
    assert torch.equal(views.take(rows).unaltered(1, 2), views.maps[7:8, 0])
    with monkeypatch.context() as patched:
        patched.setattr(views_module, "_views_of_all", None)  # it is not called again
        assert torch.equal(cached_augmented_views(source, config, backbone_extractor, device=CPU).maps, views.maps)
    monkeypatch.setattr(views_module, "_MOST_BYTES", 2 * 2 * views.maps[:, 0].numel())
    next(source.dataset.root.glob(".cache/looks-*")).unlink()
    assert cached_augmented_views(source, config, backbone_extractor, device=CPU).count == 2  # room for no more
