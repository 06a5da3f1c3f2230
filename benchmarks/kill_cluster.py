"""Does an ingest by a cluster survive anything? Photos lie in an object store, and each trial has one fault at random.

A fault is a worker, the scheduler or the coordinator that is killed, or a store that answers 503, late, or with half an
object. After each trial the dataset must verify, and a rerun must end as two processes of this machine do without any
fault: every row, every working copy, every rejection. `hit` counts the faults that came before the ingest had ended.

With --equal, so many small photos of a folder are read by ``--jobs 2``, by ``local:2`` and by two workers of which one
is killed, and the datasets are compared.

    python benchmarks/kill_cluster.py [--kills 100] [--equal 20000] [--seed 0] [--only worker ...] [--json]
"""

import argparse
import contextlib
import json
import logging
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path[0] = str(Path(__file__).resolve().parent.parent / "tests")  # benchmarks/train.py would hide the package

from cluster_faults import Workers, two_workers  # noqa: E402
from ingest_runs import run_ingest  # noqa: E402
from interruptions import assert_sound, content, write_input  # noqa: E402
from object_store import fake_s3, fill  # noqa: E402
from photos import FIRST_PHOTO_AT, write_site, write_walk  # noqa: E402

from collect.ingestion.outcomes import Outcomes  # noqa: E402
from img2gps.address import Address  # noqa: E402

PHOTOS = 60
WALK = 100
KILLED = ("worker", "scheduler", "coordinator")
OF_THE_STORE = ("503", "half", "late")


class Store:
    """What the store does to requests for photos: to a share of them, at random."""

    def __init__(self, generator: random.Random) -> None:
        self.fault: str | None = None
        self.share = 0.0
        self.spoilt = 0
        self._generator = generator

    def befall(self, method: str, path: str) -> str | None:
        """Return what befalls a request."""
        if self.fault is None or method != "GET" or ".jpg" not in path or self._generator.random() > self.share:
            return None
        self.spoilt += 1
        if self.fault == "late":
            time.sleep(0.3 * self._generator.random())
            return None
        return self.fault


class Trials:
    """Ingests of one walk in a store by one cluster, which is started anew whenever its scheduler was killed."""

    def __init__(self, folder: Path, photos: str, store: Store, generator: random.Random) -> None:
        self._folder, self._photos, self._store, self._generator = folder, photos, store, generator
        self._cluster: contextlib.ExitStack | None = None
        self._workers: Workers | None = None
        self._site = folder / "square.geojson"
        self._read(folder / "reference", jobs=2)
        self._expected = content(folder / "reference")
        self._took_s = {"cluster": self._timed(lambda: self._read(folder / "by-cluster", cluster=self.workers.address))}
        self._took_s["coordinator"] = self._timed(lambda: self._command(folder / "by-command").wait())
        self._must_equal(folder / "by-cluster", folder / "by-command")

    @property
    def workers(self) -> Workers:
        """The cluster, started where there is none."""
        if self._workers is None:
            self._cluster = contextlib.ExitStack()
            self._workers = self._cluster.enter_context(two_workers())
        return self._workers

    def close(self) -> None:
        """End the cluster."""
        if self._cluster is not None:
            self._cluster.close()
        self._cluster = self._workers = None

    def run(self, fault: str, root: Path) -> bool:
        """Ingest with a fault, verify, ingest again and compare; return whether the fault came in time."""
        if fault in OF_THE_STORE:
            hit = self._with_a_spoilt_store(fault, root)
        elif fault == "coordinator":
            hit = self._with_a_killed_coordinator(root)
        else:
            hit = self._with_a_killed_part(fault, root)
        if (root / "site.geojson").exists():
            assert_sound(root)
        self._read(root, jobs=0)
        self._must_equal(root)
        again = self._read(root, jobs=0)
        assert (again.new, again.unchanged) == (0, PHOTOS), again
        return hit

    def _with_a_spoilt_store(self, fault: str, root: Path) -> bool:
        self._store.fault, self._store.share, self._store.spoilt = fault, self._generator.choice((0.1, 0.5)), 0
        try:
            self._read(root, cluster=self.workers.address)
        finally:
            self._store.fault = None
        return self._store.spoilt > 0

    def _with_a_killed_coordinator(self, root: Path) -> bool:
        process = self._command(root)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=self._generator.uniform(0.4, 1.05) * self._took_s["coordinator"])
        hit = process.poll() is None
        process.kill()
        process.wait()
        return hit

    def _with_a_killed_part(self, fault: str, root: Path) -> bool:
        address = self.workers.address
        kill = self.workers.kill_one if fault == "worker" else self.workers.kill_scheduler
        killer = threading.Timer(self._generator.uniform(0.0, 0.9) * self._took_s["cluster"], kill)
        killer.start()
        try:
            self._read(root, cluster=address)
            hit = not killer.is_alive()
        except OSError:  # the cluster is lost
            assert fault == "scheduler"
            hit = True
        killer.cancel()
        killer.join()
        if fault == "scheduler":
            self.close()
        return hit

    def _must_equal(self, *roots: Path) -> None:
        for root in roots:
            assert_sound(root)
            assert content(root) == self._expected, root

    def _read(self, root: Path, **options: Any) -> Outcomes:
        return run_ingest([Address(self._photos)], root, site=self._site, **options)  # type: ignore[list-item]

    def _command(self, root: Path) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "img2gps", "ingest", self._photos, str(root), "--site", str(self._site)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen([*command, "--cluster", self.workers.address, "--json"], **quiet)

    @staticmethod
    def _timed(action: Callable[[], object]) -> float:
        started = time.monotonic()
        action()
        return time.monotonic() - started


