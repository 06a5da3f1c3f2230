"""Worker processes leave the file alone that the program began with."""

import subprocess
import sys
from math import sqrt
from multiprocessing import util
from pathlib import Path

import pytest
from photos import write_site, write_walk
from signals import another_thread_signalled

from img2gps.interrupts import interruptible
from img2gps.processes import SpawnedContext

SPAWNED = """
from concurrent.futures import ProcessPoolExecutor
from math import sqrt
from img2gps.processes import SpawnedContext
print("began")
with ProcessPoolExecutor(2, mp_context=SpawnedContext()) as pool:
    print(list(pool.map(sqrt, [4.0, 9.0])))
"""
INGEST = """
from collect import ingest
print("began")
print(ingest("walk", "quad", site="site.geojson", jobs=2).new)
"""
BY_CLUSTER = INGEST.replace("jobs=2", "cluster='local:1'")


@pytest.mark.slow
@pytest.mark.parametrize("from_stdin", [False, True])
@pytest.mark.parametrize(("text", "expected"), [(SPAWNED, "[2.0, 3.0]"), (INGEST, "3"), (BY_CLUSTER, "3")])
def test_a_script_without_a_guard_runs_once(tmp_path: Path, text: str, expected: str, from_stdin: bool) -> None:
    write_walk(tmp_path / "walk", 3, size=(64, 48))
    write_site(tmp_path / "site.geojson")
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")
    with script.open(encoding="utf-8") as typed:
        call = [sys.executable, "-" if from_stdin else str(script)]
        done = subprocess.run(call, cwd=tmp_path, stdin=typed, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines() == ["began", expected]


@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
def test_a_process_that_is_started_is_told_what_to_do_whatever_interrupts(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    process = SpawnedContext().Process(target=sqrt, args=(4.0,))
    started = another_thread_signalled(monkeypatch, util, "spawnv_passfds", after=True)
    with started, interruptible(), pytest.raises(KeyboardInterrupt):
        process.start()
    process.join(20)
    assert process.exitcode == 0  # known to this process, and it has done its work
    assert capfd.readouterr().err == ""
