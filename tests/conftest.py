"""What holds for every test, and how tests share the processors."""

import os
from collections.abc import Iterator
from typing import Any

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


# of processor time; what only waits costs nobody anything, and the first test of all may have to load torch
DEAR_S = 5.0


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Note what a test that is not marked as long takes, child processes included."""
    before = sum(os.times()[:4])
    try:
        return (yield)
    finally:
        taken_s = sum(os.times()[:4]) - before
        if taken_s > DEAR_S and not any(item.get_closest_marker(name) for name in ("slow", "browser")):
            item.user_properties.append(("dear_s", round(taken_s, 1)))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Name the tests of the fast half that are too dear for it."""
    reports = [
        one for kind in ("passed", "failed") for one in terminalreporter.stats.get(kind, []) if one.when == "call"
    ]
    dear = [(taken_s, one.nodeid) for one in reports for name, taken_s in one.user_properties if name == "dear_s"]
    if dear:
        terminalreporter.section("too dear for the fast half: make them cheaper or mark them slow", red=True, bold=True)
        for taken_s, nodeid in sorted(dear, reverse=True):
            terminalreporter.line(f"{taken_s:5.1f} s of processor time  {nodeid}")
