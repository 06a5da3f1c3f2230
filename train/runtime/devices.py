"""Where the arithmetic happens: the device, its precision and its threads."""

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import torch

from img2gps.errors import DeviceError
from img2gps.text import format_count, safe_text
from train.runtime.memory import keep_freed_memory

__all__ = [
    "autocast",
    "device_name",
    "explaining_memory",
    "fitting_batch_size",
    "naming_memory",
    "pick_device",
    "use_threads",
]


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name; ``auto`` is CUDA where there is one, then MPS, then the CPU.

    CUDA without a number is the GPU that torchrun means for this process, else the first. Raises DeviceError
    where the named one is missing.
    """
    keep_freed_memory()
    try:
        device = torch.device(_best_kind() if name == "auto" else name)
    except RuntimeError as error:
        raise DeviceError(
            f"No device is called {safe_text(repr(name))}: use auto, cpu, cuda, cuda:1 or mps."
        ) from error
    if str(device) == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    count = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    here = count.get(device.type, 0)
    if (device.index or 0) < here:
        return device
    if here and "LOCAL_RANK" in os.environ:
        raise DeviceError(
            f"There is no {device} here, the GPUs are {here}: start torchrun with --nproc-per-node={here}, "
            "or use --device cpu."
        )
    raise DeviceError(f"There is no {name} here: leave --device out, or use --device cpu.")


def _best_kind() -> str:
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def device_name(device: torch.device) -> str:
    """Return the device as a person knows it: the GPU's model, or the CPU with its threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({format_count(torch.get_num_threads(), 'thread')})" if device.type == "cpu" else device.type


def use_threads(count: int) -> None:
    """Set torch's CPU threads; 0 leaves its own choice. The count is part of what makes weights repeatable."""
    if count:
        torch.set_num_threads(count)


def autocast(device: torch.device, *, cache: bool = True) -> contextlib.AbstractContextManager[Any]:
    """Return the precision of forward passes: bfloat16 on CUDA devices that compute in it, else float32.

    `cache` keeps converted weights until the block ends; a captured graph must convert them at every replay.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", dtype=torch.bfloat16, cache_enabled=cache)
    return contextlib.nullcontext()


@contextlib.contextmanager
def explaining_memory(batch_size: int, attempt: Callable[[int], object]) -> Iterator[None]:
    """Turn running out of device memory in the block into a DeviceError that names a batch size that fits.

    `attempt` does one step of the given batch size, to find out.
    """
    failed = False
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        # left here, the exception would keep the failed step's tensors alive while others are tried
        failed = True
    if failed:
        fits = fitting_batch_size(batch_size, attempt)
        raise DeviceError(
            f"The device ran out of memory at batch size {batch_size}: "
            + (f"--batch-size {fits} fits." if fits else "not even one photo fits; use a smaller --size or --model.")
        )


@contextlib.contextmanager
def naming_memory(way_out: str) -> Iterator[None]:
    """Turn running out of memory anywhere in the block, on a GPU or the CPU, into a DeviceError that ends in `way_out`.

    Also a decorator. Where one step runs out, `explaining_memory` knows more.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        where = "The GPU" if isinstance(error, torch.OutOfMemoryError) else "This machine"
        raise DeviceError(f"{where} ran out of memory: {way_out}.") from error


def _is_out_of_memory(error: Exception) -> bool:
    """Tell whether an allocation failed: on CUDA a type of its own, on the CPU torch's words or numpy's MemoryError."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def fitting_batch_size(batch_size: int, attempt: Callable[[int], object]) -> int:
    """Return the largest halving of `batch_size` whose `attempt` does not run out of memory; 0 for none."""
    smaller = batch_size // 2
    while smaller:
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        try:
            attempt(smaller)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            smaller //= 2
        else:
            return smaller
    return 0
