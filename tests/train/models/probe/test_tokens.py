"""A transformer's patch tokens are its feature map: of the right shape, timm's own, and compared field by field."""

import dataclasses
import json
from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor
from torch.nn import functional as F

from img2gps.errors import UsageError
from img2gps.pixels import PixelSpec
from tests.train.colours import TINY, colour_dataset, without_curves
from train.config.presets import preset
from train.config.schema import TrainConfig
from train.config.values import changed
from train.inference.load import load_localizer
from train.inference.locate import locate_files
from train.models.backbones import build_backbone
from train.models.probe import state
from train.models.probe.features import extractor as extractor_module
from train.models.probe.features.extractor import BackboneExtractor, FeatureExtractor
from train.models.probe.model import ProbeLocalizer
from train.runs.folder import RunFolder
from train.training.session import start_run

VIT = "timm/test_vit"
# transformers with class token, with registers, without either, hierarchical, and of a family of their own
TRANSFORMERS = (VIT, "timm/test_vit3", "timm/vit_tiny_patch16_224", "timm/swin_tiny_patch4_window7_224")


def _images(height: int = 64, width: int = 48) -> Tensor:
    draws = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (2, 3, height, width), generator=draws, dtype=torch.uint8)


def _extractor(name: str, height: int = 64, width: int = 48, *, tokens: bool = True) -> BackboneExtractor:
    torch.manual_seed(0)
    return BackboneExtractor(name, PixelSpec(height=height, width=width, fit="pad"), tokens=tokens).eval()


@pytest.mark.parametrize("name", [VIT, pytest.param(TRANSFORMERS[1], marks=pytest.mark.slow)])
@torch.inference_mode()
def test_the_grid_is_that_of_the_patches_and_without_prefix_tokens(name: str) -> None:
    extractor = _extractor(name)
    vectors, grid = extractor(_images())
    width = build_backbone(name, height=64, width=48).features
    assert grid is not None
    assert grid.shape == (2, 4, 3, width)  # 64 x 48 px in patches of 16
    assert vectors.shape == (2, width + 6 * width)
    network = timm.create_model(name.removeprefix("timm/"), img_size=(64, 48), num_classes=0).eval()
    network.load_state_dict(extractor.backbone.state_dict())
    tokens = network.forward_features(extractor.normalised(_images()))
    patches = tokens[:, network.num_prefix_tokens :]
    assert torch.allclose(grid.flatten(1, 2).float(), patches, atol=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("name", [*TRANSFORMERS, "timm/vit_small_patch16_dinov3", "timm/levit_128s"])
@torch.inference_mode()
def test_the_vectors_are_those_of_timms_own_forward_pass(name: str) -> None:
    extractor = _extractor(name, 224, 224)  # some of them take this size alone
    inputs = extractor.normalised(_images(224, 224))
    final, maps = extractor.passed(inputs)
    assert torch.equal(final, extractor.backbone(inputs))
    assert maps[-1].ndim == 4
    assert maps[-1].shape[2] > 1


@torch.inference_mode()
def test_the_field_of_a_patch_follows_what_the_patch_shows() -> None:
    extractor = _extractor(VIT)
    images = _images()
    other = images.clone()
    other[:, :, 48:, :16] = 255  # the patch of the last row and first column
    one, two = (extractor(pixels)[1] for pixels in (images, other))
    assert one is not None
    assert two is not None
    moved = (one - two).float().norm(dim=-1).mean(dim=0)
    assert int(moved.flatten().argmax()) == 3 * 3


@torch.inference_mode()
def test_a_photo_is_brought_to_whole_patches_and_none_of_it_is_cut_off() -> None:
    extractor = _extractor(VIT, height=70, width=55)
    assert (extractor.spec.height, extractor.spec.width) == (64, 48)
    images = _images(70, 55)
    edge = images.clone()
    edge[:, :, :, 48:] = 255  # beyond the last whole patch
    one, two = (extractor(pixels)[0] for pixels in (images, edge))
    assert not torch.allclose(one, two, atol=1e-4)
    with pytest.raises(UsageError, match="less than one patch"):
        _extractor(VIT, height=12, width=12)


@torch.inference_mode()
def test_one_transformer_at_two_sizes_has_the_same_weights_and_positions_embedded_anew() -> None:
    torch.manual_seed(0)
    extractor = FeatureExtractor(f"{VIT}+{VIT}@32", PixelSpec(height=64, width=64, fit="pad"))
    large, small = (
        reader.backbone.state_dict() for reader in extractor.readers if isinstance(reader, BackboneExtractor)
    )
    assert large["pos_embed"].shape == (1, 17, 64)
    assert small["pos_embed"].shape == (1, 5, 64)
    grid = large["pos_embed"][:, 1:].view(1, 4, 4, 64).permute(0, 3, 1, 2)
    expected = F.interpolate(grid, size=(2, 2), mode="bicubic", antialias=True).flatten(2).transpose(1, 2)
    assert torch.allclose(small["pos_embed"][:, 1:], expected, atol=1e-5)
    assert all(torch.equal(large[name], tensor) for name, tensor in small.items() if name != "pos_embed")
    (pyramid,) = extractor(_images(64, 64)).pyramids
    assert [tuple(grid.shape) for grid in pyramid] == [(2, 2, 2, 64), (2, 2, 2, 64)]


@pytest.mark.parametrize("name", [TINY, "timm/test_resnet", "resnet18"])
@torch.inference_mode()
def test_convolutional_networks_are_read_as_before(name: str) -> None:
    one, other = _extractor(name), _extractor(name, tokens=False)
    for new, old in zip(one(_images()), other(_images()), strict=True):
        assert torch.equal(new, old)


def _config(**values: object) -> TrainConfig:
    base = {"model": VIT, "weights": "none", "size": 48, "device": "cpu", "threads": 1, "epochs": 2}
    return changed(preset("quick"), base | values)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunFolder, list[Path]]:
    folder = tmp_path_factory.mktemp("tokens")
    root = colour_dataset(folder / "ds", 40, val=20).root
    with pytest.MonkeyPatch.context() as patch:
        without_curves(patch)
        return start_run(root, _config(), runs=folder, name="vit"), sorted((root / "photos").rglob("*.jpg"))[:4]


