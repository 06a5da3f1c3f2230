import os
import resource
import subprocess
import sys

import pytest

from train.runtime.memory import keep_freed_memory

_FAULTS = """
import resource, sys
import numpy as np
from train.runtime.memory import keep_freed_memory
if sys.argv[1] == "kept":
    assert keep_freed_memory()
def touch():
    for _ in range(10):
        batch = [np.ones(int(sys.argv[2]) << 17) for _ in range(3)]  # more than the C library keeps of itself
        del batch
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _faults(how: str, size_mib: int) -> int:
    words = [sys.executable, "-c", _FAULTS, how, str(size_mib)]
    environment = os.environ | {
        "NUMPY_MADVISE_HUGEPAGE": "0"
    }  # pages of one size, so that their number means something
    return int(subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout)


def _libc_version() -> tuple[int, ...]:
    name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    return tuple(map(int, version.split("."))) if name == "glibc" else (0,)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux alone is told")
@pytest.mark.parametrize("size_mib", [16, 48])
def test_memory_that_was_freed_is_not_fetched_again(size_mib: int) -> None:
    if size_mib > 32 and _libc_version() < (2, 35):
        pytest.skip("this C library keeps buffers of at most 32 MiB")
    assert resource.RUSAGE_SELF == 0
    faults = {how: _faults(how, size_mib) for how in ("given back", "kept")}
    assert faults["kept"] < faults["given back"] / 10


def test_it_may_be_asked_for_again() -> None:
    assert keep_freed_memory() == keep_freed_memory()
