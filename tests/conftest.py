"""What holds for every test, and how tests share the processors."""

import os

import pytest

from img2gps.threads import settle_threads

# Before numpy and torch are loaded. Threads that spin while they wait made a walk's track 20 times as expensive, and
# processes that share the processors get on best with one thread each.
settle_threads()
if "PYTEST_XDIST_WORKER" in os.environ:
    for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(_name, "1")

from hypothesis import settings  # noqa: E402  it looks for numpy

# how long an example may take depends on the machine and on what else it does: no test is about that
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold most of what is long: a long file that comes last keeps one process alone."""
    long: dict[str, int] = {}
    for item in items:
        heavy = any(item.get_closest_marker(name) for name in ("slow", "browser"))
        long[str(item.path)] = long.get(str(item.path), 0) + heavy
    items.sort(key=lambda item: -long[str(item.path)])  # stable: the order within a file stays
