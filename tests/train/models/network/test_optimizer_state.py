"""What an optimiser takes back from a checkpoint, and what it refuses."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from img2gps.errors import InvalidCheckpointError
from tests.train.colours import colour_dataset, tiny_config, without_curves
from train.inference.load import load_localizer
from train.models.network.model import build_network, unreached_parameters
from train.models.network.optimizer_state import optimizer_tensors, restore_optimizer
from train.runs.checkpoint import read_checkpoint, read_tensors, write_checkpoint
from train.runs.folder import RunFolder
from train.training.session import resume_run, start_run

Tensors = dict[str, Tensor]


def _optimizers() -> list[torch.optim.Optimizer]:
    parameters = [nn.Parameter(torch.randn(2, 3, 1, 1)), nn.Parameter(torch.randn(2))]
    return [torch.optim.SGD(parameters, momentum=0.9), torch.optim.AdamW(parameters, fused=True)]


def _step(optimizer: torch.optim.Optimizer) -> None:
    for parameter in optimizer.param_groups[0]["params"]:
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()


@pytest.mark.parametrize("kind", [0, 1], ids=["sgd", "adamw"])
def test_what_was_taken_comes_back(kind: int) -> None:
    first, second = _optimizers()[kind], _optimizers()[kind]
    _step(first)
    restore_optimizer(second, optimizer_tensors(first), set, where="x")
    ours, theirs = optimizer_tensors(first), optimizer_tensors(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_only_parameters_that_no_gradient_reaches_may_lack_their_state() -> None:
    optimizer, fresh = _optimizers()[1], _optimizers()[1]
    used = optimizer.param_groups[0]["params"][0]
    used.grad = torch.ones_like(used)
    optimizer.step()
    tensors = optimizer_tensors(optimizer)
    restore_optimizer(fresh, tensors, lambda: {fresh.param_groups[0]["params"][1]}, where="x")
    with pytest.raises(InvalidCheckpointError, match=r"lacks 1\.step"):
        restore_optimizer(_optimizers()[1], tensors, set, where="x")


def test_every_parameter_of_a_plain_network_is_reached() -> None:
    config = tiny_config()
    network = build_network(config, device=torch.device("cpu"), with_weights=False)
    network.extra = nn.Linear(1, 1)
    assert unreached_parameters(network, config.pixels) == set(network.extra.parameters())
    assert all(parameter.grad is None for parameter in network.parameters())


def _dropped(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name != "0.exp_avg"}


def _with(name: str, change: Callable[[Tensor], Tensor]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, name: change(tensors["0.exp_avg"]).clone()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as monkeypatch:
        without_curves(monkeypatch)
        return start_run(colour_dataset(folder / "ds", 12).root, tiny_config(epochs=1), runs=folder)


@pytest.fixture
def run(finished: RunFolder, tmp_path: Path) -> RunFolder:
    return RunFolder(root=Path(shutil.copytree(finished.root, tmp_path / "run")))


def _rewritten(run: RunFolder, *, tensors: Tensors | None = None, state: dict[str, Any] | None = None) -> None:
    """Replace the last checkpoint by a whole one with other content."""
    found, extra = read_checkpoint(run.last), read_tensors(run.last, "optimizer")
    extra = extra if tensors is None else tensors
    write_checkpoint(
        run.last, tensors=found.tensors, state={**found.state, **(state or {})}, extra={"optimizer": extra}
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_dropped, r"lacks 0\.exp_avg"),
        (lambda _tensors: {}, "lacks"),
        (_with("0.exp_avg", lambda tensor: tensor.half()), "float16"),
        (_with("0.exp_avg", lambda tensor: tensor[:1]), r"\[1"),
        (_with("0.exp_avg", lambda tensor: tensor * float("nan")), "not finite"),
        (_with("999.exp_avg", lambda tensor: tensor), r"unknown tensor 999\.exp_avg"),
        (_with("0.colour", lambda tensor: tensor), r"unknown tensor 0\.colour"),
        (_with("raw.weight", lambda tensor: tensor), r"unknown tensor raw\.weight"),
    ],
)
def test_a_state_that_is_not_the_optimisers_is_refused(
    run: RunFolder, change: Callable[[Tensors], Tensors], said: str
) -> None:
    _rewritten(run, tensors=change(read_tensors(run.last, "optimizer")))
    with pytest.raises(InvalidCheckpointError, match=said) as caught:
        resume_run(run.root, epochs=2)
    assert "optimizer.safetensors" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize(
    "state",
    [
        {"epoch": -1},
        {"epoch": 5},
        {"epoch": "1"},
        {"epoch": None},
        {"best": None},
        {"best": {}},
        {"best": {"epoch": 9, "val/rmse_m": 1.0}},
        {"best": {"epoch": 1, "val/rmse_m": "near"}},
        {"best": {"epoch": 1, "val/rmse_m": -1.0}},
        {"metrics": None},
    ],
)
def test_a_state_that_cannot_be_is_refused(run: RunFolder, state: dict[str, Any]) -> None:
    _rewritten(run, state=state)
    with pytest.raises(InvalidCheckpointError, match=r"state\.json"):
        resume_run(run.root)


def test_the_best_is_not_offered_to_go_on_from(run: RunFolder) -> None:
    for folder in (run.last, run.previous):
        (folder / "optimizer.safetensors").write_bytes(b"")
    with pytest.raises(InvalidCheckpointError, match="train again") as caught:
        resume_run(run.root)
    assert "in its place" not in str(caught.value)
    with pytest.raises(InvalidCheckpointError, match="best in its place"):
        load_localizer(run.last, device="cpu")
