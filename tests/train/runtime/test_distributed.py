import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.train.colours import TINY, colour_dataset, tiny_config
from train.config.presets import preset
from train.config.schema import TrainConfig
from train.config.values import changed
from train.models.network.model import CoordinateNetwork, build_network, set_training_mode
from train.runs.checkpoint import read_checkpoint
from train.runtime.distributed import World, leads, synchronised
from train.training.session import start_run


@pytest.mark.parametrize("size", [1, 2, 3, 8])
@pytest.mark.parametrize("batch", [1, 2, 7, 16])
def test_shares_add_up_to_the_mean_over_the_batch(size: int, batch: int) -> None:
    rows = torch.arange(batch)
    shares = [World(rank=rank, size=size).shard(rows) for rank in range(size)]
    averaged = sum(float(part.double().sum()) * weight for part, weight in shares) / size
    assert averaged == pytest.approx(rows.double().mean().item())
    assert all(len(part) for part, _ in shares)


def _finetune_network(**values: object) -> tuple[CoordinateNetwork, TrainConfig]:
    config = changed(preset("finetune"), {"weights": "none", "size": 64, **values})
    torch.manual_seed(0)
    return build_network(config, device=torch.device("cpu"), with_weights=False), config


@pytest.mark.slow
@pytest.mark.parametrize("model", ["timm/tf_efficientnet_lite0", "resnet18"])
def test_synchronising_batchnorm_leaves_what_the_network_computes(model: str) -> None:
    network, config = _finetune_network(model=model)
    images = 255 * torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    for buffer in network.backbone.buffers():  # statistics that tell a lost normalisation
        if buffer.is_floating_point():
            buffer.uniform_(0.5, 1.5)
    with torch.inference_mode():
        before = network.eval()(images)
    weights = {name: parameter.data_ptr() for name, parameter in network.named_parameters()}
    set_training_mode(network, config)
    converted = synchronised(network)
    assert any(isinstance(module, nn.SyncBatchNorm) for module in converted.modules())
    assert {name: parameter.data_ptr() for name, parameter in converted.named_parameters()} == weights
    with torch.inference_mode():
        torch.testing.assert_close(converted.eval()(images), before, rtol=0, atol=0)


@pytest.mark.parametrize("values", [{"freeze_batchnorm": True}, {"freeze": 1.0}])
def test_batchnorm_that_stands_still_is_not_synchronised(values: dict[str, object]) -> None:
    network, config = _finetune_network(**values)
    set_training_mode(network, config)
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in synchronised(network).modules())


def _free_port(address: str) -> int:
    with socket.socket() as listening:
        listening.bind((address, 0))
        return int(listening.getsockname()[1])


def _torchrun(folder: Path, arguments: list[str], nodes: int) -> None:
    """Start a process as torchrun does on each of some machines, without its own watcher process.

    They meet at one address of the loopback range and exchange gradients at another.
    """
    meeting = "127.0.0.2" if sys.platform == "linux" else "127.0.0.1"  # other systems have one address there
    shared = os.environ | {"MASTER_ADDR": meeting, "MASTER_PORT": str(_free_port(meeting)), "WORLD_SIZE": str(nodes)}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "img2gps", *arguments],
            cwd=folder,
            env=shared | {"RANK": str(rank), "GROUP_RANK": str(rank), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"},
            stderr=subprocess.PIPE,
        )
        for rank in range(nodes)
    ]
    for process in started:
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said.decode()


@pytest.mark.slow
def test_two_nodes_give_the_losses_of_one_and_only_one_writes(tmp_path: Path) -> None:
    root = colour_dataset(tmp_path / "ds", 21).root  # 13 train: the last batch of 5 divides unevenly
    values: dict[str, object] = {"epochs": 2, "freeze_batchnorm": True, "optimizer": "sgd", "lr": 0.01}
    one = start_run(root, tiny_config(**values), runs=tmp_path / "one")
    options = ["--model", TINY, "--size", "32", "--batch-size", "8", "--threads", "1", "--device", "cpu"]
    options += ["--preset", "published", "--epochs", "2", "--lr", "0.01"]
    options += ["--set", "freeze_batchnorm=true", "--set", "optimizer=sgd"]
    _torchrun(tmp_path, ["train", str(root), *options, "--name", "two"], 2)
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["two"]
    two = tmp_path / "runs" / "two"
    lines = [json.loads(line) for line in (two / "metrics.jsonl").read_text().splitlines()]
    for ours, theirs in zip(one.read_metrics(), lines, strict=True):
        for key in ("train/loss", "val/loss", "val/rmse_m"):
            assert ours[key] == pytest.approx(theirs[key], rel=1e-4)
    weights = [read_checkpoint(folder / "last").tensors for folder in (one.root, two)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("size", "rank", "expected"), [(None, None, True), ("2", "0", True), ("2", "1", False)])
def test_one_of_the_processes_that_torchrun_starts_leads(
    monkeypatch: pytest.MonkeyPatch, size: str | None, rank: str | None, expected: bool
) -> None:
    for name, value in (("WORLD_SIZE", size), ("RANK", rank)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert leads() is expected