@pytest.mark.slow
def test_quick_compares_the_tokens_of_a_transformer(trained: tuple[RunFolder, list[Path]]) -> None:
    run, paths = trained
    localizer = load_localizer(run.root, device="cpu")
    assert isinstance(localizer, ProbeLocalizer)
    features = localizer.extractor(_images())
    assert [tuple(grid.shape) for grid in features.pyramids[0]] == [(2, 4, 3, 64)]
    said = localizer.evidence_of(features)
    shuffled = tuple(tuple(grid.flip(1) for grid in grids) for grids in features.pyramids)
    other = localizer.evidence_of(dataclasses.replace(features, pyramids=shuffled))
    assert not torch.allclose(said.log_probs, other.log_probs)  # where tokens lie alone tells these apart
    together = locate_files(localizer, paths)
    assert together.east_m.tolist() == [float(locate_files(localizer, [path]).east_m[0]) for path in paths]


@pytest.mark.slow
def test_a_run_from_before_transformers_had_maps_opens_and_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = colour_dataset(tmp_path / "ds", 24).root
    without_curves(monkeypatch)
    with monkeypatch.context() as before:
        before.setattr(extractor_module, "has_tokens", lambda _backbone: False)
        before.setattr(state, "FEATURES_VERSION", 5)
        run = start_run(root, _config(), runs=tmp_path, name="old")
        paths = sorted((root / "photos").rglob("*.jpg"))[:4]
        expected = locate_files(load_localizer(run.root, device="cpu"), paths)
    assert json.loads((run.best / "state.json").read_text())["features_version"] == 5
    found = locate_files(load_localizer(run.root, device="cpu"), paths)
    assert found.east_m.tolist() == expected.east_m.tolist()
