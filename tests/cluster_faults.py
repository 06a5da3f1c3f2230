"""What workers of a cluster do in tests: answer, end with their process, raise. Run as a program: such a cluster."""

import contextlib
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


def act(item: str, folder: str) -> str:
    """Return the item twice, unless it says something else; `folder` remembers what ended once."""
    if item == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "die once" and not (marker := Path(folder) / "died").exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if item == "full":
        raise OSError(28, "No space left on device")
    if item == "lose worker once" and not (marker := Path(folder) / "lost").exists():
        marker.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return item * 2


def do(item: str) -> str:
    """Act in a process of its own, whose folder is the place to remember things in, and say so on stderr."""
    sys.stderr.write(f"doing {item}\n")
    return act(item, str(Path.cwd()))


@dataclass(frozen=True)
class Workers:
    """Someone else's cluster: its scheduler and nannies are one process, its two workers are children of that."""

    address: str
    process: "subprocess.Popen[str]"

    def kill_one(self) -> None:
        """End a worker; its nanny starts another one."""
        for child in psutil.Process(self.process.pid).children():
            if "--multiprocessing-fork" in child.cmdline():
                child.kill()
                return
        raise AssertionError("no worker")

    def kill_scheduler(self) -> None:
        """End the scheduler, and the workers with it."""
        self.process.kill()


@contextlib.contextmanager
def two_workers() -> Iterator[Workers]:
    """Start a scheduler and two workers; two lost workers make a task a lost one."""
    command = [sys.executable, __file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Workers(process.stdout.readline().strip(), process)
        finally:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()


def main() -> None:
    """Tell the address of a cluster, and end it when nothing more comes in."""
    import dask
    from distributed import LocalCluster

    # its processes are daemons, as is usual
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 1, "distributed.deploy.lost-worker-timeout": "1 h"}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit=0,
            dashboard_address=None,
            host="127.0.0.1",
            silence_logs=logging.CRITICAL,
        ) as cluster,
    ):
        sys.stdout.write(f"{cluster.scheduler_address}\n")
        sys.stdout.flush()
        sys.stdin.read()


if __name__ == "__main__":
    main()
