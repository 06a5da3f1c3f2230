import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from img2gps.errors import DatasetLockedError, RunLockedError
from img2gps.locks import hold, is_held

_HOLDER = """
import sys, time
from pathlib import Path
from img2gps.errors import RunLockedError
from img2gps.locks import hold
with hold(Path(sys.argv[1]), otherwise=RunLockedError("held")):
    print("held", flush=True)
    time.sleep(600)
"""


def test_only_one_holds_a_lock_and_the_next_may(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    assert not is_held(path)
    with hold(path, otherwise=RunLockedError("first")):
        assert is_held(path)
        with pytest.raises(DatasetLockedError, match="second"), hold(path, otherwise=DatasetLockedError("second")):
            pass
        assert is_held(path)
    assert not is_held(path)
    with hold(path, otherwise=RunLockedError("third")):
        pass


def test_a_block_that_fails_frees_the_lock(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), hold(tmp_path / ".lock", otherwise=RunLockedError("held")):
        raise ZeroDivisionError
    assert not is_held(tmp_path / ".lock")


def test_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "held\n"
        assert is_held(path)
        process.kill()
        process.wait()
    assert path.exists()
    assert not is_held(path)


def test_one_that_waits_gets_the_lock_once_it_is_free(tmp_path: Path) -> None:
    path, got = tmp_path / ".lock", threading.Event()

    def wait() -> None:
        with hold(path, otherwise=RunLockedError("held"), wait_s=60):
            got.set()

    waiting = threading.Thread(target=wait)
    with hold(path, otherwise=RunLockedError("held")):
        waiting.start()
        time.sleep(0.1)
        assert not got.is_set()
    waiting.join()
    assert got.is_set()
