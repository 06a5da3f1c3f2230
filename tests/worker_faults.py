"""What a decoder can do to its process, as functions that workers import by name."""

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from collect.ingestion.photo_reader import FileTask, Reading, ReadSettings, read_files


def misbehave(items: Sequence[str], folder: str) -> list[str]:
    """Return each item doubled, or do what it says; every visit is noted in `folder`."""
    return [_one(item, Path(folder)) for item in items]


def _one(item: str, folder: Path) -> str:
    with (folder / item).open("a") as visits:
        visits.write("x")
    if item == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "exit":
        os._exit(3)
    if item == "hang":
        time.sleep(60)
    if item == "eat":
        _eat = bytearray(64 << 30)
    if item == "noisy":
        os.write(2, b"\x1b[31mfrom libtiff")
        logging.getLogger("PIL").error("from Pillow")
    if item == "bug":
        raise ZeroDivisionError("division by zero")
    if item == "disk-full":
        raise OSError(28, "No space left on device", "target")
    if item == "once" and len((folder / item).read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return item * 2


def read_or_hang(tasks: Sequence[FileTask], settings: ReadSettings) -> list[Reading]:
    """Read files as an ingest does; one whose name begins with `hang` takes a minute."""
    if any(task.name.startswith("hang") for task in tasks):
        time.sleep(60)
    return read_files(tasks, settings)


def modules(_items: Sequence[str], _folder: str) -> list[str]:
    """Return the heavy modules that a worker has loaded once it can read photos."""
    import collect.ingestion.photo_reader  # noqa: F401

    return [",".join(name for name in ("torch", "geopandas", "pandas", "matplotlib") if name in sys.modules)]


def environment(names: Sequence[str], _folder: str) -> list[str]:
    """Return the values of environment variables in a worker."""
    return [os.environ.get(name, "") for name in names]


def process_ids(items: Sequence[str], _folder: str) -> list[str]:
    """Return for each item the process that it came to."""
    return [str(os.getpid()) for _ in items]
