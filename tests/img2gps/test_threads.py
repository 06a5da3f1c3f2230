import os
import subprocess
import sys
from pathlib import Path

import pytest

from img2gps import threads
from img2gps.threads import settle_threads, usable_processors

NAMES = ("OMP_WAIT_POLICY", "KMP_BLOCKTIME", "OPENBLAS_THREAD_TIMEOUT", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@pytest.fixture
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*NAMES, "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "gone")  # so that the end of the test puts back what stood there
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("unset")
def test_threads_sleep_while_they_wait() -> None:
    settle_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert os.environ["KMP_BLOCKTIME"] == "0"


@pytest.mark.usefixtures("unset")
def test_what_the_user_set_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setattr(threads, "_quota", lambda: 1)
    monkeypatch.setattr(threads, "_affinity", lambda: 4)
    settle_threads()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.usefixtures("unset")
@pytest.mark.parametrize(("affinity", "quota", "expected"), [(8, 2, "2"), (2, 8, None), (4, 4, None)])
def test_a_quota_limits_the_threads_and_the_affinity_does_by_itself(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: int, expected: str | None
) -> None:
    monkeypatch.setattr(threads, "_affinity", lambda: affinity)
    monkeypatch.setattr(threads, "_quota", lambda: quota)
    settle_threads()
    assert os.environ.get("OMP_NUM_THREADS") == expected
    assert usable_processors() == min(affinity, quota)


def test_the_tightest_quota_around_the_process_counts(tmp_path: Path) -> None:
    own = tmp_path / "self"
    own.write_text("0::/outer/inner\n")
    inner = tmp_path / "cgroup/outer/inner"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000\n")
    (inner.parent / "cpu.max").write_text("150000 100000\n")
    assert threads._quota(own, tmp_path / "cgroup") == 2
    (inner / "cpu.max").write_text("50000 100000\n")
    assert threads._quota(own, tmp_path / "cgroup") == 1
    own.write_text("4:memory:/v1\n")
    assert threads._quota(own, tmp_path / "cgroup") > 1000


def test_the_package_of_models_settles_it_before_torch_is_loaded() -> None:
    code = "import os, sys, train; assert 'torch' not in sys.modules; print(os.environ['OMP_WAIT_POLICY'])"
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    result = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "passive"


def test_the_program_settles_it_before_its_commands_are_loaded() -> None:
    code = (
        "import os, sys, img2gps.start, img2gps.cli;"
        "img2gps.cli.main = lambda: print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules);"
        "img2gps.start.main()"
    )
    clean = {name: value for name, value in os.environ.items() if name not in NAMES}
    result = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["passive", "False"]
