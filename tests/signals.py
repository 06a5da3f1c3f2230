"""Signals to programs at work: what is left of them, and whether what they acknowledged is there."""

import contextlib
import dataclasses
import http.client
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
from damages import answer_of
from ingest_runs import run_ingest
from interruptions import assert_sound, content, write_input
from photos import EAST_CAMPUS

from img2gps.corrections import read_corrections
from img2gps.dataset import Dataset
from img2gps.manifest import photos_of, read_table

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL)
CLIENTS = 8
BAD = (
    "left",
    "tracebacks",
    "semaphores",
    "other_codes",
    "reruns_unequal",
    "damaged",
    "lost_corrections",
    "temporary",
)
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
            preexec_fn=_hear,
            **options,
        )


def _hear() -> None:
    """Give the signals their default answer: a sweep that was started with `nohup` has them ignored."""
    for number in SIGNALS[:-1]:
        signal.signal(number, signal.SIG_DFL)


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


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Blow:
    """A signal: which, to the parent alone or to its whole group, and at which part of the program's usual time."""

    number: int
    whole_group: bool
    part: float

    def __str__(self) -> str:
        return f"{signal.Signals(self.number).name} to {'the group' if self.whole_group else 'the parent'}"


Trial = Callable[[Path, Blow], Counter[str]]


def sweep(folder: Path, trials: dict[str, Trial], *, count: int, seed: int) -> dict[str, dict[str, int]]:
    """Send `count` signals, to the parent alone and to its group, in turn to each kind of program; return counts."""
    generator = random.Random(seed)
    counts: dict[str, Counter[str]] = {name: Counter() for name in trials}
    for number in range(count):
        name = list(trials)[number % len(trials)]
        blow = Blow(
            number=generator.choice(SIGNALS), whole_group=generator.random() < 0.5, part=generator.uniform(0.0, 1.1)
        )
        found = trials[name](folder / name, blow)
        counts[name].update({"signals": 1, **found})
        if number % 10 == 9:  # a long sweep that is stopped has told something
            sys.stderr.write(f"{number + 1} signals: { {name: dict(found) for name, found in counts.items()} }\n")
        for what in (key for key in BAD if found[key]):
            sys.stderr.write(f"{what}: {number}: {name}, {blow}, at {blow.part:.2f}\n")
    return {name: dict(sorted(found.items())) for name, found in counts.items()}


def struck(process: "subprocess.Popen[str]", folder: Path, blow: Blow) -> Counter[str]:
    """Send the signal and judge how the program ended; its codes are counted, what is odd is shown on stderr.

    The kernel and the interpreter answer a signal that comes before the program's first line: such are counted apart.
    """
    began = _listens(process.pid)
    left = stop(process, blow.number, whole_group=blow.whole_group)
    said, code = (folder / "said").read_text(errors="replace"), process.returncode
    found = Counter({f"exit {code}": 1, "left": left, "semaphores": int("leaked" in said)})
    if began is False and blow.number != signal.SIGKILL:
        found.update({"before_start": 1, "before_start_tracebacks": int("Traceback" in said)})
        return found
    found["tracebacks"] = int("Traceback" in said)
    found["other_codes"] = int(code not in (0, 130, -signal.SIGKILL if blow.number == signal.SIGKILL else 130))
    if any(found[key] for key in BAD):
        sys.stderr.write(f"{blow}: exit {code}: {said}\n")
    return found