@contextlib.contextmanager
def trials(folder: Path, generator: random.Random) -> Iterator[Trials]:
    """Put a walk into a store and yield what reads it."""
    write_input(folder / "in", PHOTOS)
    store = Store(random.Random(generator.random()))
    with pytest.MonkeyPatch.context() as patch, fake_s3(patch, store.befall) as bucket:
        fill(f"{bucket}/walks", folder / "in")
        started = Trials(folder, f"{bucket}/walks", store, generator)
        try:
            yield started
        finally:
            started.close()


def equal(folder: Path, count: int) -> dict[str, int]:
    """Return how many photos three ways of reading took in; raises AssertionError where two of them differ."""
    for walk in range(count // WALK):
        write_walk(
            folder / f"in/{walk:04d}",
            WALK,
            size=(64, 48),
            every_s=0.5,
            first_at=FIRST_PHOTO_AT + timedelta(hours=walk),
            first_seed=walk * WALK,
        )
    site = write_site(folder / "square.geojson")
    taken = {"jobs 2": run_ingest(folder / "in", folder / "jobs", site=site, jobs=2).new}
    expected = content(folder / "jobs")
    taken["local:2"] = run_ingest(folder / "in", folder / "local", site=site, cluster="local:2").new
    assert content(folder / "local") == expected
    with two_workers() as workers:
        killer = threading.Thread(target=_kill_midway, args=(folder / "killed", count // 3, workers), daemon=True)
        killer.start()
        taken["a worker killed"] = run_ingest(folder / "in", folder / "killed", site=site, cluster=workers.address).new
        killer.join(1)
        assert not killer.is_alive(), "no worker was killed in time"
    assert content(folder / "killed") == expected
    for name in ("jobs", "local", "killed"):
        assert_sound(folder / name)
    return taken


def _kill_midway(root: Path, copies: int, workers: Workers) -> None:
    while sum(1 for _ in (root / "photos").glob("*/*.jpg")) < copies:
        time.sleep(0.5)
    workers.kill_one()


def main() -> None:
    """Run the trials and print how many of each fault came in time; an AssertionError tells what went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--equal", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=(*KILLED, *OF_THE_STORE), nargs="+", default=[*KILLED, *OF_THE_STORE])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    generator = random.Random(options.seed)
    started = time.monotonic()
    figures: dict[str, Any] = {fault: {"trials": 0, "hit": 0} for fault in options.only}
    with tempfile.TemporaryDirectory() as name:
        if options.equal:
            figures["equal"] = equal(Path(name) / "equal", options.equal)
        if options.kills:
            with trials(Path(name), generator) as tried:
                for number in range(options.kills):
                    fault = generator.choice(options.only)
                    hit = tried.run(fault, Path(name) / f"ds-{number}")
                    figures[fault]["trials"] += 1
                    figures[fault]["hit"] += hit
                    passed_s = time.monotonic() - started
                    print(f"{number + 1}: {fault}, {'in time' if hit else 'late'}, {passed_s:.0f} s", file=sys.stderr)
    figures["seconds"] = round(time.monotonic() - started, 1)
    machine = {"python": platform.python_version(), "system": platform.platform()}
    if options.json:
        print(json.dumps({"machine": machine, "figures": figures, "ratios": {}}))
    else:
        for key, value in figures.items():
            print(f"{key}: {value}")


if __name__ == "__main__":
    main()
