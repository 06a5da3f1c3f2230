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
        batch = [np.ones(1 << 20) for _ in range(6)]  # more than the C library keeps of itself
        del batch
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the C library of Linux alone is told")
def test_memory_that_was_freed_is_not_fetched_again() -> None:
    assert resource.RUSAGE_SELF == 0
    faults = {
        how: int(
            subprocess.run([sys.executable, "-c", _FAULTS, how], capture_output=True, text=True, check=True).stdout
        )
        for how in ("given back", "kept")
    }
    assert faults["kept"] < faults["given back"] / 10


def test_it_may_be_asked_for_again() -> None:
    assert keep_freed_memory() == keep_freed_memory()
