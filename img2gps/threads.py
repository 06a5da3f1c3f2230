"""How many threads the libraries below start, and how those wait: settled before the libraries are loaded.

Threads of OpenMP and OpenBLAS that wait by spinning eat the processor time of what they wait for. On a machine with
other work on it, a training took 181 s that way and 50 s with threads that sleep. The libraries read these variables
when they are loaded, and worker processes inherit them. What the user set stands.
"""

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import Final

__all__ = ["THREAD_COUNTS", "settle_threads", "usable_processors"]

_SLEEPING: Final = {
    "OMP_WAIT_POLICY": "passive",  # OpenMP 5.2, section 21.7: torch on Linux
    "KMP_BLOCKTIME": "0",  # the OpenMP of LLVM and Intel: torch on macOS, MKL
    "OPENBLAS_THREAD_TIMEOUT": "4",  # 2^4 turns instead of 2^26: numpy, scipy
}
THREAD_COUNTS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""The variables that say how many threads the libraries start."""
_ARENA_MAX: Final = -8  # malloc.h of the GNU C library
_CGROUP: Final = Path("/sys/fs/cgroup")


def settle_threads() -> None:
    """Let threads sleep while they wait, share one heap, and start no more of them than the process may use."""
    _share_one_heap()
    for name, value in _SLEEPING.items():
        os.environ.setdefault(name, value)
    usable = usable_processors()
    if usable < _affinity():  # the libraries see the affinity by themselves, but no quota
        for name in THREAD_COUNTS:
            os.environ.setdefault(name, str(usable))


def _share_one_heap() -> None:
    """Let the threads to come take memory from the heap that `train.runtime.memory` keeps (GNU C library alone).

    A heap of its own gives a thread no buffer of more than 64 MiB: larger ones are mapped anew each time. The library
    counts its heaps when the second thread starts, and asks for the limit no more.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        with contextlib.suppress(OSError, AttributeError):  # another C library
            ctypes.CDLL(None).mallopt(_ARENA_MAX, 1)


def usable_processors() -> int:
    """Return how many processors this process may use: by its affinity and the quota of its control group."""
    return max(1, min(_affinity(), _quota()))


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(own: Path = Path("/proc/self/cgroup"), root: Path = _CGROUP) -> int:
    """Return the processors that the quotas of the control groups (version 2) around this process amount to.

    ``cpu.max`` holds quota and period in microseconds (Linux, admin-guide/cgroup-v2); where nothing limits, many.
    """
    unlimited = 1 << 20
    try:
        path = next(line for line in own.read_text().splitlines() if line.startswith("0::"))[3:].strip("/")
    except (OSError, StopIteration):
        return unlimited
    folder = root / path
    least = unlimited
    for group in (folder, *folder.parents):
        if not group.is_relative_to(root):
            break
        try:
            quota, period = (group / "cpu.max").read_text().split()
            least = min(least, unlimited if quota == "max" else -(-int(quota) // int(period)))
        except (OSError, ValueError):
            continue
    return least
