"""A process that has the program loaded and runs each command in a fork: a kill then hits the work, not the imports."""

import contextlib
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

_ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class ForkedCommands:
    """The process that forks; one command at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process
        self._read = b""

    def start(self, words: Sequence[str], folder: Path) -> int:
        """Start a command in `folder` and return its process; what it prints goes to `printed` and `said` there."""
        folder.mkdir(parents=True, exist_ok=True)
        asked = {"words": list(words), "folder": str(folder)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(asked).encode() + b"\n")
        self._process.stdin.flush()
        return int(self.line(60.0) or 0)

    def wait(self, timeout_s: float = 120.0) -> int | None:
        """Return the exit code of the command, None where it is still at work."""
        line = self.line(timeout_s)
        return None if line is None else int(line)

    def run(self, words: Sequence[str], folder: Path) -> int:
        """Run a command that nobody stops and return its exit code."""
        self.start(words, folder)
        code = self.wait()
        assert code is not None, f"{words} did not end"
        return code

    def kill_after(self, pid: int, seconds: float) -> bool:
        """Kill the command and all it started; returns whether it was still at work."""
        if self.wait(seconds) is not None:
            return False
        os.killpg(pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL

    def line(self, timeout_s: float) -> bytes | None:
        """Return the next line that the process says, None where it says none in time."""
        assert self._process.stdout is not None
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            left_s = max(0.0, deadline - time.monotonic())
            if not select.select([self._process.stdout], [], [], left_s)[0]:
                return None
            self._read += os.read(self._process.stdout.fileno(), 4096)
        line, _, self._read = self._read.partition(b"\n")
        return line


@contextlib.contextmanager
def forked_commands(modules: Sequence[str] = (), env: Mapping[str, str] | None = None) -> Iterator[ForkedCommands]:
    """Give a process that loaded these modules with these variables; it ends with the block."""
    process = subprocess.Popen(
        [sys.executable, __file__, *modules],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        bufsize=0,
        env={**os.environ, **_ALONE, **(env or {})},
    )
    with process:
        commands = ForkedCommands(process)
        assert commands.line(300.0) == b"ready"
        try:
            yield commands
        finally:
            assert process.stdin is not None
            process.stdin.close()


def _serve(modules: Sequence[str]) -> None:
    """Load the modules, then fork for each line of standard input."""
    for name in ("img2gps.cli", *modules):
        importlib.import_module(name)
    _say("ready")
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(asked)
        with contextlib.suppress(PermissionError):
            os.setpgid(pid, pid)
        _say(str(pid))
        _say(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])))


def _say(text: str) -> None:
    os.write(1, f"{text}\n".encode())


def _become(asked: Mapping[str, Any]) -> None:
    """Be the command and end with its code."""
    code = 70
    try:
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
        os.chdir(asked["folder"])
        for descriptor, name in ((1, "printed"), (2, "said")):
            os.dup2(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), descriptor)
        from img2gps.cli import run
        from img2gps.interrupts import interruptible

        with interruptible():
            code = run(asked["words"])
    except BaseException:  # noqa: BLE001  a command that ends so is a fault that `said` tells
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    del sys.path[0]  # the tests' modules hide none of the program's
    time.tzset()
    _serve(sys.argv[1:])
