"""Several processes training one model, as torchrun starts them; one process where it did not."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

__all__ = ["World", "joined", "leads", "parallel", "started_processes", "synchronised", "world"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One process among `size`; the one that leads is the only one that writes."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and messages."""
        return self.rank == 0

    def shard(self, rows: Tensor) -> tuple[Tensor, float]:
        """Return this process's part of a batch and the weight of its loss.

        Gradients are averaged over processes, so each weighs its summed loss by size / batch. The result is the
        gradient of the whole batch, however unevenly it divides. A process left without a photo takes the first one
        with weight zero, because all must take part in every exchange.
        """
        part = rows[self.rank :: self.size]
        return (part, self.size / len(rows)) if len(part) else (rows[:1], 0.0)

    def total(self, value: Tensor) -> Tensor:
        """Return the sum of `value` over all processes."""
        if self.size > 1:
            distributed.all_reduce(value)
        return value

    def wait(self) -> None:
        """Return once every process is here."""
        if self.size > 1:
            distributed.barrier()


def world() -> World:
    """Return this process's place; the only one unless `joined` is active."""
    if not distributed.is_initialized():
        return World()
    return World(rank=distributed.get_rank(), size=distributed.get_world_size())


def started_processes() -> int:
    """Return how many processes torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def leads() -> bool:
    """Return whether this process is the one that writes and prints, before, while and after it is `joined`."""
    return started_processes() < 2 or os.environ.get("RANK", "0") == "0"


@contextlib.contextmanager
def joined(device: torch.device) -> Iterator[World]:
    """Join the processes that torchrun started for the time of the block; without torchrun there are none.

    A GPU becomes the one that streams and graphs are made on: torch takes the first for those unless told.
    """
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if started_processes() < 2:
        yield World()
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield world()
    finally:
        distributed.destroy_process_group()


def parallel(network: nn.Module, device: torch.device) -> nn.Module:
    """Return the network, in training mode, with its gradients averaged over all processes.

    BatchNorm that learns statistics is synchronised on CUDA; the CPU has no such kernel.
    """
    if world().size == 1:
        return network
    if device.type == "cuda":
        return DistributedDataParallel(synchronised(network), device_ids=[device.index])
    return DistributedDataParallel(network)


def synchronised(network: nn.Module) -> nn.Module:
    """Return the network with its BatchNorm taken over all processes, unless all of it stands still (eval mode)."""
    norms = [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not any(norm.training for norm in norms):
        return network
    # torch's own conversion drops the activation that timm's BatchNormAct2d holds; timm's knows both kinds
    from timm.layers.norm_act import convert_sync_batchnorm

    converted: nn.Module = convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
    return converted
