from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from train.models.network.cuda_graphs import graphed


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2)).train()


def _capturing(monkeypatch: pytest.MonkeyPatch, capture: Callable[[nn.Module, tuple[Tensor]], object]) -> None:
    """Let `capture` stand in for the driver: what it makes of the network is what a graph would replay."""
    monkeypatch.setattr(torch.cuda, "make_graphed_callables", capture)


def _unfit(_whole: nn.Module, _sample: tuple[Tensor]) -> object:
    raise AssertionError


def _failing(_whole: nn.Module, _sample: tuple[Tensor]) -> object:
    raise RuntimeError("operation not permitted when stream is capturing\nmore")


def test_whole_batches_are_replayed_and_a_last_smaller_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed = []

    def capture(whole: nn.Module, sample: tuple[Tensor]) -> object:
        whole(*sample)  # a warm-up moves the running means
        return lambda images: (replayed.append(len(images)), whole(images))[1]

    _capturing(monkeypatch, capture)
    network, images = _network(), torch.rand(8, 3, 8, 8)
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    stepping = graphed(network, images)
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers())
    assert all(parameter.grad is None for parameter in network.parameters())
    replayed.clear()
    assert stepping(images).shape == (8, 2)
    assert stepping(images[:3]).shape == (3, 2)
    assert replayed == [8]


@pytest.mark.parametrize(
    ("capture", "reason"),
    [
        (_failing, "not permitted when stream is capturing"),
        (_unfit, "nothing could be captured"),
        (lambda whole, _: lambda images: whole(images) * 1.1, "differs from an ordinary one"),
        (lambda whole, _: lambda images: whole(images).detach() + 0 * whole(images), "differs from an ordinary one"),
    ],
    ids=["refused", "unfit", "other outputs", "other gradients"],
)
def test_what_cannot_be_captured_or_differs_is_not_used(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    capture: Callable[[nn.Module, tuple[Tensor]], object],
    reason: str,
) -> None:
    _capturing(monkeypatch, capture)
    network = _network()
    assert graphed(network, torch.rand(8, 3, 8, 8)) is network
    assert reason in " ".join(capsys.readouterr().err.split())
