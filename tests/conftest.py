"""What holds for every test, and how tests share the processors."""

import os
import subprocess
import sys

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


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test marked `own_process` in a pytest of its own, where this one is a worker.

    Below every test of a worker lies the text of an ``exec``, and there an interrupt waits.
    """
    if "PYTEST_XDIST_WORKER" not in os.environ or pyfuncitem.get_closest_marker("own_process") is None:
        return None
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    words = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", pyfuncitem.nodeid]
    done = subprocess.run(words, cwd=pyfuncitem.config.rootpath, env=environment, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-4000:]
    return True
