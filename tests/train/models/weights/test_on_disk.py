"""Which weights lie on this machine, and the options that use them."""

import json
from pathlib import Path

import pytest
import torch
from huggingface_hub import constants

from img2gps.cli import run
from img2gps.weights import FoundWeights
from train.config.presets import BUNDLED_MODELS
from train.models.weights.on_disk import weights_on_disk


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make caches with files of each kind, as torch.hub and Hugging Face lay them out."""
    checkpoints = tmp_path / "hub/checkpoints"
    checkpoints.mkdir(parents=True)
    for name in ("resnet18-f37072fd.pth", "dinov2_vitb14_reg4_pretrain.pth", "megaloc.torch", "own.pth", "notes.txt"):
        (checkpoints / name).write_bytes(b"12345")
    for repository in ("models--timm--vit_small_patch14_dinov2.lvd142m", "models--gberton--MegaLoc", "models--x--y"):
        snapshot = tmp_path / "hf" / repository / "snapshots/0123456789abcdef"
        snapshot.mkdir(parents=True)
        (snapshot / "model.safetensors").write_bytes(b"123")
        (snapshot / "config.json").write_text("{}")
        (snapshot.parents[1] / "refs").mkdir()
        (snapshot.parents[1] / "refs/main").write_text("0123456789abcdef")
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf"))


@pytest.mark.usefixtures("caches")
def test_every_cache_is_looked_into() -> None:
    found = {weights.name: weights for weights in weights_on_disk()}
    for name in BUNDLED_MODELS:
        assert found[name].use == f"--model {name} --weights bundled"
        assert found[name].bytes > 1_000_000
    assert "notes.txt" not in found
    models = {name: weights.use.split(" --weights")[0] for name, weights in found.items()}
    assert models["resnet18-f37072fd.pth"] == "--model resnet18"
    assert models["dinov2_vitb14_reg4_pretrain.pth"] == "--model timm/vit_base_patch14_reg4_dinov2"
    assert models["megaloc.torch"] == "--model timm/vit_base_patch14_dinov2"
    assert models["own.pth"] == ""
    small = "timm/vit_small_patch14_dinov2.lvd142m"
    assert models[f"{small} model.safetensors"] == f"--model {small}"
    assert models["gberton/MegaLoc model.safetensors"] == "--model timm/vit_base_patch14_dinov2"
    assert models["x/y model.safetensors"] == ""
    assert all(Path(weights.path).is_file() for weights in found.values())


def test_a_machine_without_caches_has_the_bundled_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "none"))
    monkeypatch.setattr("train.models.weights.on_disk._hugging_face_cache", lambda: tmp_path / "none")
    assert {weights.source for weights in weights_on_disk()} == {"bundled"}


def test_doctor_tells_them(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    weights = FoundWeights(source="here", name="vit", path="/x/vit.pth", bytes=5_000_000, use="--model timm/vit")
    monkeypatch.setattr("collect.diagnosis.diagnose.found_weights", lambda: (weights,))
    assert run(["doctor", "--models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"][0]["use"] == "--model timm/vit"
    assert run(["doctor", "--models"]) == 0
    said = capsys.readouterr().out
    assert "5 MB" in said
    assert "docs/guides/backbones.md" in said
    assert run(["doctor", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["models"] is None
