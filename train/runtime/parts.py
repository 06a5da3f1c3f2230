"""Parts of a batch, one beside another: each processor has photos of its own."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

import torch

__all__ = ["in_parallel", "parts_at_once", "threads_within"]

_MOST_WORKERS: Final = 4
"""Each holds the maps of its own photos, hundreds of megabytes for a large backbone."""

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def parts_at_once(device: torch.device) -> int:
    """Return how many parts `in_parallel` works on at once."""
    return min(torch.get_num_threads(), _MOST_WORKERS) if device.type == "cpu" else 1


@contextlib.contextmanager
def threads_within(count: int) -> Iterator[None]:
    """Let torch's operations use `count` threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def in_parallel(
    work: Callable[[_Part], _Result], parts: Sequence[_Part], device: torch.device, *, small: bool = False
) -> list[_Result]:
    """Return what `work` makes of each part, in order.

    On a processor, the parts share torch's threads. Within one part the threads meet after every operation. That costs
    a third of the time where operations are small, and more where other programs run. `small` is true where an
    operation is never worth a second thread. The result must not depend on the number of threads within a part.
    """
    if device.type != "cpu":
        return [work(part) for part in parts]
    threads, workers = torch.get_num_threads(), max(1, min(len(parts), parts_at_once(device)))
    within = 1 if small else threads // workers
    if workers == 1:
        with threads_within(within):
            return [work(part) for part in parts]
    inference, gradients = torch.is_inference_mode_enabled(), torch.is_grad_enabled()

    def worked(part: _Part) -> _Result:
        with torch.inference_mode(inference), torch.set_grad_enabled(gradients):
            return work(part)

    begin = partial(torch.set_num_threads, within)  # a worker's own; some libraries take it for the process's
    with threads_within(threads), ThreadPoolExecutor(workers, initializer=begin) as pool:
        return list(pool.map(worked, parts))
