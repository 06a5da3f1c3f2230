"""Weights of other projects find their places in timm's and torchvision's networks, or what is wrong is listed."""

from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn
from torchvision.models import resnet18, resnet34
from torchvision.models.vision_transformer import VisionTransformer

from img2gps.errors import UsageError
from tests.train.models.weights.published import Shapes, dinov2, empty, filled, megaloc, salad
from train.models.backbones import build_backbone
from train.models.pretrained import load_weights
from train.models.weights.matching import fill, grouped

SMALL: dict[str, Any] = {"embed_dim": 48, "depth": 2, "num_heads": 3, "num_classes": 0}


def _vit(name: str = "vit_base_patch14_dinov2", *, size: tuple[int, int] = (56, 42), **options: Any) -> nn.Module:
    torch.manual_seed(0)
    return timm.create_model(name, img_size=size, **(SMALL | options)).eval()


def _small(*, registers: int = 0) -> Shapes:
    return dinov2(width=48, depth=2, fields=4, registers=registers)


LAYOUTS = {
    "DINOv2": _small(),
    "MegaLoc's first release": megaloc(_small(), first_release=True),
    "MegaLoc": megaloc(_small(), first_release=False),
    "SALAD": salad(_small()),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_backbone_is_found_in_published_layouts(layout: str) -> None:
    given = filled(LAYOUTS[layout])
    model = _vit(size=(56, 56))
    left = fill(model, given, where="it")
    prefix = {"DINOv2": "", "MegaLoc": "backbone."}.get(layout, "backbone.model.")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, given[f"{prefix}{name}"]), name
    assert set(left) == {name for name in given if not name.startswith(prefix) or name.endswith("mask_token")}


@pytest.mark.parametrize(("name", "registers"), [("vit_base_patch14_dinov2", 0), ("vit_base_patch14_reg4_dinov2", 4)])
def test_published_checkpoints_of_full_size_fit_vit_b_14(name: str, registers: int) -> None:
    shapes = dinov2(registers=registers)
    everything = [shapes, salad(shapes), *(megaloc(shapes, first_release=first) for first in (True, False))]
    with torch.device("meta"):
        model = timm.create_model(name, img_size=(322, 238), num_classes=0)
    for given in everything[: 4 if not registers else 1]:
        left = fill(model, empty(given), where="it")
        assert not [part for part in left if "blocks" in part]
        assert len(given) - len(left) == len(model.state_dict())


def test_the_class_token_of_a_network_with_registers_takes_its_position_along() -> None:
    given = filled(_small(registers=4))
    model = _vit("vit_base_patch14_reg4_dinov2", size=(56, 56))
    fill(model, given, where="it")
    own = model.state_dict()
    assert torch.equal(own["reg_token"], given["register_tokens"])
    assert torch.equal(own["cls_token"], given["cls_token"] + given["pos_embed"][:, :1])
    assert torch.equal(own["pos_embed"], given["pos_embed"][:, 1:])


def test_positions_are_resampled_to_the_input() -> None:
    flat = filled(_small())
    flat["pos_embed"] = torch.full_like(flat["pos_embed"], 0.25)
    model = _vit(size=(84, 42))
    fill(model, flat, where="it")
    positions = model.state_dict()["pos_embed"]
    assert positions.shape == (1, 1 + 6 * 3, 48)
    assert torch.allclose(positions, torch.tensor(0.25))
    at_home = _vit(size=(56, 56))
    fill(at_home, filled(_small()), where="it")
    away = _vit(size=(56, 42))
    fill(away, at_home.state_dict(), where="it")  # timm's own layout, of another size
    assert torch.equal(away.state_dict()["pos_embed"][:, 0], at_home.state_dict()["pos_embed"][:, 0])


def test_the_vision_transformer_of_torchvision_gives_the_same_features_in_timm() -> None:
    torch.manual_seed(0)
    theirs = VisionTransformer(
        image_size=32, patch_size=16, num_layers=2, num_heads=3, hidden_dim=48, mlp_dim=192, num_classes=5
    ).eval()
    nn.init.normal_(theirs.class_token)
    theirs.heads = nn.Sequential(nn.Identity())
    ours = timm.create_model("vit_base_patch16_224", img_size=(32, 32), **SMALL).eval()
    assert fill(ours, theirs.state_dict(), where="it") == []
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        assert torch.allclose(ours(images), theirs(images), atol=1e-5)


@pytest.mark.parametrize("wrapped", ["state_dict", "model", "teacher", "model_state_dict"])
def test_trainers_keep_the_state_dict_among_other_things(tmp_path: Path, wrapped: str) -> None:
    given = filled(_small())
    torch.save({"epoch": 3, wrapped: given}, tmp_path / "it.ckpt")
    model = _vit(size=(56, 56))
    load_weights(model, "x", str(tmp_path / "it.ckpt"))
    assert torch.equal(model.state_dict()["norm.weight"], given["norm.weight"])


def test_what_is_left_out_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save(filled(salad(_small())), tmp_path / "dino_salad.ckpt")
    load_weights(_vit(size=(56, 56)), "x", str(tmp_path / "dino_salad.ckpt"))
    said = " ".join(capsys.readouterr().err.split())
    assert "left out: backbone and aggregator (13 tensors)" in said


def test_networks_in_a_sequence_fit_by_order() -> None:
    """The layout of CosPlace and EigenPlaces: torchvision's network without its last layers, numbered."""
    network = resnet18()
    given = nn.Sequential(*list(network.children())[:-2]).state_dict()
    model = build_backbone("resnet18", height=64, width=64).module
    aggregation = {"aggregation.1.p": torch.ones(1), "aggregation.3.weight": torch.ones(3, 3)}
    left = fill(model, {f"backbone.{name}": tensor for name, tensor in given.items()} | aggregation, where="it")
    assert left == list(aggregation)
    assert all(torch.equal(tensor, network.state_dict()[name]) for name, tensor in model.state_dict().items())


def test_tensors_sorted_by_name_are_not_taken_for_those_in_order() -> None:
    model = build_backbone("resnet18", height=64, width=64).module
    renamed = {f"x{name}": tensor for name, tensor in sorted(model.state_dict().items())}
    with pytest.raises(UsageError, match="belong to another"):
        fill(model, renamed, where="it")


def test_a_network_takes_no_part_of_a_deeper_one() -> None:
    with pytest.raises(UsageError, match=r"96 unknown|unknown: layer1\.2"):
        fill(build_backbone("resnet18", height=64, width=64).module, resnet34().state_dict(), where="it")
    with pytest.raises(UsageError, match=r"28 unknown: blocks\.2\."):
        fill(_vit(), filled(dinov2(width=48, depth=4, fields=4)), where="it")


def test_every_kind_of_misfit_is_listed() -> None:
    given: dict[str, Tensor] = filled(_small())
    del given["norm.weight"]
    given["norm.bias"] = torch.zeros(7)
    given["surprise"] = torch.zeros(1)
    with pytest.raises(UsageError) as caught:
        fill(_vit(), given, where="it")
    for part in ("1 missing: norm.weight", "norm.bias (7 instead of 48)", "1 unknown: surprise"):
        assert part in str(caught.value)


def test_counters_of_batches_need_not_be_there() -> None:
    model = build_backbone("resnet18", height=64, width=64).module
    given = {name: tensor for name, tensor in resnet18().state_dict().items() if "num_batches" not in name}
    assert fill(model, given, where="it") == ["fc.weight", "fc.bias"]


def test_names_are_grouped() -> None:
    assert grouped(["a.1", "a.2", "b"]) == "a (2 tensors) and b"
