"""Told to stop: one sentence, nothing left running, nothing lost, and `nohup` is respected."""

import importlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interruptions import assert_sound, write_input
from signals import BAD, Blow, label_trial, processes_of, start, stop

from img2gps.interrupts import held_back, interruptible


@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_is_an_interrupt_and_waits_where_it_must(number: int) -> None:
    before = signal.getsignal(number)
    done: list[str] = []
    with interruptible():
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        with pytest.raises(KeyboardInterrupt), held_back():  # noqa: PT012  the end of the block is what raises
            signal.raise_signal(number)
            done.append("the block")
    assert done == ["the block"]
    assert signal.getsignal(number) is before


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGHUP")
def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are counted by /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_ingest_that_is_stopped_alone_leaves_no_process(tmp_path: Path, number: int, code: int) -> None:
    site = write_input(tmp_path / "in", 60)
    arguments = ["ingest", str(tmp_path / "in"), str(tmp_path / "ds"), "--site", str(site), "--jobs", "2"]
    process = start(arguments, tmp_path / "run")
    while process.poll() is None and len(processes_of(process.pid)) < 4:  # itself, tracker, server, a worker
        time.sleep(0.01)
    assert process.poll() is None
    assert stop(process, number, whole_group=False) == 0
    assert process.returncode == code
    said = (tmp_path / "run/said").read_text()
    assert ("Interrupted." in said) == (code == 130)
    assert "Traceback" not in said
    assert "leaked" not in said
    assert_sound(tmp_path / "ds")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
def test_an_interrupt_while_the_program_loads_is_no_traceback(tmp_path: Path) -> None:
    script = "import signal, sys\nclass Finder:\n def find_spec(self, name, *_):\n  if name == 'rich_click':\n"
    script += "   signal.raise_signal(signal.SIGINT)\nsys.meta_path.insert(0, Finder())\n"
    script += "from img2gps.start import main\nmain()\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (130, "Interrupted.\n")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="processes are counted by /proc")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_no_acknowledged_correction_is_lost(tmp_path: Path, number: int) -> None:
    found = label_trial(tmp_path / "label", Blow(number=number, whole_group=False, part=0.7))
    assert found["corrections"] > 8
    assert [key for key in BAD if found[key]] == []


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="interrupts are put off by a timer")
def test_an_interrupt_waits_for_an_import_and_for_the_text_of_an_exec(tmp_path: Path) -> None:
    (tmp_path / "slow_module.py").write_text("import signal\nsignal.raise_signal(signal.SIGINT)\nDONE = True\n")
    sys.path.insert(0, str(tmp_path))
    found: dict[str, bool] = {}
    try:
        with interruptible():
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012  where it is raised is the question
                found["module"] = importlib.import_module("slow_module").DONE
                time.sleep(10)
            with pytest.raises(KeyboardInterrupt):  # noqa: PT012
                exec("import signal; signal.raise_signal(signal.SIGINT); found['exec'] = True", {"found": found})  # noqa: S102
                time.sleep(10)
    finally:
        sys.path.remove(str(tmp_path))
    assert found == {"module": True, "exec": True}
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
def test_a_program_given_as_a_text_can_be_interrupted() -> None:
    script = "import signal, time\nfrom img2gps.interrupts import interruptible\ntry:\n with interruptible():\n"
    script += "  signal.raise_signal(signal.SIGTERM)\n  time.sleep(20)\nexcept KeyboardInterrupt:\n print('told')\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=15, check=True)
    assert done.stdout == "told\n"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
def test_an_interrupt_in_the_text_of_an_exec_leaves_the_exit_code_alone(tmp_path: Path) -> None:
    script = "import signal, sys, img2gps.console\ndef say(*_, **__):\n"
    script += " exec('import signal; signal.raise_signal(signal.SIGINT)')\n while True: pass\n"
    script += "import img2gps.demo\nimg2gps.demo.run_demo = say\nsys.argv = ['img2gps', 'demo']\n"
    script += "from img2gps.start import main\nmain()\n"
    (tmp_path / "script.py").write_text(script)
    done = subprocess.run([sys.executable, "-m", "script"], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (130, "Interrupted.")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="other signals")
def test_a_signal_in_the_last_steps_of_the_interpreter_leaves_the_exit_code_alone(tmp_path: Path) -> None:
    script = "import os, signal, sys\nfrom img2gps.start import main\n"
    script += "class Last:\n def __del__(self, kill=os.kill, pid=os.getpid(), number=signal.SIGTERM):\n"
    script += "  kill(pid, number)\nsys.last = Last()\nsys.argv = ['img2gps', '--version']\nmain()\n"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
