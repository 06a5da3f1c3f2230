from pathlib import Path
from typing import Any

import pytest
import torch

from img2gps.errors import NotFoundError, UsageError
from train.config.presets import BUNDLED_MODELS
from train.models.backbones import build_backbone, stage_of
from train.models.pretrained import load_weights


@pytest.mark.parametrize("name", BUNDLED_MODELS)
def test_bundled_weights_fill_the_whole_backbone(name: str) -> None:
    module = build_backbone(name, height=64, width=64).module
    before = {key: tensor.clone() for key, tensor in module.state_dict().items()}
    load_weights(module, name, "bundled")
    same = [key for key, tensor in module.state_dict().items() if torch.equal(tensor, before[key])]
    assert all("num_batches_tracked" in key for key in same)
    features = module.eval()(torch.zeros(1, 3, 64, 64))
    assert features.shape == (1, 1280)
    assert bool(torch.isfinite(features).all())


def test_only_the_bundled_models_have_bundled_weights() -> None:
    with pytest.raises(UsageError, match="tf_efficientnet_lite0"):
        load_weights(torch.nn.Linear(1, 1), "resnet18", "bundled")


def test_a_failed_download_names_the_ways_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_args: Any, **_kwargs: Any) -> None:
        raise OSError("Name or service not known")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: "/nonexistent")
    monkeypatch.setattr("os.makedirs", lambda *_args, **_kwargs: None)
    with pytest.raises(NotFoundError, match="cannot be downloaded") as caught:
        load_weights(torch.nn.Linear(1, 1), "resnet18", "imagenet")
    for way in ("--weights bundled", "--weights FILE", "--weights none"):
        assert way in str(caught.value)


def _small() -> torch.nn.Module:
    return torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_is_loaded_by_name_and_its_classifier_left_out(tmp_path: Path, suffix: str) -> None:
    from safetensors.torch import save_file

    given = {**_small().state_dict(), "fc.weight": torch.zeros(10, 4), "fc.bias": torch.zeros(10)}
    path = tmp_path / f"weights{suffix}"
    if suffix == ".pth":
        torch.save(given, path)
    else:
        save_file(given, path)
    model = _small()
    load_weights(model, "x", str(path))
    assert torch.equal(model.state_dict()["0.weight"], given["0.weight"])


def test_the_backbone_of_a_run_can_start_another(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    given = {f"backbone.{name}": tensor for name, tensor in _small().state_dict().items()}
    save_file(given | {"head.weight": torch.zeros(2, 4)}, tmp_path / "model.safetensors")
    model = _small()
    load_weights(model, "x", str(tmp_path / "model.safetensors"))
    assert torch.equal(model.state_dict()["0.weight"], given["backbone.0.weight"])


def test_weights_of_other_shapes_or_counts_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "few.pth")
    torch.save({str(i): torch.zeros(2) for i in range(7)}, tmp_path / "shapes.pth")
    for name in ("few.pth", "shapes.pth"):
        with pytest.raises(UsageError, match="another"):
            load_weights(_small(), "x", str(tmp_path / name))


class Evil:
    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("executed",)


def test_nothing_is_unpickled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    (tmp_path / "text.pth").write_text("no weights")
    (tmp_path / "text.safetensors").write_text("no weights")
    for name in ("evil.pth", "text.pth", "text.safetensors"):
        with pytest.raises(UsageError, match="no weights"):
            load_weights(_small(), "x", str(tmp_path / name))
    assert "executed" not in capsys.readouterr().out
    with pytest.raises(NotFoundError):
        load_weights(_small(), "x", str(tmp_path / "none.pth"))


@pytest.mark.parametrize(
    ("name", "features"), [("resnet18", 512), ("mobilenet_v3_small", 1024), ("timm/test_resnet", 96)]
)
def test_a_backbone_gives_its_features(name: str, features: int) -> None:
    backbone = build_backbone(name, height=32, width=48)
    assert backbone.features == features
    assert backbone.module.eval()(torch.zeros(2, 3, 32, 48)).shape == (2, features)


def test_a_vision_transformer_takes_the_size_it_is_given() -> None:
    backbone = build_backbone("timm/test_vit", height=48, width=32)
    assert backbone.module.eval()(torch.zeros(1, 3, 48, 32)).shape == (1, backbone.features)


def test_stages_of_parameters() -> None:
    assert stage_of("layer1.0.conv1.weight") == "layer1"
    assert stage_of("conv1.weight") == "conv1"
    assert stage_of("blocks.3.1.conv.weight") == "blocks.3"
    assert stage_of("features.0.0.weight") == "features.0"
