"""Ingests that are killed or whose disk fails: the harness behind the quick tests and the long benchmark."""

import contextlib
import dataclasses
import errno
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ingest_runs import rows, run_ingest
from photos import write_photo, write_site, write_walk

from collect.ingestion.outside import read_outside
from collect.ingestion.sources import read_sources
from collect.verification import verify_dataset
from img2gps.dataset import Dataset
from img2gps.rejected import read_rejected


def write_input(folder: Path, count: int) -> Path:
    """Write a walk of `count` small photos, a rejected one, a copy and a text; return the site beside it."""
    first = write_walk(folder, count, size=(64, 48), every_s=4.0)[0]
    write_photo(folder / "far.jpg", seed=9000, lon=9.0, size=(64, 48))
    (folder / "copy.jpg").write_bytes(first.read_bytes())
    (folder / "notes.txt").write_text("none")
    return write_site(folder.parent / "square.geojson")


def content(root: Path) -> dict[str, Any]:
    """Return everything that a dataset holds but times: what a rerun must equal."""
    photos = [dataclasses.replace(photo, ingested_at=None, ingest="") for photo in rows(root).values()]
    outside = [
        dataclasses.replace(photo, ingested_at=None, ingest="") for photo in read_outside(Dataset.open(root)).values()
    ]
    copies = {photo.file_name: (root / photo.file_name).read_bytes() for photo in (*photos, *outside)}
    return {
        "photos": photos,
        "outside": outside,
        "copies": copies,
        "rejected": read_rejected(root / "rejected.csv"),
        "sources": read_sources(root / "sources.parquet"),
    }


def assert_sound(root: Path) -> None:
    """Raise AssertionError where a dataset that exists does not verify."""
    if root.exists():
        result = verify_dataset(root)
        assert result.problems == (), result.problems


def kill_at_random_moments(folder: Path, *, kills: int, photos: int = 40, seed: int = 0) -> dict[str, int]:
    """Kill ingests at random moments, verify after each, and compare what reruns end with to an uninterrupted one.

    Returns how many kills hit an ingest before it had finished, and how many datasets were completed after kills.
    """
    site = write_input(folder / "in", photos)
    started = time.monotonic()
    _run(folder, folder / "reference", site).wait()
    duration_s = time.monotonic() - started
    expected = content(folder / "reference")
    generator = random.Random(seed)
    root = folder / "ds-0"
    counts = {"kills": 0, "hit": 0, "completed": 0}
    while counts["kills"] < kills:
        process = _run(folder, root, site)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=generator.uniform(0.3, 1.1) * duration_s)
        hit = process.poll() is None
        if hit:
            _kill(process, whole_group=generator.random() < 0.5)
        counts["kills"] += 1
        counts["hit"] += hit
        assert_sound(root)
        if not hit or generator.random() < 0.2:
            assert _run(folder, root, site).wait() == 0
            assert_sound(root)
            assert content(root) == expected
            counts["completed"] += 1
            root = folder / f"ds-{counts['completed']}"
    return counts


def _run(folder: Path, root: Path, site: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "img2gps", "ingest", str(folder / "in"), str(root), "--site", str(site)]
    return subprocess.Popen(
        [*command, "--jobs", "2", "--json"],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _kill(process: "subprocess.Popen[bytes]", *, whole_group: bool) -> None:
    """Kill the parent alone, as an out-of-memory killer does, or its workers with it."""
    if whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while _alive(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(process.pid), "workers outlived the ingest that was killed"


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


class Fault(Exception):  # noqa: N818  the name of what is injected
    """Stands for a process that ends here."""


@contextlib.contextmanager
def failing_operation(
    number: int, error: Exception, *, removals: bool = False, lasting: bool = False
) -> Iterator[Callable[[], int]]:
    """Raise `error` at the `number`-th write, fsync, rename or mkdir; yield a function that counts them.

    With `removals`, files and folders that are deleted count, too. With `lasting`, every later operation fails as well.
    """
    count = 0

    def wrap(function: Callable[..., Any], concerns: Callable[..., bool]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            if concerns(*args, **kwargs):
                count += 1
                if count == number or (lasting and count > number):
                    raise error
            return function(*args, **kwargs)

        return wrapped

    def writes(_path: Path, mode: str = "r", *_args: Any, **_kwargs: Any) -> bool:
        return any(letter in mode for letter in "wa+")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("fsync", "replace", "rename", "mkdir", *(("unlink", "rmdir") if removals else ())):
            patch.setattr(os, name, wrap(getattr(os, name), lambda *_args, **_kwargs: True))
        patch.setattr(Path, "open", wrap(Path.open, writes))
        yield lambda: count


def fail_every_operation(folder: Path, *, photos: int = 20, step: int = 1) -> int:
    """Ingest with every `step`-th operation failing, verify and compare each time; return how many were tried."""
    site = write_input(folder / "in", photos)
    with failing_operation(0, Fault()) as operations:
        run_ingest(folder / "in", folder / "reference", site=site)
    expected = content(folder / "reference")
    tried = 0
    for number in range(1, operations() + 1, step):
        error = OSError(errno.ENOSPC, "No space left on device") if tried % 2 else Fault()
        root = folder / f"ds-{number}"
        # a folder that is already there may be "made" in vain: then the ingest goes on, and must end as ever
        with failing_operation(number, error), contextlib.suppress(OSError, Fault):
            run_ingest(folder / "in", root, site=site)
        assert_sound(root)
        run_ingest(folder / "in", root, site=site)
        assert_sound(root)
        assert content(root) == expected
        tried += 1
    return tried
