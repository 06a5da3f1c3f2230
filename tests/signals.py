"""Signals to programs at work: what is left of them, and whether what they acknowledged is there."""

import contextlib
import http.client
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from interruptions import assert_sound, content, write_input

from img2gps.corrections import read_corrections
from img2gps.dataset import Dataset
from img2gps.manifest import photos_of, read_table

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
_QUIET = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}


def start(arguments: Sequence[str], folder: Path, **options: Any) -> "subprocess.Popen[str]":
    """Start the program in a group of its own; what it says goes to files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "said").open("w") as said, (folder / "out").open("w") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "img2gps", *arguments],
            start_new_session=True,
            stdout=out,
            stderr=said,
            text=True,
            cwd=folder,
            env={**os.environ, **_QUIET},
            **options,
        )


def processes_of(group: int) -> list[int]:
    """Return the processes of a group that are not dead."""
    found = []
    for process in psutil.process_iter(["pid", "status"]):
        with contextlib.suppress(OSError, psutil.Error):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
    return found


def stop(process: "subprocess.Popen[str]", number: int, *, whole_group: bool, left_s: float = 5.0) -> int:
    """Send a signal, wait for the end, and return how many processes are left after `left_s` seconds."""
    with contextlib.suppress(ProcessLookupError):
        (os.killpg if whole_group else os.kill)(process.pid, number)
    process.wait(timeout=60)
    deadline = time.monotonic() + left_s
    while (left := processes_of(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(left)


Trial = Callable[[Path, random.Random, int, bool], Counter[str]]


def sweep(folder: Path, trials: dict[str, Trial], *, count: int, seed: int) -> dict[str, dict[str, int]]:
    """Send `count` signals, to the parent alone and to its group, in turn to each kind of program; return counts."""
    generator = random.Random(seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in trials}
    for number in range(count):
        name = list(trials)[number % len(trials)]
        which = generator.choice(SIGNALS)
        found = trials[name](folder / name, generator, which, generator.random() < 0.5)
        counts[name].update({"signals": 1, **found})
    return {name: dict(sorted(found.items())) for name, found in counts.items()}


def _judged(process: "subprocess.Popen[str]", folder: Path, left: int, number: int) -> Counter[str]:
    said = (folder / "said").read_text(errors="replace")
    sensible = process.returncode in (0, 130, -signal.SIGKILL if number == signal.SIGKILL else 130)
    return Counter(
        left=left,
        tracebacks=int("Traceback" in said),
        semaphores=int("leaked" in said),
        other_codes=int(not sensible),
    )


def ingest_trial(folder: Path, generator: random.Random, number: int, whole_group: bool) -> Counter[str]:
    """Stop an ingest; the dataset verifies, and a rerun ends as one that was not stopped."""
    if not folder.exists():
        site = write_input(folder / "in", 40)
        assert start(_ingest(folder, "reference", site), folder / "run").wait() == 0
    site = folder / "square.geojson"
    shutil.rmtree(folder / "ds", ignore_errors=True)
    process = start(_ingest(folder, "ds", site), folder / "run")
    time.sleep(generator.uniform(0.05, 2.5))
    found = _judged(process, folder / "run", stop(process, number, whole_group=whole_group), number)
    if (folder / "ds").exists():
        assert_sound(folder / "ds")
    assert start(_ingest(folder, "ds", site), folder / "again").wait() == 0
    found["reruns_unequal"] += content(folder / "ds") != content(folder / "reference")
    found["temporary"] += len(list(folder.rglob(".tmp-*")))
    return found


def _ingest(folder: Path, name: str, site: Path) -> list[str]:
    return ["ingest", str(folder / "in"), str(folder / name), "--site", str(site), "--jobs", "2", "--json"]


def train_trial(folder: Path, generator: random.Random, number: int, whole_group: bool) -> Counter[str]:
    """Stop a training; its run verifies, and resumed it ends with the model of one that was not stopped."""
    options = ["--preset", "published", "--model", "timm/test_efficientnet", "--weights", "none", "--size", "32"]
    options += ["--epochs", "3", "--device", "cpu", "--threads", "1"]
    if not folder.exists():
        site = write_input(folder / "in", 24)
        assert start(_ingest(folder, "ds", site), folder / "run").wait() == 0
        assert start(["train", str(folder / "ds"), *options, "--name", "whole"], folder / "run").wait() == 0
    run, whole = folder / "run/runs/stopped", folder / "run/runs/whole"
    shutil.rmtree(run, ignore_errors=True)
    process = start(["train", str(folder / "ds"), *options, "--name", "stopped"], folder / "run")
    time.sleep(generator.uniform(0.1, 8.0))
    found = _judged(process, folder / "run", stop(process, number, whole_group=whole_group), number)
    if (run / "config.toml").exists():
        assert start(["train", "--resume", str(run)], folder / "again").wait() == 0
        same = (run / "best/model.safetensors").read_bytes() == (whole / "best/model.safetensors").read_bytes()
        found["reruns_unequal"] += not same
        found["damaged"] += start(["verify", str(run)], folder / "again").wait() != 0
    return found


def label_trial(folder: Path, generator: random.Random, number: int, whole_group: bool) -> Counter[str]:
    """Stop a label server under corrections; every one that it acknowledged is in the file."""
    if not folder.exists():
        site = write_input(folder / "in", 24)
        assert start(_ingest(folder, "ds", site), folder / "run").wait() == 0
    dataset = Dataset.open(folder / "ds")
    ids = [photo.id for photo in photos_of(read_table(dataset.manifest_path)[0])]
    process = start(["label", str(folder / "ds"), "--port", "0", "--no-open", "--json"], folder / "run")
    port, deadline = None, time.monotonic() + 30
    while port is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
        with contextlib.suppress(ValueError):
            port = json.loads((folder / "run/out").read_text())["port"]
    assert port is not None, (folder / "run/said").read_text()
    acknowledged = _correct_until(process, port, ids, generator, time.monotonic() + generator.uniform(0.1, 1.0))
    found = _judged(process, folder / "run", stop(process, number, whole_group=whole_group), number)
    kept = {line.batch for line in read_corrections(dataset.corrections_path)}
    found["corrections"] += len(acknowledged)
    found["lost_corrections"] += len(acknowledged - kept)
    return found


def _correct_until(
    process: "subprocess.Popen[str]", port: int, ids: list[str], generator: random.Random, until: float
) -> set[str]:
    acknowledged: set[str] = set()
    versions: dict[str, str] = {}
    while time.monotonic() < until and process.poll() is None:
        batch = f"{generator.getrandbits(64):016x}"
        photo_id = generator.choice(ids)
        change = {"photo_id": photo_id, "kind": "unsure", "version": versions.get(photo_id, "")}
        body = {"changes": [change], "batch": batch}
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("POST", "/api/corrections", json.dumps(body), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            told = json.loads(answer.read())
            versions |= {key: label["version"] for key, label in told.get("labels", {}).items()}
            if answer.status == 200:
                acknowledged.add(batch)
            connection.close()
    return acknowledged


TRIALS: dict[str, Trial] = {"ingest": ingest_trial, "train": train_trial, "label": label_trial}