def _listens(pid: int) -> bool | None:
    """Return whether a program has its own answer to SIGTERM by now; None where it has ended."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGTERM - 1) & 1)
    return None


def _usual_s(folder: Path) -> float:
    """Return how long the program takes that nobody stops."""
    return float((folder / "usual_s").read_text())


def _once(arguments: Sequence[str], folder: Path) -> None:
    """Run the program that nobody stops and keep how long it took."""
    began = time.monotonic()
    assert start(arguments, folder / "run").wait() == 0, (folder / "run/said").read_text()
    (folder / "usual_s").write_text(str(time.monotonic() - began))


def ingest_trial(folder: Path, blow: Blow) -> Counter[str]:
    """Stop an ingest; the dataset verifies, and a rerun ends as one that was not stopped."""
    site = folder / "square.geojson"
    if not folder.exists():
        write_input(folder / "in", 40)
        _once(_ingest(folder, "reference", site), folder)
    shutil.rmtree(folder / "ds", ignore_errors=True)
    process = start(_ingest(folder, "ds", site), folder / "run")
    time.sleep(blow.part * _usual_s(folder))
    found = struck(process, folder / "run", blow)
    if (folder / "ds").exists():
        assert_sound(folder / "ds")
    run_ingest(folder / "in", folder / "ds", site=site)
    found["reruns_unequal"] += content(folder / "ds") != content(folder / "reference")
    found["temporary"] += len(list(folder.rglob(".tmp-*")))
    return found


def _ingest(folder: Path, name: str, site: Path) -> list[str]:
    return ["ingest", str(folder / "in"), str(folder / name), "--site", str(site), "--jobs", "2", "--json"]


def train_trial(folder: Path, blow: Blow) -> Counter[str]:
    """Stop a training; its run verifies, and resumed it ends with the model of one that was not stopped."""
    options = ["--preset", "published", "--model", "timm/test_efficientnet", "--weights", "none", "--size", "32"]
    options += ["--epochs", "12", "--device", "cpu", "--threads", "1"]
    if not folder.exists():
        run_ingest(folder / "in", folder / "ds", site=write_input(folder / "in", 24))
        _once(["train", str(folder / "ds"), *options, "--name", "whole"], folder)
    run, whole = folder / "run/runs/stopped", folder / "run/runs/whole"
    shutil.rmtree(run, ignore_errors=True)
    process = start(["train", str(folder / "ds"), *options, "--name", "stopped"], folder / "run")
    time.sleep(blow.part * _usual_s(folder))
    found = struck(process, folder / "run", blow)
    if (run / "config.toml").exists():
        resumed = answer_of(["train", "--resume", str(run)])
        assert resumed.code == 0, resumed
        same = (run / "best/model.safetensors").read_bytes() == (whole / "best/model.safetensors").read_bytes()
        found["reruns_unequal"] += not same
        found["damaged"] += answer_of(["verify", str(run)]).code != 0
    return found


def label_trial(folder: Path, blow: Blow) -> Counter[str]:
    """Stop a label server while `CLIENTS` send corrections; every one that it acknowledged is in the file."""
    if not folder.exists():
        run_ingest(folder / "in", folder / "ds", site=write_input(folder / "in", 24))
    dataset = Dataset.open(folder / "ds")
    for path in (dataset.corrections_path, dataset.corrections_path.with_suffix(".sha256")):
        path.unlink(missing_ok=True)  # each server reads all that there are at each correction
    ids = [photo.id for photo in photos_of(read_table(dataset.manifest_path)[0])]
    process = start(["label", str(folder / "ds"), "--port", "0", "--no-open", "--json"], folder / "run")
    if blow.part < 0.1:  # while it starts
        time.sleep(blow.part * 20)
        return struck(process, folder / "run", blow)
    port = _port_of(process, folder / "run")
    _ask(port, "GET", "/api/labels")  # answers once the dataset is open
    acknowledged: set[str] = set()
    clients = [
        threading.Thread(target=_correct, args=(process, port, ids[number::CLIENTS], acknowledged))
        for number in range(CLIENTS)
    ]
    for client in clients:
        client.start()
    time.sleep(blow.part * 1.5)
    found = struck(process, folder / "run", blow)  # in the midst of their corrections
    for client in clients:
        client.join()
    kept = {line.batch for line in read_corrections(dataset.corrections_path)}
    found["corrections"] += len(acknowledged)
    found["lost_corrections"] += len(acknowledged - kept)
    return found


def _port_of(process: "subprocess.Popen[str]", folder: Path) -> int:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ValueError):
            return int(json.loads((folder / "out").read_text())["port"])
        time.sleep(0.05)
    raise AssertionError((folder / "said").read_text())


def _correct(process: "subprocess.Popen[str]", port: int, ids: list[str], acknowledged: set[str]) -> None:
    """Send one correction after the other until the server has gone, and note which it answered with 200."""
    versions: dict[str, str] = {}
    for number in itertools.count():
        if process.poll() is not None:
            return
        batch = f"{random.getrandbits(64):016x}"
        photo_id = ids[number % len(ids)]
        place = {"lon": EAST_CAMPUS[0] + number * 1e-6, "lat": EAST_CAMPUS[1]}  # another one each time: a line each
        change = {"photo_id": photo_id, "kind": "move", "version": versions.get(photo_id, ""), **place}
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            status, told = _ask(port, "POST", "/api/corrections", {"changes": [change], "batch": batch})
            if status == 200:
                acknowledged.add(batch)
            versions |= {key: label["version"] for key, label in told.get("labels", {}).items()}


def _ask(port: int, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())


TRIALS: dict[str, Trial] = {"ingest": ingest_trial, "train": train_trial, "label": label_trial}


@contextlib.contextmanager
def another_thread_signalled(
    monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, *, after: bool = False
) -> Iterator[None]:
    """Give SIGTERM to a thread that has blocked no signal, right before the main thread calls ``owner.name``, or after.

    That is the moment at which a process that is being started knows nothing yet.
    """
    asked, sent = threading.Event(), threading.Event()

    def deliver() -> None:
        asked.wait()
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        sent.set()

    original = getattr(owner, name)

    def called(*arguments: Any) -> Any:
        found = original(*arguments) if after else None
        asked.set()
        sent.wait()
        return found if after else original(*arguments)

    thread = threading.Thread(target=deliver)
    thread.start()
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, called)
        yield
    thread.join()
